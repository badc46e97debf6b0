"""Clips without any annotation: every video below a folder is a scenario, in five equal parts in the place of phases.

They are of the split `test`: there is nothing to train on or to score against. Boxes come from `data.tracks` or from
`cityscribe data detect`; where there are none, the whole frame in the middle of the beginning of a part is shown.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.media.video import VideoError, VideoInfo, probe
from cityscribe.progress import Progress
from cityscribe.records import Problem
from cityscribe.sources import ScenarioSource
from cityscribe.sources.intake import Intake, open_intake
from cityscribe.sources.listing import Certainty, Listing
from cityscribe.traffic.scenario import PHASES, Phase, Scenario, Split, View

SPLIT: Split = "test"


def read_clips(root: Path, *, splits: Sequence[str] = (SPLIT,)) -> tuple[list[Scenario], list[Problem]]:
    """The clips below a folder, by name. A clip that cannot be decoded is a problem, and the others are read.

    Raises InputError where the root is no folder.
    """
    return _read(root, splits)


def check_clips(root: Path, *, open_videos: bool = True, progress: Progress | None = None) -> list[Problem]:
    """What is wrong with the clips; each has to be opened to be read, whatever `open_videos` says."""
    return _read(root, (SPLIT,), progress)[1]


def _read_and_check(
    root: Path, *, open_videos: bool = True, progress: Progress | None = None
) -> tuple[list[Scenario], list[Problem]]:
    return _read(root, (SPLIT,), progress)


def _read(root: Path, splits: Sequence[str], progress: Progress | None = None) -> tuple[list[Scenario], list[Problem]]:
    intake = open_intake(root)
    if SPLIT not in splits:
        return [], []
    videos = list(_videos(root))
    stems = Counter(_name(root, video, suffix=False) for video in videos)
    scenarios = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done, (video, found) in enumerate(zip(videos, pool.map(_probed, videos), strict=True), start=1):
            if isinstance(found, VideoInfo):
                name = _name(root, video, suffix=stems[_name(root, video, suffix=False)] > 1)
                scenarios.append(clip_scenario(name, video, found))
                for lost in found.what_is_lost():
                    intake.add("warning", video, "", lost)
            else:
                intake.add("error", video, "", str(found).removeprefix(f"{video}: "))
            if progress is not None:
                progress(done, len(videos))
    return scenarios, intake.problems


def _videos(root: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(parent, name)


def _name(root: Path, video: Path, *, suffix: bool) -> str:
    relative = Path(Intake(root).relative(video))
    return (relative if suffix else relative.with_suffix("")).as_posix()


def _probed(video: Path) -> VideoInfo | VideoError:
    try:
        return probe(video)
    except VideoError as error:
        return error


def clip_scenario(name: str, video: Path, info: VideoInfo) -> Scenario:
    """A clip without any annotation as a scenario, in equal parts."""
    part_s = info.duration_s / len(PHASES)
    phases = tuple(Phase(number, number * part_s, (number + 1) * part_s) for number in range(len(PHASES)))
    view = View(name=video.stem, kind="overhead", video=video, phases=phases)
    return Scenario(name=name, domain="external", split=SPLIT, views=(view,), source="clips")


def recognise(listing: Listing) -> Certainty:
    return Certainty.REST if listing.ending(*VIDEO_SUFFIXES) else Certainty.NO


SOURCE = ScenarioSource(
    read_clips,
    _read_and_check,
    recognise=recognise,
    looks_for="videos, anywhere below the folder",
    init={"data": {"boxes": "both"}, "model": {"method": "none"}, "predict": {"split": "test"}},
)
