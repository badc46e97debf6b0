"""What all commands share: the application, its console, a progress bar, and mistakes told without a traceback."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from cityscribe import __version__
from cityscribe.cli.stopping import SAID, Stopped, end_by_signals, stop_by_signals, stop_is_said
from cityscribe.files import InputError, at_home, one_line
from cityscribe.records import Problem
from cityscribe.registry import registry
from cityscribe.train import processes
from cityscribe.workers import quiet_libraries, wait_without_spinning

USAGE_ERROR: Any = typer.BadParameter.__base__
"""Of a command line that does not parse. Typer brings a Click of its own, or takes the one that there is."""


class Commands(TyperGroup):
    """Commands whose arguments may begin with `~`, also behind an equals sign, where no shell expands it. Who gives a
    setting as an option learns how settings are given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [_expanded(arg) for arg in args])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except USAGE_ERROR as error:
            command = getattr(error.ctx, "command", None)
            wrong = getattr(error, "option_name", None)  # of an option that there is not
            if wrong and any(parameter.name == "overrides" for parameter in getattr(command, "params", ())):
                error.message += f". {_as_setting(wrong.lstrip('-'))}"
                error.possibilities = None
            raise


def _expanded(argument: str) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{at_home(value)}" if value == "~" or value.startswith("~/") else argument


def _as_setting(name: str) -> str:
    """How the setting is given that an option of this name is likely to mean."""
    from cityscribe.project import Settings
    from cityscribe.settings.messages import sections_of

    last = name.replace("-", "_")
    places = [name for name in Settings.model_fields if name == last]
    for section, field in Settings.model_fields.items():
        for inner in sections_of(field):
            places += [f"{section}.{name}" for name in inner.model_fields if name == last]
    shown = ", or ".join(f"--set {place}=VALUE" for place in dict.fromkeys(places))
    return f"It is a setting: {shown}" if places else "Settings are given as --set NAME=VALUE"


app = typer.Typer(
    cls=Commands,
    help="Turn annotated city video into a vision-language model that describes the traffic in it, and score it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


MAIN, STAGES, MORE = "The main job: data in, a tuned and scored model out", "Its stages, one by one", "Beside it"
"""Panels of the help."""


def names_of(kind: str) -> str:
    """The members of a registry, for the help of an option that takes one."""
    return ", ".join(registry(kind).names())


def group(name: str, summary: str) -> typer.Typer:
    """A group of commands, `cityscribe NAME COMMAND`."""
    found = typer.Typer(help=summary, no_args_is_help=True)
    app.add_typer(found, name=name, rich_help_panel=MORE)
    return found


data_group = group("data", "Look at a data set, count what it holds, convert it, find boxes in it.")
world_group = group("world", "Render a synthetic city or a scenario of your own, and say what a model saw in it.")
score_group = group("score", "Score files of captions and answers, by official rules, benchmarks and judges.")
experiment_group = group("experiment", "Compare runs, and run grids of settings with seeds.")
model_group = group("model", "Put models together.")

console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

ProjectFile = Annotated[
    Path, typer.Argument(help="project file, as `cityscribe init` writes it, or a run folder", metavar="PROJECT")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="override one setting, such as train.lr=1e-4", metavar="NAME=VALUE")
]


COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def print_problem(problem: Problem) -> None:
    """Print one problem; escapes and line breaks in names of files reach no terminal."""
    console.print(f"[{COLOURS[problem.level]}]{problem.level}[/]{escape(one_line(str(problem)[len(problem.level) :]))}")


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
    """Entry point of the command."""
    try:
        stop_by_signals()
        wait_without_spinning()
        quiet_libraries()
        status = run_command(sys.argv[1:])
        end_by_signals()
    except Stopped as stopped:  # while it said what is wrong
        status = _say_stopped(stopped.number)
    sys.exit(status)


