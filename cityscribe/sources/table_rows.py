"""The rows of tables that people keep: CSV as any program writes it, TSV, and Excel (extra `excel`).

The separator (comma, semicolon, tab) is that of the first row. Text is UTF-8, UTF-16 or, as Excel saves CSV on many
machines, Windows-1252, which is said. Columns are found by their usual names.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cityscribe.files import InputError, read_text
from cityscribe.records import Note
from cityscribe.sources.intake import Intake
from cityscribe.sources.listing import Listing
from cityscribe.traffic.captions import MAX_TIME_S
from cityscribe.values import finite

CSV = (".csv", ".tsv")
EXCEL = (".xlsx", ".xlsm")
SUFFIXES = (*CSV, *EXCEL)

MAX_ROWS = 1_000_000
MAX_UNPACKED = 1 << 30
"""Bytes of an Excel file once it is unpacked; a larger one is no table that a person keeps."""

NAMES: dict[str, tuple[str, ...]] = {
    "clip": ("clip", "video", "file", "filename", "video_name", "video_file", "clip_name", "video_id", "clip_id"),
    "start": ("start", "start_s", "start_time", "start_seconds", "from", "begin", "time_start", "t0"),
    "end": ("end", "end_s", "end_time", "end_seconds", "to", "stop", "until", "time_end", "t1"),
    "text": ("text", "caption", "description", "claim", "narrative", "report", "comment", "summary", "what_happened"),
    "question": ("question", "q", "prompt", "query"),
    "answer": ("answer", "a", "response", "reply"),
    "split": ("split", "set", "subset", "partition"),
}
"""What columns are called, the usual name first; capital letters, spaces, `-` and `_` make no difference."""

CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:\.\d*)?)")


def plain_name(name: str) -> str:
    """A name of a column, as names are compared."""
    return re.sub(r"[\s_\-]+", "", name.casefold()).strip("()[]:.#")


MEANS = {plain_name(name): column for column, names in NAMES.items() for name in names}


def header_of(path: Path) -> list[str]:
    """What the columns of a table mean, as keys of NAMES, "" for others; nothing where it cannot be read. Raises
    InputError where an Excel file needs the extra."""
    if path.suffix.lower() in EXCEL:
        _, cells = next(read_rows(Intake(path.parent), path, most=1), (0, []))
    else:
        line = Listing(path.parent, ()).head(path.name).lstrip("\r\n").partition("\n")[0]
        cells = next(csv.reader([line], delimiter=_separator(line)), [])
    return [MEANS.get(plain_name(cell), "") for cell in cells]


def columns_of(intake: Intake, path: Path, number: int, cells: Sequence[str]) -> dict[str, int] | None:
    """Key of NAMES -> place of its column; None, noted, where a table has none for clips, or nothing to say of them."""
    place, columns, others = f"row {number}", {}, []
    for at, cell in enumerate(cells):
        key = MEANS.get(plain_name(cell), "")
        if key and key not in columns:
            columns[key] = at
        elif cell.strip():
            others.append(cell.strip())
    wanted = [key for key in ("clip",) if key not in columns]
    wanted += [] if {"text", "question"} & columns.keys() else ["text"]
    if wanted:
        names = "; ".join(f"{key}, also called {', '.join(NAMES[key][1:5])}" for key in wanted)
        there = ", ".join(filter(None, (cell.strip() for cell in cells)))
        intake.add("error", path, place, f"has no column {names}; it has {there[:300]}")
        return None
    said = ", ".join(f"{cells[at].strip()} as {key}" for key, at in columns.items() if cells[at].strip() != key)
    if said:
        intake.add("note", path, place, f"read {said}")
    if others:
        intake.add("note", path, place, f"columns that are not read: {', '.join(others)}")
    return columns


def read_rows(intake: Intake, path: Path, most: int = MAX_ROWS) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that are not empty, each with its number from 1; `most` of them. The unreadable is noted.

    Raises InputError where an Excel file needs the extra.
    """
    rows = _excel_rows(intake, path) if path.suffix.lower() in EXCEL else _csv_rows(intake, path)
    count = 0
    for number, cells in rows:
        if any(cell.strip() for cell in cells):
            count += 1
            if count > MAX_ROWS:
                intake.add("error", path, f"row {number}", f"more than {MAX_ROWS} rows; the others are left out")
                return
            yield number, cells
            if count == most:
                return


def _csv_rows(intake: Intake, path: Path) -> Iterator[tuple[int, list[str]]]:
    text = _text(path, intake.note(path))
    if text is None:
        return
    separator = _separator(text.lstrip("\n").partition("\n")[0])
    number = 0
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), start=1):
            yield number, cells
    except csv.Error as error:
        intake.add("error", path, f"row {number + 1}", f"not a readable CSV file: {error}")


def _separator(header: str) -> str:
    return max(",;\t", key=header.count)


def _text(path: Path, note: Note) -> str | None:
    try:
        return read_text(path)
    except OSError as error:
        note("error", "", error.strerror or str(error))
        return None
    except UnicodeDecodeError:
        pass
    try:
        text = path.read_bytes().decode("cp1252")
    except (OSError, UnicodeDecodeError):
        note("error", "", "not text in UTF-8, UTF-16 or Windows-1252")
        return None
    note("warning", "", "not UTF-8; read as Windows-1252: look at its accents, or save it as CSV UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _excel_rows(intake: Intake, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of the first sheet that has any. Other sheets are named in a note."""
    try:
        import openpyxl
    except ImportError as error:
        install = "pip install 'cityscribe[excel]', or save it as CSV UTF-8"
        raise InputError(f"{path}: an Excel file needs the package openpyxl: {install}") from error
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_UNPACKED:
                intake.add("error", path, "", f"unpacks to more than {MAX_UNPACKED >> 20} MB")
                return
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            if len(sheets) > 1:
                others = ", ".join(sheet.title for sheet in sheets[1:])
                intake.add("note", path, "", f"its sheet {sheets[0].title} is read; not: {others}")
            for number, row in enumerate(sheets[0].iter_rows(values_only=True) if sheets else (), start=1):
                yield number, [_cell(value) for value in row]
        finally:
            book.close()
    except Exception as error:  # a damaged file surfaces as whatever the reading code ran into
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        intake.add("error", path, "", f"not a readable Excel file: {reason}")


def _cell(value: Any) -> str:
    """A cell of Excel as text. A time of day is a length: 0:02:05 is two minutes and five seconds."""
    if value is None:
        return ""
    if isinstance(value, datetime.time):
        return f"{value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6:g}"
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def seconds_of(text: str) -> float | None:
    """Seconds from 0 on, as people write them: `12.5`, `12,5`, `12.5 s`, `1:02.5`, `0:01:02`; None for all else."""
    plain = text.strip().replace(",", ".").removesuffix("s").removesuffix("sec").strip()
    clock = CLOCK.fullmatch(plain)
    if clock is not None:
        seconds: float | None = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    else:
        seconds = finite(plain)
    return seconds if seconds is not None and 0 <= seconds <= MAX_TIME_S else None
