"""A corrected copy of a WTS data set: a folder beside the original that differs in what was corrected, and only there.

    copy_data_set(data, copy)                          # videos are the same files, all else is copied
    origins = read_with_origins(copy).origins
    write_correction(copy, scenario, correction, origins)

Of a file that is corrected everything else stays as it was, what no reader knows included.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from cityscribe.files import InputError, put_in_place, read_json, read_text, write_text
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.sources.corrections import BoxCorrection, BoxValue, CaptionCorrection, PhaseCorrection, says
from cityscribe.sources.wts import ScenarioOrigin
from cityscribe.sources.wts_boxes import entry_of_box
from cityscribe.sources.wts_folders import BOX_SUFFIX, VIEW_FOLDERS
from cityscribe.traffic.captions import phase_entry
from cityscribe.traffic.scenario import Scenario, View


def copy_data_set(data: Path, copy: Path) -> None:
    """Copy a data set whole or not at all. Videos are hard links, or symbolic ones to another disk; other files are
    copied, also those that links of the data set lead to. Raises InputError for a target that is there already."""
    if copy.exists():
        raise InputError(f"{copy}: already there")
    partial = copy.with_name(copy.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy_folder(data.resolve(), partial, set())
        put_in_place(partial, copy)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{error.filename or copy}: cannot be copied: {error.strerror or error}") from error


def _copy_folder(folder: Path, target: Path, seen: set[Path]) -> None:
    if folder in seen:
        return  # a link that leads back up
    target.mkdir(parents=True)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        real = entry.resolve()
        if real.is_dir():
            _copy_folder(real, target / entry.name, seen | {folder})
        elif real.is_file():
            _copy_file(real, target / entry.name)


def _copy_file(file: Path, target: Path) -> None:
    if not target.name.lower().endswith(VIDEO_SUFFIXES):
        shutil.copyfile(file, target)
        return
    try:
        os.link(file, target)
    except OSError:
        os.symlink(file, target)


def write_correction(
    root: Path,
    scenario: Scenario,
    correction: CaptionCorrection | PhaseCorrection | BoxCorrection,
    origins: dict[ScenarioOrigin, str],
) -> None:
    """Write a correction into the files of the data set `root`.

    `scenario` is as it was before, read from that root, and `origins` say which file each thing of it was read from; a
    new file of boxes is added to them.

    Raises InputError, with nothing written, where a file no longer says what is corrected.
    """
    if isinstance(correction, BoxCorrection):
        view = next(view for view in scenario.views if view.name == correction.view)
        _write_box(root, view, correction, origins)
        return
    files = {
        root / origins[ScenarioOrigin(view.video)]
        for view in scenario.views
        if ScenarioOrigin(view.video) in origins and _concerns(view, correction)
    }
    records = {path: read_json(path) for path in sorted(files)}
    for path, record in records.items():
        entry = phase_entry(record, correction.phase)
        if entry is None:
            raise InputError(f"{path}: no longer has this phase; load the page again")
        if isinstance(correction, CaptionCorrection):
            entry[f"caption_{correction.role}"] = correction.after
        else:
            for key, time_s in zip(("start_time", "end_time"), correction.after, strict=True):
                entry[key] = f"{time_s:.3f}" if isinstance(entry[key], str) else time_s
    for path, record in records.items():
        _write(path, record)


def _concerns(view: View, correction: CaptionCorrection | PhaseCorrection) -> bool:
    phase = next((phase for phase in view.phases if phase.number == correction.phase), None)
    if phase is None:
        return False
    if isinstance(correction, PhaseCorrection):
        return view.kind == correction.kind
    return says(phase.captions.get(correction.role, ""), correction.before)


def _write_box(root: Path, view: View, correction: BoxCorrection, origins: dict[ScenarioOrigin, str]) -> None:
    value = correction.after or correction.before
    assert value is not None
    origin = ScenarioOrigin(view.video, correction.role, value.generated)
    name = origins.get(origin) or _box_file(origins[ScenarioOrigin(view.video)], view, correction.role)
    path = root / name
    record = read_json(path) if path.is_file() else {"annotations": []}
    entries = record["annotations"] if isinstance(record, dict) else record
    if correction.before is None:
        place = len(entries)
    else:
        found = entry_of_box(entries, correction.before.box())
        if found is None:
            raise InputError(f"{path}: no longer has this box; load the page again")
        place = found
    if correction.after is None:
        del entries[place]
    elif correction.before is None:
        entries.append(_new_entry(entries, correction.after))
    else:
        _change(entries[place], correction.before, correction.after)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, record)
    origins[origin] = name


def _box_file(caption_file: str, view: View, role: str) -> str:
    """Where a file of boxes belongs that is not there yet, beside the file of captions of its view."""
    before, caption, rest = caption_file.rpartition("annotations/caption/")
    folder = rest.rpartition("/")[0]
    if not caption:
        raise InputError(f"{caption_file}: its place does not tell where boxes of {view.name} belong")
    in_scenario = folder.rpartition("/")[2] in VIEW_FOLDERS
    if not in_scenario and role != "pedestrian":
        raise InputError(f"{view.name}: BDD_PC_5K has a place for the boxes of pedestrians only")
    tree = f"annotations/bbox_annotated/{role}/" if in_scenario else "annotations/bbox_annotated/"
    return f"{before}{tree}{folder}/{view.name}{BOX_SUFFIX}"


def _new_entry(entries: list[Any], value: BoxValue) -> dict[str, object]:
    ids = [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), int)]
    numbered = {"id": max(ids) + 1} if ids else {}
    phase = {} if value.phase is None else {"phase_number": str(value.phase)}
    return {**numbered, "image_id": value.image_id, "bbox": list(value.xywh), "auto-generated": False, **phase}


def _change(entry: dict[str, object], before: BoxValue, after: BoxValue) -> None:
    entry["bbox"] = list(after.xywh)
    if after.image_id != before.image_id:
        entry["image_id"] = after.image_id
    if after.phase != before.phase:
        entry["phase_number"] = None if after.phase is None else str(after.phase)


def _write(path: Path, record: Any) -> None:
    indented = path.is_file() and "\n" in read_text(path).strip()
    text = json.dumps(record, ensure_ascii=False, indent=1 if indented else None)
    # The copy is no link to the original, and `write_text` puts a new file in its place even where it was one.
    write_text(path, text + "\n")
