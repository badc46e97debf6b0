"""An answer about a video as a page: the answer, the interval that it rests on, and where the model looked over time.

One file, without a script; the video stays where it is, and the player begins at the interval. All that is shown is
untrusted text and is escaped.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from cityscribe.ask.question import AnswerOfVideo
from cityscribe.files import write_text
from cityscribe.media.clips import read_clip
from cityscribe.media.images import jpeg_url
from cityscribe.records import Video

FRAMES = 3
WIDTH, HEIGHT = 800, 90
"""Of the curve of attention, in units of the drawing."""


def write_page(path: Path, video: Path, question: str, found: AnswerOfVideo) -> None:
    """Write the page of an answer. Raises InputError where the frames of the interval cannot be read."""
    begins, ends = found.stretch_s
    length_s = max(ends - begins, 1e-9)
    left, right = (WIDTH * (second - begins) / length_s for second in (found.interval.start_s, found.interval.end_s))
    most = max(found.attention, default=0.0) or 1.0
    steps = max(len(found.attention), 1)
    points = [
        f"{WIDTH * (place + 0.5) / steps:.1f},{HEIGHT * (1 - 0.95 * value / most):.1f}"
        for place, value in enumerate(found.attention)
    ]
    shown = Video(str(video), start_s=found.interval.start_s, end_s=found.interval.end_s, frames=FRAMES)
    clip = read_clip(video, shown)
    template = Environment(autoescape=True).from_string(
        (resources.files("cityscribe.ask") / "answer.html.jinja").read_text("utf-8")
    )
    page = template.render(
        question=question,
        answer=found.text,
        name=video.name,
        source=quote(Path(os.path.relpath(video.resolve(), path.resolve().parent)).as_posix()),
        fragment=found.interval.fragment(),
        start=_clock(found.interval.start_s),
        end=_clock(found.interval.end_s),
        share=found.interval.share,
        first=_clock(begins),
        last=_clock(ends),
        width=WIDTH,
        height=HEIGHT,
        left=round(left, 1),
        right=round(max(right, left + 2), 1),
        named=round(min(max((left + right) / 2, 60), WIDTH - 60), 1),
        points=" ".join(points),
        frames=[(jpeg_url(frame), _clock(time_s)) for frame, time_s in zip(clip.frames, clip.times_s, strict=True)],
        seen=found.frames,
        fps=found.fps,
        tokens=found.tokens,
        notes=found.notes,
    )
    write_text(path, page)


def _clock(seconds: float) -> str:
    """Hours where there are some, minutes, and seconds to a tenth."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
