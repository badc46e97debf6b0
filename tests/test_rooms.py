"""The ground floor neither imports the rooms above it nor speaks of what they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cityscribe

PACKAGE = Path(cityscribe.__file__).parent

GROUND = (
    *("records.py", "files.py", "values.py", "entries.py", "registry.py", "letters.py", "tree.py", "progress.py"),
    *("tokens", "models", "train", "engine", "media", "llm"),
)
"""What knows no phase, no road user and no data set."""

BELOW_TRAFFIC = (*GROUND, "evaluate")
"""What `traffic` stands on. Metrics have the names of the profiles in their words, and nothing of it in their code."""

UPPER = (
    *("traffic", "sources", "world", "prepare", "predict", "report", "browse", "stats", "detect", "describe", "serve"),
    "cli",
)

WORDS = re.compile(
    r"pedestrians?|vehicles?|cars?|drivers?|cyclists?|road[ _]users?|roads?|traffic|phases?|scenarios?|gaze|overhead"
    r"|view_kind|avoidance|prerecognition|wts|bdd\w*",
    re.IGNORECASE,
)

EXCEPTIONS = {
    # The column of a prepared sample that says what it is about has this name in every file that was ever written.
    ("records.py", "scenario"),
    # The entry of the traffic room's meta data in the registry.
    ("records.py", "traffic"),
    ("records.py", "phase"),
    ("records.py", "road user"),
    # Frames of 60-fps videos were counted twice when that data set was annotated: the rule is about video.
    ("media/video.py", "wts"),
    # An example of English: "the answer is a car" names no option a.
    ("letters.py", "car"),
}


def modules(rooms: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in rooms:
        path = PACKAGE / name
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            yield file.relative_to(PACKAGE).as_posix(), file.read_text("utf-8")


def imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_ground_floor_imports_nothing_from_above() -> None:
    above = tuple(f"cityscribe.{room}." for room in UPPER)
    found = modules(BELOW_TRAFFIC)
    assert [f"{name}: {one}" for name, text in found for one in imports(text) if f"{one}.".startswith(above)] == []


def test_the_ground_floor_speaks_of_no_traffic() -> None:
    said = {
        (name, match[0].lower())
        for name, text in modules(GROUND)
        for match in re.finditer(rf"(?<![A-Za-z])(?:{WORDS.pattern})(?![A-Za-z])", text, re.IGNORECASE)
    }
    assert said - EXCEPTIONS == set()
