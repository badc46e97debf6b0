"""The command that rounds the weights of a model to a few bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cityscribe.cli.shell import app, console, model_group, names_of, watch
from cityscribe.files import InputError, read_json


@app.command("quantise", hidden=True, help="As `model quantise`. Example: cityscribe quantise MODEL OUT --method rtn")
@model_group.command("quantise")
def quantise_command(
    model: Annotated[str, typer.Argument(help="folder or hub id of a checkpoint", metavar="MODEL")],
    out: Annotated[Path, typer.Argument(help="folder of the checkpoint with packed weights", metavar="OUT")],
    bits: Annotated[int, typer.Option(help="4 or 8, of each weight")] = 4,
    method: Annotated[str, typer.Option(help=names_of("quantiser"))] = "awq",
    samples: Annotated[
        Path | None, typer.Option(help="run folder, or what `prepare` wrote, to calibrate with", metavar="PREPARED")
    ] = None,
    groups: Annotated[int, typer.Option(min=1, help="image groups of `train` that calibrate")] = 32,
    group: Annotated[
        int | None, typer.Option(min=8, help="weights that share a scale in four bits; by default 128, or what fits")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="compressed-tensors, or awq for AutoAWQ's gemm")] = (
        "compressed-tensors"
    ),
) -> None:
    """Round the weights of a model's decoder to four or eight bits, and write a checkpoint in the form that plain
    transformers and vLLM read.

    Vision tower, connector, embeddings and head stay as they are. `quantised.json` in OUT reports sizes and errors. A
    stopped search goes on where it was.

    Example: cityscribe model quantise runs/NAME/model models/small --bits 4 --method awq --samples runs/NAME
    """
    from cityscribe.models.quantise.write import REPORT
    from cityscribe.quantise import quantise

    if bits not in (4, 8):
        raise InputError(f"--bits {bits}: expected 4 or 8")
    if form not in ("compressed-tensors", "awq"):
        raise InputError(f"--format {form}: expected compressed-tensors or awq")
    with watch("quantise") as progress:
        report = quantise(
            model,
            out,
            method=method,
            bits=cast(Any, bits),
            group=group,
            prepared=samples,
            groups=groups,
            form=cast(Any, form),
            progress=progress,
        )
    sizes = read_json(out / REPORT)["bytes"]
    console.print(
        f"{out}: {report.method}, {bits} bits, {sizes['all'] / 1e6:,.1f} MB of weights; the rounded ones take "
        f"{sizes['packed'] / 1e6:,.1f} MB for {sizes['packed before'] / 1e6:,.1f}"
    )
    moved = [layer.outputs for layer in report.layers if layer.outputs is not None]
    if moved:
        console.print(f"outputs of a layer move by {sum(moved) / len(moved):.2%} on average, {max(moved):.2%} at most")
