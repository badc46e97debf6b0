"""What a person corrects while looking: kept with the library, and written as a data set beside the original.

    DATA-corrected/                     a copy that differs from DATA in what was corrected, in the same layout
    DATA-corrected/corrections.jsonl    each correction in order: where, what it was, what it is

The copy is made with the first correction. Who corrected and when is what the file system says of these files: the
journal holds no names and no times, so that equal corrections give equal bytes. The original is never written to.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import InputError
from cityscribe.media.video import VideoError, frame_index, ids_a_frame, probe
from cityscribe.media.video_index import frame_index_of
from cityscribe.report.settings import Reporting
from cityscribe.sources.corrections import (
    CORRECTION,
    BoxCoordinate,
    BoxCorrection,
    BoxSide,
    BoxValue,
    CaptionCorrection,
    PhaseCorrection,
    PhaseNumber,
    VideoSeconds,
    corrected,
)
from cityscribe.sources.wts import ScenarioOrigin, read_with_origins
from cityscribe.sources.wts_corrections import copy_data_set, write_correction
from cityscribe.traffic.scenario import Role, Scenario, View

JOURNAL = "corrections.jsonl"
SUFFIX = "-corrected"
Key = tuple[str, str]
"""Split and name of a scenario."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimesRequest(_Request):
    """Other times of a phase of a view."""

    what: Literal["phase"]
    view: str = Field(max_length=1000)
    phase: PhaseNumber
    before: tuple[VideoSeconds, VideoSeconds]
    after: tuple[VideoSeconds, VideoSeconds]


class PlacedBox(_Request):
    """A box on a frame of the video."""

    frame: int = Field(ge=0, le=10**9)
    xywh: tuple[BoxCoordinate, BoxCoordinate, BoxSide, BoxSide]


class BoxRequest(_Request):
    """Another place for a box, none (`after` is null), or a new box (`before` is null)."""

    what: Literal["box"]
    view: str = Field(max_length=1000)
    role: Role
    before: BoxValue | None
    after: PlacedBox | None


CorrectionRequest = Annotated[CaptionCorrection | TimesRequest | BoxRequest, Field(discriminator="what")]
"""What the page sends. Views are named as the data set names them; nothing of it is a path."""


@dataclass(eq=False, slots=True)
class Corrections:
    """The corrections of one data set in the layout of WTS."""

    settings: Reporting
    target: Path
    lines: list[dict[str, Any]] = field(default_factory=list)  # of the journal
    copies: dict[Key, Scenario] | None = None  # the scenarios as the copy has them; None until the first correction
    origins: dict[ScenarioOrigin, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, scenario: Scenario) -> int:
        """How many corrections a scenario has."""
        return sum((line["split"], line["scenario"]) == _key(scenario) for line in self.lines)

    def correct(self, scenario: Scenario, request: CaptionCorrection | TimesRequest | BoxRequest) -> Scenario:
        """Write a correction of a scenario of the library, and return what the scenario is then.

        Raises InputError where it does not fit what is there, and where the copy cannot be made or written.
        """
        correction = self._correction(scenario, request)
        after = corrected(scenario, correction)
        with self.lock:
            copies = self._opened(scenario)
            written = corrected(copies[_key(scenario)], correction)
            write_correction(self.target, copies[_key(scenario)], correction, self.origins)
            line = {"split": scenario.split, "scenario": scenario.name, **correction.model_dump(mode="json")}
            with (self.target / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(line) + "\n")
            self.lines.append(line)
            copies[_key(scenario)] = written
        return after

    def _opened(self, scenario: Scenario) -> dict[Key, Scenario]:
        """The scenarios of the copy, which is made where it is not there."""
        if self.copies is None:
            if not self.target.exists():
                copy_data_set(self.settings.data.path, self.target)
            reading = read_with_origins(self.target)
            copies = {_key(one): one for one in reading.scenarios}
            if _key(scenario) not in copies or not _alike(copies[_key(scenario)], scenario, self._tracked):
                raise InputError(
                    f"{self.target}: is not {self.settings.data.path.name} with the corrections of its {JOURNAL}; move "
                    "it away to begin anew, or browse the folder that holds all parts of the data set"
                )
            self.copies, self.origins = copies, reading.origins
        return self.copies

    @property
    def _tracked(self) -> bool:
        return self.settings.data.tracks is not None

    def _correction(
        self, scenario: Scenario, request: CaptionCorrection | TimesRequest | BoxRequest
    ) -> CaptionCorrection | PhaseCorrection | BoxCorrection:
        if isinstance(request, CaptionCorrection):
            return request
        view = next((view for view in scenario.views if view.name == request.view), None)
        if view is None:
            raise InputError(f"{scenario.name}: has no view {request.view}")
        try:
            if isinstance(request, TimesRequest):
                start_s, end_s = (round(time_s, 3) for time_s in request.after)
                return PhaseCorrection(
                    kind=view.kind, phase=request.phase, before=request.before, after=(start_s, end_s)
                )
            return self._box_correction(view, request)
        except ValidationError as error:
            raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error

    def _box_correction(self, view: View, request: BoxRequest) -> BoxCorrection:
        before, after = request.before, None
        if self._tracked and before is not None and before.generated:
            raise InputError("this box is of data.tracks: correct it in the tool that wrote it")
        if request.after is not None:
            x, y, width, height = (round(value, 2) for value in request.after.xywh)
            if min(width, height) <= 0:
                raise InputError("the box has no size")
            after = _placed(view, request.after.frame, (x, y, width, height), before)
        return BoxCorrection(view=view.name, role=request.role, before=before, after=after)


