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

RANDOMISERS: Registry[Callable[..., Any]] = Registry(
    "randomiser", "how frames of the training split are changed at random (prepare.randomise.kinds)"
)
_STYLES = "cityscribe.media.restyling"
RANDOMISERS.add("photometry", f"{_STYLES}:photometry", "another camera: gain, contrast, gamma, saturation, balance")
RANDOMISERS.add("palette", f"{_STYLES}:palette", "other colours throughout", paper="after Reinhard et al. 2001")
RANDOMISERS.add("painted", f"{_STYLES}:painted", "flat areas with edges between, as if painted")
for _kind, _summary in (
    ("fog", "a bright veil in clouds"),
    ("rain", "bright streaks before a darker picture"),
    ("snow", "white flakes before a paler picture"),
    ("dark", "little light, and noise"),
    ("bright", "overexposed"),
    ("noise", "Gaussian noise"),
    ("blur", "out of focus"),
    ("motion-blur", "the camera moves"),
    ("coarse", "few pixels, shown as large ones"),
    ("compression", "JPEG of low quality"),
    ("lost", "blocks that never arrived"),
):
    RANDOMISERS.add(
        _kind,
        f"cityscribe.media.corruptions:{_kind.replace('-', '_')}",
        _summary,
        paper="after Hendrycks and Dietterich 2019",
    )
