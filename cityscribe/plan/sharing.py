"""What sharing would save of a data set: tokens of its samples one by one, and those that remain where samples that
show the same share it, for the published models whose sizes are known here.

Text is counted by its length and frames are taken for 1920x1080, so that nothing is opened and no model is needed; what
a training really shares stands in its report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedConfig

from cityscribe.plan.base import base_config, published
from cityscribe.plan.estimate import CHARACTERS, FRAME, SHORT_TOKENS
from cityscribe.plan.tokens import image_tokens, video_tokens
from cityscribe.records import Sample, Video, media_blocks, text_of, video_of
from cityscribe.traffic.scenario import Scenario

RATE_S = 10.0
"""Seconds of a video that nobody has opened."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """Samples that show the same."""

    samples: int
    images: int  # of each sample
    videos: tuple[int, ...]  # frames of each video of each sample
    text_tokens: float  # of all samples together


@dataclass(frozen=True, slots=True)
class Saving:
    """What sharing saves with one model."""

    base: str
    effective: int  # tokens of the samples one by one
    distinct: int  # tokens where images and videos are computed once a group

    @property
    def times(self) -> float:
        return self.effective / max(self.distinct, 1)


def sizes_of_samples(samples: Iterable[Sample]) -> list[GroupSize]:
    """The groups of a data set of conversations."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)
    return [
        GroupSize(
            samples=len(members),
            images=len(members[0].images),
            videos=tuple(
                frames_of_block(video_of(block))
                for block in media_blocks(members[0].messages)
                if block["type"] == "video"
            ),
            text_tokens=sum(len(text_of(entry)) for each in members for entry in each.messages) / CHARACTERS,
        )
        for members in groups.values()
    ]


def sizes_of_scenarios(scenarios: Iterable[Scenario], images: int, short: float) -> list[GroupSize]:
    """The groups that `prepare` makes of a data set of scenarios: a phase of a view with a long question a caption and
    `short` short ones for each."""
    return [
        GroupSize(
            samples=round(len(captions) * (1 + short)),
            images=images,
            videos=(),
            text_tokens=sum(len(text) for text in captions) / CHARACTERS
            + len(captions) * (2 + short) * sum(SHORT_TOKENS),
        )
        for scenario in scenarios
        for view in scenario.views
        for phase in view.phases
        if (captions := [text for text in phase.captions.values() if text.strip()])
    ]


def frames_of_block(video: Video) -> int:
    """How many frames a video block shows, by what it says."""
    if video.frames is not None:
        return video.frames
    assert video.fps is not None
    length_s = RATE_S if video.end_s is None else video.end_s - video.start_s
    count = max(math.ceil(length_s * video.fps - 1e-6), 1)
    return min(count, video.max_frames or count)


def savings(groups: Sequence[GroupSize]) -> list[Saving]:
    """For each published model; those of the same rule are one line each, by the first of their names."""
    found: dict[tuple[int, int], Saving] = {}
    for base in published():
        config = base_config(base)
        visual = [_visual_tokens(config, group) for group in groups]
        text = sum(group.text_tokens for group in groups)
        effective = round(text + sum(n * group.samples for n, group in zip(visual, groups, strict=True)))
        distinct = round(text + sum(visual))
        found.setdefault((effective, distinct), Saving(base, effective, distinct))
    return list(found.values())


def _visual_tokens(config: PreTrainedConfig, group: GroupSize) -> int:
    images = group.images * image_tokens(config, FRAME, alone=group.images == 1)
    return images + sum(video_tokens(config, frames, FRAME) for frames in group.videos)


def in_words(savings: Sequence[Saving]) -> list[str]:
    """A line a model, as `stats` prints them."""
    return [
        f"{saving.base}: {saving.effective:,} tokens one by one, {saving.distinct:,} shared: {saving.times:.1f} times"
        for saving in savings
    ]
