"""Subtitles beside a video: SubRip (.srt) and WebVTT (.vtt), as cues with times and plain text.

What players pass over is passed over: numbers and names of cues, comments, styles, places on the screen, tags. A voice
(`<v Anna>`) stays as `Anna: `. What is wrong is noted with the line: a cue that cannot be read is left out, one out of
order is put in its place, and a file that is not Unicode is read as Windows-1252 unless its encoding is given.
"""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.records import Level, Problem
from cityscribe.values import shown

SUFFIXES = (".srt", ".vtt")

TIMING = re.compile(r"\s*(?P<start>[\d:.,]+)\s*-->\s*(?P<end>[\d:.,]+)(?:\s.*)?")
TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?")
VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
PASSED_OVER = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
"""How blocks of WebVTT begin that hold no cue."""

FALLBACK = "cp1252"
"""What files of subtitles are in that are not Unicode: Windows wrote most of them."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is said during a span of a video."""

    start_s: float  # from the first frame of the video on
    end_s: float
    text: str  # its lines joined by spaces


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The cues of a file by their start, and what is wrong with it."""

    cues: tuple[Cue, ...]
    problems: tuple[Problem, ...]


def read_subtitles(path: Path, *, encoding: str | None = None) -> Subtitles:
    """The cues of a file. Problems name the file and the line; an error is a cue that is left out.

    Raises InputError where the file cannot be read, is not text in `encoding`, or holds not one cue.
    """
    problems: list[Problem] = []

    def note(level: Level, place: str, message: str) -> None:
        problems.append(Problem(level, str(path), place, message))

    text, remark = _text_of(path, encoding)
    if remark:
        note("warning", "", remark)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cues: list[Cue] = []
    for first, block in _blocks(lines):
        if first == 1 and block[0].startswith("WEBVTT"):
            continue
        if PASSED_OVER.match(block[0]):
            continue
        places = [n for n, line in enumerate(block) if TIMING.fullmatch(line) or (n < 2 and "-->" in line)]
        if not places:
            note("error", f"line {first}", f"{shown(block[0])} stands in no cue, below no START --> END; left out")
            continue
        for place, end in zip(places, [*places[1:], len(block) + 1], strict=True):
            line = f"line {first + place}"
            span = _span(block[place])
            # A cue may follow without an empty line between; the line above its time is its number.
            words = " ".join(part for part in map(_plain, block[place + 1 : end - 1]) if part)
            if span is None:
                note("error", line, f"{shown(block[place].strip())} is no `HH:MM:SS,mmm --> HH:MM:SS,mmm`; left out")
            elif span[1] < span[0]:
                note("error", line, f"ends at {span[1]:g} s, before it begins at {span[0]:g} s; left out")
            elif words:
                if cues and span[0] < cues[-1].start_s:
                    above = f"before the one above it at {cues[-1].start_s:g} s"
                    note("warning", line, f"begins at {span[0]:g} s, {above}; put in its place")
                cues.append(Cue(*span, words))
    if not cues:
        raise InputError(f"{path}: {problems[0].message if problems else 'holds no subtitle, expected SRT or WebVTT'}")
    return Subtitles(tuple(sorted(cues, key=lambda cue: (cue.start_s, cue.end_s))), tuple(problems))


def words_by_frame(cues: Sequence[Cue], times_s: Sequence[float]) -> list[str]:
    """What is said with each of some frames, given by their times in order: each cue once, with the last frame that is
    not behind its end. A cue that ends before the first frame or begins behind the last is left out: frame n stands for
    the time up to frame n + 1, the last one for as long as the one before it."""
    words: list[list[str]] = [[] for _ in times_s]
    lasts_s = times_s[-1] - times_s[-2] if len(times_s) > 1 else float("inf")
    for cue in cues:
        place = bisect_right(times_s, cue.end_s) - 1
        if place >= 0 and cue.start_s < times_s[-1] + lasts_s:
            words[place].append(cue.text)
    return [" ".join(said) for said in words]


def _text_of(path: Path, encoding: str | None) -> tuple[str, str]:
    """The text of a file, and what is to be said of its encoding."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    try:
        # A mark at the start, or where zero bytes stand, tells UTF-16 and UTF-32, as in JSON.
        found = encoding or (json.detect_encoding(content) if len(content) >= 4 else "utf-8-sig")
        return content.decode(found).removeprefix("\ufeff"), ""
    except LookupError as error:
        raise InputError(
            f"{path}: {shown(encoding)} is no encoding; expected one such as utf-8, cp1252, gb18030"
        ) from error
    except UnicodeDecodeError as error:
        where = f"byte {error.start}: not {error.encoding.upper()} text"
        if encoding is not None or b"\0" in content:
            raise InputError(f"{path}: {where}") from error
        text = content.decode(FALLBACK, "replace")
        return text, f"{where}; read as Windows-1252: give its encoding where letters are wrong"


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between empty ones, each with the number of its first line, from 1."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _span(line: str) -> tuple[float, float] | None:
    found = TIMING.fullmatch(line)
    times = [_seconds(found[name]) for name in ("start", "end")] if found else []
    return (times[0], times[1]) if times and times[0] is not None and times[1] is not None else None


def _seconds(text: str) -> float | None:
    found = TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int((fraction or "0").ljust(3, "0")) / 1000


def _plain(line: str) -> str:
    """A line of a cue without tags."""
    return html.unescape(TAG.sub("", VOICE.sub(r"\1: ", line))).replace("\0", "").strip()
