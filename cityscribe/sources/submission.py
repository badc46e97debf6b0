"""What is missing or wrong in a file before it is sent to the AI City Challenge.

    captions    {"SCENARIO": [{"labels": ["4"], "caption_pedestrian": "...", "caption_vehicle": "..."}, ...]}
    questions   [{"id": "UUID", "correct": "a"}, ...]

Which of the two a file is, its outermost bracket tells. It is held against what the data set asks for: the phases of
its caption files, or the ids of its WTS_VQA_PUBLIC_TEST.json; no video is needed. An error is what the official
evaluator fails at or counts as nothing, a warning what it passes over or can only score as wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cityscribe.files import InputError, printable, read_json
from cityscribe.letters import LETTERS
from cityscribe.records import Problem
from cityscribe.sources.wts import captioned_phases
from cityscribe.sources.wts_vqa import questions_by_id
from cityscribe.traffic.captions import phase_number
from cityscribe.traffic.scenario import PHASES, ROLES, Split
from cityscribe.values import shown

NAMED = 20
"""Missing things that one message lists."""

SCORED = ("2023", "video")
"""How the names begin that the official evaluator scores: WTS itself, BDD_PC_5K."""


def check_submission(file: Path, data: Path, split: Split | None = None) -> list[Problem]:
    """Everything that is missing or wrong in a submission for a data set, with file and place.

    `split` names what captions are asked of; None takes the test split, or that for validation where there is none.
    Raises InputError where the data set is no folder or asks for nothing, and where the file cannot be read.
    """
    value = read_json(file)
    check = _Check(file, [])
    if isinstance(value, dict):
        _captions(check, value, _asked_phases(data, split))
    elif isinstance(value, list):
        expected = questions_by_id(data)
        if not expected:
            raise InputError(f"{data}: has no questions with an id; expected WTS_VQA_PUBLIC_TEST.json below it")
        _answers(check, value, expected)
    else:
        check.add("error", "", f"holds {shown(value)}, expected captions by scenario or a list of answers")
    return check.problems


class _Check:
    """The file under test and the problems found in it."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file, self.problems = file, problems

    def add(self, level: Literal["error", "warning"], place: str, message: str) -> None:
        self.problems.append(Problem(level, str(self.file), printable(place), printable(message)))

    def missing(self, names: Sequence[str], what: str) -> None:
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            self.add("error", "", f"{len(names)} {what}: {', '.join(names[:NAMED])}{more}")


def _asked_phases(data: Path, split: Split | None) -> dict[str, Collection[int]]:
    for wanted in (split,) if split is not None else ("test", "val"):
        found = captioned_phases(data, wanted)
        if found:
            return dict(found)
    named = split or "test or val"
    raise InputError(f"{data}: asks for no captions of the split {named}; expected annotations/caption/")


def _captions(check: _Check, value: dict[str, Any], expected: Mapping[str, Collection[int]]) -> None:
    check.missing([name for name in expected if name not in value], "scenarios are missing")
    for scenario, entries in value.items():
        if scenario not in expected:
            check.add("warning", scenario, "is no scenario that is asked for; not scored")
            continue
        if not scenario.startswith(SCORED):
            check.add("warning", scenario, f"begins with neither {' nor '.join(SCORED)}: not scored officially")
        if not isinstance(entries, list):
            check.add("error", scenario, f"is {shown(entries)}, expected a list of phases")
            continue
        seen: set[int] = set()
        for number, entry in enumerate(entries):
            phase = _phase(check, f"{scenario}[{number}]", entry)
            if phase is None:
                continue
            if phase in seen:
                check.add("error", f"{scenario}[{number}].labels", f"phase {phase} ({PHASES[phase]}) again")
            elif phase not in expected[scenario]:
                check.add("warning", f"{scenario}[{number}].labels", f"phase {phase} is not asked for; not scored")
            seen.add(phase)
        left = sorted(set(expected[scenario]) - seen)
        if left:
            named = ", ".join(f"{phase} ({PHASES[phase]})" for phase in left)
            check.add("error", scenario, f"has no captions of the phases {named}")


def _phase(check: _Check, place: str, entry: Any) -> int | None:
    """The phase that an entry is about, its captions checked; None, noted, where it is none."""
    if not isinstance(entry, dict):
        check.add("error", place, f"is {shown(entry)}, expected labels, caption_pedestrian and caption_vehicle")
        return None
    for role in ROLES:
        caption = entry.get(f"caption_{role}")
        if not isinstance(caption, str):
            check.add("error", f"{place}.caption_{role}", f"is {shown(caption)}, expected text")
        elif not caption.strip():
            check.add("warning", f"{place}.caption_{role}", "is empty, which scores nothing")
    labels = entry.get("labels")
    label = labels[0] if isinstance(labels, list) and len(labels) == 1 else None
    phase = phase_number(label)
    if phase is None:
        check.add("error", f"{place}.labels", f'is {shown(labels)}, expected a list of one of "0" to "4"')
    elif label != str(phase):
        check.add("warning", f"{place}.labels", f'is {shown(labels)}; the official form is ["{phase}"]')
    return phase


def _answers(check: _Check, value: list[Any], expected: Mapping[str, int]) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(value):
        place = f"[{number}]"
        name = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            check.add("error", place, f"is {shown(entry)}, expected an id and correct")
            continue
        if name in seen:
            check.add("error", f"{place}.id", f"answers {shown(name)} again")
        seen.add(name)
        if name not in expected:
            check.add("warning", f"{place}.id", f"{shown(name)} is no question that is asked; not scored")
            continue
        letters, correct = LETTERS[: expected[name]], entry.get("correct")
        if correct == "":
            check.add("warning", f"{place}.correct", "is empty, which counts as wrong")
        elif not isinstance(correct, str) or correct.lower() not in tuple(letters):
            check.add("error", f"{place}.correct", f"is {shown(correct)}, expected one of {', '.join(letters)}")
    check.missing([name for name in expected if name not in seen], "questions are not answered")
