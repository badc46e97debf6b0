"""Commands about many benchmarks: which there are, and one table of a model on all that lie in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import Overrides, console, group, watch
from cityscribe.files import InputError

if TYPE_CHECKING:
    from cityscribe.evaluate.benchmarks.suites import SuiteRow

benchmark_group = group("benchmark", "List the published benchmarks, and score a model on all that lie in a folder.")

BY = {"chat": "a chat model", "classifier": "a classifier", "encoder": "an encoder"}


@benchmark_group.command("list")
def list_benchmarks(
    data: Annotated[Path | None, typer.Option(help="folder; say which of them lie in it")] = None,
) -> None:
    """List the benchmarks with the rule that scores each, what it needs beside answers, and where to get it.

    Example: cityscribe benchmark list --data benchmarks
    """
    from cityscribe.evaluate.benchmarks import BENCHMARKS

    here = _lying_in(data) if data is not None else {}
    table = Table("benchmark", "what it asks", "scored by", "needs", "licence", "from")
    if data is not None:
        table.add_column("lies in " + escape(str(data)))
    for entry in BENCHMARKS.entries():
        found = BENCHMARKS[entry.name]
        needs = "" if found.judged == "never" else f"{BY[found.judged_by]}{' for a part' * (found.judged == 'also')}"
        cells = [entry.name, entry.summary, found.rule, needs, found.licence, found.home]
        if data is not None:
            cells.append(str(here.get(entry.name, "")))
        table.add_row(*map(escape, cells))
    console.print(table)


@benchmark_group.command("run")
def run_benchmarks(
    model: Annotated[str, typer.Argument(help="folder or hub id of the model that answers")],
    data: Annotated[Path, typer.Argument(help="folder with a folder for each benchmark, by its name")],
    only: Annotated[str, typer.Option(help="names, with commas between; by default all that lie in the folder")] = "",
    output: Annotated[Path | None, typer.Option(help="FILE.json for the table; FILE.md is written beside it")] = None,
    work: Annotated[Path | None, typer.Option(help="folder for the answers; runs/benchmarks")] = None,
    prompts: Annotated[Path | None, typer.Option(help="YAML file with other prompts")] = None,
    frames: Annotated[int, typer.Option(min=1, help="that show a video")] = 8,
    blind: Annotated[bool, typer.Option(help="ask each question also without images, for the blind line")] = True,
    overrides: Overrides = None,
) -> None:
    """Let a model answer all benchmarks of a folder; print each score beside the blind, majority and chance lines.

    What only a judge can score is left out and said; answers are kept, and a stopped run goes on.

    Example: cityscribe benchmark run runs/demo/model benchmarks --output table.json
    """
    from dataclasses import asdict

    from cityscribe.benchmark import answer_suite
    from cityscribe.evaluate.benchmarks import BENCHMARKS
    from cityscribe.evaluate.benchmarks.asking import read_prompts
    from cityscribe.files import write_json, write_text
    from cityscribe.project import settings_without_project

    here = _lying_in(data)
    wanted = [BENCHMARKS.entry(name.strip()).name for name in only.split(",") if name.strip()] or list(here)
    for name in wanted:
        if name not in here:
            raise InputError(f"{data}: has no folder {name}")
    asked = [name for name in wanted if BENCHMARKS[name].judged != "always"]
    for name in wanted:
        if name not in asked:
            console.print(f"{name}: left out, {BY[BENCHMARKS[name].judged_by]} scores it: `cityscribe score benchmark`")
    if not asked:
        known = ", ".join(BENCHMARKS)
        raise InputError(f"{data}: has no folder of a benchmark that needs no judge; there are {known}")
    settings = settings_without_project(overrides or [])
    wording = read_prompts(prompts)
    with watch("benchmarks") as progress:
        rows = answer_suite(
            asked,
            data,
            model,
            settings,
            work or settings.runs / "benchmarks",
            folders=here,
            frames=frames,
            blind=blind,
            prompts=wording,
            progress=progress,
        )
    if output is not None:
        write_json(output, [asdict(row) for row in rows])
        write_text(output.with_suffix(".md"), markdown_table(rows))
    table = Table("benchmark", "questions", "measure", "value", "blind", "majority", "chance", "word for word")
    for row in rows:
        table.add_row(row.benchmark, f"{row.questions:,}", row.measure, *_cells(row))
    console.print(table)


@benchmark_group.command("export")
def export_tasks(
    data: Annotated[Path, typer.Argument(help="folder with a folder for each benchmark, by its name")],
    out: Annotated[Path, typer.Argument(help="folder to write, for lmms-eval --include_path")],
    prompts: Annotated[Path | None, typer.Option(help="YAML file with other prompts")] = None,
) -> None:
    """Write the benchmarks of a folder as tasks of lmms-eval 0.7, scored by the same rules.

    Example: cityscribe benchmark export benchmarks tasks
    """
    from cityscribe.evaluate.benchmarks.asking import read_prompts
    from cityscribe.predict.lmms_tasks import write_tasks

    names = write_tasks(data, _lying_in(data), out, read_prompts(prompts))
    if not names:
        raise InputError(f"{data}: has no folder of a benchmark that needs no judge")
    console.print(f"lmms-eval --include_path {escape(str(out))} --tasks {','.join(names)} --model MODEL")


def markdown_table(rows: Sequence[SuiteRow]) -> str:
    """The table as Markdown."""
    lines = [
        "| benchmark | questions | measure | value | blind | majority | chance | word for word |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(f"| {row.benchmark} | {row.questions:,} | {row.measure} | {' | '.join(_cells(row))} |")
    return "\n".join(lines) + "\n"


def _cells(row: SuiteRow) -> list[str]:
    return ["" if n is None else f"{n:.2f}" for n in (row.value, row.blind, row.majority, row.chance, row.exact)]


def _lying_in(data: Path) -> dict[str, str]:
    """The benchmarks whose folder lies in a folder: name -> what that folder is called there."""
    from cityscribe.evaluate.benchmarks import BENCHMARKS

    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give the folder that holds those of the benchmarks")
    found = {path.name.lower().replace("_", "-"): path.name for path in sorted(data.iterdir()) if path.is_dir()}
    return {name: found[name] for name in BENCHMARKS if name in found}
