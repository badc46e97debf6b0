"""Text files from outside: whole, or one JSON value a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cityscribe.files import InputError


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """The values of a file with one JSON value a line, each with its place. Raises InputError."""
    # `splitlines` would also cut at separators that JSON allows within a text.
    for number, line in enumerate(text_of_file(path).split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}: line {number}: not JSON: {error}") from error


def text_of_file(path: Path) -> str:
    """The UTF-8 text of a file. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from error
