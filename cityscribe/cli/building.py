"""The command that composes a model from parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cityscribe.cli.shell import console, model_group


@model_group.command("build")
def build_command(
    parts: Annotated[Path, typer.Argument(help="YAML file that names the parts", metavar="PARTS")],
    out: Annotated[Path, typer.Argument(help="folder of the checkpoint", metavar="OUT")],
) -> None:
    """Compose a model of vision towers, a tiling, a connector and a decoder, and write its checkpoint.

    Its parts are those that `cityscribe list vision-tower`, `tiling` and `connector` show; docs/models.md has the file.

    Example: cityscribe model build parts.yaml models/own
    """
    from cityscribe.models.parts import named_parts
    from cityscribe.models.vlm.build import build_from_file

    model = build_from_file(parts, out)
    counted = {part: sum(p.numel() for p in parameters) for part, parameters in named_parts(model) if parameters}
    console.print(f"{out}: a {type(model).__name__}, " + ", ".join(f"{n:,} in {part}" for part, n in counted.items()))
