"""Reading and checking a data set by the name of its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cityscribe.files import InputError, printable
from cityscribe.progress import Progress
from cityscribe.records import Problem, Sample
from cityscribe.sources import SOURCES, ConversationSource, ScenarioSource
from cityscribe.sources.check import read_and_check_samples
from cityscribe.sources.recognise import found_in, nothing_usable, why_nothing
from cityscribe.sources.settings import DataSettings
from cityscribe.sources.tracks import Joined, join_tracks, read_tracks
from cityscribe.sources.video_blocks import AS_VIDEO, with_video_blocks
from cityscribe.traffic.scenario import Scenario


def scenario_source(name: str) -> ScenarioSource:
    """The source of scenarios of a name. Raises InputError where there is none."""
    source = SOURCES[name]
    if not isinstance(source, ScenarioSource):
        raise InputError(f"source {name}: brings conversations; expected a format of scenarios, such as wts")
    return source


def conversation_source(name: str) -> ConversationSource:
    """The source of conversations of a name. Raises InputError where there is none."""
    source = SOURCES[name]
    if not isinstance(source, ConversationSource):
        raise InputError(f"source {name}: brings scenarios; expected a format of conversations, such as llava")
    return source


def read_scenarios(data: DataSettings) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of a data set, with the boxes of `tracks` where that is set, and all problems; the last one, a
    note, says what was found. Raises InputError where no scenario can be used."""
    scenarios, problems = scenario_source(data.source).read(data.path)
    if not scenarios:
        raise nothing_usable(data.path, problems, data.source)
    if data.tracks is not None:
        scenarios, used, more = _with_tracks(scenarios, data.tracks)
        problems = [*problems, *more]
        if not used:
            why = next((problem for problem in more if problem.level != "note"), "they hold no box of a road user")
            raise InputError(f"{data.tracks}: none of its boxes is used; {why}")
        if data.boxes == "annotated":
            why = "its boxes are read and not used: data.boxes is annotated; set it to generated or both"
            problems.append(Problem("warning", str(data.tracks), "", why))
    return scenarios, [*problems, _found(data.path, data.source, scenarios)]


def read_conversations(data: DataSettings) -> tuple[list[Sample], list[Problem]]:
    """The samples of a data set of conversations and all problems; the last one, a note, says what was found. Raises
    InputError where no sample can be used, and for boxes that the format does not take."""
    frames = AS_VIDEO if data.video.stay_videos else data.frames
    samples, problems = _read_samples(data.source, data.path, data.tracks, files=data.files, frames=frames)
    samples = list(with_video_blocks(samples, data.video))
    if not samples:
        raise nothing_usable(data.path, problems, data.source, "conversation")
    return samples, [*problems, _found(data.path, data.source, samples)]


def _read_samples(name: str, root: Path, tracks: Path | None, **options: object) -> tuple[list[Sample], list[Problem]]:
    source = conversation_source(name)
    if tracks is None:
        return source.read(root, **options)
    if not source.takes_boxes:
        raise InputError(f"{tracks}: boxes for source {name}, which takes none; leave data.tracks out")
    return source.read(root, tracks=tracks, **options)


def _found(root: Path, source: str, items: Sequence[Scenario] | Sequence[Sample]) -> Problem:
    return Problem("note", printable(str(root)), "", found_in(source, items))


def _with_tracks(scenarios: Sequence[Scenario], path: Path) -> Joined:
    videos = {view.name: view.video for scenario in scenarios for view in scenario.views}
    tracks, problems = read_tracks(path, videos)
    joined = join_tracks(scenarios, tracks, printable(str(path)))
    return joined._replace(problems=[*problems, *joined.problems])


class CheckedSource(NamedTuple):
    """Everything that is wrong with a data set, and what was found in it, in counts."""

    problems: list[Problem]
    found: str


def check_data(
    name: str,
    root: Path,
    *,
    tracks: Path | None = None,
    open_videos: bool = True,
    progress: Progress | None = None,
) -> list[Problem]:
    """All problems of a data set of a format: those of its files, and with `open_videos` those of what they name; and
    those of boxes for it, which it is an error not to use at all, as it is to find nothing. Raises InputError where the
    root is no folder."""
    return read_and_check(name, root, tracks=tracks, open_videos=open_videos, progress=progress).problems


def read_and_check(
    name: str,
    root: Path,
    *,
    tracks: Path | None = None,
    open_videos: bool = True,
    progress: Progress | None = None,
) -> CheckedSource:
    """What `check_data` finds, with what was found in the data set."""
    source = SOURCES[name]
    if isinstance(source, ScenarioSource):
        scenarios, problems = source.check(root, open_videos=open_videos, progress=progress)
        if tracks is not None:
            joined = _with_tracks(scenarios, tracks)
            scenarios, problems = joined.scenarios, [*problems, *joined.problems]
            if not joined.used:
                problems.append(Problem("error", str(tracks), "", "none of its boxes is used"))
        return _checked(name, root, scenarios, problems, "scenario")
    samples, problems = read_and_check_samples(
        lambda folder: _read_samples(name, folder, tracks), root, open_videos=open_videos, progress=progress
    )
    return _checked(name, root, samples, problems, "conversation")


def _checked(
    name: str, root: Path, items: Sequence[Scenario] | Sequence[Sample], problems: list[Problem], kind: str
) -> CheckedSource:
    if not items and not any(problem.level == "error" for problem in problems):
        problems = [*problems, Problem("error", ".", "", why_nothing(root, problems, name, kind))]
    return CheckedSource(problems, found_in(name, items))
