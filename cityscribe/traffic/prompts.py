"""The wording of all questions: read from a YAML file, checked, and filled in.

The package's own is `prompts.yaml` beside this module; `prepare.prompts` in the settings names one that replaces it,
for example to repeat the wording that a published checkpoint was trained with. `prepare` writes the finished questions
into the samples, so training and prediction cannot differ in them.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml
from cityscribe.traffic.scenario import PHASES, ROLES

OF_PREFIX = frozenset({"phase"})
OF_QUESTION = frozenset(ROLES)
GAZE = "gaze"
"""The name of the gaze arrow among what is marked on images."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PhaseWords(_Entry):
    prerecognition: str
    recognition: str
    judgement: str
    action: str
    avoidance: str


class RoleName(_Entry):
    marked: str
    unmarked: str


class RoleNames(_Entry):
    pedestrian: RoleName
    vehicle: RoleName


class LongQuestions(_Entry):
    pedestrian: str
    vehicle: str


class ShortQuestions(_Entry):
    """One question a dimension; null is not asked. `attributes` are the pedestrian's, `environment` is everybody's."""

    attributes: str | None
    pedestrian_position: str | None
    pedestrian_motion: str | None
    vehicle_position: str | None
    vehicle_motion: str | None
    environment: str | None


class ViewPrompts(_Entry):
    names: RoleNames
    long: LongQuestions
    short: ShortQuestions


class Prompts(_Entry):
    """The whole file."""

    prefix: str
    gaze: str = ""
    phases: PhaseWords
    overhead: ViewPrompts
    vehicle: ViewPrompts


def load_prompts(path: Path | None) -> Prompts:
    """Read a prompt file, the package's own for None.

    Raises InputError that names the file and lists everything that is wrong in it: keys that are missing or unknown,
    texts that are not text, placeholders that mean nothing where they stand.
    """
    try:
        text = (resources.files("cityscribe.traffic") / "prompts.yaml" if path is None else path).read_text("utf-8-sig")
        content, _ = parse_yaml(text, str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; check prepare.prompts") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from error
    try:
        prompts = Prompts.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise InputError(f"{path}: " + "; ".join(faults)) from error
    if faults := _wrong_placeholders(prompts):
        raise InputError(f"{path}: " + "; ".join(faults))
    return prompts


def long_question(prompts: Prompts, view_kind: str, phase: int, marked: Sequence[str], role: str) -> str:
    """The question for the whole caption of a road user. `phase` is an index into PHASES, `marked` the roles drawn."""
    texts = _of_view(prompts, view_kind).long
    return _fill(prompts, view_kind, phase, marked, texts.vehicle if role == "vehicle" else texts.pedestrian)


def short_question(prompts: Prompts, view_kind: str, phase: int, marked: Sequence[str], key: str) -> str | None:
    """The question for one dimension, a key of `ShortQuestions`; None where the file does not ask it."""
    text: str | None = _of_view(prompts, view_kind).short.model_dump()[key]
    return None if text is None else _fill(prompts, view_kind, phase, marked, text)


def _of_view(prompts: Prompts, view_kind: str) -> ViewPrompts:
    return prompts.vehicle if view_kind == "vehicle" else prompts.overhead


def _fill(prompts: Prompts, view_kind: str, phase: int, marked: Sequence[str], text: str) -> str:
    names = _of_view(prompts, view_kind).names.model_dump()
    words = {role: names[role]["marked" if role in marked else "unmarked"] for role in ROLES}
    prefix = prompts.prefix.format(phase=prompts.phases.model_dump()[PHASES[phase]])
    return prefix + (prompts.gaze if GAZE in marked else "") + text.format(**words)


def _wrong_placeholders(prompts: Prompts) -> list[str]:
    faults = _unknown("prefix", prompts.prefix, OF_PREFIX)
    for kind, view in (("overhead", prompts.overhead), ("vehicle", prompts.vehicle)):
        for group, texts in (("long", view.long.model_dump()), ("short", view.short.model_dump())):
            for key, text in texts.items():
                faults += _unknown(f"{kind}.{group}.{key}", text or "", OF_QUESTION)
    return faults


def _unknown(place: str, text: str, known: frozenset[str]) -> list[str]:
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(text)]
    except ValueError as error:
        return [f"{place}: {error}; write {{{{ and }}}} for braces that are text"]
    allowed = " and ".join(f"{{{name}}}" for name in sorted(known))
    return [
        f"{place}: unknown placeholder {{{name}}}; {allowed} can stand here"
        for name, spec, conversion in fields
        if name is not None and (name not in known or spec or conversion)
    ]
