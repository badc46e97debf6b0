"""The two files beside the weights that say what a checkpoint is: the model card and the bill of materials.

    head_of(Path("runs/demo/model"))["knows"]

They are about a checkpoint and no part of it: who asks whether a model has changed passes over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml

CARD = "README.md"
"""The model card: a YAML head, then a page, as Hugging Face shows it."""

BOM = "bom.json"
"""The bill of materials, by the name that CycloneDX gives to the file."""

MOST_HEAD = 20_000
"""Characters of a card that are read."""


def head_of(folder: Path) -> Mapping[str, object]:
    """The YAML head of the card of a checkpoint; empty where there is no card, or it has no head that can be read."""
    try:
        text = (folder / CARD).read_text("utf-8")[:MOST_HEAD]
        begin, head, _ = text.split("---\n", 2)
        values = None if begin else parse_yaml(head, str(folder / CARD))[0]
    except (OSError, ValueError, InputError):
        return {}
    return values if isinstance(values, dict) else {}


def card_files_of(folder: Path) -> tuple[str, ...]:
    """Which of the files in the folder of a checkpoint are those that a run writes about it.

    The README.md of a checkpoint from elsewhere counts as a part of it, as it came.
    """
    is_of_run = (folder / BOM).is_file() or (folder.parent / "project.yaml").is_file()
    return (CARD, BOM) if is_of_run else ()


def deciding_files(folder: Path) -> list[Path]:
    """The files of a checkpoint that decide what it answers, in order: all but those that a run writes about it."""
    about = {folder / name for name in card_files_of(folder)}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in about)


def shipped(name: str) -> Path:
    """Where a model of this name would lie that comes with the package."""
    return Path(str(resources.files("cityscribe") / "assets")) / name
