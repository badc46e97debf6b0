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
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cityscribe.records import InputError
from cityscribe.train import processes

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
Backend = Literal["python", "java"]
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
    if not processes.is_first():
        time.sleep(5)  # where the first process says the same, torchrun ends this one before it repeats it
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
    for library in ("transformers", "bitsandbytes"):
        logging.getLogger(library).setLevel(logging.ERROR)


@contextlib.contextmanager
def _watch(name: str) -> Iterator[Callable[..., None]]:
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


# Looking at data and settings


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="file to write")] = Path("project.yaml"),
    data: Annotated[str, typer.Option(help="folder of the data set")] = "data/WTS",
    preset: Annotated[str | None, typer.Option(help="a known recipe, such as cityllava-34b")] = None,
) -> None:
    """Write a project file: every setting, its default and what it means, or a preset's and where they come from."""
    from cityscribe.presets import preset_text
    from cityscribe.settings import commented_settings

    if path.exists():
        raise InputError(f"{path}: already there; name another file")
    text = commented_settings(data) if preset is None else preset_text(preset, data)
    path.write_text(text, encoding="utf-8")
    console.print(f"{path}: written; set data.path in it, then `cityscribe run {path}`")


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="folder of a data set")],
    source: Annotated[str, typer.Option(help="its format, one of those of data.source")] = "wts",
    videos: Annotated[bool, typer.Option(help="also open every video and image")] = True,
) -> None:
    """List every problem of a data set with its file and place.

    Errors cannot be used; of what a warning names, something is left out. Exit status 2 where there are errors.
    """
    from cityscribe.sources import CHECKS

    if not data.is_dir():
        raise InputError(f"{data}: no such folder")
    if source not in CHECKS:
        raise InputError(f"--source {source}: expected one of {', '.join(CHECKS)}")
    with _watch("check") as progress:
        problems = CHECKS[source](data, open_videos=videos, progress=progress)
    for problem in problems:
        colour = "red" if problem.level == "error" else "yellow"
        console.print(f"[{colour}]{problem.level}[/]{escape(str(problem)[len(problem.level) :])}")
    errors = sum(problem.level == "error" for problem in problems)
    console.print(f"{errors} errors, {len(problems) - errors} warnings")
    if errors:
        raise typer.Exit(2)


@app.command()
def convert(
    data: Annotated[Path, typer.Argument(help="folder of conversations", metavar="SOURCE")],
    target: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet")],
    to: Annotated[str, typer.Option(help="llava, sharegpt (LLaMA-Factory) or messages (TRL, ms-swift)")],
    source: Annotated[str | None, typer.Option("--from", help="its format; by default, as its files tell")] = None,
) -> None:
    """Write conversations in another format, with their images. Nothing is lost, or it stops and says what would be.

    Reads what data.source can be, and what `prepare` wrote (runs/NAME/prepared).
    """
    from cityscribe.sources import SAMPLE_SOURCES
    from cityscribe.sources.convert import WRITERS, guess_source, write_converted

    if to not in WRITERS:
        raise InputError(f"--to {to}: expected one of {', '.join(WRITERS)}")
    named = source or guess_source(data)
    if named not in SAMPLE_SOURCES:
        raise InputError(f"--from {named}: expected one of {', '.join(SAMPLE_SOURCES)}")
    samples, problems = SAMPLE_SOURCES[named](data)
    with _watch("convert") as progress:
        files = write_converted(samples, problems, data, target, to, progress)
    for problem in problems:
        console.print(f"[yellow]{problem.level}[/]{escape(str(problem)[len(problem.level) :])}")
    console.print(f"{len(samples)} conversations: {', '.join(map(str, files))}")


# The stages


def _run(project: Path, overrides: list[str] | None, stages: tuple[str, ...]) -> None:
    from cityscribe import pipeline
    from cityscribe.settings import load_settings

    settings = load_settings(project, overrides or [])
    pipeline.run(settings, _watch, lambda line: console.print(line) if processes.is_first() else None, stages)
    if processes.is_first():
        _summary(settings, stages)


