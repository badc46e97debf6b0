"""Every module is short enough to be read at once, every function to be seen at once, and imports run downwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import cityscribe

PACKAGE = Path(cityscribe.__file__).parent

LONGEST_MODULE = 400
LONGEST_FUNCTION = 80
"""Lines, from `def` to the end."""


def test_no_module_and_no_function_is_too_long() -> None:
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name, text = path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8")
        if len(text.splitlines()) > LONGEST_MODULE:
            found.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                    found.add(f"{name} {node.name}")
    assert found == set()


ROOMS = (
    *("files", "values", "workers", "tree"),
    *("plain_yaml", "registry", "digest_store", "records", "letters", "entries"),
    *("settings", "media", "models", "tokens", "engine", "llm", "train"),
    *("evaluate", "traffic", "sources", "world", "prepare", "predict"),
    *("report", "serve", "browse", "stats", "detect", "describe"),
    *("project", "presets", "ablations", "pipeline", "demo", "benchmark", "ablate", "cli", "__main__"),
)
"""Each stands on those before it and imports none of those behind it."""


def imported_rooms(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("cityscribe."))


def test_imports_run_downwards() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} == set(ROOMS)
    upwards = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if (room := path.relative_to(PACKAGE).parts[0].removesuffix(".py")) in ROOMS
        for other in imported_rooms(path.read_text("utf-8"))
        if other in ROOMS and ROOMS.index(other) > ROOMS.index(room)
    ]
    assert upwards == []


def test_yaml_from_outside_is_read_within_limits() -> None:
    """An alias bomb of a few lines fills the memory of any other reader."""
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and "load" in node.attr.lower()
        and isinstance(node.value, ast.Name)
        and node.value.id == "yaml"
    }
    assert readers <= {"plain_yaml.py"}
