"""Which checkpoints have learned from a scenario: those of runs that trained on it, and those that began with one.

    learned_from(Path("runs"), "wts", "SCENARIO")

A run whose base is a checkpoint is known by the place of its base, and by the digests of weights in its bill of
materials, which stay when folders are moved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cityscribe.files import InputError, read_json
from cityscribe.models.card_files import BOM
from cityscribe.project import Settings, load_settings

DEPTH = ("*", "*/*", "*/*/*")
"""Where runs lie below a folder of runs: those of an ablation are two levels down."""


@dataclass(frozen=True, slots=True)
class LearnedCheckpoint:
    """A checkpoint that has learned from a scenario, and how."""

    folder: Path
    how: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """What was found below a folder of runs."""

    checkpoints: tuple[LearnedCheckpoint, ...]
    holding: tuple[Path, ...]  # runs whose prepared data hold the scenario
    unread: tuple[str, ...]  # runs whose settings cannot be read, with the reason


def learned_from(runs: Path, source: str, scenario: str) -> Lineage:
    """The checkpoints below a folder of runs that have learned from a scenario of a format, at once or through their
    base."""
    found: dict[Path, LearnedCheckpoint] = {}
    holding, unread, known = [], [], []
    for run in runs_below(runs):
        try:
            settings = load_settings(run)
        except InputError as error:
            unread.append(f"{run}: {str(error).splitlines()[0]}")
            continue
        known.append((run, settings))
        if settings.data.source != source:
            continue
        try:
            splits = {split for split in ("train", "val", "test") if scenario in scenarios_of(run, split)}
        except InputError as error:
            unread.append(str(error))
            continue
        if splits:
            holding.append(run)
        how = "trained on it" if "train" in splits else ""
        if not how and "val" in splits and settings.train.validation.every:
            how = "its weights were chosen by their loss on it"
        for folder in checkpoints_of(run) if how else ():
            found[folder.resolve()] = LearnedCheckpoint(folder, how)
    _add_descendants(found, known, runs)
    return Lineage(tuple(found.values()), tuple(holding), tuple(unread))


def _add_descendants(found: dict[Path, LearnedCheckpoint], known: list[tuple[Path, Settings]], runs: Path) -> None:
    """Add the checkpoints whose base is one of those found, until there is no other."""
    grown = True
    while grown:
        grown = False
        digests = {digest: one.folder for one in found.values() for digest in _own_digests(one.folder)}
        for run, settings in known:
            base = found.get(Path(settings.model.base).resolve())
            for folder in checkpoints_of(run):
                by_weights = (digests[digest] for digest in sorted(_base_digests(folder)) if digest in digests)
                origin = base.folder if base else next(by_weights, None)
                if origin is not None and folder.resolve() not in found and settings.model.tunes:
                    found[folder.resolve()] = LearnedCheckpoint(folder, f"its base is {os.path.relpath(origin, runs)}")
                    grown = True


def runs_below(runs: Path) -> list[Path]:
    """The run folders below a folder of runs."""
    return sorted(file.parent for pattern in DEPTH for file in runs.glob(f"{pattern}/project.yaml"))


def checkpoints_of(run: Path) -> list[Path]:
    """The checkpoints that a run has made: its own, and those of baselines that were trained."""
    return [folder for folder in (run / "model", *sorted(run.glob("baselines/*/model"))) if folder.is_dir()]


def scenarios_of(run: Path, split: str) -> set[str]:
    """The scenarios in the prepared samples of a split; none where there is no such file."""
    file = run / "prepared" / f"{split}.parquet"
    if not file.is_file():
        return set()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            column = opened.read(columns=["meta.scenario"])["meta"]
        return {name for chunk in column.chunks for name in chunk.field("scenario").to_pylist()}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{file}: not a readable file of samples: {error}") from error


def _own_digests(checkpoint: Path) -> set[str]:
    about = _bill(checkpoint).get("metadata")
    return set(_digests(about.get("component"))) if isinstance(about, Mapping) else set()


def _base_digests(checkpoint: Path) -> set[str]:
    components = _bill(checkpoint).get("components")
    named = [one for one in components if isinstance(one, Mapping)] if isinstance(components, list) else []
    return {digest for one in named if one.get("type") == "machine-learning-model" for digest in _digests(one)}


def _bill(checkpoint: Path) -> dict[str, object]:
    try:
        return dict(read_json(checkpoint / BOM))
    except (InputError, TypeError, ValueError):
        return {}


def _digests(component: object) -> Iterator[str]:
    """The digests of the files of a component of a bill of materials."""
    for file in component.get("components", []) if isinstance(component, Mapping) else ():
        yield from (str(one["content"]) for one in file.get("hashes", []))
