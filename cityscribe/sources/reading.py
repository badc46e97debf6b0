"""Reading and checking a data set by the name of its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import InputError, printable
from cityscribe.records import Problem
from cityscribe.sources import SOURCES, ConversationSource, ScenarioSource
from cityscribe.sources.check import Progress, check_samples
from cityscribe.sources.settings import DataSettings
from cityscribe.sources.tracks import Joined, join_tracks, read_tracks
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
    """The scenarios of a data set, with the boxes of `tracks` where that is set, and all problems. Raises InputError
    where no scenario can be used."""
    scenarios, problems = scenario_source(data.source).read(data.path)
    if not scenarios:
        raise nothing_usable(data.path, problems)
    if data.tracks is not None:
        scenarios, used, more = _with_tracks(scenarios, data.tracks)
        problems = [*problems, *more]
        if not used:
            why = next((problem for problem in more if problem.level != "note"), "they hold no box of a road user")
            raise InputError(f"{data.tracks}: none of its boxes is used; {why}")
        if data.boxes == "annotated":
            why = "its boxes are read and not used: data.boxes is annotated; set it to generated or both"
            problems.append(Problem("warning", str(data.tracks), "", why))
    return scenarios, problems


def _with_tracks(scenarios: Sequence[Scenario], path: Path) -> Joined:
    videos = {view.name: view.video for scenario in scenarios for view in scenario.views}
    tracks, problems = read_tracks(path, videos)
    joined = join_tracks(scenarios, tracks, printable(str(path)))
    return joined._replace(problems=[*problems, *joined.problems])


def check_data(
    name: str,
    root: Path,
    *,
    tracks: Path | None = None,
    open_videos: bool = True,
    progress: Progress | None = None,
) -> list[Problem]:
    """All problems of a data set of a format: those of its files, and with `open_videos` those of what they name; and
    those of boxes for it, which it is an error not to use at all. Raises InputError where the root is no folder."""
    source = scenario_source(name) if tracks is not None else SOURCES[name]
    if isinstance(source, ScenarioSource):
        problems = source.check(root, open_videos=open_videos, progress=progress)
        if tracks is not None:
            joined = _with_tracks(source.read(root)[0], tracks)
            problems += joined.problems
            if not joined.used:
                problems.append(Problem("error", str(tracks), "", "none of its boxes is used"))
        return problems
    return check_samples(source.read, root, open_videos=open_videos, progress=progress)


def nothing_usable(data: Path, problems: Sequence[Problem], kind: str = "scenario") -> InputError:
    """What to raise where all of a data set is left out; it says the first reason."""
    first = f"; {problems[0]}" if problems else ""
    return InputError(f"{data}: no {kind} can be used; see `cityscribe check`{first}")
