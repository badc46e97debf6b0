"""The commands that make models: of parts, and of checkpoints in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cityscribe.cli.shell import app, console, model_group
from cityscribe.files import InputError


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


PublishedFolder = Annotated[Path, typer.Argument(help="folder of the published checkpoint", metavar="FOLDER")]
WrittenFolder = Annotated[Path, typer.Argument(help="folder of the checkpoint that is written", metavar="OUT")]
KindOfCheckpoint = Annotated[
    str, typer.Argument(help="what it is: llama-vid, llava, prismatic, cambrian", metavar="KIND")
]
VocabularyOption = Annotated[
    Path | None, typer.Option(help="vocab.txt of uncased BERT, which the published folder lacks")
]
SystemOption = Annotated[str, typer.Option(help="text before the first question of each conversation")]
GuideOption = Annotated[
    str, typer.Option(help="which text guides an image: each-turn, last-turn, first-turn, bare-question")
]
OntoOption = Annotated[
    str, typer.Option(help="model that the weights go onto: of a first stage, and of all kinds but llama-vid")
]


@model_group.command("convert")
def convert_command(
    kind: KindOfCheckpoint,
    folder: PublishedFolder,
    out: WrittenFolder,
    vocabulary: VocabularyOption = None,
    system: SystemOption = "",
    guide: GuideOption = "each-turn",
    onto: OntoOption = "",
) -> None:
    """Make a checkpoint in safetensors of a published one in pickled weights, which are read without running anything.

    Every name and every shape is checked. Of LLaMA-VID: docs/llama-vid.md; of the others: docs/models.md.

    Example: cityscribe model convert llama-vid llama-vid-7b-full-336 models/llama-vid --vocabulary bert/vocab.txt
    """
    from cityscribe.models.vlm.convert import convert_llama_vid
    from cityscribe.models.vlm.published import LAYOUTS, convert

    if kind != "llama-vid" and kind not in LAYOUTS:
        raise InputError(f"{kind}: no such kind of checkpoint; expected one of llama-vid, {', '.join(LAYOUTS)}")
    notes = (
        convert_llama_vid(folder, out, vocabulary=vocabulary, system=system, guide=guide, onto=onto)
        if kind == "llama-vid"
        else convert(kind, folder, onto, out)
    )
    for note in notes:
        console.print(f"note: {note}")
    console.print(f"{out}: a checkpoint that loads where cityscribe is installed")


@app.command("convert-checkpoint", hidden=True)
def convert_checkpoint_command(
    kind: KindOfCheckpoint,
    folder: PublishedFolder,
    out: WrittenFolder,
    vocabulary: VocabularyOption = None,
    system: SystemOption = "",
    guide: GuideOption = "each-turn",
    onto: OntoOption = "",
) -> None:
    """As `cityscribe model convert`.

    Example: cityscribe convert-checkpoint llama-vid llama-vid-7b-full-336 models/llama-vid --vocabulary bert/vocab.txt
    """
    convert_command(kind, folder, out, vocabulary, system, guide, onto)
