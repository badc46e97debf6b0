"""The WTS data set as it is distributed (woven-visionai/wts-dataset), with BDD_PC_5K beside or inside it.

    annotations/caption/SPLIT/[normal_trimmed/]SCENARIO/{overhead_view,vehicle_view}/SCENARIO_caption.json
    annotations/bbox_{annotated,generated}/{pedestrian,vehicle}/SPLIT/[normal_trimmed/]SCENARIO/VIEW/VIDEO_bbox.json
    videos/SPLIT/[normal_trimmed/]SCENARIO/{overhead_view,vehicle_view}/VIDEO.mp4
    external/BDD_PC_5K/annotations/{caption,bbox_annotated,bbox_generated}/SPLIT/videoN_{caption,bbox}.json
    external/BDD_PC_5K/videos/SPLIT/videoN.mp4
    view_used_as_main_reference_for_multiview_scenario.csv
    annotations/{3D_gaze,head}/SPLIT/SCENARIO/...        as `wts_gaze` reads them

The test set puts `public_challenge/` or `public/` below SPLIT, its boxes into a folder WTS_DATASET_PUBLIC_TEST_BBOX
beside WTS_DATASET_PUBLIC_TEST, and (2025) both into SubTask1-Caption. The folder that is read may be any of these parts
or one that holds several: parts are found by their names, and what belongs to a scenario is brought together from all.

Nothing is lost silently. Everything left out is a `Problem`: an error for a file, a scenario, a view or a phase that
cannot be used, a warning for a box, a caption or an entry of a list without which the rest is used.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cityscribe.files import InputError, printable
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.records import Note, Problem
from cityscribe.sources import ScenarioSource
from cityscribe.sources.videos import composed
from cityscribe.sources.wts_boxes import read_box_file
from cityscribe.sources.wts_gaze import GazeFiles, find_gaze, read_gaze
from cityscribe.traffic.captions import CaptionFile, read_caption_file
from cityscribe.traffic.scenario import ROLES, Box, Domain, Scenario, Split, View, ViewKind

SPLITS: tuple[Split, ...] = ("train", "val", "test")
REFERENCE_LIST = "view_used_as_main_reference_for_multiview_scenario.csv"
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


class Origin(NamedTuple):
    """What a file says about a video: its phases (no role), or the boxes of a role."""

    video: Path
    role: str = ""
    generated: bool = False


class WtsReading(NamedTuple):
    scenarios: list[Scenario]
    problems: list[Problem]
    origins: dict[Origin, str]  # the file of each thing read, relative to the root


def read_wts(root: Path, *, splits: Sequence[Split] = SPLITS) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a WTS data set, by split, domain and name, and everything that is wrong with its files.

    Videos are located but not opened. The overhead cameras of a scenario share the phases of its overhead caption file,
    the vehicle view has those of its own; a view without a caption file has no phases, because the times of another
    view are not its own. Each scenario has at least one view that has phases, and each view a video that exists. Raises
    InputError where the root is no folder.
    """
    reading = read_with_origins(root, splits=splits)
    return reading.scenarios, reading.problems


def read_with_origins(root: Path, *, splits: Sequence[Split] = SPLITS) -> WtsReading:
    """As `read_wts`, with the file that each thing was read from, for those who find more problems with it."""
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; give the folder of a WTS data set")
    log = _Log(root, [])
    parts = _parts(root, log)
    if not any(os.path.isdir(part / tree) for part in parts for tree in ("annotations", "videos")):
        log.add(
            "error", root, "", "no part of a WTS data set; expected annotations/ and videos/, here or in a part of it"
        )
    inventory = _inventory(parts, [split for split in SPLITS if split in splits], log)
    whole = Path(os.path.abspath(root))
    references = _references([*parts, whole.parent] if PARTS.fullmatch(whole.name) else parts, log)
    gaze = find_gaze(parts)
    scenarios: list[Scenario] = []
    origins: dict[Origin, str] = {}
    first_places: dict[str, Path] = {}
    for key in sorted(
        inventory, key=lambda key: (SPLITS.index(key.split), key.domain != "internal", key.name, key.group)
    ):
        files = inventory[key]
        captions = [path for paths in files.captions.values() for path in paths]
        if not captions:
            _log_orphans(key.name, files, log)
        elif key.name in first_places:
            place = log.relative(first_places[key.name])
            log.add("error", captions[0], "", f"scenario {key.name} is already in {place}; this one is left out")
        else:
            first_places[key.name] = captions[0]
            scenario = _scenario(key, files, references.get(key.name), gaze, origins, log)
            if scenario is not None:
                scenarios.append(scenario)
    return WtsReading(scenarios, log.problems, origins)


