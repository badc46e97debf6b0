"""What a served model knows, in the words of its model card, for the banner of the page.

A card (README.md of a checkpoint) says it in its YAML head, `knows: only ...`. A tuned model whose card does not say it
knows at best what its base does.
"""

from __future__ import annotations

from pathlib import Path

from cityscribe.files import one_line
from cityscribe.models.card_files import head_of, shipped

MOST_CHARACTERS = 300


def knowledge(checkpoint: str, base: str) -> str:
    """What the card of a checkpoint says that it knows, or that of the base of its run; empty where neither does.

    `base` counts where the checkpoint is the model of a run, whose settings name it.
    """
    run = Path(checkpoint).resolve().parent
    places = [checkpoint, *([base] if (run / "project.yaml").is_file() else [])]
    return next(filter(None, map(_of_card, places)), "")


def _of_card(place: str) -> str:
    folder = Path(place)
    told = head_of(folder if folder.is_dir() else shipped(place)).get("knows")
    return one_line(told.strip())[:MOST_CHARACTERS] if isinstance(told, str) else ""
