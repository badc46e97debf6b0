"""What all commands share: the application, its console, a progress bar, and mistakes told without a traceback."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from cityscribe import __version__
from cityscribe.files import InputError, one_line
from cityscribe.records import Problem
from cityscribe.train import processes

app = typer.Typer(
    help="Turn annotated city video into a vision-language model that describes the traffic in it, and score it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def group(name: str, summary: str) -> typer.Typer:
    """A group of commands, `cityscribe NAME COMMAND`."""
    found = typer.Typer(help=summary, no_args_is_help=True)
    app.add_typer(found, name=name)
    return found


data_group = group("data", "Look at a data set, count what it holds, convert it, find boxes in it.")
world_group = group("world", "Render a synthetic city or a scenario of your own, and say what a model saw in it.")
score_group = group("score", "Score files of captions and answers, by official rules, benchmarks and judges.")
experiment_group = group("experiment", "Compare runs, and run grids of settings with seeds.")
model_group = group("model", "Put models together.")

console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

ProjectFile = Annotated[
    Path, typer.Argument(help="project file, as `cityscribe init` writes it", metavar="PROJECT.YAML")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="override one setting, such as train.lr=1e-4", metavar="NAME=VALUE")
]


COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def print_problem(problem: Problem) -> None:
    """Print one problem; escapes and line breaks in names of files reach no terminal."""
    console.print(f"[{COLOURS[problem.level]}]{problem.level}[/]{escape(one_line(str(problem)[len(problem.level) :]))}")


class Stopped(BaseException):
    """The command was asked to stop, by Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop_by_signals() -> None:
    """From here on Ctrl-C and SIGTERM raise Stopped. (Typer turns KeyboardInterrupt into an error of its own.)"""

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def leave_signals_alone() -> None:
    """Undo `stop_by_signals`, for a server that ends by signals in its own way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"cityscribe {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    """Turn annotated city video into a vision-language model that describes the traffic in it, and score it.

    Example: cityscribe init project.yaml --data data/WTS, then cityscribe run project.yaml
    """


def main() -> None:
    """Entry point: a user's mistake is one clear message and exit status 2, never a traceback."""
    _quiet_libraries()
    stop_by_signals()
    try:
        app()
    except Stopped as stopped:
        if processes.is_first():
            complaints.print("stopped; the same command goes on where it was")
        sys.exit(128 + stopped.number)
    except InputError as error:
        _complain(str(error))
    except MemoryError:
        _complain("out of memory; set a smaller train.budget_tokens, train.batch_groups or predict.batch_size")
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror}; nothing unfinished counts as done, so the same command goes on later")
    except RuntimeError as error:
        if not processes.lost_another(error):
            raise
        _complain("another process of this training has ended; the same command goes on from the last checkpoint")
    except KeyboardInterrupt:
        sys.exit(130)


OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG),
    *(errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EMFILE),
)
"""Errors of files that are no mistakes of ours: a full disk, a folder that somebody removed meanwhile."""


def _complain(text: str) -> None:
    if not processes.is_first():
        time.sleep(5)  # where the first process says the same, torchrun ends this one before it repeats it
    for line in text.splitlines():
        complaints.print(f"[bold red]error:[/] {escape(one_line(line))}")
    sys.exit(2)


def _quiet_libraries() -> None:
    """Bars and warnings of libraries would cut through our own progress bars."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    for library in ("transformers", "bitsandbytes"):
        logging.getLogger(library).setLevel(logging.ERROR)


@contextlib.contextmanager
def watch(name: str) -> Iterator[Callable[..., None]]:
    """A progress bar; where nobody watches (no terminal) a line at the end. Of several processes the first shows it."""
    if not processes.is_first():
        yield lambda *_: None
        return
    began = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    bars = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=600,  # a step of a large model may take longer than the half minute that is usual
    )
    summary = ""
    with bars:
        task = bars.add_task(name, total=None, note="")

        def progress(
            done: int, total: int, loss: float | None = None, distinct_per_s: float = 0, effective_per_s: float = 0
        ) -> None:
            nonlocal summary
            if loss is not None:
                summary = f"loss {loss:.3f}, {distinct_per_s:,.0f} tokens/s computed for {effective_per_s:,.0f}"
            bars.update(task, completed=done, total=total, note=summary)

        yield progress
    last = f" ({summary})" if summary else ""
    console.print(f"{name}: done in {_duration(time.monotonic() - began)}{last}")


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
