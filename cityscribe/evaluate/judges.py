"""The ways of letting a language model judge answers: what it is asked, and how its replies are read."""

from __future__ import annotations

from typing import Any

from cityscribe.files import InputError
from cityscribe.registry import Registry


def _check(name: str, member: Any) -> None:
    if not hasattr(member, "prompts") or not callable(getattr(member, "read", None)):
        raise InputError(f"judge {name}: expected a Judge with `prompts` and `read(reply, rubric)`")


JUDGES: Registry[Any] = Registry("judge", "how a language model judges answers", _check)
JUDGES.add(
    "video-chatgpt",
    "cityscribe.evaluate.judge:VIDEO_CHATGPT",
    "right or wrong and 0 to 5, or 0 to 5 in five dimensions",
    paper="Maaz et al. 2024, arXiv 2306.05424",
)
JUDGES.add(
    "mm-vet",
    "cityscribe.evaluate.benchmarks.mm_vet:JUDGE",
    "0.0 to 1.0, the number at the beginning of the reply",
    paper="Yu et al. 2024, arXiv 2308.02490",
)

_DRIVING = "cityscribe.evaluate.benchmarks.driving"
JUDGES.add("drivelm", f"{_DRIVING}.drivelm:JUDGE", "0 to 100, the first number of the reply", paper="Sima et al. 2023")
JUDGES.add("roadsocial", f"{_DRIVING}.roadsocial:JUDGE", "1 to 100, the first number of the reply")
JUDGES.add(
    "drivelmm-o1", f"{_DRIVING}.drivelmm_o1:JUDGE", "1 to 10 in twelve respects, as JSON", paper="Ishaq et al. 2025"
)
JUDGES.add(
    "errors",
    "cityscribe.evaluate.error_counts:JUDGE",
    "errors of descriptions, counted by kind and severity",
    paper="Zambrano Chaves et al. 2024, arXiv 2403.08002",
)
