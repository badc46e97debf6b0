"""How the videos of conversations are shown: what an entry says itself, and the frames or the video block it becomes.

An entry may say in place of a file `{"path": "a.mp4", "start": 2, "end": 9, "fps": 2, "max_pixels": 200000}`, and a
block of content the same beside its file; names of Qwen's examples (`video_start`, `nframes`, `total_pixels`) are known
too, and `"times": false`. While a data set is read, such a video is the reference `a.mp4#video={...}`, which stands
among the images of a sample. In the end it is a video block where `data.video` says so, else images:
`a.mp4#t=3.5`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cityscribe.files import InputError
from cityscribe.media.clips import clip_times
from cityscribe.media.video import VideoError, probe
from cityscribe.records import MessageBlock, Sample, SampleMessage, Video, media_blocks, video_block
from cityscribe.sources.settings import VideoDefaults
from cityscribe.values import finite, shown

AS_VIDEO = -1
"""In the place of a number of frames: a video stays a video."""

MARK = "#video="

SHORTEST_S = 1e-3
"""Of a stretch: annotations name moments as well."""

KEYS = {
    "start": "start_s",
    "video_start": "start_s",
    "end": "end_s",
    "video_end": "end_s",
    "fps": "fps",
    "frames": "frames",
    "nframes": "frames",
    "num_frames": "frames",
    "max_frames": "max_frames",
    "max_pixels": "max_pixels",
    "max_total_pixels": "max_total_pixels",
    "total_pixels": "max_total_pixels",
    "grid": "grid",
}
"""What formats call the fields of `Video`."""

WHOLE = ("frames", "max_frames", "max_pixels", "max_total_pixels", "grid")

Shown = dict[str, float]
"""Fields of `Video` that say how one is shown."""


def shown_as(said: Mapping[str, Any], error: Callable[[str, str], None]) -> Shown | None:
    """How an entry wants its video shown, by the names of KEYS in it; None, each error noted with its key, where it
    cannot be."""
    found: Shown = {}
    wrong = False
    for key, field in KEYS.items():
        if said.get(key) is None:
            continue
        number = finite(said[key])
        least = 0 if field == "start_s" else 1e-9
        if number is None or number < least or (field in WHOLE and number % 1):
            kind = "a whole number above 0" if field in WHOLE else "a number of seconds" if "_s" in field else "a rate"
            error(key, f"is {shown(said[key])}, expected {kind}")
            wrong = True
        else:
            found[field] = int(number) if field in WHOLE else number
    if isinstance(said.get("times"), bool):
        found["times"] = said["times"]
    if found.keys() >= {"fps", "frames"}:
        error("fps", "stands beside a number of frames; give one of them")
        wrong = True
    if found.get("end_s", float("inf")) <= found.get("start_s", 0.0):
        error("end", f"is {found['end_s']:g} s, not behind the start at {found.get('start_s', 0.0):g} s")
        wrong = True
    return None if wrong else found


def reference_of(file: str, how: Shown) -> str:
    """A video among the images of a sample."""
    return f"{file}{MARK}{json.dumps(how, sort_keys=True)}" if how else file


def referenced(reference: str) -> tuple[str, Shown]:
    """The file of a reference, and how it is shown."""
    file, _, how = reference.partition(MARK)
    return file, json.loads(how) if how else {}


def frames_of(video: str, frames: int, start_s: float | None = None, end_s: float | None = None) -> list[str]:
    """References to frames of a video, evenly spread over a span of it in seconds, or over all of it; to the video
    itself where `frames` is AS_VIDEO."""
    if frames == AS_VIDEO:
        file, how = referenced(video)
        if start_s is not None and end_s is not None:
            how = {**how, "start_s": start_s, "end_s": max(end_s, start_s + SHORTEST_S)}
        return [f"{file}{MARK}{json.dumps(how, sort_keys=True)}"]
    shares = [(2 * number + 1) / (2 * frames) for number in range(frames)]
    if start_s is None or end_s is None:
        return [f"{video}#t={100 * share:.6g}%" for share in shares]
    return [f"{video}#t={start_s + share * (end_s - start_s):.3f}" for share in shares]


def boxed_frame(video: str, image_id: int, boxes: Mapping[str, Sequence[float]]) -> str:
    """A reference to the frame of an annotation, with the boxes to draw on it by role: x, y, width, height, pixels."""
    drawn = "".join(f"&{role}={','.join(f'{number:g}' for number in xywh)}" for role, xywh in boxes.items())
    return f"{video}#image_id={image_id}{drawn}"


def shown_frames(root: Path, reference: str, frames: int) -> list[str]:
    """References to what shows a video that an entry names. Raises VideoError for one that cannot be opened, where the
    entry itself says which frames it wants."""
    file, how = referenced(reference)
    if frames == AS_VIDEO or not how:
        return frames_of(reference, frames)
    video = Video(str(root / file), **_with_frames(how, frames))  # type: ignore[arg-type]
    return [f"{file}#t={time_s:.3f}" for time_s in clip_times(video, probe(root / file).duration_s)]


def _with_frames(how: Shown, frames: int) -> Shown:
    return how if how.keys() & {"fps", "frames"} else {**how, "frames": frames}


def with_video_blocks(samples: Sequence[Sample], defaults: VideoDefaults) -> Iterator[Sample]:
    """Samples whose references to videos are video blocks, shown as they say themselves or else by the defaults."""
    for sample in samples:
        if not any(MARK in image for image in sample.images):
            yield sample
            continue
        left = iter(sample.images)
        images: list[str] = []
        messages: list[SampleMessage] = []
        for message in sample.messages:
            content: list[MessageBlock] = []
            for block in message["content"]:
                reference = next(left) if block["type"] == "image" else ""
                if MARK in reference:
                    content.append(video_block(_video(reference, defaults)))
                    continue
                content.append(block)
                images += [reference] if reference else []
            messages.append({**message, "content": content})
        yield replace(sample, messages=tuple(messages), images=tuple(images))


def _video(reference: str, defaults: VideoDefaults) -> Video:
    file, how = referenced(reference)
    own: dict[str, Any] = {name: value for name, value in defaults.model_dump().items() if value is not None}
    if how.keys() & {"fps", "frames"}:
        own = {name: value for name, value in own.items() if name not in ("fps", "frames")}
    return Video(file, **{**own, **how})


def videos_to_write(sample: Sample) -> list[dict[str, object]]:
    """The videos of a sample as an entry names them: the file as `path`, and how it is shown."""
    return [
        {"path": block["video"], **{name: value for name, value in block.items() if name not in ("type", "video")}}
        for block in media_blocks(sample.messages)
        if block["type"] == "video"
    ]


def problems_of(video: Video, path: Path) -> tuple[str, str]:
    """Why a video block cannot be shown, and what somebody should know of it; each empty where there is nothing."""
    try:
        info = probe(path)
        clip_times(video, info.duration_s)
    except (VideoError, InputError) as error:
        return str(error), ""
    notes = list(info.what_is_lost())
    if video.fps is not None and video.fps > info.fps * 1.001:
        notes.append(f"{video.fps:g} frames a second are asked for, and it has {info.fps:g}; some come twice")
    if video.end_s is not None and video.end_s > info.duration_s + 1 / info.fps:
        notes.append(f"ends at {info.duration_s:g} s, before the {video.end_s:g} s asked for")
    return "", "; ".join(notes)
