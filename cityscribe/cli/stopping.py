"""How a command ends that is asked to stop, by Ctrl-C or SIGTERM: at any moment, once or again, without a traceback.

The first signal raises Stopped in the main thread, so that what is under way is cleaned up. A second one, or one that
comes when all is done, ends the process at once: what is written is whole or not there, and its workers end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAID = "stopped; the same command goes on where it was"
SHOW_CURSOR = b"\x1b[?25h"

AGAIN_S = 0.05
"""Seconds after which a signal is sent again whose exception went nowhere."""


class Stopped(BaseException):
    """The command was asked to stop, by Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Signals:
    """What the next signal does."""

    stopping = False  # Stopped was raised
    said = False  # that it was
    done = False  # nothing is left to be stopped


def stop_by_signals() -> None:
    """From here on Ctrl-C and SIGTERM raise Stopped. (Typer turns KeyboardInterrupt into an error of its own.)"""
    _Signals.stopping = _Signals.said = _Signals.done = False
    for number in SIGNALS:
        signal.signal(number, _stop)
    sys.unraisablehook = _unraisable


def leave_signals_alone() -> None:
    """Undo `stop_by_signals`, for a server that ends by signals in its own way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_by_signals() -> None:
    """From here on they end the process at once: it is done, and Python clears up."""
    _Signals.done = True
    for number in SIGNALS:
        signal.signal(number, _stop)


def stop_is_said() -> None:
    """Note that the user knows."""
    _Signals.said = True


def _stop(number: int, frame: object) -> None:
    if _Signals.stopping or _Signals.done:
        _end(number)
    _Signals.stopping = True
    raise Stopped(number)


def _end(number: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # of a terminal that is gone
        if sys.stdout.isatty():
            os.write(1, SHOW_CURSOR)  # which a bar of progress hides
        if not _Signals.said and not _Signals.done:
            os.write(2, f"{SAID}\n".encode())
    os._exit(128 + number)


def _unraisable(unraisable: Any) -> None:
    """Python drops an exception where nobody can catch it, such as in a finaliser: then the signal comes once more."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
        return
    _Signals.stopping = False
    main, number = threading.main_thread().ident, unraisable.exc_value.number
    assert main is not None
    again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, number))
    again.daemon = True
    again.start()