def _summary(settings: Any, stages: tuple[str, ...]) -> None:
    from cityscribe.records import read_json

    folder = settings.run_dir
    table_of_tuning = folder / "training" / "report.json"
    if "train" in stages and table_of_tuning.exists():
        console.print(escape(read_json(table_of_tuning)["table"]))
    if "evaluate" in stages and (folder / "scores.json").exists():
        _print_scores(settings)
    page = folder / "report" / "index.html"
    if "report" in stages and page.exists():
        console.print(f"report: {page}")
    elif stages[-1] in ("predict", "report"):
        lines = folder / "predictions.jsonl"  # of conversations, which have no report
        console.print(f"predictions: {lines if lines.exists() else folder / 'predictions.json'}")


def _homes(settings: Any) -> list[tuple[str, Path]]:
    """The tuned model and the baselines, each with the folder of its predictions."""
    folder = settings.run_dir
    return [("tuned", folder), *((name, folder / "baselines" / name) for name in settings.predict.baselines)]


def _print_scores(settings: Any) -> None:
    from cityscribe.records import read_json

    table = Table("model", "domain", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "score")
    for name, home in _homes(settings):
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
    """Tune the model: runs/NAME/prepared → runs/NAME/model, with curves and checkpoints in runs/NAME/training.

    On several GPUs: torchrun --nproc_per_node 8 -m cityscribe train PROJECT.YAML
    """
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
    backend: Annotated[Backend, typer.Option(help="java audits the profile `coco`")] = "python",
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
    scores = PROFILES[profile](references, predictions, split=split, official_quirks=official_quirks, backend=backend)
    for warning in scores.warnings:
        complaints.print(f"[yellow]warning:[/] {escape(warning)}")
    for path, value in ((output, scores.total), (segments, scores.segments)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, value)
    if output is not None:
        write_json(output.with_name(f"{output.stem}.provenance.json"), scores.provenance)
    console.print(f"score: {scores.total['score']:.4f}")


@app.command("serve")
def serve_command(
    checkpoint: Annotated[str, typer.Argument(help="folder or hub id of a model", metavar="CHECKPOINT")],
    project: Annotated[Path | None, typer.Option(help="project file; by default, that of the model's run")] = None,
    token_file: Annotated[Path | None, typer.Option(help="file with the token that clients must send")] = None,
    overrides: Overrides = None,
) -> None:
    """Answer over HTTP as OpenAI's API does, describe clips, and show a web page. Needs the extra `serve`.

    Listens on http://127.0.0.1:8080; --set serve.port=0 takes a free port. docs/serve.md has the rest.
    """
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError("serve: needs more packages: pip install 'cityscribe[serve]'") from error
    from cityscribe.serve.server import read_token, serve, settings_of

    settings, drafts = settings_of(checkpoint, project, overrides or [])
    serve(checkpoint, settings, drafts, read_token(token_file), lambda address: console.print(address))


@app.command()
def report(project: ProjectFile, overrides: Overrides = None) -> None:
    """Write the page that shows a run: runs/NAME/report/index.html."""
    _run(project, overrides, ("report",))


