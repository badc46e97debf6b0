"""The model card of a checkpoint that is composed of parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cityscribe.files import read_json, write_text
from cityscribe.models.card_files import CARD
from cityscribe.models.seams import CONNECTORS, TILINGS, VISION_TOWERS
from cityscribe.models.vlm.config import VlmConfig
from cityscribe.registry import Registry

COMPOSED = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [cityscribe]
---

# A model composed of parts by cityscribe

{parts}
"""

PARTS = """\
No architecture of transformers has this combination. It loads where the package `cityscribe` is installed:

    import cityscribe.models.vlm.model  # registers it with the Auto classes of transformers
    from transformers import AutoModelForImageTextToText, AutoProcessor

| part | kind | options |
|---|---|---|
{rows}"""


def write_card(config: VlmConfig, folder: str | Path) -> None:
    """Write README.md beside the weights: which parts, with which options."""
    write_text(Path(folder) / CARD, COMPOSED.format(parts=_parts(config)))


def parts_of(folder: Path) -> str:
    """The same as a section for another card; empty for a model of a published architecture."""
    config = dict(read_json(folder / "config.json"))
    if config.get("model_type") != VlmConfig.model_type:
        return ""
    return "## Parts\n\n" + _parts(VlmConfig.from_dict(config))


def _parts(config: VlmConfig) -> str:
    text: Any = config.get_text_config()
    rows = [_row("vision tower", VISION_TOWERS, options) for options in config.towers or ()]
    rows.append(_row("tiling", TILINGS, config.tiling or {}))
    rows.append(_row("connector", CONNECTORS, config.connector or {}))
    rows.append(f"| decoder | {text.model_type} | {text.num_hidden_layers} layers of width {text.hidden_size} |")
    return PARTS.format(rows="\n".join(rows))


def _row(part: str, members: Registry[Any], options: dict[str, Any]) -> str:
    kind = str(options.get("kind"))
    summary = members.entry(kind).summary if kind in members else "of another program"
    rest = {name: value for name, value in options.items() if name not in ("kind", "config")}
    config = options.get("config") or {}
    shown = {name: config[name] for name in ("image_size", "patch_size", "hidden_size") if name in config}
    listed = ", ".join(f"{name}: {value}" for name, value in {**rest, **shown}.items())
    return f"| {part} | {kind} ({summary}) | {listed} |"
