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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cityscribe.files import InputError
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.records import Problem
from cityscribe.sources import ScenarioSource
from cityscribe.sources.intake import Intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.sources.wts_boxes import read_box_file
from cityscribe.sources.wts_folders import (
    BOX_SUFFIX,
    CAPTION_SUFFIX,
    PARTS,
    SPLITS,
    VIEW_FOLDERS,
    Files,
    ScenarioKey,
    file_stem,
    inventory_of,
    parts_of,
)
from cityscribe.sources.wts_gaze import GazeFiles, find_gaze, read_gaze
from cityscribe.traffic.captions import CaptionFile, read_caption_file
from cityscribe.traffic.scenario import Box, Scenario, Split, View, ViewKind

REFERENCE_LIST = "view_used_as_main_reference_for_multiview_scenario.csv"


class ScenarioOrigin(NamedTuple):
    """What a file says about a video: its phases (no role), or the boxes of a role."""

    video: Path
    role: str = ""
    generated: bool = False


class WtsReading(NamedTuple):
    scenarios: list[Scenario]
    problems: list[Problem]
    origins: dict[ScenarioOrigin, str]  # the file of each thing read, relative to the root


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
    intake = Intake(root)
    parts = parts_of(root, intake)
    if not any(os.path.isdir(part / tree) for part in parts for tree in ("annotations", "videos")):
        intake.add(
            "error", root, "", "no part of a WTS data set; expected annotations/ and videos/, here or in a part of it"
        )
    inventory = inventory_of(parts, [split for split in SPLITS if split in splits], intake)
    references = _references([*parts, *(path.parent for path in list_beside(root))], intake)
    gaze = find_gaze(parts)
    scenarios: list[Scenario] = []
    origins: dict[ScenarioOrigin, str] = {}
    first_places: dict[str, Path] = {}
    for key in sorted(
        inventory, key=lambda key: (SPLITS.index(key.split), key.domain != "internal", key.name, key.group)
    ):
        files = inventory[key]
        captions = [path for paths in files.captions.values() for path in paths]
        if not captions:
            _log_orphans(key.name, files, intake)
        elif key.name in first_places:
            place = intake.relative(first_places[key.name])
            intake.add("error", captions[0], "", f"scenario {key.name} is already in {place}; this one is left out")
        else:
            first_places[key.name] = captions[0]
            scenario = _scenario(key, files, references.get(key.name), gaze, origins, intake)
            if scenario is not None:
                scenarios.append(scenario)
    return WtsReading(scenarios, intake.problems, origins)


def captioned_phases(root: Path, split: Split) -> dict[str, tuple[int, ...]]:
    """The phases that the caption files of a split name, by scenario; where an overhead view has one, its own count.

    Videos are not needed. Raises InputError where the root is no folder.
    """
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; give the folder of a WTS data set")
    intake = Intake(root)
    phases: dict[str, tuple[int, ...]] = {}
    for key, files in sorted(inventory_of(parts_of(root, intake), [split], intake).items()):
        for kind in VIEW_FOLDERS.values():
            path = _caption_path(key.name, files.captions.get(kind, []), intake)
            read = None if path is None else read_caption_file(path, intake.note(path), withheld=True)
            if read is not None and read.phases:
                phases.setdefault(key.name, tuple(phase.number for phase in read.phases))
    return phases


def _log_orphans(name: str, files: Files, intake: Intake) -> None:
    for what, paths in (("videos", files.videos.values()), ("boxes", files.boxes.values())):
        first = next((path for group in paths for path in group), None)
        if first is not None:
            intake.add("warning", first, "", f"{what} of scenario {name}, which has no caption file; left out")


def _references(folders: list[Path], intake: Intake) -> dict[str, dict[str, tuple[Path, str]]]:
    """The reference views by scenario and video stem, each with the list and the row that name it."""
    references: dict[str, dict[str, tuple[Path, str]]] = {}
    for path in (folder / REFERENCE_LIST for folder in folders):
        if not os.path.isfile(path):
            continue
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            intake.add("error", path, "", f"not a readable CSV file: {error}")
            continue
        for number, row in enumerate(rows[1:], start=2):
            cells = [cell.strip() for cell in row]
            if cells and cells[0]:
                views = references.setdefault(cells[0], {})
                views.update({file_stem(cell): (path, f"row {number}") for cell in cells[1:] if cell})
    return references


