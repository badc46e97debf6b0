"""The command that puts data sets of conversations together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cityscribe.cli.shell import console, data_group
from cityscribe.files import InputError

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