def captioned_phases(root: Path, split: Split) -> dict[str, tuple[int, ...]]:
    """The phases that the caption files of a split name, by scenario; where an overhead view has one, its own count.

    Videos are not needed. Raises InputError where the root is no folder.
    """
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; give the folder of a WTS data set")
    log = _Log(root, [])
    phases: dict[str, tuple[int, ...]] = {}
    for key, files in sorted(_inventory(_parts(root, log), [split], log).items()):
        for kind in VIEW_FOLDERS.values():
            path = _caption_path(key.name, files.captions.get(kind, []), log)
            read = None if path is None else read_caption_file(path, log.note(path), withheld=True)
            if read is not None and read.phases:
                phases.setdefault(key.name, tuple(phase.number for phase in read.phases))
    return phases


def relative_name(path: Path, root: Path) -> str:
    """A file as a problem names it: relative to the root of its data set, fit to print."""
    return printable(Path(os.path.relpath(path, root)).as_posix())


class _Key(NamedTuple):
    split: Split
    domain: Domain
    group: str  # NORMAL or empty
    name: str


@dataclass(slots=True)
class _Files:
    """The files of one scenario."""

    captions: dict[ViewKind, list[Path]] = field(default_factory=dict)
    videos: dict[ViewKind, list[Path]] = field(default_factory=dict)
    boxes: dict[tuple[ViewKind, str, bool], list[Path]] = field(default_factory=dict)  # kind, role, generated


@dataclass(frozen=True, slots=True)
class _Log:
    """The problems found so far, with file names relative to the root."""

    root: Path
    problems: list[Problem]

    def relative(self, path: Path) -> str:
        return relative_name(path, self.root)

    def add(self, level: Literal["error", "warning"], path: Path, place: str, message: str) -> None:
        self.problems.append(Problem(level, self.relative(path), place, printable(message)))

    def note(self, path: Path) -> Note:
        return lambda level, place, message: self.add(level, path, place, message)


