"""Grids of runs that come with the package, one YAML file each, for `cityscribe experiment ablate NAME`."""

from __future__ import annotations

from pathlib import Path

from cityscribe.registry import Registry, first_comment

ABLATIONS: Registry[Path] = Registry(
    "ablation", "grids of settings to run and compare (`cityscribe experiment ablate`)"
)
for _file in sorted(Path(__file__).parent.glob("*.yaml")):
    ABLATIONS.add(_file.stem, _file, first_comment(_file))
