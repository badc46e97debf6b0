"""Where the files of a WTS data set lie: its parts, and the files of each scenario brought together from all of them.

The folders are those that `wts` lists. Links are followed; what lies where nothing is expected is noted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cityscribe.files import printable
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.sources.intake import Intake
from cityscribe.sources.videos import composed
from cityscribe.traffic.scenario import ROLES, Domain, Split, ViewKind

SPLITS: tuple[Split, ...] = ("train", "val", "test")
TEST_PART = "wts_dataset_public_test"
EXTERNAL_PART = re.compile(r"bdd_[pt]c_5k", re.IGNORECASE)
PARTS = re.compile(
    rf"data|wts|external|test_part|subtask1-caption|{TEST_PART}(_bbox)?|{EXTERNAL_PART.pattern}", re.IGNORECASE
)
"""Names of folders that are, or hold, a part of the data set."""
WRAPPERS = ("public", "public_challenge")
NORMAL = "normal_trimmed"
VIEW_FOLDERS: dict[str, ViewKind] = {"overhead_view": "overhead", "vehicle_view": "vehicle"}
CAPTION_SUFFIX = "_caption.json"
BOX_SUFFIX = "_bbox.json"


class ScenarioKey(NamedTuple):
    """What tells scenarios apart; in this order they are read."""

    split: Split
    domain: Domain
    group: str  # NORMAL or empty
    name: str


@dataclass(slots=True)
class Files:
    """The files of one scenario."""

    captions: dict[ViewKind, list[Path]] = field(default_factory=dict)
    videos: dict[ViewKind, list[Path]] = field(default_factory=dict)
    boxes: dict[tuple[ViewKind, str, bool], list[Path]] = field(default_factory=dict)  # kind, role, generated


def listing(folder: Path, intake: Intake) -> list[Path]:
    """What a folder holds, by name, hidden entries left out; nothing where there is no such folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        intake.add("error", folder, "", f"cannot be listed: {error.strerror or error}")
        return []
    for name in names:
        if name != printable(name):
            intake.add("error", folder / name, "", "the name is not UTF-8; left out")
    return [folder / name for name in names if name == printable(name)]


def parts_of(root: Path, intake: Intake) -> list[Path]:
    """The root, the parts of a data set below it, and the box part that belongs to a test part, each once."""
    parts: list[Path] = []

    def visit(folder: Path) -> None:
        if any(os.path.samefile(folder, part) for part in parts):
            return
        parts.append(folder)
        for child in listing(folder, intake):
            if PARTS.fullmatch(child.name) and os.path.isdir(child):
                visit(child)

    visit(root)
    whole = Path(os.path.abspath(root))
    for part in (whole, *whole.parents):
        if part.name.casefold() == TEST_PART:
            boxes = part.with_name(part.name + "_BBOX") / whole.relative_to(part)
            if os.path.isdir(boxes):
                visit(boxes)
    return parts


def inventory_of(parts: list[Path], splits: list[Split], intake: Intake) -> dict[ScenarioKey, Files]:
    """All files of the data set by scenario."""
    inventory: dict[ScenarioKey, Files] = {}

    def files(part: Path, split: Split, found: ScenarioFile) -> Files:
        external = found.flat or EXTERNAL_PART.fullmatch(Path(os.path.abspath(part)).name)
        return inventory.setdefault(
            ScenarioKey(split, "external" if external else "internal", found.group, found.name), Files()
        )

    for part in parts:
        for split in splits:
            for found in _walk(part / "annotations" / "caption" / split, (CAPTION_SUFFIX,), intake):
                files(part, split, found).captions.setdefault(found.kind, []).append(found.file)
            for found in _walk(part / "videos" / split, VIDEO_SUFFIXES, intake):
                files(part, split, found).videos.setdefault(found.kind, []).append(found.file)
            for generated, tree in ((False, "bbox_annotated"), (True, "bbox_generated")):
                boxes = part / "annotations" / tree
                for role in ROLES:
                    for found in _walk(boxes / role / split, (BOX_SUFFIX,), intake):
                        files(part, split, found).boxes.setdefault((found.kind, role, generated), []).append(found.file)
                for found in _walk(boxes / split, (BOX_SUFFIX,), intake):
                    # The box files of BDD_PC_5K are in no folder of a role: they are about pedestrians.
                    if found.flat:
                        box_key = (found.kind, "pedestrian", generated)
                        files(part, split, found).boxes.setdefault(box_key, []).append(found.file)
                    else:
                        intake.add("error", found.file, "", "lies in no folder pedestrian/ or vehicle/; left out")
    return inventory


class ScenarioFile(NamedTuple):
    """A file of a scenario, as the folders that it lies in tell."""

    file: Path
    name: str  # of the scenario
    kind: ViewKind
    group: str
    flat: bool  # in no folder of a scenario, as in BDD_PC_5K, whose videos are dash-cam videos


def _walk(folder: Path, suffixes: tuple[str, ...], intake: Intake, group: str = "") -> Iterator[ScenarioFile]:
    """The files with one of the suffixes in the folder of a split."""
    for entry in listing(folder, intake):
        if os.path.isdir(entry) and (entry.name in WRAPPERS or entry.name == NORMAL):
            yield from _walk(entry, suffixes, intake, NORMAL if entry.name == NORMAL else group)
        elif os.path.isdir(entry) and not entry.name.lower().endswith(suffixes):
            for inner in listing(entry, intake):
                kind = VIEW_FOLDERS.get(inner.name)
                if kind is None:
                    note_unused(inner, suffixes, "is neither overhead_view/ nor vehicle_view/", intake)
                    continue
                for file in listing(inner, intake):
                    if file.name.lower().endswith(suffixes):
                        yield ScenarioFile(file, entry.name, kind, group, False)
                    else:
                        note_unused(file, suffixes, f"is not named ...{suffixes[0]}", intake)
        elif entry.name.lower().endswith(suffixes):
            yield ScenarioFile(entry, file_stem(entry.name, suffixes), "vehicle", group, True)
        else:
            note_unused(entry, suffixes, f"is not named ...{suffixes[0]}", intake)


def note_unused(path: Path, suffixes: tuple[str, ...], why: str, intake: Intake) -> None:
    """Warn of what may be data in a wrong place; other files (a readme, a thumbnail) are nobody's loss."""
    if os.path.isdir(path) or path.name.lower().endswith((".json", *suffixes)):
        intake.add("warning", path, "", f"{why}; left out")


def file_stem(name: str, suffixes: tuple[str, ...] = VIDEO_SUFFIXES) -> str:
    """A file name without its folder and its suffix; `Path.stem` would cut a name at the dots of an address in it."""
    name = composed(re.split(r"[/\\]", name)[-1])
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)
