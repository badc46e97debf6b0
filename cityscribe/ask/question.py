"""A question about a video, from its file to an answer with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from cityscribe.ask.interval import Stretch, interval_of, shares_of
from cityscribe.ask.layout import Layout, fitting_rate, lay_out, tokens_of_frame
from cityscribe.ask.stream import Stream
from cityscribe.files import InputError
from cityscribe.media.stream import announced_length_s, stream_frames
from cityscribe.media.subtitles import Cue, read_subtitles
from cityscribe.media.video import probe
from cityscribe.models.inputs import joins_frames
from cityscribe.models.vlm.model import Vlm
from cityscribe.progress import Progress, silent

PARTS = 200
"""Of the stretch that was looked at, whose attention an answer tells."""


@dataclass(frozen=True, slots=True)
class Looking:
    """How a video is looked at."""

    fps: float = 1.0  # at most: a video that would take more tokens than there are is seen at a lower rate
    start_s: float = 0.0
    end_s: float | None = None  # None: to the end of the file
    subtitles: Path | None = None
    encoding: str | None = None  # of the subtitles
    max_tokens: int | None = None  # of the whole sequence; None: as many as the decoder has positions
    max_new_tokens: int = 128
    block: int = 64  # frames that are in memory at once


@dataclass(frozen=True, slots=True)
class AnswerOfVideo:
    """What a model says of a video."""

    text: str
    interval: Stretch
    frames: int  # that were seen
    fps: float  # at which they were seen
    tokens: int  # of the prompt
    notes: tuple[str, ...] = field(default=())  # what was left out, and why
    stretch_s: tuple[float, float] = (0.0, 0.0)  # that was looked at
    attention: tuple[float, ...] = ()  # on the frames of each of at most `PARTS` equal parts of it, shares of all


def ask(
    model: PreTrainedModel,
    processor: Any,
    video: Path,
    question: str,
    options: Looking,
    progress: Progress = silent,
) -> AnswerOfVideo:
    """Answer a question about a video, which is read once from its start in blocks of frames.

    `model` is one from parts. Frames that cannot be decoded are left out and said. Raises InputError for a model of
    another kind, a video of which not one frame can be read, subtitles that cannot be read, and a question for which
    there is no room.
    """
    if not isinstance(model, Vlm):
        raise InputError(
            f"{type(model).__name__}: frames are streamed through models from parts (`cityscribe model build`, `model "
            "convert`); others take a video as a whole: `cityscribe describe`"
        )
    if joins_frames(processor):
        raise InputError(
            "the connector of this model makes its tokens of all frames of a video together, so that they cannot be "
            "streamed; ask by `cityscribe predict` or the service"
        )
    notes: list[str] = []
    end_s = _end_s(video, options)
    cues = _cues(options, notes)
    room = options.max_tokens or int(model.config.get_text_config().max_position_embeddings)
    fps, layout, times_s = _planned(processor, question, cues, options, end_s, room)
    if fps < options.fps * (1 - 1e-9):
        wanted = math.ceil((end_s - options.start_s) * options.fps)
        notes.append(
            f"{video}: {wanted:,} frames at {options.fps:g} fps are more than fit into {room:,} tokens; seen at "
            f"{fps:.3g} fps"
        )
    stream = Stream(model, processor, layout)
    seen = 0
    for block in stream_frames(video, fps=fps, start_s=options.start_s, end_s=options.end_s, block=options.block):
        if block.problem:
            notes.append(block.problem)
        shown = [
            (round((time_s - options.start_s) * fps), frame)
            for time_s, frame in zip(block.times_s, block.frames, strict=True)
        ]
        shown = [(number, frame) for number, frame in shown if number < len(times_s)]
        if shown:
            numbers, frames = zip(*shown, strict=True)
            stream.show(numbers, frames)
            seen += len(frames)
            progress(min(numbers[-1] + 1, len(times_s)), len(times_s))
    token_ids, weights = stream.answer(options.max_new_tokens)
    text = processor.tokenizer.decode(token_ids, skip_special_tokens=True).strip()
    interval = interval_of(weights.tolist(), times_s, min(times_s[-1] + 1 / fps, end_s))
    stretch_s = times_s[0], min(times_s[-1] + 1 / fps, end_s)
    return AnswerOfVideo(
        text, interval, seen, fps, stream.count, tuple(notes), stretch_s, shares_of(weights.tolist(), PARTS)
    )


def _end_s(video: Path, options: Looking) -> float:
    """Where the stretch ends, by what the file announces; a file that does not say is listed."""
    announced = announced_length_s(video)
    length_s = probe(video).duration_s if announced is None else announced
    if options.start_s >= length_s:
        raise InputError(f"{video}: begins at {options.start_s:g} s, and the video ends at {length_s:g} s")
    return length_s if options.end_s is None else min(options.end_s, length_s)


def _cues(options: Looking, notes: list[str]) -> Sequence[Cue]:
    if options.subtitles is None:
        return ()
    found = read_subtitles(options.subtitles, encoding=options.encoding)
    notes.extend(str(problem) for problem in found.problems)
    shown = [cue for cue in found.cues if cue.end_s >= options.start_s]
    return shown if options.end_s is None else [cue for cue in shown if cue.start_s < options.end_s]


def _planned(
    processor: Any, question: str, cues: Sequence[Cue], options: Looking, end_s: float, room: int
) -> tuple[float, Layout, list[float]]:
    """The rate at which the frames fit, the sequence, and the times of the frames."""
    alone = lay_out(processor, question, [options.start_s], cues).tokens - tokens_of_frame(processor)
    left = room - alone - options.max_new_tokens
    length_s = end_s - options.start_s
    fps = fitting_rate(length_s, options.fps, left // tokens_of_frame(processor))
    count = max(math.floor(length_s * fps + 1e-6) if fps < options.fps else math.ceil(length_s * fps - 1e-6), 1)
    times_s = [options.start_s + n / fps for n in range(count)]
    layout = lay_out(processor, question, times_s, cues)
    if layout.tokens + options.max_new_tokens > room:  # subtitles in pieces between frames take more tokens than in one
        left -= layout.tokens + options.max_new_tokens - room
        fps = fitting_rate(length_s, options.fps, left // tokens_of_frame(processor))
        times_s = [options.start_s + n / fps for n in range(max(math.floor(length_s * fps + 1e-6), 1))]
        layout = lay_out(processor, question, times_s, cues)
    return fps, layout, times_s
