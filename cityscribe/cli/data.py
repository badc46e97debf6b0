"""Commands about a data set before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cityscribe.cli.shell import app, console, watch
from cityscribe.records import InputError


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
    with watch("check") as progress:
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
    with watch("convert") as progress:
        files = write_converted(samples, problems, data, target, to, progress)
    for problem in problems:
        console.print(f"[yellow]{problem.level}[/]{escape(str(problem)[len(problem.level) :])}")
    console.print(f"{len(samples)} conversations: {', '.join(map(str, files))}")
