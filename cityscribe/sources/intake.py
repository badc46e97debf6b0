"""What comes in from the files of others: values by type and range, paths that stay in the data folder, and each
problem noted with its file and place.

Every source reads through an `Intake`. Nothing of a file is trusted: text may hold halves of characters, numbers may be
none, lists may be anything, names may point outside. What cannot be used is noted and left out.
"""

from __future__ import annotations

import csv
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cityscribe.files import InputError, printable, read_json, read_text
from cityscribe.plain_yaml import YamlError, parse_yaml
from cityscribe.records import Level, Note, Problem
from cityscribe.sources.splits import split_named
from cityscribe.values import shown

MAX_YAML = 200_000
"""Characters of a YAML file, which is slow to read: a list of files, never data."""

UNREADABLE = object()
"""What a file gives that could not be read; its problem is noted."""

FILE_URL = re.compile(r"file:(?://(?:localhost(?=/))?)?", re.IGNORECASE)
"""How an address begins that means a file of this machine; a relative path may follow, as Qwen's examples have it."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def open_intake(root: Path) -> Intake:
    """The intake of a data set. Raises InputError where its root is no folder."""
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; give the folder of a data set")
    return Intake(root)


@dataclass(frozen=True, slots=True)
class Intake:
    """The folder of a data set and the problems found in it so far, with file names relative to that folder."""

    root: Path
    problems: list[Problem] = field(default_factory=list)

    def relative(self, path: Path) -> str:
        return printable(Path(os.path.relpath(path, self.root)).as_posix())

    def add(self, level: Level, path: Path, place: str, message: str) -> None:
        self.problems.append(Problem(level, self.relative(path), printable(place), printable(message)))

    def note(self, path: Path) -> Note:
        return lambda level, place, message: self.add(level, path, place, message)

    def files(self, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
        """The files of a folder with one of these suffixes, by name; hidden ones left out."""
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            self.add("error", folder, "", f"cannot be listed: {error.strerror or error}")
            return []
        paths = [folder / name for name in names if not name.startswith(".") and name.lower().endswith(suffixes)]
        return [path for path in paths if os.path.isfile(path)]

    def data_files(self, files: Sequence[str], suffixes: tuple[str, ...]) -> list[Path]:
        """The files that were asked for, or else those with these suffixes in the root and its folders for splits."""
        if files:
            found = []
            for name in files:
                try:
                    found.append(self.root / self.below(self.root, name))
                except ValueError as error:
                    self.add("error", self.root / name, "", f"named in data.files: {error}")
            return found
        found = self.files(self.root, suffixes)
        for folder in sorted(self.folders(self.root)):
            if folder.name.lower() == "annotations" or split_named(folder.name) is not None:
                found += self.files(folder, suffixes)
        if not found:
            self.add("error", self.root, "", f"has no file {' or '.join(suffixes)}")
        return found

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, by name; hidden ones left out."""
        try:
            paths = [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
        except OSError as error:
            self.add("error", folder, "", f"cannot be listed: {error.strerror or error}")
            return []
        return [path for path in paths if os.path.isdir(path)]

    def text(self, path: Path) -> str | None:
        """The text of a file, in UTF-8, UTF-16 or UTF-32."""
        try:
            return read_text(path)
        except UnicodeDecodeError as error:
            self.add("error", path, f"byte {error.start}", f"not {error.encoding.upper()} text")
        except OSError as error:
            self.add("error", path, "", error.strerror or str(error))
        return None

    def json(self, path: Path) -> Any:
        """What a JSON file holds, or UNREADABLE."""
        try:
            return read_json(path)
        except InputError as error:
            self.add("error", path, "", str(error).removeprefix(f"{path}: "))
            return UNREADABLE

    def json_lines(self, path: Path) -> list[tuple[str, Any]]:
        """The values of a file with one JSON value a line, each with its place. Empty lines are passed over."""
        found: list[tuple[str, Any]] = []
        for number, line in enumerate((self.text(path) or "").split("\n"), start=1):
            if not line.strip():
                continue
            try:
                found.append((f"line {number}", json.loads(line)))
            except json.JSONDecodeError as error:
                self.add("error", path, f"line {number}, column {error.colno}", error.msg)
            except (RecursionError, ValueError) as error:
                what = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
                self.add("error", path, f"line {number}", what)
        return found

    def entries(self, path: Path) -> list[tuple[str, Any]]:
        """The entries of a list that is stored as JSON or, by its name, as JSON lines; each with its place."""
        if path.suffix.lower() == ".jsonl":
            return self.json_lines(path)
        value = self.json(path)
        if value is UNREADABLE:
            return []
        if not isinstance(value, list):
            self.add("error", path, "", f"holds {shown(value)}, expected a list")
            return []
        return [(f"[{place}]", entry) for place, entry in enumerate(value)]

    def yaml(self, path: Path) -> Any:
        """What a YAML file holds, or UNREADABLE."""
        text = self.text(path)
        if text is None:
            return UNREADABLE
        if len(text) > MAX_YAML:
            self.add("error", path, "", f"has {len(text)} characters, which takes too long to read; at most {MAX_YAML}")
            return UNREADABLE
        try:
            return parse_yaml(text, str(path))[0]
        except YamlError as error:
            self.add("error", path, error.place, f"not YAML: {error.problem}")
            return UNREADABLE

    def table(self, path: Path, columns: tuple[str, ...], delimiter: str = ",") -> Iterator[tuple[str, dict[str, str]]]:
        """The rows of a CSV file that names at least these columns in its first row, each with its place."""
        text = self.text(path)
        if text is None:
            return
        try:
            rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
        except csv.Error as error:
            self.add("error", path, "", f"not a readable CSV file: {error}")
            return
        names = [cell.strip() for cell in rows[0]] if rows else []
        missing = [column for column in columns if column not in names]
        if missing:
            self.add("error", path, "row 1", f"has no column {', '.join(missing)}")
            return
        for number, row in enumerate(rows[1:], start=2):
            if any(cell.strip() for cell in row):
                cells = dict(zip(names, row, strict=False))
                yield f"row {number}", {name: cells.get(name, "").strip() for name in names}

    def below(self, base: Path, name: str) -> str:
        """The path that a file names, relative to the root. Raises ValueError, saying why, for one outside of it.

        A relative path is meant from `base` (the folder of the file that names it) or else from the root, wherever
        it exists; an absolute one must be below the root. What a link in the folder points to is the user's affair.
        """
        if not name or "\0" in name or name != printable(name):
            raise ValueError(f"is {shown(name)}, expected the path of a file")
        local = FILE_URL.match(name)
        if URL.match(name) and not os.path.isabs(name) and not local:
            raise ValueError(f"is {shown(name)}, expected a file below the data folder, not an address")
        root = os.path.abspath(self.root)
        reasons = []
        for spelled in (unquote(name[local.end() :]), name[local.end() :]) if local else (name,):
            for start in dict.fromkeys((os.path.abspath(base), root)):
                path = os.path.normpath(os.path.join(start, spelled))
                if os.path.commonpath((root, path)) != root or path == root:
                    reasons.append(f"{shown(name)} lies outside the data folder; put it below that folder")
                elif os.path.isfile(path):
                    return os.path.relpath(path, root).replace(os.sep, "/")
                elif (found := _spelled_otherwise(root, os.path.relpath(path, root))) is not None:
                    return found
                else:
                    reasons.append(f"the file {shown(name)} does not exist")
        raise ValueError(reasons[-1])


def _spelled_otherwise(root: str, path: str) -> str | None:
    """The file that a relative path means where separators are those of Windows, or accents are composed otherwise."""
    found = root
    for part in path.replace("\\", "/").split("/"):
        if not os.path.lexists(os.path.join(found, part)):
            try:
                names = os.listdir(found)
            except OSError:
                return None
            meant = unicodedata.normalize("NFC", part)
            part = next((name for name in sorted(names) if unicodedata.normalize("NFC", name) == meant), "")
            if not part:
                return None
        found = os.path.join(found, part)
    inside = os.path.relpath(os.path.normpath(found), root)
    return inside.replace(os.sep, "/") if os.path.isfile(found) and not inside.startswith("..") else None
