"""Commands that score predictions and compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import Overrides, app, complaints, console, watch
from cityscribe.cli.stages import run_stages
from cityscribe.records import InputError

Backend = Literal["python", "java"]


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
        run_stages(project, overrides, ("evaluate",))
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


@app.command()
def ablate(
    file: Annotated[Path, typer.Argument(help="a file, or the name of a shipped one", metavar="ABLATION")],
    runs: Annotated[Path, typer.Option(help="folder for the runs and the tables")] = Path("runs/ablations"),
) -> None:
    """Run a grid of settings with several seeds and compare: tables, a plot, intervals. A stopped one goes on."""
    from cityscribe.ablate import ablate as run_ablation
    from cityscribe.ablate import load_ablation, text_table

    ablation = load_ablation(file)
    arms = run_ablation(ablation, runs, watch, lambda line: console.print(line))
    console.print(text_table(arms), end="")
    console.print(f"tables and plot: {runs / ablation.name}")
