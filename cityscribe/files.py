"""Files that are whole or not there, and the error for what comes from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class InputError(Exception):
    """Something from outside (a file, a setting, a model) cannot be used. The message names it and what is wrong."""


def at_home(place: str | Path) -> Path:
    """The path with `~` as the home folder; as it is where there is no such home."""
    try:
        return Path(place).expanduser()
    except RuntimeError:
        return Path(place)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def printable(text: str) -> str:
    """The text with what no UTF-8 file can hold written as escapes: JSON may name half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """The text fit to be printed: characters that move the cursor, colour or break a line stand as escapes."""
    return "".join(
        char if char == " " or char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in printable(text)
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, made `printable`, whole or not at all. An OSError names the file."""
    write_bytes(path, printable(text).encode())


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write a file, whole or not at all. An OSError names the file. `shared` as in `whole_file`."""
    with whole_file(path, shared=shared) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def whole_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """The name under which the block writes a file; the file gets its own name once the block has ended well.

    An OSError names the file, as in `naming`, and what was begun of it is removed. `shared` where other processes may
    be writing the same file: then the name is this process's own.
    """
    own = f".{os.getpid()}" if shared else ""
    partial = path.with_name(f"{path.name}{own}.partial")
    try:
        with naming(path):
            yield partial
            os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the operating system in the block becomes an OSError that names this file where it names none, as
    that of a disk that fills up: so do libraries that wrap it in errors of their own."""
    try:
        yield
    except OSError as error:
        found = error if error.errno is not None else _of_the_system(error)
        if found is None:
            raise
        if found.filename is None:
            found.filename = str(path)
        if found is error:
            raise
        raise found from error
    except Exception as error:
        found = _of_the_system(error)
        if found is None:
            raise
        found.filename = str(path)
        raise found from error


OS_ERROR = re.compile(r"(?:os error |\[Errno )(\d+)")
"""How libraries in Rust (safetensors) and Python's own copying of folders tell an error of the operating system."""


def _of_the_system(error: Exception) -> OSError | None:
    """The OSError that another exception tells of."""
    found = OS_ERROR.search(str(error))
    return None if found is None else OSError(int(found[1]), os.strerror(int(found[1])))


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is there. It loses its name first, so that a kill leaves it whole or not there."""
    removed = folder.with_name(folder.name + REMOVED)
    shutil.rmtree(removed, ignore_errors=True)
    if folder.is_dir():
        os.replace(folder, removed)
        shutil.rmtree(removed, ignore_errors=True)


def check_new(folder: Path) -> None:
    """Raises InputError for a folder that is there already."""
    if folder.exists():
        raise InputError(f"{folder}: exists already; name a folder that does not")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """The temporary folder of one that is not there yet; it gets its name once the block has ended well."""
    check_new(folder)
    partial = folder.with_name(folder.name + ".partial")
    remove_folder(partial)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(folder)


def copy_file(file: Path, target: Path) -> None:
    """Copy a file, and make the folders that it is to lie in. An OSError names the copy where it names none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with naming(target):
        shutil.copyfile(file, target)


def put_in_place(partial: Path, folder: Path) -> None:
    """Give a finished folder its name, in the place of one that has it. A folder with files in it cannot be renamed
    over, so it steps aside first."""
    remove_folder(folder)
    os.replace(partial, folder)


REMOVED = ".removed"
"""The end of the name of a folder that is being removed."""


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 as some programs save it. Line ends become `\\n`.

    Raises OSError, and UnicodeDecodeError for a file that is no text.
    """
    content = path.read_bytes()
    # JSON's own way to tell an encoding: a mark at the start, or else where the first zero bytes stand.
    text = content.decode(json.detect_encoding(content) if len(content) >= 4 else "utf-8-sig")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def spreadsheet_cell(value: Any) -> Any:
    """A cell of a table that people open in a spreadsheet. A text that such a program would take for a formula gets an
    apostrophe before it: names come from outside, and a formula can read files and send them away."""
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")  # which ends a line in some programs
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def read_json(path: Path) -> Any:
    """Read JSON. Raises InputError with the file, the line and what is wrong."""
    try:
        return json.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not {error.encoding.upper()} text") from error
    except json.JSONDecodeError as error:
        kind = ": is YAML, expected JSON" if path.suffix in (".yaml", ".yml") else ""
        raise InputError(f"{path}{kind}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    except ValueError as error:  # Python refuses to read integers of thousands of digits
        raise InputError(f"{path}: a number is too long") from error
