"""Clips as the video processor of a model takes them: their frames as one array, with the time of each.

No frame is left out or added: which ones a clip has was decided when it was read (`cityscribe.media.clips`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from transformers import BatchFeature
from transformers.video_utils import VideoMetadata

from cityscribe.media.clips import Clip
from cityscribe.tokens.preprocess import PreprocessOnce


class ClipProcessor:
    """Stands in for a processor's video processor: takes the arrays that `show` gave, and preprocesses each clip once.

    Times are told as frame numbers at a rate of one a second, so that processors write out the times of the clip and
    not those of a frame rate that the file does not keep.
    """

    def __init__(self, video_processor: Any) -> None:
        self.once = PreprocessOnce(video_processor)
        self._pixels: WeakKeyDictionary[Clip, np.ndarray] = WeakKeyDictionary()
        self._clips: dict[int, Clip] = {}  # by id of an array that is shown now

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["once"], name)

    def show(self, clips: Sequence[Clip]) -> list[np.ndarray]:
        """The frames of the clips of the next conversation, uint8 [frames, height, width, 3] each; for the same clip
        the same array."""
        shown = []
        for clip in clips:
            if clip not in self._pixels:
                self._pixels[clip] = np.stack([np.asarray(frame) for frame in clip.frames])
            shown.append(self._pixels[clip])
        self._clips = {id(array): clip for array, clip in zip(shown, clips, strict=True)}
        return shown

    def __call__(self, videos: Any, **kwargs: Any) -> BatchFeature:
        arrays = list(_arrays(videos))
        sampling = ("num_frames", "fps", "do_sample_frames", "video_metadata", "return_metadata")
        features = self.once(arrays, **{n: v for n, v in kwargs.items() if n not in sampling}, do_sample_frames=False)
        features["video_metadata"] = [_metadata(self._clips[id(array)]) for array in arrays]
        return features


def _metadata(clip: Clip) -> VideoMetadata:
    """What processors compute times and rates from; made anew, since some of them write into it."""
    height, width = clip.frames[0].height, clip.frames[0].width
    return VideoMetadata(
        total_num_frames=len(clip.frames) / clip.fps,  # type: ignore[arg-type]  # seconds, at one frame a second
        fps=1.0,
        width=width,
        height=height,
        duration=clip.length_s,
        frames_indices=list(clip.times_s),  # type: ignore[arg-type]
    )


def _arrays(videos: Any) -> Iterator[np.ndarray]:
    if isinstance(videos, list | tuple):
        for video in videos:
            yield from _arrays(video)
    else:
        yield videos
