"""The log: one JSON object a line, with what happened and never what was said.

Messages of libraries may hold file names, questions or answers, so of their records only the logger and the level are
kept, and of an exception its type and the lines of code that it came through.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from cityscribe.engine.failure import places

OWN = "cityscribe.serve"
_logger = logging.getLogger(OWN)


def log(event: str, **fields: Any) -> None:
    """One line: an event and its fields, which must not hold content."""
    _logger.info(event, extra={"fields": fields})


def log_bug(event: str, error: BaseException) -> None:
    """One line about an error that should not have happened."""
    _logger.error(event, extra={"fields": {"error": type(error).__name__, "at": places(error)}})


REPEATS, WINDOW_S = 20, 60.0
"""So many lines of one kind of a library are written in so many seconds; the rest is counted."""


def log_to_stderr() -> None:
    """Write the log of this process to its standard error as JSON lines, and that of libraries without messages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
        }
        if record.name == OWN:
            line |= {"event": record.msg, **record.__dict__.get("fields", {})}
        else:
            line |= {"event": "library", "logger": record.name}
            if left_out := record.__dict__.get("left_out"):
                line["left_out"] = left_out  # lines like this one, in the minute before
            if record.exc_info and record.exc_info[1] is not None:
                line |= {"error": type(record.exc_info[1]).__name__, "at": places(record.exc_info[1])}
        return json.dumps(line)


class _Seldom(logging.Filter):
    """Leaves out what a library says over and over: a client must not be able to fill the disk with it."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}  # kind -> start of its window, lines in it

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == OWN:
            return True
        error = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] is not None else ""
        kind = (record.name, record.levelno, error)
        began, lines = self._seen.get(kind, (record.created, 0))
        if record.created - began >= WINDOW_S:
            record.left_out = max(lines - REPEATS, 0)
            began, lines = record.created, 0
        self._seen[kind] = (began, lines + 1)
        return lines < REPEATS
