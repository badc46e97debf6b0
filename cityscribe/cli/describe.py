"""The command that describes clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from cityscribe.cli.shell import MAIN, Overrides, app, complaints, console, watch

NOT_ALL = 3
"""Exit status where some clips could not be read: the table has the others."""


@app.command("describe", rich_help_panel=MAIN)
def describe_command(
    clips: Annotated[list[Path], typer.Argument(help="videos, or folders of them", metavar="CLIPS...")],
    model: Annotated[str, typer.Option(help="folder or hub id of a model, or a run folder")],
    output: Annotated[list[Path], typer.Option(help="TABLE.csv, .json or .html; may be given several times")],
    detector: Annotated[str, typer.Option(help="folder or hub id of an object detector; none: ask the model")] = "",
    span: Annotated[float | None, typer.Option(min=0.1, help="seconds of a span; default: phases, or 5")] = None,
    camera: Annotated[Literal["overhead", "vehicle"], typer.Option(help="where the cameras are")] = "overhead",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="score from which a detected object counts")] = 0.5,
    project: Annotated[Path | None, typer.Option(help="project file; by default, that of the model's run")] = None,
    overrides: Overrides = None,
) -> None:
    """Say what is seen in clips: a table with a row a clip and span, or a page with pictures. A stopped one goes on.

    Who is not found is not described. Exit status 3 where some clips could not be read, 2 where none could.

    Example: cityscribe describe clips/ --model runs/demo/model --output table.csv --output table.html
    """
    from cityscribe.describe.table import Options, describe
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.setup import setup_of
    from cityscribe.predict.stage import training_answers
    from cityscribe.project import checkpoint_of, settings_of_checkpoint

    model = checkpoint_of(model)
    settings, run = settings_of_checkpoint(model, project, overrides or [])
    options = Options(span, camera, detector, threshold, tuned=run is not None and settings.model.tunes)

    with watch("describe") as progress:
        found = describe(
            clips,
            model,
            output,
            settings,
            options,
            lambda: open_engine(
                settings.predict.engine,
                model,
                setup_of(settings),
                training_answers(run / "prepared") if run is not None else (),
            ),
            progress=progress,
        )
    for name, why in found.unread:
        complaints.print(f"[yellow]warning:[/] {escape(f'{name}: {why}')}")
    seen = ", ".join(f"a {role} in {count}" for role, count in found.found.items())
    console.print(f"{found.clips} clips, {found.spans} spans: {seen}")
    if found.unanswered:
        console.print(f"{found.unanswered} spans have a problem: see the column problem")
    for path in output:
        console.print(f"table: {path}")
    if found.unread:
        console.print(f"{len(found.unread)} of {found.clips} clips could not be read; the table names them")
        raise typer.Exit(NOT_ALL)
