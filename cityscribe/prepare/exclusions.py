"""Scenarios that no run below a folder of runs may use any more: RUNS/forgotten.json, which `prepare` reads.

    {"wts": {"SCENARIO": {"demo/model": "trained on it", "later/model": "its base is demo/model"}}}

By format and scenario, the checkpoints that had learned from it when it was forgotten, and how. A name counts in all
data of its format below the folder of runs: rather one scenario too many is left out than one too few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cityscribe.files import InputError, read_json, write_json

FILE = "forgotten.json"

Exclusions = dict[str, dict[str, dict[str, str]]]
"""Format -> scenario -> checkpoint, relative to the folder of runs -> how it has learned from it."""


def read_exclusions(runs: Path) -> Exclusions:
    """What is excluded below a folder of runs. Raises InputError for a damaged file: it lets nothing in."""
    file = runs / FILE
    if not file.is_file():
        return {}
    try:
        return TypeAdapter(Exclusions).validate_python(read_json(file))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(f"{file}: {place}: {fault['msg']}; expected what `cityscribe data forget` writes") from error


def excluded(runs: Path, source: str) -> frozenset[str]:
    """The scenarios of a format that are excluded."""
    return frozenset(read_exclusions(runs).get(source, {}))


def exclude(runs: Path, source: str, scenario: str, checkpoints: Mapping[str, str]) -> dict[str, str]:
    """Exclude a scenario. Returns the checkpoints that have learned from it, with those that were known before."""
    found = read_exclusions(runs)
    known = found.setdefault(source, {})
    known[scenario] = {**known.get(scenario, {}), **checkpoints}
    write_json(runs / FILE, found)
    return known[scenario]


def digest_of(scenarios: frozenset[str]) -> tuple[str, ...]:
    """What tells one set of excluded scenarios from another; nothing for none."""
    return (hashlib.sha256("\n".join(sorted(scenarios)).encode()).hexdigest(),) if scenarios else ()
