"""The ground floor neither imports the rooms above it nor speaks of what they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cityscribe

PACKAGE = Path(cityscribe.__file__).parent

GROUND = (
    *("records.py", "files.py", "values.py", "entries.py", "registry.py", "letters.py", "tree.py"),
    *("tokens", "models", "train", "engine", "media", "llm"),
)
"""What knows no phase, no road user and no data set."""

UPPER = (
    *("traffic", "sources", "world", "prepare", "predict", "report", "browse", "stats", "detect", "describe", "serve"),
    "cli",
)

OF_TRAFFIC = {
    *("box_sizes.py", "consistency.py", "majority.py", "wts.py", "wts_files.py"),
    *("coco/profile.py", "attributes.py", "attribute_scores.py", "wts_vqa.py"),
    *("hallucination/captions.py", "hallucination/objects.py"),
}
"""Files of `evaluate` about captions of traffic."""

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


def modules() -> Iterator[tuple[str, str]]:
    for name in GROUND:
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
    assert [f"{name}: {one}" for name, text in modules() for one in imports(text) if f"{one}.".startswith(above)] == []


def test_of_the_metrics_only_those_of_traffic_import_its_room() -> None:
    found = {
        path.relative_to(PACKAGE / "evaluate").as_posix()
        for path in (PACKAGE / "evaluate").rglob("*.py")
        if any(one.startswith("cityscribe.traffic") for one in imports(path.read_text("utf-8")))
    }
    assert found <= OF_TRAFFIC


def test_the_ground_floor_speaks_of_no_traffic() -> None:
    said = {
        (name, match[0].lower())
        for name, text in modules()
        for match in re.finditer(rf"(?<![A-Za-z])(?:{WORDS.pattern})(?![A-Za-z])", text, re.IGNORECASE)
    }
    assert said - EXCEPTIONS == set()
