"""The question-answering sub-task of WTS: accuracy as the official script counts it, and the combined score of a team.

    [{"id": "0b5e...", "correct": "b"}, ...]        a submission; references have the same form, or that of the data set

Letters are compared without case, a question without an answer counts as wrong, and an answer to a question that is not
among the references counts not at all (`traffic_qa_evaluation_script.py` of woven-visionai/wts-dataset). The combined
score is S2 = (S1 + 100 accuracy) / 2, where S1 is the score of the captions of the sub-task before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cityscribe.evaluate.provenance import provenance
from cityscribe.files import InputError, read_json

PROFILE = "wts-vqa"


@dataclass(frozen=True, slots=True)
class VqaAccuracy:
    """How many letters are right."""

    accuracy: float
    correct: int
    wrong: int
    missing: int


@dataclass(frozen=True, slots=True)
class Combined:
    """The score of the captions and that of both sub-tasks, in points."""

    s1: float
    s2: float


@dataclass(frozen=True, slots=True)
class VqaScores:
    """What an evaluation of letters found."""

    letters: VqaAccuracy
    combined: Combined | None  # where captions are given
    right: Mapping[str, str]  # by question
    said: Mapping[str, str]
    warnings: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def score(self) -> float:
        return 100 * self.letters.accuracy if self.combined is None else self.combined.s2

    @property
    def total(self) -> dict[str, object]:
        """What `scores.json` holds."""
        both = {} if self.combined is None else asdict(self.combined)
        return {**asdict(self.letters), **both, "score": self.score}

    @property
    def segments(self) -> dict[str, dict[str, object]]:
        """What `segments.json` holds."""
        return {
            name: {
                "group": name,
                "kind": "choice",
                "outcome": float(self.said.get(name, "") == letter),
                "right": letter,
            }
            for name, letter in self.right.items()
        }


def evaluate_vqa(references: Path, submission: Path, captions: Path | None = None) -> VqaScores:
    """Score a submission; with `captions`, the `scores.json` of caption predictions, also S2.

    Raises InputError for files that are malformed, references without letters, and an id that stands twice.
    """
    right = {name: letter for name, letter in read_letters(references).items() if letter}
    if not right:
        raise InputError(f"{references}: has no question with its right letter under `correct`; nothing can be scored")
    said = read_letters(submission)
    found = accuracy(right, said)
    made_by = provenance(PROFILE, None, right, submission, ())
    both = None
    if captions is not None:
        both = combined(found.accuracy, _caption_score(captions))
        made_by["captions_sha256"] = hashlib.sha256(captions.read_bytes()).hexdigest()
    unknown = len(said.keys() - right.keys())
    warnings = (f"{submission}: {unknown} answers to questions that the references do not have",) if unknown else ()
    return VqaScores(found, both, right, said, warnings, made_by)


def accuracy(references: Mapping[str, str], answers: Mapping[str, str]) -> VqaAccuracy:
    """The share of right answers by question. An answer of "" counts as wrong rather than missing."""
    right = sum(answers.get(name, "\0").lower() == letter.lower() for name, letter in references.items())
    missing = sum(name not in answers for name in references)
    total = len(references)
    return VqaAccuracy(
        accuracy=right / total if total else 0.0, correct=right, wrong=total - right - missing, missing=missing
    )


def combined(share: float, s1: float) -> Combined:
    """S1 and S2, both in points, of an accuracy in [0, 1]."""
    return Combined(s1=s1, s2=(s1 + 100 * share) / 2)


def read_letters(path: Path) -> dict[str, str]:
    """The letter of each question of a submission, or of a file of the data set however its records are nested."""
    letters: dict[str, str] = {}
    for place, row in _rows(read_json(path), ""):
        name, letter = row.get("id"), row["correct"]
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise InputError(f"{path}: {place}.id: is {name!r}, expected the id of a question")
        if not isinstance(letter, str):
            raise InputError(f"{path}: {place}.correct: is {letter!r}, expected a letter such as a")
        if str(name) in letters:
            raise InputError(f"{path}: {place}.id: {name} stands twice")
        letters[str(name)] = letter.strip().lower()
    if not letters:
        raise InputError(f'{path}: holds no answers; expected [{{"id": ..., "correct": "a"}}, ...]')
    return letters


def _rows(value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        if "correct" in value:
            yield place, value
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _rows(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _rows(inner, f"{place}[{number}]")


def _caption_score(path: Path) -> float:
    scores = read_json(path)
    score = scores.get("score") if isinstance(scores, dict) else None
    if not isinstance(score, int | float) or isinstance(score, bool):
        raise InputError(f"{path}: score: is {score!r}, expected the scores.json that `evaluate --profile wts` writes")
    return float(score)
