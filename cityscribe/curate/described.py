"""Pictures and what is known of them, for instruction data: captions and boxes of any source.

A scenario gives a picture a phase: the key frame that `prepare` would show, of the view that has boxes on it, with the
captions of the phase. Conversations give their pictures with what is answered about each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from cityscribe.curate.instructions import BoxShares, DescribedImage
from cityscribe.files import copy_file
from cityscribe.media.images import open_image
from cityscribe.media.video import VideoError, probe, read_frames
from cityscribe.prepare.keyframe import KeyFrame, key_frame
from cityscribe.prepare.pictures import write_jpeg
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import Sample, text_of
from cityscribe.traffic.scenario import Phase, Scenario, View


def described_scenarios(
    scenarios: Sequence[Scenario], out: Path, skipped: Counter[str], longest: int = 0
) -> Iterator[DescribedImage]:
    """A picture of each phase that has a caption, written into `out`, its longer side at most `longest` pixels (0: as
    it is). What is left out is counted by its reason."""
    for scenario in scenarios:
        for number in sorted({phase for phase, _ in scenario.captions()}):
            chosen = _shown(scenario, number, skipped)
            if chosen is None:
                continue
            view, key, frame = chosen
            name = f"{scenario.name}/{view.name}-{number}.jpg"
            write_jpeg(out / name, frame, PrepareSettings(image_size=longest))
            height, width = frame.shape[:2]
            captions = tuple(text for (phase, _), text in scenario.captions().items() if phase == number)
            boxes = tuple((role, _shares(xywh, width, height)) for role, xywh in key.boxes.items())
            yield DescribedImage(name, captions, boxes, scenario.split)


def described_samples(
    samples: Iterable[Sample], root: Path, out: Path, skipped: Counter[str]
) -> Iterator[DescribedImage]:
    """Each picture of conversations about one, copied into `out`, with what they say of it in the place of captions."""
    said: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for sample in samples:
        if len(sample.images) != 1:
            skipped["a conversation about no picture or several"] += 1
            continue
        (image,) = sample.images
        answers = [text_of(message) for message in sample.messages if message["role"] == "assistant"]
        said.setdefault(image, []).extend(answer for answer in answers if answer not in said.get(image, []))
        splits.setdefault(image, sample.meta.split)
    for image, captions in said.items():
        if not (root / image).is_file():
            skipped["a picture that is no file of its own; `cityscribe prepare` makes one"] += 1
            continue
        open_image(root / image)  # one that is torn is an error here, and not in a training
        copy_file(root / image, out / image)
        yield DescribedImage(image, tuple(captions), split=splits[image])


def _shown(scenario: Scenario, number: int, skipped: Counter[str]) -> tuple[View, KeyFrame, np.ndarray] | None:
    """The view of a phase with most road users boxed on its key frame, among equal ones the first, and that frame."""
    found: list[tuple[View, KeyFrame]] = []
    for view in scenario.views:
        phase = next((phase for phase in view.phases if phase.number == number), None)
        if phase is not None:
            found += _keyed(view, phase, skipped)
    for view, key in sorted(found, key=lambda each: -len(each[1].boxes)):
        try:
            return view, key, read_frames(view.video, [key.frame])[key.frame]
        except VideoError:
            skipped["a frame that cannot be read"] += 1
    return None


def _keyed(view: View, phase: Phase, skipped: Counter[str]) -> list[tuple[View, KeyFrame]]:
    try:
        return [(view, key_frame(view, phase, probe(view.video)))]
    except VideoError:
        skipped["a video that cannot be read"] += 1
        return []


def _shares(xywh: Sequence[float], width: int, height: int) -> BoxShares:
    """A box in pixels as shares of its picture, without what lies outside."""
    x, y, wide, high = xywh
    edges = (x / width, y / height, (x + wide) / width, (y + high) / height)
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
    return left, top, right, bottom
