"""Presets: ready-made project files for known recipes, for `cityscribe init --preset NAME`.

A preset is an ordinary project file of this folder that says what differs from the defaults, and in comments where each
value comes from. A new one is a new YAML file, nothing else.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from cityscribe.registry import Registry, first_comment

DATA_PATH = "  path: data/WTS\n"
"""The line of a preset that holds the folder of the data set."""

PRESETS: Registry[Path] = Registry("preset", "project files of published runs (`cityscribe init --preset`)")
for _file in sorted(Path(__file__).parent.glob("*.yaml")):
    PRESETS.add(_file.stem, _file, first_comment(_file))


def preset_text(name: str, data_path: str) -> str:
    """A preset's project file for a data set in `data_path`. Raises InputError, with what there is, for no preset."""
    text = PRESETS[name].read_text(encoding="utf-8")
    shown = yaml.safe_dump(data_path, allow_unicode=True, width=10**6).removesuffix("\n").removesuffix("\n...")
    return text.replace(DATA_PATH, f"  path: {shown}\n")