def _listing(folder: Path, log: _Log) -> list[Path]:
    """What a folder holds, by name, hidden entries left out; nothing where there is no such folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        log.add("error", folder, "", f"cannot be listed: {error.strerror or error}")
        return []
    for name in names:
        if name != printable(name):
            log.add("error", folder / name, "", "the name is not UTF-8; left out")
    return [folder / name for name in names if name == printable(name)]


def _parts(root: Path, log: _Log) -> list[Path]:
    """The root, the parts of a data set below it, and the box part that belongs to a test part, each once."""
    parts: list[Path] = []

    def visit(folder: Path) -> None:
        if any(os.path.samefile(folder, part) for part in parts):
            return
        parts.append(folder)
        for child in _listing(folder, log):
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


def _inventory(parts: list[Path], splits: list[Split], log: _Log) -> dict[_Key, _Files]:
    """All files of the data set by scenario."""
    inventory: dict[_Key, _Files] = {}

    def files(part: Path, split: Split, found: _Found) -> _Files:
        external = found.flat or EXTERNAL_PART.fullmatch(Path(os.path.abspath(part)).name)
        return inventory.setdefault(
            _Key(split, "external" if external else "internal", found.group, found.name), _Files()
        )

    for part in parts:
        for split in splits:
            for found in _walk(part / "annotations" / "caption" / split, (CAPTION_SUFFIX,), log):
                files(part, split, found).captions.setdefault(found.kind, []).append(found.file)
            for found in _walk(part / "videos" / split, VIDEO_SUFFIXES, log):
                files(part, split, found).videos.setdefault(found.kind, []).append(found.file)
            for generated, tree in ((False, "bbox_annotated"), (True, "bbox_generated")):
                boxes = part / "annotations" / tree
                for role in ROLES:
                    for found in _walk(boxes / role / split, (BOX_SUFFIX,), log):
                        files(part, split, found).boxes.setdefault((found.kind, role, generated), []).append(found.file)
                for found in _walk(boxes / split, (BOX_SUFFIX,), log):
                    # The box files of BDD_PC_5K are in no folder of a role: they are about pedestrians.
                    if found.flat:
                        box_key = (found.kind, "pedestrian", generated)
                        files(part, split, found).boxes.setdefault(box_key, []).append(found.file)
                    else:
                        log.add("error", found.file, "", "lies in no folder pedestrian/ or vehicle/; left out")
    return inventory


class _Found(NamedTuple):
    """A file of a scenario, as the folders that it lies in tell."""

    file: Path
    name: str  # of the scenario
    kind: ViewKind
    group: str
    flat: bool  # in no folder of a scenario, as in BDD_PC_5K, whose videos are dash-cam videos


def _walk(folder: Path, suffixes: tuple[str, ...], log: _Log, group: str = "") -> Iterator[_Found]:
    """The files with one of the suffixes in the folder of a split."""
    for entry in _listing(folder, log):
        if os.path.isdir(entry) and (entry.name in WRAPPERS or entry.name == NORMAL):
            yield from _walk(entry, suffixes, log, NORMAL if entry.name == NORMAL else group)
        elif os.path.isdir(entry) and not entry.name.lower().endswith(suffixes):
            for inner in _listing(entry, log):
                kind = VIEW_FOLDERS.get(inner.name)
                if kind is None:
                    _log_unused(inner, suffixes, "is neither overhead_view/ nor vehicle_view/", log)
                    continue
                for file in _listing(inner, log):
                    if file.name.lower().endswith(suffixes):
                        yield _Found(file, entry.name, kind, group, False)
                    else:
                        _log_unused(file, suffixes, f"is not named ...{suffixes[0]}", log)
        elif entry.name.lower().endswith(suffixes):
            yield _Found(entry, _stem(entry.name, suffixes), "vehicle", group, True)
        else:
            _log_unused(entry, suffixes, f"is not named ...{suffixes[0]}", log)


def _log_unused(path: Path, suffixes: tuple[str, ...], why: str, log: _Log) -> None:
    """Warn of what may be data in a wrong place; other files (a readme, a thumbnail) are nobody's loss."""
    if os.path.isdir(path) or path.name.lower().endswith((".json", *suffixes)):
        log.add("warning", path, "", f"{why}; left out")


def _stem(name: str, suffixes: tuple[str, ...] = VIDEO_SUFFIXES) -> str:
    """A file name without its folder and its suffix; `Path.stem` would cut a name at the dots of an address in it."""
    name = composed(re.split(r"[/\\]", name)[-1])
    return next((name[: -len(suffix)] for suffix in suffixes if name.lower().endswith(suffix)), name)


def _log_orphans(name: str, files: _Files, log: _Log) -> None:
    for what, paths in (("videos", files.videos.values()), ("boxes", files.boxes.values())):
        first = next((path for group in paths for path in group), None)
        if first is not None:
            log.add("warning", first, "", f"{what} of scenario {name}, which has no caption file; left out")


def _references(folders: list[Path], log: _Log) -> dict[str, dict[str, tuple[Path, str]]]:
    """The reference views by scenario and video stem, each with the list and the row that name it."""
    references: dict[str, dict[str, tuple[Path, str]]] = {}
    for path in (folder / REFERENCE_LIST for folder in folders):
        if not os.path.isfile(path):
            continue
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            log.add("error", path, "", f"not a readable CSV file: {error}")
            continue
        for number, row in enumerate(rows[1:], start=2):
            cells = [cell.strip() for cell in row]
            if cells and cells[0]:
                views = references.setdefault(cells[0], {})
                views.update({_stem(cell): (path, f"row {number}") for cell in cells[1:] if cell})
    return references


