"""Presets: ready-made project files for known recipes, for `cityscribe init --preset NAME`.

A preset is an ordinary project file of this folder that says what differs from the defaults, and in comments where each
value comes from. A new one is a new YAML file, nothing else.
"""

from __future__ import annotations

from importlib import resources

import yaml

from cityscribe.files import InputError

DATA_PATH = "  path: data/WTS\n"
"""The line of a preset that holds the folder of the data set."""


def preset_names() -> list[str]:
    """The presets that come with the package, in order."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def preset_text(name: str, data_path: str) -> str:
    """A preset's project file for a data set in `data_path`. Raises InputError, with what there is, for no preset."""
    if name not in preset_names():
        raise InputError(f"--preset {name}: no such preset; there are {', '.join(preset_names())}")
    text = (resources.files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    shown = yaml.safe_dump(data_path, allow_unicode=True, width=10**6).removesuffix("\n").removesuffix("\n...")
    return text.replace(DATA_PATH, f"  path: {shown}\n")
