"""Files of benchmarks as their authors publish them: found by name, checked against a schema, read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import InputError, read_json

RowSchema = TypeVar("RowSchema")

IdText = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""An id, which some files write as a number and others as text."""

SHOWN = 5
"""How many findings one message names."""


def find(data: Path, *patterns: str) -> list[Path]:
    """The files of a data folder, or of a folder in it, that fit the first pattern which any file fits; by name.

    Raises InputError, saying what was looked for, where there is none.
    """
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give the folder of the benchmark")
    for pattern in patterns:
        found = sorted(path for place in (pattern, f"*/{pattern}") for path in data.glob(place) if path.is_file())
        if found:
            return found
    raise InputError(f"{data}: has no file {' or '.join(patterns)}, here or one folder below")


def find_one(data: Path, *patterns: str) -> Path:
    """As `find`, for a file that there is once. Raises InputError where several fit."""
    found = find(data, *patterns)
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(data)) for path in found[:SHOWN])
        raise InputError(f"{data}: several files fit: {names}; choose with --split")
    return found[0]


def folder_of(data: Path, *names: str) -> str:
    """The first of these folders that is there, as the beginning of a path relative to the data folder.

    Scores need no images: where there is none of them, the first is taken.
    """
    found = next((name for name in names if (data / name).is_dir()), names[0])
    return f"{found}/" if found else ""


def read_as(path: Path, schema: type[RowSchema]) -> RowSchema:
    """A JSON file as a type that pydantic knows. Raises InputError with the file and the places that do not fit."""
    return check(path, "", read_json(path), schema)


def read_listed(data: Path, split: str, entry: type[RowSchema]) -> tuple[Path, list[tuple[str, RowSchema]]]:
    """`problems.json`, and of its entries those that `pid_splits.json` lists for a split, in that order. Raises
    InputError for a split that is not there, and for an entry that is listed and is not there."""
    path = find_one(data, "problems.json")
    entries = read_as(path, dict[str, entry])  # type: ignore[valid-type]
    splits = read_as(find_one(data, "pid_splits.json"), dict[str, list[IdText]])
    if split not in splits:
        raise InputError(f"{data}: pid_splits.json has no split {split}, but {', '.join(splits)}")
    for name in splits[split]:
        if name not in entries:
            raise InputError(f"{path}: has no entry {name}, which pid_splits.json lists")
    return path, [(name, entries[name]) for name in splits[split]]


def read_lines_as(path: Path, schema: type[RowSchema]) -> list[RowSchema]:
    """A file with one JSON value a line, empty lines passed over. Raises InputError as `read_as`."""
    return [check(path, place, row, schema) for place, row in json_lines(path)]


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a file of values between tabs (TSV) that has at least these columns. Raises InputError."""
    csv.field_size_limit(1 << 30)  # images in base64 are longer than the 128 KiB that csv allows
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file, delimiter="\t", restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: line 1: has no column {', '.join(missing)}")
            return list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a readable table: {error}") from error


def check(path: Path, place: str, value: Any, schema: type[RowSchema]) -> RowSchema:
    """A value that was read from a file as a type. Raises InputError with all places in it that do not fit."""
    try:
        found: RowSchema = _adapter(cast(Any, schema)).validate_python(value)
        return found
    except ValidationError as error:
        lines = []
        for entry in error.errors(include_url=False)[:SHOWN]:
            where = ".".join(str(part) for part in (place, *entry["loc"]) if part != "")
            lines.append(f"{path}: {where}: {entry['msg'][:1].lower()}{entry['msg'][1:]}")
        more = error.error_count() - len(lines)
        raise InputError("\n".join(lines) + (f"\nand {more} more" if more else "")) from error


@cache
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)