def _placed(view: View, frame: int, xywh: tuple[float, float, float, float], before: BoxValue | None) -> BoxValue:
    """A box on a frame: with the number and phase that it had, or else those of the frame."""
    try:
        index, fps = frame_index_of(view.video), probe(view.video).fps
    except VideoError as error:
        raise InputError(f"{view.name}: the video cannot be read") from error
    if frame >= len(index.times_s):
        raise InputError(f"{view.name}: has no frame {frame}")
    if before is not None and frame_index(before.image_id, fps) == frame:
        return BoxValue(image_id=before.image_id, xywh=xywh, phase=before.phase, generated=before.generated)
    time_s = index.times_s[frame]
    phase = next((phase.number for phase in view.phases if phase.start_s <= time_s < phase.end_s), None)
    if phase is None:
        raise InputError(f"{view.name}: no phase is annotated at {time_s:.2f} s, and a box belongs to one")
    return BoxValue(image_id=frame * ids_a_frame(fps), xywh=xywh, phase=phase)


def open_corrections(settings: Reporting, scenarios: Mapping[Any, Scenario]) -> tuple[Corrections, dict[Any, Scenario]]:
    """The corrections that were written beside a data set before, and its scenarios with them.

    Raises InputError for a journal that is malformed or does not fit the scenarios.
    """
    data = settings.data.path.resolve()
    found = Corrections(settings, data.with_name(data.name + SUFFIX))
    journal = found.target / JOURNAL
    ids = {_key(scenario): id for id, scenario in scenarios.items()}
    now = dict(scenarios)
    for place, line in json_lines(journal) if journal.is_file() else ():
        try:
            rest = dict(line)
            key = (str(rest.pop("split")), str(rest.pop("scenario")))
            correction = CORRECTION.validate_python(rest)
            now[ids[key]] = corrected(now[ids[key]], correction)
        except (ValidationError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{journal}: {place}: is no correction of {data.name}") from error
        except InputError as error:
            raise InputError(f"{journal}: {place}: {error}") from error
        found.lines.append(line)
    return found, now


def _key(scenario: Scenario) -> Key:
    return scenario.split, scenario.name


def _alike(copy: Scenario, scenario: Scenario, tracked: bool) -> bool:
    """Whether the copy of a scenario says what the scenario says; generated boxes may be those of `data.tracks`."""

    def plain(one: Scenario) -> Scenario:
        views = tuple(
            replace(
                view,
                video=Path(view.video.name),
                boxes={
                    role: kept
                    for role, boxes in view.boxes.items()
                    if (kept := tuple(box for box in boxes if not (tracked and box.generated)))
                },
            )
            for view in one.views
        )
        return replace(one, views=views)

    return plain(copy) == plain(scenario)