@app.command()
def compare(
    projects: Annotated[list[Path], typer.Argument(help="project files of runs", metavar="PROJECT.YAML...")],
    output: Annotated[Path, typer.Option(help="folder for compare.json and the page")] = Path("runs/compare"),
) -> None:
    """What separates runs on the same references, how surely, and where: tables, the samples that changed most."""
    from cityscribe.report.compare import compare_runs, write_comparison
    from cityscribe.report.run_files import read_run
    from cityscribe.settings import load_settings

    settings = [load_settings(project) for project in projects]
    names = [one.name for one in settings]
    if len(set(names)) < len(names):
        names = [str(one.run_dir) for one in settings]
    runs = {name: read_run(one.run_dir, one) for name, one in zip(names, settings, strict=True)}
    found = compare_runs(runs, settings[0].seed)
    write_comparison(found, settings[0].run_dir / "prepared", settings[0], output)
    table = Table("run", "score", f"against {found.first}", "95 % of draws", "p (Holm)")
    table.add_row(found.first, f"{found.score:.2f}")
    for other in found.others:
        interval = "" if other.interval is None else f"{other.interval.low:+.2f} to {other.interval.high:+.2f}"
        p_value = "" if other.p_value is None else f"{other.p_value:.4f}"
        table.add_row(other.name, f"{other.score:.2f}", f"{other.difference:+.2f}", interval, p_value)
    console.print(table)
    console.print(f"page: {output / 'index.html'}")


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
def worldbench(project: ProjectFile, overrides: Overrides = None) -> None:
    """What a run on a synthetic city got right, attribute by attribute: runs/NAME/predictions.json → worldbench.json.

    Reads the references of the city, and the baselines of the run where it has them.
    """
    from cityscribe.evaluate.wts_files import read_predictions, read_references
    from cityscribe.records import write_json
    from cityscribe.settings import load_settings
    from cityscribe.world.worldbench import attribute_accuracy, majority_values, mean_accuracy

    settings = load_settings(project, overrides or [])
    references = {
        split: {
            (scenario, phase, role): caption
            for scenarios in read_references(settings.data.path, split, False, []).values()
            for scenario, segments in scenarios.items()
            for phase, segment in segments.items()
            for role, caption in segment.captions.items()
        }
        for split in ("train", settings.predict.split)
    }
    majority = majority_values(references["train"].values())
    accuracies = {}
    for name, home in _homes(settings):
        if (home / "predictions.json").exists():
            said = read_predictions(home / "predictions.json")
            pairs = []
            for (scenario, phase, role), caption in references[settings.predict.split].items():
                segment = said.get(scenario, {}).get(phase)
                pairs.append((caption, segment.captions[role] if segment else ""))
            accuracies[name] = attribute_accuracy(pairs, majority)
    if not accuracies:
        raise InputError(f"{settings.run_dir / 'predictions.json'}: missing; run `cityscribe run {project}` first")
    rows = next(iter(accuracies.values()))
    if not rows:
        raise InputError(f"{settings.data.path}: its captions state nothing in the words of the synthetic city")
    write_json(
        settings.run_dir / "worldbench.json",
        {name: [asdict(row) for row in table] for name, table in accuracies.items()},
    )
    table = Table("about", "attribute", "asked", *accuracies, "majority")
    for index, row in enumerate(rows):
        shares = [f"{of[index].right:.2f}" for of in accuracies.values()]
        last = index + 1 == len(rows) or rows[index + 1].about != row.about
        table.add_row(row.about, row.attribute, str(row.asked), *shares, f"{row.majority:.2f}", end_section=last)
    means = [f"[bold]{mean_accuracy(of):.3f}[/]" for of in accuracies.values()]
    table.add_row("mean", "", "", *means, f"{sum(row.majority for row in rows) / len(rows):.3f}")
    console.print(table)


@app.command()
def ablate(
    file: Annotated[Path, typer.Argument(help="a file, or the name of a shipped one", metavar="ABLATION")],
    runs: Annotated[Path, typer.Option(help="folder for the runs and the tables")] = Path("runs/ablations"),
) -> None:
    """Run a grid of settings with several seeds and compare: tables, a plot, intervals. A stopped one goes on."""
    from cityscribe.ablate import ablate as run_ablation
    from cityscribe.ablate import load_ablation, text_table

    ablation = load_ablation(file)
    arms = run_ablation(ablation, runs, _watch, lambda line: console.print(line))
    console.print(text_table(arms), end="")
    console.print(f"tables and plot: {runs / ablation.name}")


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
