"""Reading and checking a data set by the name of its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.records import Problem
from cityscribe.settings import DataSettings
from cityscribe.sources import SOURCES, ConversationSource, ScenarioSource
from cityscribe.sources.check import Progress, check_samples
from cityscribe.sources.tracks import read_tracks, with_tracks
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
    if data.tracks is not None:
        tracks, more = read_tracks(data.tracks)
        scenarios, problems = with_tracks(scenarios, tracks), [*problems, *more]
    if not scenarios:
        raise nothing_usable(data.path, problems)
    return scenarios, problems


def check_data(name: str, root: Path, *, open_videos: bool = True, progress: Progress | None = None) -> list[Problem]:
    """All problems of a data set of a format: those of its files, and with `open_videos` those of what they name.
    Raises InputError where the root is no folder."""
    source = SOURCES[name]
    if isinstance(source, ScenarioSource):
        return source.check(root, open_videos=open_videos, progress=progress)
    return check_samples(source.read, root, open_videos=open_videos, progress=progress)


def nothing_usable(data: Path, problems: Sequence[Problem], kind: str = "scenario") -> InputError:
    """What to raise where all of a data set is left out; it says the first reason."""
    first = f"; {problems[0]}" if problems else ""
    return InputError(f"{data}: no {kind} can be used; see `cityscribe check`{first}")
