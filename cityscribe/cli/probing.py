"""The command that probes a model: change, ask again, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import MORE, Overrides, app, console, names_of, watch

if TYPE_CHECKING:
    from cityscribe.evaluate.probes.probe import ProbeLine
    from cityscribe.probe import Probed
    from cityscribe.records import Sample

COLOURS = {"passed": "green", "failed": "red", "unclear": "yellow"}


@app.command("probe", rich_help_panel=MORE)
def probe_command(
    model: Annotated[str, typer.Argument(help="folder or hub id of a model, or a run folder", metavar="MODEL")],
    data: Annotated[Path, typer.Argument(help="a run that has prepared the questions, or a data set", metavar="DATA")],
    kinds: Annotated[
        list[str] | None, typer.Option(help=f"by default all; of: {names_of('probe')}; several times")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test")] = "val",
    source: Annotated[str | None, typer.Option(help="format of a data set; by default, as files tell")] = None,
    questions: Annotated[int, typer.Option(min=2, help="that are drawn; all probes ask each about 100 times")] = 100,
    output: Annotated[Path | None, typer.Option(help="folder to write; runs/probes")] = None,
    before: Annotated[str | None, typer.Option(help="a model to compare with, such as the one before tuning")] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="end with 1 where a probe failed; with --before: got worse")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Change questions and their images, ask again, and compare: is the model robust, does it look, does it know?

    Asked are questions with options about images whose answers are known, and views of the city that probes bring.
    docs/trust.md says what each probe changes.

    Example: cityscribe probe runs/questions runs/questions --kinds option-order
    """
    from cityscribe.evaluate.probes import PROBES
    from cityscribe.probe import probe
    from cityscribe.project import checkpoint_of, settings_of_checkpoint

    wanted = list(dict.fromkeys(kinds or PROBES.names()))
    for kind in wanted:
        PROBES.entry(kind)
    checkpoint = checkpoint_of(model)
    other = None if before is None else checkpoint_of(before)
    settings, _ = settings_of_checkpoint(checkpoint, None, overrides or [])
    out = output or settings.runs / "probes"
    samples, root = _samples(data, source, split, out)
    found = probe(
        samples, root, checkpoint, settings, out, kinds=wanted, questions=questions, watch=watch, before=other
    )
    for why, count in found.left_out.items():
        console.print(f"not asked: {count} {escape(why)}")
    console.print(_table(found))
    for kind, result in found.results.items():
        if result.finding == "failed":
            console.print(f"{kind}: {escape(result.why)}")
    console.print(f"probes: {out / 'index.html'}, {out / 'probes.json'}")
    if gate and (worse := found.worse()):
        console.print(f"[red]gate:[/] {'worse than before' if found.since else 'failed'}: {', '.join(worse)}")
        raise typer.Exit(1)


def _table(found: Probed) -> Table:
    """A row a probe."""
    table = Table("probe", "finding", "fault", "%", "95 % of draws", title=f"{found.questions} questions")
    if found.since:
        table.add_column("more than before")
    table.add_column("right, plain")
    table.add_column("right, blind")
    for kind, result in found.results.items():
        fault, since = result.fault, found.since.get(kind)
        row = [kind, f"[{COLOURS[result.finding]}]{result.finding}[/]", escape(fault.name), f"{100 * fault.value:.1f}"]
        row.append(_interval(fault))
        if found.since:
            row.append("" if since is None else f"{100 * since.value:.1f} ({_interval(since)})")
        measured = {line.name: f"{100 * line.value:.1f}" for line in result.lines}
        table.add_row(*row, measured.get("accuracy", ""), measured.get("accuracy blind", ""))
    return table


def _interval(line: ProbeLine) -> str:
    found = line.interval
    return "" if found is None else f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def _samples(data: Path, source: str | None, split: str, out: Path) -> tuple[list[Sample], Path]:
    """The samples of a split, and the folder of their images: those of a run, or of a data set, prepared here."""
    from cityscribe.cli.targets import settings_of_target
    from cityscribe.files import InputError
    from cityscribe.prepare.conversations import prepare_conversations
    from cityscribe.records import read_samples
    from cityscribe.sources.reading import read_conversations
    from cityscribe.sources.splits import divide

    settings, run = settings_of_target(data, source)
    folder = out / "prepared" if run is None else run / "prepared"
    if run is None:
        samples, _ = read_conversations(settings.data)
        samples = [one for one in divide(samples, settings.data.val_share, settings.seed) if one.meta.split == split]
        if not samples:
            raise InputError(f"{data}: has no samples in the split {split}")
        with watch("prepare") as progress:
            prepare_conversations(samples, settings.data.path, settings.prepare, folder, resume=True, progress=progress)
    file = folder / f"{split}.parquet"
    if not file.is_file():
        raise InputError(f"{file}: is not there; choose another --split, or run `cityscribe prepare {data}` first")
    return read_samples(file), folder
