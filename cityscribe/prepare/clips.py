"""The video blocks of samples: whether they can be shown, and what somebody should know of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cityscribe.records import Problem, Sample, Video, media_blocks, video_of
from cityscribe.sources.video_blocks import problems_of


class CheckedClips:
    """Video blocks whose files lie under a folder, each looked at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[Video, tuple[str, str]] = {}  # `problems_of` each
        self._shown_by: dict[Video, str] = {}  # the first sample that shows it

    def why_not(self, sample: Sample, *, covers: bool = False) -> str:
        """Why a video block of a sample cannot be shown; empty where all can. `covers` where faces or plates are to be
        covered (`prepare.redact`): a video block shows the footage as it is."""
        for block in media_blocks(sample.messages):
            if block["type"] == "video":
                if covers:
                    return "prepare.redact covers images, and this is a video: leave out data.video.fps and frames"
                video = video_of(block)
                if video not in self._found:
                    self._found[video] = problems_of(video, self._root / video.file)
                    self._shown_by[video] = sample.meta.question or sample.meta.scenario or sample.group
                if self._found[video][0]:
                    return self._found[video][0]
        return ""

    def notes(self) -> Iterator[Problem]:
        """A warning for each video that is shown otherwise than it was meant, with the first sample that shows it."""
        first: dict[tuple[str, str], str] = {}
        for video, (_, note) in self._found.items():
            if note:
                first.setdefault((video.file, note), self._shown_by[video])
        for (file, note), name in first.items():
            yield Problem("warning", file, name, note)
