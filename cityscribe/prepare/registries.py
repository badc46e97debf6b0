"""What `prepare` can be set to do, by name. Importing this loads none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cityscribe.registry import Registry

ENGINES: Registry[Callable[..., Any]] = Registry("prepare-engine", "who works on the videos (prepare.engine)")
ENGINES.add("local", "cityscribe.prepare.engines:run_local", "processes of this machine")
ENGINES.add("ray", "cityscribe.prepare.engines:run_ray", "tasks of a Ray cluster", extra="ray")

LABELLERS: Registry[Callable[..., Any]] = Registry(
    "labeller", "who sorts the sentences of captions into dimensions (prepare.labeller)"
)
LABELLERS.add(
    "rules",
    "cityscribe.prepare.labeller:by_rules",
    "words that tell the dimension",
    settings="cityscribe.prepare.settings:RulesSettings",
)
for _name, _settings, _summary in (
    ("server", "ServerSettings", "a language model on a server"),
    ("local", "LocalSettings", "a chat model on this machine"),
    ("script", "ScriptSettings", "recorded replies"),
):
    LABELLERS.add(
        _name,
        "cityscribe.prepare.labeller:by_model",
        _summary,
        paper="Duan et al. 2024, section 3.2.4" if _name != "script" else "",
        settings=f"cityscribe.llm.settings:{_settings}",
    )

IMAGES: Registry[Callable[..., Any]] = Registry("image", "the images of a phase that a sample shows (prepare.images)")
_HOME = "cityscribe.prepare.crops"
IMAGES.add("global", f"{_HOME}:whole", "the whole frame")
IMAGES.add("local", f"{_HOME}:around_all", "what is around both road users", paper="Duan et al. 2024, Eq. 3 to 6")
IMAGES.add("pedestrian", f"{_HOME}:around_pedestrian", "what is around the pedestrian")
IMAGES.add("vehicle", f"{_HOME}:around_vehicle", "what is around the vehicle")
IMAGES.add(
    "appearance",
    f"{_HOME}:around_pedestrian",
    "the pedestrian where any phase and view of the scenario shows it best",
)
