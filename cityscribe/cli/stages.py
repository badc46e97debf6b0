"""Commands that walk the stages of a project."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.questions import print_question_scores
from cityscribe.cli.shell import MAIN, STAGES, Overrides, ProjectFile, app, console, print_problem, watch
from cityscribe.progress import Progress
from cityscribe.train.processes import is_first

Processes = Annotated[
    int | None, typer.Option(min=1, help="that train and predict together on this machine; by default, one a GPU")
]


def run_stages(
    project: Path, overrides: list[str] | None, stages: tuple[str, ...] = (), count: int | None = None
) -> None:
    """Bring these stages of a project up to date, all by default, and print what came of them. `count` is that of
    processes."""
    from cityscribe import pipeline
    from cityscribe.project import load_settings

    settings = load_settings(project, [*(overrides or []), *([] if count is None else [f"processes={count}"])])
    wanted = stages or tuple(pipeline.STAGES)
    made = []

    @contextlib.contextmanager
    def watched(step: str) -> Iterator[Progress]:
        with watch(step) as progress:
            yield progress
        made.append(step)
        if step == "prepare":  # at once: a user may stop what follows
            _print_problems(settings)

    pipeline.run_on_all(settings, watched, lambda line: console.print(line) if is_first() else None, stages)
    if is_first():
        if "prepare" in wanted and "prepare" not in made:
            _print_problems(settings)
        _summary(settings, wanted)


def _print_problems(settings: Any) -> None:
    from cityscribe.prepare.summary import summary_of

    for problem in summary_of(settings.run_dir / "prepared"):
        print_problem(problem)


def _summary(settings: Any, stages: tuple[str, ...]) -> None:
    from cityscribe.files import read_json

    folder = settings.results_dir
    table_of_tuning = settings.run_dir / "training" / "report.json"
    if "pairs" in stages and (made := settings.run_dir / "pairs" / "pairs.json").exists():
        counts = read_json(made)
        left = "".join(f"; {count} left out: {escape(why)}" for why, count in counts["left_out"].items())
        console.print(f"pairs: {counts['pairs']} in {made.parent}{left}")
    if "train" in stages and table_of_tuning.exists():
        trained = read_json(table_of_tuning)
        console.print(escape(trained["table"]))
        for note in trained.get("notes", ()):
            console.print(escape(note))
    if "evaluate" in stages and (folder / "scores.json").exists():
        print_scores(settings)
    page = folder / "report" / "index.html"
    if "report" in stages and page.exists():
        console.print(f"report: {page}")
    elif "predict" in stages or "report" in stages:
        lines = folder / "predictions.jsonl"  # of conversations
        console.print(f"predictions: {lines if lines.exists() else folder / 'predictions.json'}")
    table = settings.run_dir / "ladder" / "table.txt"
    if "ladder" in stages and settings.ladder.steps and table.exists():
        console.print(escape(table.read_text("utf-8")), end="")
        console.print(f"ladder: {table.with_name('scores.png')}")
    model_card = settings.run_dir / "model" / "README.md"
    if "card" in stages and model_card.exists():
        console.print(f"model card: {model_card}")


def homes_of(settings: Any) -> list[tuple[str, Path]]:
    """The model of the run and the baselines, each with the folder of its predictions."""
    from cityscribe.report.run_files import own_name

    folder = settings.results_dir
    return [(own_name(settings), folder), *((name, folder / "baselines" / name) for name in settings.predict.baselines)]


def print_scores(settings: Any) -> None:
    from cityscribe.files import read_json
    from cityscribe.sources import SOURCES

    if SOURCES[settings.data.source].yields == "conversations":
        print_question_scores(homes_of(settings))
        return
    table = Table("model", "domain", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "score")
    for name, home in [*homes_of(settings), ("majority", settings.results_dir / "baselines" / "majority")]:
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


@app.command("run", rich_help_panel=MAIN)
def run_command(project: ProjectFile, processes: Processes = None, overrides: Overrides = None) -> None:
    """Run every stage that is not up to date: prepare, train, predict, evaluate, report, card.

    Reads the project file and the data set; writes runs/NAME. A stopped run goes on where it was.

    Example: cityscribe run project.yaml --set train.lr=1e-4
    """
    run_stages(project, overrides, count=processes)


@app.command(rich_help_panel=STAGES)
def prepare(
    project: ProjectFile,
    engine: Annotated[str | None, typer.Option(help="local, or ray: prepare.engine for this call")] = None,
    overrides: Overrides = None,
) -> None:
    """Select views, draw boxes, crop, and build questions: data set → runs/NAME/prepared.

    Example: cityscribe prepare project.yaml --set prepare.workers=8
    """
    chosen = [] if engine is None else [f"prepare.engine={engine}"]
    run_stages(project, [*(overrides or []), *chosen], ("prepare",))


@app.command(rich_help_panel=STAGES)
def pairs(project: ProjectFile, overrides: Overrides = None) -> None:
    """Make chosen and rejected answers by pairs.builder: runs/NAME/prepared → runs/NAME/pairs.

    Example: cityscribe pairs project.yaml --set pairs.builder.kind=own-output
    """
    run_stages(project, overrides, ("pairs",))


@app.command(rich_help_panel=STAGES)
def train(project: ProjectFile, processes: Processes = None, overrides: Overrides = None) -> None:
    """Tune the model: runs/NAME/prepared → runs/NAME/model, with curves and checkpoints in runs/NAME/training.

    On several machines: torchrun ... -m cityscribe train project.yaml. Example: cityscribe train project.yaml
    """
    run_stages(project, overrides, ("train",), processes)


@app.command(rich_help_panel=STAGES)
def distil(
    project: ProjectFile,
    teacher: Annotated[str, typer.Option(help="folder or hub id of the model to learn from", metavar="MODEL")],
    alpha: Annotated[float | None, typer.Option(help="how much the teacher counts, from 0 to 1")] = None,
    temperature: Annotated[float | None, typer.Option(help="what the logits of both models are divided by")] = None,
    divergence: Annotated[
        str | None, typer.Option(help="forward, reverse, symmetric, js, skewed or skewed-reverse")
    ] = None,
    processes: Processes = None,
    overrides: Overrides = None,
) -> None:
    """Tune the model on what a teacher says: `train` with train.objective {kind: distil, teacher: MODEL}.

    What the teacher says of each sample is computed once, and kept in runs/NAME/teacher.

    Example: cityscribe distil project.yaml --teacher runs/large/model --alpha 0.7 --temperature 2
    """
    given = {"kind": "distil", "teacher": teacher, "alpha": alpha, "temperature": temperature, "divergence": divergence}
    chosen = [f"train.objective.{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    run_stages(project, [*chosen, *(overrides or [])], ("train",), processes)


@app.command(rich_help_panel=STAGES)
def predict(project: ProjectFile, processes: Processes = None, overrides: Overrides = None) -> None:
    """Describe every phase of the evaluation split: runs/NAME/model → runs/NAME/predictions.json, for submission.

    Example: cityscribe predict project.yaml --set predict.split=test
    """
    run_stages(project, overrides, ("predict",), processes)


@app.command(rich_help_panel=STAGES)
def evaluate(project: ProjectFile, overrides: Overrides = None) -> None:
    """Score what a run predicted, and its baselines: runs/NAME/predictions.json → runs/NAME/scores.json.

    Files that no run has written are scored by `cityscribe score`. Example: cityscribe evaluate project.yaml
    """
    run_stages(project, overrides, ("evaluate",))


@app.command(rich_help_panel=STAGES)
def report(project: ProjectFile, overrides: Overrides = None) -> None:
    """Write the page that shows a run: runs/NAME/report/index.html.

    Example: cityscribe report project.yaml
    """
    run_stages(project, overrides, ("report",))


@app.command(rich_help_panel=STAGES)
def card(project: ProjectFile, overrides: Overrides = None) -> None:
    """Write what a model is made of beside its weights: README.md, a model card, and bom.json, a CycloneDX bill.

    Example: cityscribe card project.yaml --set data.licence=CC-BY-4.0
    """
    run_stages(project, overrides, ("card",))
