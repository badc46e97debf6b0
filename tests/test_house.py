"""Every module is short enough to be read at once, and every function to be seen at once."""

from __future__ import annotations

import ast
from pathlib import Path

import cityscribe

PACKAGE = Path(cityscribe.__file__).parent

LONGEST_MODULE = 400
LONGEST_FUNCTION = 80
"""Lines, from `def` to the end."""

TOO_LONG = {
    "world/event.py",
    "world/event.py sample_event",
    "world/people.py person_parts",
    "world/pictures.py",
    "world/pictures.py _questions",
}
"""What is still to be split; nothing comes to it."""


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
    assert found == TOO_LONG
