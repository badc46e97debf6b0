"""What is known of a checkpoint that a run made: its base, its data, its settings, its scores, its files.

Only what the run folder, the settings and the base hold is told. A place on the machine is told by its last name, and a
setting that changes nothing in the results is not told at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cityscribe.cards.groups import GroupScore
from cityscribe.cards.licences import NOT_STATED, normalised
from cityscribe.digest_store import DigestStore
from cityscribe.files import InputError, one_line, read_json
from cityscribe.models.card_files import BOM, head_of
from cityscribe.models.load import SHIPPED, resolve_base

SHIPPED_LICENCE = "Apache-2.0"
"""Of the models that come with the package, which are part of it."""

WEIGHTS = "*.safetensors"

MOST_CHARACTERS = 300
"""Of a text that a base says of itself."""


@dataclass(frozen=True, slots=True)
class BaseModelFacts:
    """The model that a checkpoint was tuned from."""

    name: str  # hub id, or the last name of its folder
    hub: bool  # whether `name` is one that others can load
    licence: str  # SPDX id, or words
    knows: str  # what its card says that it knows
    digests: Mapping[str, str]  # file of weights -> SHA-256; empty where the weights are not on this machine
    made_of: Sequence[Mapping[str, object]] = ()  # the components that its own bill of materials names


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a checkpoint was trained and judged on."""

    source: str  # the name of the format
    found: str  # counts of what was read
    licence: str
    samples: Mapping[str, int]  # by split
    digests: Mapping[str, str]  # file of prepared samples -> SHA-256
    excluded: int = 0  # scenarios that were forgotten


@dataclass(frozen=True, slots=True)
class SplitScores:
    """What the models of a run came to on a split."""

    split: str
    scores: Mapping[str, float]  # of this checkpoint: metric -> value, nested ones with a slash between
    others: Mapping[str, float | None]  # model or baseline -> its score, in points
    groups: Sequence[GroupScore] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """All that a model card and a bill of materials tell."""

    name: str
    architecture: str
    family: str  # the `model_type` of its configuration
    method: str
    base: BaseModelFacts
    data: DataFacts
    settings: Mapping[str, str]  # those that decide the results, by name
    training: Mapping[str, str]  # what the training came to
    digests: Mapping[str, str]  # file of weights -> SHA-256
    splits: Sequence[SplitScores]
    parts: str = ""  # of a model that is composed: Markdown about its parts
    version: str = ""  # of cityscribe
    tags: Sequence[str] = field(default=("cityscribe",))


def base_facts(base: str, known: DigestStore) -> BaseModelFacts:
    """What is known of a base without network: it is on this machine, or it is a hub id and a name only."""
    folder = folder_of_base(base)
    if folder is None:
        return BaseModelFacts(base, True, NOT_STATED, "", {})
    head = head_of(folder)
    told = head.get("license_name") if head.get("license") == "other" else head.get("license")
    licence = SHIPPED_LICENCE if base in SHIPPED else normalised(told if isinstance(told, str) else "")
    knows = head.get("knows")
    return BaseModelFacts(
        name=base if not Path(base).is_dir() else name_of_folder(folder),
        hub=not Path(base).is_dir() and base not in SHIPPED,
        licence=licence,
        knows=one_line(knows.strip())[:MOST_CHARACTERS] if isinstance(knows, str) else "",
        digests=digests_of(folder, known),
        made_of=components_of(folder / BOM),
    )


def folder_of_base(base: str) -> Path | None:
    """Where the files of a base lie on this machine: a folder, a shipped model, or a copy of the hub's."""
    try:
        place = Path(resolve_base(base))
    except InputError:
        return None
    if place.is_dir():
        return place
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def name_of_folder(folder: Path) -> str:
    """The last name of a folder, of the model of a run with the name of the run before it."""
    return f"{folder.parent.name}/{folder.name}" if (folder.parent / "project.yaml").is_file() else folder.name


def digests_of(folder: Path, known: DigestStore) -> dict[str, str]:
    """The digests of the weights of a checkpoint, by their names in its folder."""
    return {path.relative_to(folder).as_posix(): known.of(path) for path in sorted(folder.rglob(WEIGHTS))}


def components_of(bom: Path) -> list[Mapping[str, object]]:
    """The components that a bill of materials names; none where there is none, or it cannot be read."""
    try:
        found = read_json(bom)
    except InputError:
        return []
    named = found.get("components") if isinstance(found, dict) else None
    return [one for one in named if isinstance(one, dict)] if isinstance(named, list) else []


def flat(values: object, name: str = "") -> dict[str, object]:
    """The leaves of nested objects by their names, with a dot between; a list is a leaf."""
    if not isinstance(values, Mapping):
        return {name: values}
    return {
        inner: value
        for key, below in values.items()
        for inner, value in flat(below, f"{name}.{key}" if name else str(key)).items()
    }


def told_settings(read: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Settings as text by name. A place is told by its last name."""
    found = {name: value for one in read for name, value in flat(one).items()}
    return {name: _told(found[name]) for name in sorted(found)}


def _told(value: object) -> str:
    if isinstance(value, str) and value.startswith(("/", "~")):
        return Path(value).name
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def numbers(scores: object) -> dict[str, float]:
    """The numbers among scores by their names, with a slash between."""
    return {
        name.replace(".", "/"): float(value)
        for name, value in flat(scores).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def read_counts(prepared: Path) -> dict[str, int]:
    """How many samples of each split were prepared."""
    counts = dict(read_json(prepared / "prepare.json"))["samples"]
    return {split: sum(of.values()) if isinstance(of, dict) else int(of) for split, of in sorted(counts.items())}
