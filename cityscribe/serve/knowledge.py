"""What a served model knows, in the words of its model card, for the banner of the page.

A card (README.md of a checkpoint) says it in its YAML head, `knows: only ...`. A tuned model whose card does not say it
knows at best what its base does.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from cityscribe.files import InputError, one_line
from cityscribe.plain_yaml import parse_yaml

MOST_CHARACTERS = 300
MOST_HEAD = 20_000
"""Characters of a card that are read."""


def knowledge(checkpoint: str, base: str) -> str:
    """What the card of a checkpoint says that it knows, or that of the base of its run; empty where neither does.

    `base` counts where the checkpoint is the model of a run, whose settings name it.
    """
    run = Path(checkpoint).resolve().parent
    places = [checkpoint, *([base] if (run / "project.yaml").is_file() else [])]
    return next(filter(None, map(_of_card, places)), "")


def _of_card(place: str) -> str:
    shipped = Path(str(resources.files("cityscribe") / "assets")) / place
    folder = Path(place) if Path(place).is_dir() else shipped
    try:
        text = (folder / "README.md").read_text("utf-8")[:MOST_HEAD]
        begin, head, _ = text.split("---\n", 2)
        values = None if begin else parse_yaml(head, str(folder / "README.md"))[0]
    except (OSError, ValueError, InputError):
        return ""
    told = values.get("knows") if isinstance(values, dict) else None
    return one_line(told.strip())[:MOST_CHARACTERS] if isinstance(told, str) else ""
