"""What the samples of traffic scenarios say of themselves: the event, the view, the phase, the road user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cityscribe.records import Sample, SampleMeta
from cityscribe.traffic.scenario import PHASES


@dataclass(frozen=True, slots=True)
class TrafficMeta(SampleMeta):
    """What a sample is about, so that a prediction finds its way back to the scenario."""

    COLUMNS: ClassVar[tuple[str, ...]] = (
        *("scenario", "domain", "split", "view", "view_kind", "phase", "kind", "target", "dimension", "marked"),
        *("note", "question", "options"),
    )

    domain: str = ""
    view: str = ""
    view_kind: str = ""
    phase: int = -1  # index into PHASES; -1 where there is none
    target: str = ""  # the role that the question is about
    marked: tuple[str, ...] = ()  # the roles whose boxes are drawn on the images, and "gaze" for its arrow

    @property
    def phase_name(self) -> str:
        return PHASES[self.phase] if self.phase >= 0 else ""

    def parts(self) -> tuple[str, ...]:
        return (self.view, self.phase_name, self.target, self.kind, self.dimension)

    def about(self) -> dict[str, str]:
        found = {
            "domain": self.domain,
            "view": self.view_kind,
            "phase": self.phase_name,
            "dimension": self.dimension,
            "road user": self.target,
        }
        return {name: value for name, value in found.items() if value}


def traffic_meta(sample: Sample) -> TrafficMeta:
    """The meta data of a sample as those of traffic; of a sample that says less, what it says."""
    meta = sample.meta
    if isinstance(meta, TrafficMeta):
        return meta
    return TrafficMeta(**{name: getattr(meta, name) for name in SampleMeta.COLUMNS})
