"""Probes: a question is changed in a way that should not (or should) change its answer, asked again, and compared.

    probe.variants(question)            # the changed questions
    probe.compare(asked, seed)          # what the answers to them show

The plain questions are also asked without their images, the blind line: a model that answers them as well blind has not
looked, and what a change of its images does to it says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cityscribe.files import InputError
from cityscribe.registry import Registry

if TYPE_CHECKING:
    from cityscribe.evaluate.probes.probe import Probe

_ROOM = "cityscribe.evaluate.probes"


def _check(name: str, member: Any) -> None:
    if not all(callable(getattr(member, method, None)) for method in ("variants", "compare")):
        raise InputError(f"probe {name}: expected an object with `variants` and `compare`, found {member!r}")


PROBES: Registry[Probe] = Registry("probe", "a change of a question, and what the answer to it shows", _check)
PROBES.add(
    "corruption",
    f"{_ROOM}.corruption:CORRUPTION",
    "images in bad weather and light, noisy, blurred, coarse, compressed or lost, at five strengths",
    paper="Hendrycks and Dietterich 2019",
)
PROBES.add(
    "option-order",
    f"{_ROOM}.option_order:OPTION_ORDER",
    "the options in every rotation: whether the place of an option decides",
    paper="Zheng et al. 2024",
)
