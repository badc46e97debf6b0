"""The command line: parse, call, print. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cityscribe.records import InputError

app = typer.Typer(
    help="Turn annotated city video into a vision-language model that describes the traffic in it, and score it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

ProjectFile = Annotated[
    Path, typer.Argument(help="project file, as `cityscribe init` writes it", metavar="PROJECT.YAML")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="override one setting, such as train.lr=1e-4", metavar="NAME=VALUE")
]


def main() -> None:
    """Entry point: a user's mistake is one clear message and exit status 2, never a traceback."""
    _quiet_libraries()
    try:
        app()
    except InputError as error:
        _complain(str(error))
    except MemoryError:
        _complain("out of memory; set a smaller train.budget_tokens, train.batch_groups or predict.batch_size")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EPERM, errno.ENAMETOOLONG):
            raise
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror}; nothing unfinished counts as done, so the same command goes on later")
    except KeyboardInterrupt:
        complaints.print("stopped; the same command goes on where it was")
        sys.exit(130)


def _complain(text: str) -> None:
    for line in text.splitlines():
        complaints.print(f"[bold red]error:[/] {escape(line)}")
    sys.exit(2)


def _quiet_libraries() -> None:
    """Bars and warnings of libraries would cut through our own progress bars."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    logging.getLogger("transformers").setLevel(logging.ERROR)


@contextlib.contextmanager
def _watch(name: str) -> Iterator[Callable[..., None]]:
    """A progress bar; where nobody watches (no terminal) a line at the end."""
    began = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=None, note="")

        def progress(done: int, total: int, loss: float | None = None) -> None:
            note = f"loss {loss:.3f}" if loss is not None else ""
            bars.update(task, completed=done, total=total, note=note)

        yield progress
    console.print(f"{name}: done in {_duration(time.monotonic() - began)}")


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


# Looking at data and settings


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="file to write")] = Path("project.yaml"),
    data: Annotated[str, typer.Option(help="folder of the data set")] = "data/WTS",
) -> None:
    """Write a project file with every setting, its default and what it means."""
    from cityscribe.settings import commented_settings

    if path.exists():
        raise InputError(f"{path}: already there; name another file")
    path.write_text(commented_settings(data), encoding="utf-8")
    console.print(f"{path}: written; set data.path in it, then `cityscribe run {path}`")


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="folder of a data set in the WTS layout")],
    videos: Annotated[bool, typer.Option(help="also open every video")] = True,
) -> None:
    """List every problem of a data set with its file and place.

    Errors cannot be used; of what a warning names, something is left out. Exit status 2 where there are errors.
    """
    from cityscribe.sources import CHECKS

    if not data.is_dir():
        raise InputError(f"{data}: no such folder")
    with _watch("check") as progress:
        problems = CHECKS["wts"](data, open_videos=videos, progress=progress)
    for problem in problems:
        colour = "red" if problem.level == "error" else "yellow"
        console.print(f"[{colour}]{problem.level}[/]{escape(str(problem)[len(problem.level) :])}")
    errors = sum(problem.level == "error" for problem in problems)
    console.print(f"{errors} errors, {len(problems) - errors} warnings")
    if errors:
        raise typer.Exit(2)


# The stages


def _run(project: Path, overrides: list[str] | None, stages: tuple[str, ...]) -> None:
    from cityscribe import pipeline
    from cityscribe.settings import load_settings

    settings = load_settings(project, overrides or [])
    pipeline.run(settings, _watch, lambda line: console.print(line), stages)
    _summary(settings, stages)


def _summary(settings: Any, stages: tuple[str, ...]) -> None:
    from cityscribe.records import read_json

    folder = settings.run_dir
    table_of_tuning = folder / "training" / "report.json"
    if "train" in stages and table_of_tuning.exists():
        console.print(escape(read_json(table_of_tuning)["table"]))
    if "evaluate" in stages and (folder / "scores.json").exists():
        _print_scores(folder, settings.predict.baselines)
    if "report" in stages:
        console.print(f"report: {folder / 'report' / 'index.html'}")
    elif stages[-1] == "predict":
        console.print(f"predictions: {folder / 'predictions.json'}")


def _print_scores(folder: Path, baselines: tuple[str, ...]) -> None:
    from cityscribe.records import read_json

    table = Table("model", "domain", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "score")
    for name, home in (("tuned", folder), *((name, folder / "baselines" / name) for name in baselines)):
        file = home / "scores.json"
        if not file.exists():
            continue
        total = read_json(file)
        for domain, values in total.items():
            if domain == "score":
                continue
            mean = values["mean"]
            metrics = [f"{mean[metric]:.3f}" for metric in ("bleu", "meteor", "rouge-l", "cider")]
            table.add_row(name, domain, *metrics, f"{values['score']:.2f}")
        table.add_row(name, "all", "", "", "", "", f"[bold]{total['score']:.2f}[/]", end_section=True)
    console.print(table)


@app.command("run")
def run_command(project: ProjectFile, overrides: Overrides = None) -> None:
    """Run every stage that is not up to date: prepare, train, predict, evaluate, report.

    Reads the project file and the data set; writes runs/NAME. A stopped run goes on where it was.
    """
    from cityscribe.pipeline import STAGES

    _run(project, overrides, STAGES)


@app.command()
def prepare(project: ProjectFile, overrides: Overrides = None) -> None:
    """Select views, draw boxes, crop, and build questions: data set → runs/NAME/prepared."""
    _run(project, overrides, ("prepare",))


@app.command()
def train(project: ProjectFile, overrides: Overrides = None) -> None:
    """Tune the model: runs/NAME/prepared → runs/NAME/model, with curves and checkpoints in runs/NAME/training."""
    _run(project, overrides, ("train",))


@app.command()
def predict(project: ProjectFile, overrides: Overrides = None) -> None:
    """Describe every phase of the evaluation split: runs/NAME/model → runs/NAME/predictions.json, for submission."""
    _run(project, overrides, ("predict",))


@app.command()
def evaluate(
    project: Annotated[Path | None, typer.Argument(help="project file; or none, and the options below")] = None,
    profile: Annotated[str, typer.Option(help="the rules that apply")] = "wts",
    references: Annotated[Path | None, typer.Option(help="folder of a data set with captions")] = None,
    predictions: Annotated[Path | None, typer.Option(help="file in the submission format")] = None,
    output: Annotated[Path | None, typer.Option(help="file for the scores")] = None,
    segments: Annotated[Path | None, typer.Option(help="file for the values of each segment")] = None,
    split: Annotated[str | None, typer.Option(help="score this split only: train, val or test")] = None,
    official_quirks: Annotated[bool, typer.Option(help="leave out what the official evaluator overlooks")] = False,
    overrides: Overrides = None,
) -> None:
    """Score predictions: those of a run (PROJECT.YAML), or any file against any references."""
    if project is not None:
        _run(project, overrides, ("evaluate",))
        return
    if references is None or predictions is None:
        raise InputError("evaluate: give a project file, or --references and --predictions")
    from cityscribe.evaluate import PROFILES
    from cityscribe.records import write_json

    if profile not in PROFILES:
        raise InputError(f"--profile {profile}: expected one of {', '.join(PROFILES)}")
    scores = PROFILES[profile](references, predictions, split=split, official_quirks=official_quirks)
    for warning in scores.warnings:
        complaints.print(f"[yellow]warning:[/] {escape(warning)}")
    for path, value in ((output, scores.total), (segments, scores.segments)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, value)
    if output is not None:
        write_json(output.with_name(f"{output.stem}.provenance.json"), scores.provenance)
    console.print(f"score: {scores.total['score']:.4f}")


@app.command()
def report(project: ProjectFile, overrides: Overrides = None) -> None:
    """Write the page that shows a run: runs/NAME/report/index.html."""
    _run(project, overrides, ("report",))


# The synthetic city


@app.command()
def world(
    folder: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    train_scenarios: Annotated[int, typer.Option("--train", min=0)] = 40,
    val_scenarios: Annotated[int, typer.Option("--val", min=0)] = 12,
    external: Annotated[float, typer.Option(min=0, max=1, help="share of single clips from a vehicle")] = 0.3,
    styles: Annotated[int, typer.Option(min=1, help="how many annotators' wordings")] = 1,
    fps: Annotated[int, typer.Option(min=2, max=60, help="frames a second")] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: Annotated[int, typer.Option(min=0, help="processes; 0 takes one a core")] = 0,
) -> None:
    """Render a synthetic city and write it as a WTS data set: videos, captions, boxes."""
    from cityscribe.world.dataset import WorldSettings, write_dataset

    settings = WorldSettings(train_scenarios, val_scenarios, external, seed, fps, styles)
    with _watch("world") as progress:
        write_dataset(folder, settings, workers=workers, progress=progress)
    console.print(f"{folder}: written; look at it with `cityscribe check {folder}`")


@app.command()
def demo(
    runs: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, help="of the city and the training")] = 0,
    overrides: Overrides = None,
) -> None:
    """Everything once, small: make a city, prepare it, tune a small model, predict, evaluate, report.

    Takes ten minutes at most on two cores and 4 GB of memory. Writes runs/demo.
    """
    from cityscribe.demo import write_demo

    project = write_demo(runs, seed, _watch)
    from cityscribe.pipeline import STAGES

    _run(project, overrides, STAGES)


if __name__ == "__main__":
    main()
