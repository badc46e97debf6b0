"""Scenarios and videos made for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.media.video import write_video
from cityscribe.project import Settings
from cityscribe.traffic.scenario import Box, Phase, Scenario, Split, View, ViewKind
from tests.media.numbered_video import numbered_frame

FPS = 10
PHASE_S = 0.4
CAPTIONS = {
    "pedestrian": (
        "The pedestrian is a male in his 30s, approx. 170 cm tall, in a black coat. "
        "He is close to the vehicle on its left. He is walking slowly. The weather is clear and the road is dry."
    ),
    "vehicle": (
        "The vehicle is diagonally in front of the pedestrian. It is going straight ahead at 10 km/h. "
        "The pedestrian is a male in his 30s. The road is dry."
    ),
}


def make_video(path: Path, frames: int = 24) -> Path:
    """A video of 112 x 48 pixels whose frames show their number in rows 8 to 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, (numbered_frame(number) for number in range(frames)), FPS)
    return path


def phases(numbers: Sequence[int] = range(5), captions: Mapping[str, str] = CAPTIONS) -> tuple[Phase, ...]:
    """Phases of 4 frames each, the first from frame 2 on."""
    return tuple(Phase(n, 0.2 + n * PHASE_S, 0.2 + (n + 1) * PHASE_S, dict(captions)) for n in numbers)


def box(image_id: int, phase: int | None, area: float = 100.0, *, generated: bool = False, x: float = 20.0) -> Box:
    """A box 10 pixels high, below the number that a frame shows."""
    return Box(image_id, (x, 30.0, area / 10, 10.0), phase, generated)


def first_frame(phase: int) -> int:
    return 2 + 4 * phase


def view(
    name: str,
    video: Path = Path("none.mp4"),
    *,
    kind: ViewKind = "overhead",
    pedestrian: Mapping[int, float] | None = None,
    vehicle: Mapping[int, float] | None = None,
    reference: bool | None = None,
    of_phases: tuple[Phase, ...] | None = None,
) -> View:
    """A view with one box on the first frame of each named phase, given as phase -> area."""
    given = {"pedestrian": pedestrian or {}, "vehicle": vehicle or {}}
    boxes = {
        role: tuple(box(first_frame(n), n, area, x=20.0 if role == "pedestrian" else 60.0) for n, area in areas.items())
        for role, areas in given.items()
        if areas
    }
    return View(name, kind, video, phases() if of_phases is None else of_phases, boxes, reference)


def scenario(name: str, *views: View, split: Split = "train") -> Scenario:
    return Scenario(name, "internal", split, tuple(views), "wts")


def settings(**prepare: object) -> Settings:
    """Settings that keep the small boxes of these tests, in one process."""
    small = {"pedestrian_threshold": 50, "vehicle_threshold": 50, "line_width": 1, "workers": 1}
    return Settings.model_validate({"data": {"path": "data"}, "prepare": {**small, **prepare}})