def run_command(arguments: list[str]) -> int:
    """Do what a command line says; returns the exit status. A user's mistake is one clear message and status 2, never a
    traceback."""
    try:
        app(arguments, prog_name="cityscribe")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Stopped as stopped:
        return _say_stopped(stopped.number)
    except processes.ProcessFailedError as failed:
        return failed.status
    except InputError as error:
        return _complain(str(error))
    except MemoryError:
        return _complain("out of memory; set a smaller train.budget_tokens, train.batch_groups or predict.batch_size")
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _complain(
            f"{place}{error.strerror}; nothing unfinished counts as done, so the same command goes on later"
        )
    except RuntimeError as error:
        if not processes.lost_another(error):
            raise
        return _complain(
            "another process of this training has ended; the same command goes on from the last checkpoint"
        )
    except KeyboardInterrupt:
        return 130
    return 0


def _say_stopped(number: int) -> int:
    if processes.count() == 1:  # one of several is stopped by who started it, also because another one has failed
        complaints.print(SAID)
    stop_is_said()
    return 128 + number


OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG),
    *(errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EMFILE),
)
"""Errors of files that are no mistakes of ours: a full disk, a folder that somebody removed meanwhile."""


def _complain(text: str) -> int:
    if not processes.is_first():
        time.sleep(5)  # where the first process says the same, torchrun ends this one before it repeats it
    for line in text.splitlines():
        complaints.print(f"[bold red]error:[/] {escape(one_line(line))}")
    return 2


EVERY_S = 30.0
"""Seconds from one line of progress to the next where there is no terminal to draw a bar on."""


class _Bars:
    """The bars of all that is under way at once, on the one display that a terminal has."""

    def __init__(self) -> None:
        self._display: Progress | None = None

    @contextlib.contextmanager
    def bar(self, name: str) -> Iterator[Callable[[int, int, str], None]]:
        """A bar within it, and what moves it: called with what is done, what there is, and a note."""
        display = self._display or self._opened()
        task = display.add_task(name, total=None, note="")
        try:
            yield lambda done, total, note: display.update(task, completed=done, total=total, note=note)
        finally:
            display.remove_task(task)
            if not display.tasks:
                self._display = None
                display.stop()

    def _opened(self) -> Progress:
        self._display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=600,  # a step of a large model may take longer than the half minute that is usual
        )
        self._display.start()
        return self._display


_BARS = _Bars()


@contextlib.contextmanager
def watch(name: str) -> Iterator[Callable[..., None]]:
    """A progress bar; where there is no terminal a line each half minute, and one at the end. Of several processes the
    first shows it."""
    if not processes.is_first():
        yield lambda *_: None
        return
    began = since = told = time.monotonic()
    summary, counted = "", 0
    with _BARS.bar(name) as show:

        def progress(
            done: int, total: int, loss: float | None = None, distinct_per_s: float = 0, effective_per_s: float = 0
        ) -> None:
            nonlocal summary, told, since, counted
            now = time.monotonic()
            if total != counted:
                since = now if counted else since  # another part of the work goes at a speed of its own
                counted = total
            if loss is not None:
                summary = f"loss {loss:.3f}, {distinct_per_s:,.0f} tokens/s computed for {effective_per_s:,.0f}"
            show(done, total, summary)
            if not console.is_terminal and now - told >= EVERY_S:
                told = now
                far = _how_far(done, total, now - began, now - since)
                console.print(f"{name}: {far}{f', {summary}' if summary else ''}")

        yield progress
    last = f" ({summary})" if summary else ""
    console.print(f"{name}: done in {_duration(time.monotonic() - began)}{last}")


def _how_far(done: int, total: int, seconds: float, counted: float) -> str:
    """How much is done, and how long the rest takes at the speed of what was counted in the last seconds."""
    left = f", about {_duration(counted * (total - done) / done)} left" if 0 < done < total and counted else ""
    return f"{done:,} of {total:,} after {_duration(seconds)}{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
