"""Which format a folder is in, and what was found in it: said by every command that reads data.

    recognise(Path("data/WTS"))             # "wts"
    found_in("wts", scenarios)              # "12 clips, 9 captions, 0 boxes; read as wts"

Each source says how sure it is (`Source.recognise`); the surest one has it, of equals the first of the registry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cityscribe.files import InputError
from cityscribe.records import Problem, Sample
from cityscribe.sources import SOURCES, ScenarioSource, Yields
from cityscribe.sources.listing import Certainty, Listing, list_folder
from cityscribe.traffic.scenario import Scenario

VIDEO_FRAME = re.compile(r"#(?:t|image_id)=")
DRAWN_BOX = re.compile(r"&[^=&]+=")


def recognise(folder: Path, yields: Yields | None = None) -> str:
    """The name of the source that reads a folder, of one kind where `yields` says so.

    Raises InputError where it is no folder, and where nothing in it is read, with what was looked for.
    """
    listing = list_folder(folder)
    name = _surest(listing, yields)
    if name is None:
        asked = {name: SOURCES[name] for name in SOURCES if yields is None or SOURCES[name].yields == yields}
        looked_for = "; ".join(f"{name}: {source.looks_for}" for name, source in asked.items() if source.looks_for)
        raise InputError(
            f"{folder}: is in no format that is read; it has {listing.kinds()}\nlooked for {looked_for}"
            "\ndocs/own-data.md says how to lay out data of your own"
        )
    return name


def recognised(folder: Path) -> str | None:
    """As `recognise`; None where there is no such folder, or nothing in it is read."""
    return _surest(list_folder(folder), None) if folder.is_dir() else None


def _surest(listing: Listing, yields: Yields | None) -> str | None:
    sure = {
        name: SOURCES[name].recognise(listing) for name in SOURCES if yields is None or SOURCES[name].yields == yields
    }
    best = max(sure, key=lambda name: sure[name], default=None)
    return best if best is not None and sure[best] > Certainty.NO else None


class LookedInto(NamedTuple):
    """What a folder holds, for a new project on it."""

    source: str
    counts: str  # as `found_in` says it
    settings: dict[str, dict[str, object]]  # that fit it, by section


def look_into(folder: Path) -> LookedInto:
    """Recognise a folder and read it. Raises InputError where nothing of it can be used."""
    name = recognise(folder)
    source = SOURCES[name]
    items, problems = source.read(folder)
    if not items:
        raise nothing_usable(folder, problems, name, source.yields.removesuffix("s"))
    return LookedInto(
        name, found_in(name, items), {**source.init, "data": {"source": name, **source.init.get("data", {})}}
    )


def found_in(source: str, items: Sequence[Scenario] | Sequence[Sample]) -> str:
    """What was read: clips, captions and boxes of scenarios; questions, clips, images, boxes of conversations."""
    member = SOURCES[source]
    if isinstance(member, ScenarioSource):
        scenarios = [item for item in items if isinstance(item, Scenario)]
        views = [view for scenario in scenarios for view in scenario.views]
        captions = sum(len(scenario.captions()) for scenario in scenarios)
        boxes = sum(len(found) for view in views for found in view.boxes.values())
        counts = [_count(len(views), "clip"), _count(captions, "caption"), _count(boxes, "box", "boxes")]
    else:
        samples = [item for item in items if isinstance(item, Sample)]
        shown = dict.fromkeys(image for sample in samples for image in sample.images)
        clips = {name.partition("#")[0] for name in shown if VIDEO_FRAME.search(name)}
        images = sum(not VIDEO_FRAME.search(name) for name in shown)
        boxes = sum(len(DRAWN_BOX.findall(name)) for name in shown)
        counts = [_count(len(samples), "question"), _count(len(clips), "clip")]
        counts += [_count(images, "image")] if images else []
        counts += [_count(boxes, "box", "boxes")] if member.takes_boxes or boxes else []
    return f"{', '.join(counts)}; read as {source}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def nothing_usable(data: Path, problems: Sequence[Problem], source: str = "", kind: str = "scenario") -> InputError:
    """What to raise where nothing of a data set can be used: the first reason, what was looked for, and what the folder
    looks like instead."""
    return InputError(f"{data}: {why_nothing(data, problems, source, kind)}")


def why_nothing(data: Path, problems: Sequence[Problem], source: str, kind: str) -> str:
    reason = f"no {kind} can be used{f', read as {source}' if source else ''}"
    first = next((problem for problem in problems if problem.level != "note"), None)
    if first is not None:
        reason += f"; see `cityscribe check`; {first}"
    if source and SOURCES[source].looks_for:
        reason += f"; looked for {SOURCES[source].looks_for}"
    other = recognised(data)
    if other not in (None, source):
        reason += f"; the folder looks like {other}: data.source {other}, or --source {other}"
    return reason
