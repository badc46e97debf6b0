"""The clips that are to be described, and the spans of each: the phases of a data set that has them, or even parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.files import InputError, printable
from cityscribe.media.kinds import VIDEO_SUFFIXES
from cityscribe.media.video import VideoError, probe
from cityscribe.prepare.views import with_boxes
from cityscribe.sources import SOURCES, ScenarioSource
from cityscribe.sources.clips import clip_scenario, read_clips
from cityscribe.sources.recognise import recognise
from cityscribe.traffic.scenario import PHASES, Phase, Scenario, View, ViewKind

SPAN_S = 5.0
"""Of an even part, about, where no phases are known and no length is asked for."""

ALL_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a clip. `number` counts from 0, or is an index into PHASES where `phase` names one."""

    number: int
    start_s: float
    end_s: float
    phase: str = ""


@dataclass(frozen=True, slots=True)
class DescribedClip:
    """One video, and the spans that it is described in; without spans, `problem` says why it cannot be."""

    name: str  # as the table calls it
    scenario: Scenario | None  # with its one view
    spans: tuple[Span, ...] = ()
    problem: str = ""

    @property
    def view(self) -> View:
        assert self.scenario is not None
        return self.scenario.views[0]


def find_clips(places: Sequence[Path], kind: ViewKind, span_s: float | None) -> list[DescribedClip]:
    """The clips of folders and files, in their order. A clip that cannot be opened has a problem and no spans.

    A folder in a format of scenarios brings its phases, boxes and views; of any other the videos are taken, as seen by
    a camera of `kind`. With `span_s` every clip is cut into even parts of about that many seconds, phases or not.
    Raises InputError where a place is not there, is no video, or holds none.
    """
    clips: list[DescribedClip] = []
    for place in places:
        found = _of_folder(place, kind, span_s) if place.is_dir() else [_of_file(place, kind, span_s)]
        if not found:
            raise InputError(f"{place}: no video in it; expected files {', '.join(VIDEO_SUFFIXES)}")
        prefix = f"{place.resolve().name}/" if place.is_dir() and len(places) > 1 else ""
        clips += [replace(clip, name=prefix + clip.name) for clip in found]
    return clips


def labelled(clip: DescribedClip) -> View:
    """The view of a clip with its spans for phases, and each box labelled with the spans that it lies in.

    Raises VideoError.
    """
    spans = tuple(Phase(span.number, span.start_s, span.end_s) for span in clip.spans)
    boxes = clip.view.boxes
    if not all(span.phase for span in clip.spans):
        boxes = {role: tuple(replace(box, phase=None) for box in found) for role, found in boxes.items()}
    return with_boxes(replace(clip.view, phases=spans, boxes=boxes), "both")


def _of_file(place: Path, kind: ViewKind, span_s: float | None) -> DescribedClip:
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; give clips, or folders of clips")
    if place.suffix.lower() not in VIDEO_SUFFIXES:
        raise InputError(f"{place}: is no video; expected one of {', '.join(VIDEO_SUFFIXES)}, or a folder of them")
    name = printable(place.name)
    try:
        return _clip(name, clip_scenario(name, place, probe(place)), kind, span_s)
    except VideoError as error:
        return DescribedClip(name, None, problem=reason_of(place, error))


def _of_folder(place: Path, kind: ViewKind, span_s: float | None) -> list[DescribedClip]:
    name = recognise(place)
    source = SOURCES[name]
    if name == "clips" or not isinstance(source, ScenarioSource):
        scenarios, problems = read_clips(place)
        found = [_clip(_name(place, s.views[0].video), s, kind, span_s) for s in scenarios]
        found += [DescribedClip(p.file, None, problem=p.message) for p in problems if p.level == "error"]
        return sorted(found, key=lambda clip: clip.name)
    scenarios, _ = source.read(place, splits=ALL_SPLITS)
    clips = []
    for scenario in scenarios:
        for view in scenario.views:
            name = _name(place, view.video)
            try:
                clips.append(_clip(name, replace(scenario, views=(view,)), view.kind, span_s))
            except VideoError as error:
                clips.append(DescribedClip(name, None, problem=reason_of(view.video, error)))
    return clips


def _clip(name: str, scenario: Scenario, kind: ViewKind, span_s: float | None) -> DescribedClip:
    """Raises VideoError."""
    (view,) = scenario.views
    info = probe(view.video)
    phased = [phase for phase in view.phases if phase.start_s < info.duration_s]
    if phased and span_s is None and scenario.source != "clips":
        spans = tuple(
            Span(phase.number, phase.start_s, min(phase.end_s, info.duration_s), PHASES[phase.number])
            for phase in phased
        )
    else:
        count = max(round(info.duration_s / (span_s or SPAN_S)), 1)
        ends = [info.duration_s * number / count for number in range(count + 1)]
        spans = tuple(Span(number, ends[number], ends[number + 1]) for number in range(count))
    return DescribedClip(name, replace(scenario, views=(replace(view, kind=kind),)), spans)


def _name(root: Path, video: Path) -> str:
    return printable(video.relative_to(root).as_posix())


def reason_of(video: Path, error: VideoError) -> str:
    """What is wrong with a video, without its place."""
    return str(error).removeprefix(f"{video}: ")
