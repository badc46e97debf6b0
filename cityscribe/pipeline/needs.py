"""What stages need and may lack: packages of extras, a base model, the name of a model on a server. Looked for before
anything is made, so that nobody learns of it after an hour of preparation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from cityscribe.files import InputError
from cityscribe.project import Settings
from cityscribe.registry import is_installed, registry
from cityscribe.settings.members import Named, OneOf
from cityscribe.train.objectives.objective import Taught

SECTIONS = {
    "prepare": ("data", "prepare"),
    "train": ("model", "train"),
    "predict": ("predict",),
    "evaluate": ("evaluate",),
    "report": ("report",),
}
"""Stage -> the sections whose members it uses."""


def check_needs(settings: Settings, stages: Sequence[str]) -> None:
    """Raises InputError, everything at once, for what these stages need and is not there."""
    lacking = [line for stage in stages for name in SECTIONS.get(stage, ()) for line in _extras(settings, name)]
    if "train" in stages and (settings.train.distributed == "deepspeed" or settings.train.deepspeed is not None):
        lacking += _extra("train.distributed: deepspeed", "deepspeed")
    if "predict" in stages and settings.predict.choices == "letters":
        lacking += _extra("predict.choices: letters", "serve")
    if "train" in stages and isinstance(settings.train.objective, Taught):
        lacking += _teacher(settings.train.objective)
    labeller: Any = settings.prepare.labeller
    if "prepare" in stages and labeller.kind in ("server", "local") and not getattr(labeller, "model", ""):
        lacking.append("prepare.labeller.model: missing; name the language model")
    if "prepare" in stages:
        lacking += _redaction(settings)
    if "predict" in stages and settings.predict.engine == "remote" and not settings.predict.remote.model:
        lacking.append("predict.remote.model: missing; name the model on the server predict.remote.base_url")
    if lacking:
        raise InputError("\n".join(lacking))
    if _asks_base(settings, stages):
        from cityscribe.models.load import load_config

        load_config(settings.model.base)


def _teacher(objective: Taught) -> list[str]:
    """What an objective lacks that learns from a teacher."""
    if objective.teacher or objective.outputs is not None:
        return []
    return [f"train.objective.teacher: missing; objective {objective.name} needs a model to learn from"]


def _asks_base(settings: Settings, stages: Sequence[str]) -> bool:
    return "train" in stages or ("predict" in stages and settings.predict.engine == "local")


def _extras(settings: Settings, name: str) -> Iterator[str]:
    """What members that a section names lack."""
    section: BaseModel = getattr(settings, name)
    for field, info in type(section).model_fields.items():
        value = getattr(section, field)
        for marker in info.metadata:
            named = value.kind if isinstance(marker, OneOf) else value
            if isinstance(marker, Named | OneOf) and named in registry(marker.kind):
                yield from _extra(f"{name}.{field}: {named}", registry(marker.kind).entry(named).extra)


def _redaction(settings: Settings) -> list[str]:
    """What is missing to find what is to be covered."""
    from cityscribe.redact import REDACTORS

    options = settings.prepare.redaction
    return [f"prepare.redact: {why}" for kind in options.kinds if (why := REDACTORS[kind].lacking(options))]


def _extra(setting: str, extra: str) -> list[str]:
    if not extra or is_installed(extra):
        return []
    return [f"{setting} needs more packages: pip install 'cityscribe[{extra}]'"]