def _scenario(
    key: _Key,
    files: _Files,
    references: dict[str, tuple[Path, str]] | None,
    gaze: GazeFiles,
    origins: dict[Origin, str],
    log: _Log,
) -> Scenario | None:
    """Bring the files of a scenario together; None, with errors noted, where nothing of it can be used."""
    views: list[View] = []
    for kind in VIEW_FOLDERS.values():
        videos = _by_stem(files.videos.get(kind, []), VIDEO_SUFFIXES, "video", log)
        path = _caption_path(key.name, files.captions.get(kind, []), log)
        caption: CaptionFile | None = None
        if path is not None:
            caption = read_caption_file(path, log.note(path), withheld=key.split == "test")
            _log_missing_videos(path, caption, videos, log)
        elif videos:
            video = next(iter(videos.values()))
            log.add(
                "warning", video, "", f"the {kind} view of {key.name} has no caption file, hence no phases of its own"
            )
        boxes = _boxes(kind, files, videos, origins, log)
        for stem, video in videos.items():
            if path is not None:
                origins[Origin(video)] = log.relative(path)
            views.append(
                View(
                    name=stem,
                    kind=kind,
                    video=video,
                    phases=() if caption is None else caption.phases,
                    boxes={role: tuple(found) for (of, role), found in boxes.items() if of == stem},
                    reference=_is_reference(stem, kind, references),
                    gaze=read_gaze(stem, gaze, log.note),
                )
            )
    for stem, (path, place) in (references or {}).items():
        if stem not in {view.name for view in views}:
            log.add("warning", path, place, f"names {stem}, which is no view of {key.name}")
    if not any(view.phases for view in views):
        first = next(path for paths in files.captions.values() for path in paths)
        why = "no view of it has phases" if views else "it has no video"
        log.add("error", first, "", f"scenario {key.name} is left out: {why}")
        return None
    return Scenario(key.name, key.domain, key.split, tuple(views), "wts")


def _is_reference(stem: str, kind: ViewKind, references: dict[str, tuple[Path, str]] | None) -> bool | None:
    if references is None:
        return None
    # The list chooses among overhead cameras; that it does not name the vehicle view says nothing about it.
    return stem in references or (None if kind == "vehicle" else False)


def _caption_path(name: str, paths: list[Path], log: _Log) -> Path | None:
    """The caption file of a view: the one named after the scenario, or else the first."""
    chosen = next((path for path in paths if path.name == name + CAPTION_SUFFIX), paths[0] if paths else None)
    for path in paths:
        if chosen is not None and path != chosen:
            log.add(
                "error", path, "", f"a second caption file of {name}; {log.relative(chosen)} is used, this one left out"
            )
    return chosen


def _by_stem(paths: list[Path], suffixes: tuple[str, ...], what: str, log: _Log) -> dict[str, Path]:
    """Files by stem, in its order; the first one of each stem."""
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(_stem(path.name, suffixes), path)
        if first != path:
            log.add(
                "error",
                path,
                "",
                f"a second {what} file of this name; {log.relative(first)} is used, this one left out",
            )
        elif not os.path.isfile(path):
            log.add("error", path, "", "is not a file")
    return {stem: path for stem, path in sorted(found.items()) if os.path.isfile(path)}


def _log_missing_videos(path: Path, caption: CaptionFile | None, videos: dict[str, Path], log: _Log) -> None:
    names = () if caption is None else caption.videos
    for name, place in names:
        if _stem(name) not in videos:
            log.add("error", path, place, f"names the video {name}, which does not exist")
    if not names and not videos:
        log.add("error", path, "", "no video of this view exists")


def _boxes(
    kind: ViewKind, files: _Files, videos: dict[str, Path], origins: dict[Origin, str], log: _Log
) -> dict[tuple[str, str], list[Box]]:
    """The boxes of the views of one kind by view and role, in order of image_id."""
    boxes: dict[tuple[str, str], list[Box]] = {}
    for (of, role, generated), paths in files.boxes.items():
        if of != kind:
            continue
        for stem, path in _by_stem(paths, (BOX_SUFFIX,), "box", log).items():
            if stem not in videos:
                log.add("warning", path, "", f"boxes of the video {stem}, which does not exist; left out")
                continue
            origins[Origin(videos[stem], role, generated)] = log.relative(path)
            read = read_box_file(path, log.note(path), generated=generated)
            boxes.setdefault((stem, role), []).extend(read)
    return {where: sorted(found, key=lambda box: box.image_id) for where, found in boxes.items()}


def _check(root: Path, **options: Any) -> list[Problem]:
    from cityscribe.sources.check import check_wts  # which opens videos, as reading does not

    return check_wts(root, **options)


SOURCE = ScenarioSource(read_wts, _check)