def _scenario(
    key: ScenarioKey,
    files: Files,
    references: dict[str, tuple[Path, str]] | None,
    gaze: GazeFiles,
    origins: dict[ScenarioOrigin, str],
    intake: Intake,
) -> Scenario | None:
    """Bring the files of a scenario together; None, with errors noted, where nothing of it can be used."""
    views: list[View] = []
    for kind in VIEW_FOLDERS.values():
        videos = _by_stem(files.videos.get(kind, []), VIDEO_SUFFIXES, "video", intake)
        path = _caption_path(key.name, files.captions.get(kind, []), intake)
        caption: CaptionFile | None = None
        if path is not None:
            caption = read_caption_file(path, intake.note(path), withheld=key.split == "test")
            _log_missing_videos(path, caption, videos, intake)
        elif videos:
            video = next(iter(videos.values()))
            intake.add(
                "warning", video, "", f"the {kind} view of {key.name} has no caption file, hence no phases of its own"
            )
        boxes = _boxes(kind, files, videos, origins, intake)
        for stem, video in videos.items():
            if path is not None:
                origins[ScenarioOrigin(video)] = intake.relative(path)
            views.append(
                View(
                    name=stem,
                    kind=kind,
                    video=video,
                    phases=() if caption is None else caption.phases,
                    boxes={role: tuple(found) for (of, role), found in boxes.items() if of == stem},
                    reference=_is_reference(stem, kind, references),
                    gaze=read_gaze(stem, gaze, intake.note),
                )
            )
    for stem, (path, place) in (references or {}).items():
        if stem not in {view.name for view in views}:
            intake.add("warning", path, place, f"names {stem}, which is no view of {key.name}")
    if not any(view.phases for view in views):
        first = next(path for paths in files.captions.values() for path in paths)
        why = "no view of it has phases" if views else "it has no video"
        intake.add("error", first, "", f"scenario {key.name} is left out: {why}")
        return None
    return Scenario(key.name, key.domain, key.split, tuple(views), "wts")


def _is_reference(stem: str, kind: ViewKind, references: dict[str, tuple[Path, str]] | None) -> bool | None:
    if references is None:
        return None
    # The list chooses among overhead cameras; that it does not name the vehicle view says nothing about it.
    return stem in references or (None if kind == "vehicle" else False)


def _caption_path(name: str, paths: list[Path], intake: Intake) -> Path | None:
    """The caption file of a view: the one named after the scenario, or else the first."""
    chosen = next((path for path in paths if path.name == name + CAPTION_SUFFIX), paths[0] if paths else None)
    for path in paths:
        if chosen is not None and path != chosen:
            why = f"a second caption file of {name}; {intake.relative(chosen)} is used, this one left out"
            intake.add("error", path, "", why)
    return chosen


def _by_stem(paths: list[Path], suffixes: tuple[str, ...], what: str, intake: Intake) -> dict[str, Path]:
    """Files by stem, in its order; the first one of each stem."""
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(file_stem(path.name, suffixes), path)
        if first != path:
            intake.add(
                "error",
                path,
                "",
                f"a second {what} file of this name; {intake.relative(first)} is used, this one left out",
            )
        elif not os.path.isfile(path):
            intake.add("error", path, "", "is not a file")
    return {stem: path for stem, path in sorted(found.items()) if os.path.isfile(path)}


def _log_missing_videos(path: Path, caption: CaptionFile | None, videos: dict[str, Path], intake: Intake) -> None:
    names = () if caption is None else caption.videos
    for name, place in names:
        if file_stem(name) not in videos:
            intake.add("error", path, place, f"names the video {name}, which does not exist")
    if not names and not videos:
        intake.add("error", path, "", "no video of this view exists")


def _boxes(
    kind: ViewKind, files: Files, videos: dict[str, Path], origins: dict[ScenarioOrigin, str], intake: Intake
) -> dict[tuple[str, str], list[Box]]:
    """The boxes of the views of one kind by view and role, in order of image_id."""
    boxes: dict[tuple[str, str], list[Box]] = {}
    for (of, role, generated), paths in files.boxes.items():
        if of != kind:
            continue
        for stem, path in _by_stem(paths, (BOX_SUFFIX,), "box", intake).items():
            if stem not in videos:
                intake.add("warning", path, "", f"boxes of the video {stem}, which does not exist; left out")
                continue
            origins[ScenarioOrigin(videos[stem], role, generated)] = intake.relative(path)
            read = read_box_file(path, intake.note(path), generated=generated)
            boxes.setdefault((stem, role), []).extend(read)
    return {where: sorted(found, key=lambda box: box.image_id) for where, found in boxes.items()}


def _check(root: Path, **options: Any) -> tuple[list[Scenario], list[Problem]]:
    from cityscribe.sources.check import read_and_check_wts  # which opens videos, as reading does not

    return read_and_check_wts(root, **options)


def list_beside(root: Path) -> list[Path]:
    """The list of reference views beside a part of the data set, where the folder that is read is such a part."""
    whole = Path(os.path.abspath(root))
    return [whole.with_name(REFERENCE_LIST)] if PARTS.fullmatch(whole.name) else []


def recognise(listing: Listing) -> Certainty:
    named = listing.having(rf"(?:^|/)annotations/caption/|{re.escape(CAPTION_SUFFIX)}$")
    return Certainty.CERTAIN if named else Certainty.NO


SOURCE = ScenarioSource(
    read_wts, _check, list_beside, recognise=recognise, looks_for="annotations/caption/SPLIT/.../SCENARIO_caption.json"
)
