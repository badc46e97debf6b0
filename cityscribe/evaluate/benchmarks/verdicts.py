"""Verdicts of judges, in the forms in which they are kept.

    {"id": "1", "correct": true, "score": 4}                        a line each, or one list
    {"ID": [{"pred": "yes", "score": 4}, {...}], ...}               the results file of Video-ChatGPT's scripts
    {"v1_0": {"model": [...], "content": [...], "score": [0.5]}}    MM-Vet's grade file: the mean over its runs

What cannot be read as yes or no, or as a number, is None and counts as the rule of the benchmark says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from cityscribe.evaluate.benchmarks.answers import ID_KEYS
from cityscribe.evaluate.benchmarks.layout import SHOWN
from cityscribe.evaluate.text_files import json_lines
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError, read_json


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """Verdicts by id. Raises InputError for a file of another shape."""
    try:
        value = read_json(path)
    except InputError:
        value = [row for _, row in json_lines(path)]
    if isinstance(value, dict) and not any(key in value for key in ID_KEYS):
        rows = [(name, entry[0] if isinstance(entry, list) and entry else entry) for name, entry in value.items()]
    else:
        listed = value if isinstance(value, list) else [value]
        rows = [(next((row[key] for key in ID_KEYS if key in row), None), row) for row in listed if _is(row)]
        if len(rows) < len(listed):
            raise InputError(f"{path}: expected verdicts, {{'id', 'correct', 'score'}} each")
    found = {}
    for name, row in rows:
        if name is None or not _is(row):
            raise InputError(f"{path}: {name or row}: expected a verdict with an id and `correct` or `score`")
        found[str(name)] = Verdict(_correct(row), _grade(row.get("score")))
    return found


def require(path: Path | str, verdicts: Mapping[str, Verdict], names: Sequence[str]) -> None:
    """Raises InputError where one of these has no verdict."""
    missing = [name for name in names if name not in verdicts]
    if missing:
        shown = ", ".join(missing[:SHOWN])
        raise InputError(f"{path}: {len(missing)} of {len(names)} answers have no verdict: {shown}")


def _is(row: Any) -> bool:
    return isinstance(row, dict) and any(key in row for key in ("correct", "pred", "score"))


def _correct(row: Mapping[str, Any]) -> bool | None:
    said = row.get("correct", row.get("pred"))
    if isinstance(said, bool):
        return said
    # Video-ChatGPT's scripts look for the words anywhere, `yes` first.
    return next((word == "yes" for word in ("yes", "no") if isinstance(said, str) and word in said.lower()), None)


def _grade(value: Any) -> float | None:
    if isinstance(value, list):
        grades = [grade for entry in value if (grade := _grade(entry)) is not None]
        return sum(grades) / len(grades) if grades else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if isfinite(number) else None
