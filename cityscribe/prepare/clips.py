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
                if self._found[video][0]:
                    return self._found[video][0]
        return ""

    def notes(self) -> Iterator[Problem]:
        """A warning for each video that is shown otherwise than it was meant."""
        for file, note in dict.fromkeys((video.file, note) for video, (_, note) in self._found.items() if note):
            yield Problem("warning", file, "", note)
