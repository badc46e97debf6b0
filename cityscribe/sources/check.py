"""Everything that is wrong with a data set, its videos included: what `cityscribe check` lists."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.media.images import remark_on
from cityscribe.media.video import VideoError, VideoInfo, frame_index, probe
from cityscribe.progress import Progress
from cityscribe.records import Problem, Sample
from cityscribe.sources.intake import Intake
from cityscribe.sources.wts import ScenarioOrigin, read_with_origins
from cityscribe.traffic.scenario import PHASES, Scenario, View

OVERHANG_PIXELS = 1.0
"""How far a box may reach over the frame by rounding."""

FRAME = re.compile(r"#(t|image_id)=.*")
"""The end of a reference to a frame of a video."""

IN_TABLE = re.compile(r"#[^/]+/\d+/\d+$")
"""The end of a reference to an image that is stored in a table."""


def check_wts(root: Path, *, open_videos: bool = True, progress: Progress | None = None) -> list[Problem]:
    """All problems of a WTS data set: those of its files, and with `open_videos` those of its videos and of what the
    annotations say about them. An error cannot be used; a warning is used, with something left out. Raises InputError
    where the root is no folder."""
    return read_and_check_wts(root, open_videos=open_videos, progress=progress)[1]


def read_and_check_wts(
    root: Path, *, open_videos: bool = True, progress: Progress | None = None
) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a WTS data set, and what `check_wts` finds."""
    scenarios, problems, origins = read_with_origins(root)
    if not open_videos:
        return scenarios, problems
    views = [view for scenario in scenarios for view in scenario.views]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(lambda view: list(_check_view(view, root, origins)), views)
        for done, more in enumerate(found, start=1):
            problems.extend(more)
            if progress is not None:
                progress(done, len(views))
    return scenarios, problems


def _check_view(view: View, root: Path, origins: dict[ScenarioOrigin, str]) -> Iterator[Problem]:
    video = Intake(root).relative(view.video)
    try:
        info = probe(view.video)
    except VideoError as error:
        yield Problem("error", video, "", str(error).removeprefix(f"{view.video}: "))
        return
    for lost in info.what_is_lost():
        yield Problem("warning", video, "", lost)
    yield from _check_phases(view, info, origins)
    yield from _check_boxes(view, info, origins)


def _check_phases(view: View, info: VideoInfo, origins: dict[ScenarioOrigin, str]) -> Iterator[Problem]:
    frame_s = 1 / info.fps
    for phase in view.phases:
        place = f"phase {phase.number} ({PHASES[phase.number]}) in {view.name}"
        end = f"the video ends at {info.duration_s:.3f} s"
        if phase.start_s >= info.duration_s:
            yield Problem(
                "error", origins[ScenarioOrigin(view.video)], place, f"starts at {phase.start_s:.3f} s, but {end}"
            )
        elif phase.end_s > info.duration_s + frame_s:
            yield Problem(
                "warning", origins[ScenarioOrigin(view.video)], place, f"ends at {phase.end_s:.3f} s, but {end}"
            )


def _check_boxes(view: View, info: VideoInfo, origins: dict[ScenarioOrigin, str]) -> Iterator[Problem]:
    size = f"{info.width}x{info.height}"
    for role, boxes in view.boxes.items():
        for box in boxes:
            x, y, width, height = box.xywh
            shown = f"the box {x:g}, {y:g}, {width:g}, {height:g}"
            frame = frame_index(box.image_id, info.fps)
            message = ""
            if frame == info.frames and info.complete:
                message = f"is frame {frame}, one behind the last of {view.name}; the last one is used"
            elif frame >= info.frames:
                message = f"is frame {frame}, but {view.name} ends with frame {info.frames - 1}; the box is left out"
            elif x >= info.width or y >= info.height or x + width <= 0 or y + height <= 0:
                message = f"{shown} lies outside the frame of {size}; left out"
            elif min(x, y, info.width - x - width, info.height - y - height) < -OVERHANG_PIXELS:
                message = f"{shown} reaches over the frame of {size}; clipped"
            if message:
                file = origins[ScenarioOrigin(view.video, role, box.generated)]
                yield Problem("warning", file, f"image_id {box.image_id}", message)


def check_samples(
    read: Callable[..., tuple[list[Sample], list[Problem]]],
    root: Path,
    *,
    open_videos: bool = True,
    progress: Progress | None = None,
) -> list[Problem]:
    """All problems of a data set of conversations: those of its files, and with `open_videos` those of its images and
    videos. Raises InputError where the root is no folder."""
    return read_and_check_samples(read, root, open_videos=open_videos, progress=progress)[1]


def read_and_check_samples(
    read: Callable[..., tuple[list[Sample], list[Problem]]],
    root: Path,
    *,
    open_videos: bool = True,
    progress: Progress | None = None,
) -> tuple[list[Sample], list[Problem]]:
    """The samples, and what `check_samples` finds."""
    samples, problems = read(root)
    if not open_videos:
        return samples, problems
    references = dict.fromkeys(image for sample in samples for image in sample.images if not IN_TABLE.search(image))
    files = dict.fromkeys((FRAME.sub("", reference), bool(FRAME.search(reference))) for reference in references)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(lambda file: list(_check_file(root, *file)), files)
        for done, more in enumerate(found, start=1):
            problems.extend(more)
            if progress is not None:
                progress(done, len(files))
    return samples, problems


def _check_file(root: Path, name: str, is_video: bool) -> Iterator[Problem]:
    """What is wrong with an image, or with a video whose frames are shown. Only the head of most images is read."""
    path = root / name
    try:
        if is_video:
            for lost in probe(path).what_is_lost():
                yield Problem("warning", name, "", lost)
        elif remark := remark_on(path):
            yield Problem("warning", name, "", remark)
    except InputError as error:
        yield Problem("error", name, "", str(error).removeprefix(f"{path}: "))
