"""The commands that make data sets of conversations: of several, and of captions and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cityscribe.cli.shell import Overrides, ProjectFile, complaints, console, data_group, watch
from cityscribe.files import InputError
from cityscribe.places import folder_of_data

if TYPE_CHECKING:
    from cityscribe.sources.mixing import DataPart


@data_group.command("mix")
def mix_command(
    out: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet", metavar="OUT")],
    parts: Annotated[
        list[str],
        typer.Argument(help="data sets of messages, each NAME=FOLDER or NAME=FOLDER:SHARE", metavar="PART..."),
    ],
    seed: Annotated[int, typer.Option(help="of the images that are chosen")] = 0,
) -> None:
    """Mix data sets by share of the images that train; each sample says where it comes from. Other splits are those of
    the first part.

    Example: cityscribe data mix data/mixed events=data/driving:0.3 views=data/driving-views:0.7
    """
    from cityscribe.sources.mixing import mix

    counts = mix([_part(each) for each in parts], out, seed=seed)
    told = ", ".join(f"{count} of {name}" for name, count in counts.items())
    console.print(f"{out}: written; images that train: {told}")


def _part(text: str) -> DataPart:
    from cityscribe.sources.mixing import DataPart

    name, equals, place = text.partition("=")
    folder, colon, share = place.rpartition(":")
    if colon and _number(share) is not None:
        place = folder
    else:
        share = ""
    if not equals or not name or not place:
        raise InputError(f"{text}: expected NAME=FOLDER or NAME=FOLDER:SHARE")
    found = _number(share)
    if found is not None and not 0 < found < 1:
        raise InputError(f"{text}: a share lies between 0 and 1")
    return DataPart(name, Path(place), found)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@data_group.command("instruct")
def instruct_command(
    data: Annotated[Path, typer.Argument(help="data set with captions, and boxes where it has them", metavar="DATA")],
    out: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet", metavar="OUT")],
    settings: Annotated[Path, typer.Option(help="YAML file: the language model, what it writes, what is mixed in")],
    source: Annotated[str, typer.Option(help="format of the data set; by default, as recognised")] = "",
) -> None:
    """Write instruction data as LLaVA's: a language model makes conversations, descriptions and questions to think
    about of captions and boxes, never seeing the picture.

    What rests on nothing is left out and counted. OUT is a data set of messages; docs/instructions.md has the settings.

    Example: cityscribe data instruct data/WTS data/instructions --settings instruct.yaml
    """
    from cityscribe.curate.instruct import InstructSettings, write_instructions
    from cityscribe.settings.loading import load

    written = write_instructions(load(InstructSettings, settings), folder_of_data(data), out, source)
    for reason, count in sorted(written.skipped.items()):
        complaints.print(f"[yellow]left out:[/] {count} times: {escape(reason)}")
    told = ", ".join(f"{count} {name} ({split})" for (split, name), count in written.counts.items())
    console.print(f"{escape(str(out))}: written; {told}")


@data_group.command("harder")
def harder_command(
    project: ProjectFile,
    out: Annotated[Path, typer.Argument(help="folder to write, which must not exist yet", metavar="OUT")],
    settings: Annotated[Path, typer.Option(help="YAML file: the teacher, who writes questions, what is hard")],
    overrides: Overrides = None,
) -> None:
    """Make training data of what a run's model answers worst: those questions and new ones like them, with a teacher's
    answers (a round of CoMD's loop).

    A model is the teacher, or a language model that knows what is known of each picture. docs/distil.md has the rest.

    Example: cityscribe data harder runs/student data/round-1 --settings harder.yaml
    """
    from dataclasses import replace

    from cityscribe.curate.harder_run import HarderSettings, write_round
    from cityscribe.engine.members import open_engine
    from cityscribe.predict.setup import setup_of
    from cityscribe.project import checkpoint_of, load_settings
    from cityscribe.records import read_samples
    from cityscribe.settings.loading import load

    run, chosen = load_settings(project, overrides or []), load(HarderSettings, settings)
    prepared = run.run_dir / "prepared"
    if not (prepared / "train.parquet").is_file():
        raise InputError(f"{prepared / 'train.parquet'}: missing; run `cityscribe run` on the project first")
    samples = read_samples(prepared / "train.parquet")
    setup = replace(setup_of(run), drafts=False)
    with watch("harder") as progress:
        told = write_round(
            chosen,
            samples,
            prepared,
            checkpoint_of(project),
            lambda model: open_engine("local", model, setup),
            out,
            progress=progress,
        )
    console.print(f"{escape(str(out))}: written; " + ", ".join(f"{count} {name}" for name, count in told.items()))
