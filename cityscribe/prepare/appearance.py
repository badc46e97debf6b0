"""Where the pedestrian of a scenario is seen best, for what holds in all of its phases: age, build, clothes, what is
carried. A phase may show the person far away, from behind a car or not at all, and its caption tells all of it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cityscribe.media.video import VideoError, VideoInfo, probe
from cityscribe.prepare.geometry import XYWH
from cityscribe.prepare.keyframe import KeyFrame, key_frame
from cityscribe.traffic.scenario import View

APPEARANCE = "appearance"
"""The image of it among `prepare.images`."""


def best_appearances(views: Iterable[View]) -> list[tuple[View, KeyFrame]]:
    """The key frames that show the pedestrian, each with that box alone, the best first.

    `views` are those of one scenario, their boxes labelled with phases. A person whose box lies within the frame comes
    before one that its edge cuts, then the larger box (pixels squared). Views that cannot be opened are left out.
    """
    found = []
    for view in views:
        try:
            info = probe(view.video)
            keys = [(phase.number, key_frame(view, phase, info)) for phase in view.phases]
        except VideoError:
            continue  # whose view it is reports it
        for number, key in keys:
            if "pedestrian" in key.boxes:
                box = key.boxes["pedestrian"]
                rank = (_is_cut(box, info), -box[2] * box[3], view.name, number)
                found.append((rank, view, replace(key, boxes={"pedestrian": box})))
    return [(view, key) for _, view, key in sorted(found, key=lambda entry: entry[0])]


def _is_cut(box: XYWH, info: VideoInfo) -> bool:
    """Whether a box reaches the edge of the frame. Annotators leave a pixel."""
    x, y, width, height = box
    return x <= 1 or y <= 1 or x + width >= info.width - 1 or y + height >= info.height - 1
