"""The one frame that stands for a phase, and the boxes that are drawn on it.

CityLLaVA uses the first annotated frame of a phase, because that one is boxed by hand (section 3.3). An annotation may
box the two road users on different frames, and some phases on none; what happens then is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cityscribe.media.video import VideoInfo, frame_at, frame_index
from cityscribe.prepare.geometry import XYWH, in_frame
from cityscribe.traffic.scenario import Box, Gaze, Phase, View

MAX_SHIFT_S = 0.5
"""A vehicle's box is drawn on another frame only this close in time. In half a second a car at 30 km/h drives 4 m,
about its own length; later than that the box would mark an empty road."""


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """`boxes` are the unscaled boxes by role that hold on frame `frame` of the video."""

    frame: int
    boxes: dict[str, XYWH] = field(default_factory=dict)
    note: str = ""
    left_out: tuple[tuple[str, str], ...] = ()  # role and why its box is not used
    gaze: Gaze | None = None  # of the pedestrian on this frame, where it is annotated


def key_frame(view: View, phase: Phase, info: VideoInfo, *, with_gaze: bool = False) -> KeyFrame:
    """The key frame of a phase of a view whose boxes are labelled with their phases, and what is to be drawn on it.

    - The frame is that of the pedestrian's first box in the phase, else of the vehicle's.
    - On a pedestrian's frame the vehicle's box is the one that the annotation has on this frame, in whatever phase (two
      phases may share a frame); else its box of the phase that is nearest in time, if within `MAX_SHIFT_S`; else none.
    - Boxes outside the picture, or on frames that the video does not have, count as absent. A box on the frame just
      behind the last one, as data sets have it that count from 1, means the last one.
    - A phase without such boxes gives the raw frame at its start.

    The frame of a video that is cut short may lie behind its last good one: reading it then fails.
    """
    key = _key_frame(view, phase, info)
    return replace(key, gaze=_gaze_on(view, key.frame, info)) if with_gaze else key


def phase_frames(view: View, phase: Phase, info: VideoInfo, count: int) -> list[KeyFrame]:
    """Frames spread evenly over a phase: the middle ones of `count` equal parts, as the video models of section 3.3 are
    shown eight of each stage.

    On each frame a road user has the box of the phase that is nearest in time, if within `MAX_SHIFT_S`. A phase with
    fewer frames gives each of them once, which may be a single one.
    """
    length_s = max(phase.end_s - phase.start_s, 0.0)
    times = [min(phase.start_s + length_s * (n + 0.5) / count, info.duration_s) for n in range(count)]
    boxes = {role: _of_phase(found, phase, info) for role, found in view.boxes.items()}
    frames = []
    for frame in dict.fromkeys(frame_at(view.video, time_s) for time_s in times):
        nearest = {role: min(found, key=lambda each: abs(each[0] - frame)) for role, found in boxes.items() if found}
        shown = {
            role: xywh for role, (number, xywh) in nearest.items() if abs(number - frame) <= MAX_SHIFT_S * info.fps
        }
        frames.append(KeyFrame(frame, shown))
    return frames


def _of_phase(boxes: Sequence[Box], phase: Phase, info: VideoInfo) -> list[tuple[int, XYWH]]:
    return [(frame, box.xywh) for frame, box in _usable(boxes, info) if box.phase == phase.number]


def _key_frame(view: View, phase: Phase, info: VideoInfo) -> KeyFrame:
    usable = {role: _usable(boxes, info) for role, boxes in view.boxes.items()}
    of_phase = {
        role: [(frame, box.xywh) for frame, box in boxes if box.phase == phase.number] for role, boxes in usable.items()
    }
    pedestrian, vehicle = of_phase.get("pedestrian", []), of_phase.get("vehicle", [])
    if pedestrian:
        frame, xywh = pedestrian[0]
        on_frame = [box.xywh for number, box in usable.get("vehicle", []) if number == frame]
        nearest = min(vehicle, key=lambda entry: abs(entry[0] - frame), default=None)
        if on_frame:
            return KeyFrame(frame, {"pedestrian": xywh, "vehicle": on_frame[0]})
        if nearest is None:
            return KeyFrame(frame, {"pedestrian": xywh})
        shift_s = abs(nearest[0] - frame) / info.fps
        if shift_s <= MAX_SHIFT_S:
            return KeyFrame(frame, {"pedestrian": xywh, "vehicle": nearest[1]})
        why = f"boxed {shift_s:.2f} s from the pedestrian's frame, more than {MAX_SHIFT_S:g} s"
        return KeyFrame(frame, {"pedestrian": xywh}, left_out=(("vehicle", why),))
    if vehicle:
        return KeyFrame(vehicle[0][0], {"vehicle": vehicle[0][1]})
    return _raw(view, phase, info)


def _gaze_on(view: View, frame: int, info: VideoInfo) -> Gaze | None:
    """Where the pedestrian looks on a frame of a view; None where that is not annotated."""
    return next((gaze for gaze in view.gaze if frame_index(gaze.image_id, info.fps) == frame), None)


def _usable(boxes: Sequence[Box], info: VideoInfo) -> list[tuple[int, Box]]:
    found = []
    for box in boxes:
        frame = frame_index(box.image_id, info.fps)
        if info.complete and frame == info.frames:
            frame -= 1
        if (0 <= frame < info.frames or not info.complete) and in_frame(box.xywh, info.width, info.height):
            found.append((frame, box))
    return found


def _raw(view: View, phase: Phase, info: VideoInfo) -> KeyFrame:
    boxed = any(box.phase == phase.number for boxes in view.boxes.values() for box in boxes)
    why = "its boxes lie outside the video" if boxed else "no boxes"
    note = f"{why}: raw frame at the start of the phase"
    if phase.start_s >= info.duration_s:
        if not info.complete:
            return KeyFrame(info.frames, note=note)
        note = f"{why}, and it starts after the end of the video: last frame"
    return KeyFrame(frame_at(view.video, phase.start_s), note=note)
