"""Where frames, subtitles and the question stand in one sequence of tokens, before a single frame is read.

Each frame is what its model makes of an image; a subtitle stands behind the last frame before it ends, as LLaMA-VID
places it. How many frames fit is known beforehand: a video that is too long for a rate is seen at a lower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cityscribe.files import InputError
from cityscribe.media.subtitles import Cue, words_by_frame
from cityscribe.models.vlm.guides import CONTENT, CONTEXT, WHOLE, arrange


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One sequence of tokens, and the places in it that frames take."""

    input_ids: np.ndarray  # [tokens]
    frames: np.ndarray  # [places], the number of the frame at each
    parts: np.ndarray  # [places], what of it stands there (`guides`)
    starts: np.ndarray  # [places], of its tokens
    ends: np.ndarray  # [places]
    guide: str  # the text that context tokens read

    @property
    def tokens(self) -> int:
        return len(self.input_ids)


def lay_out(processor: Any, question: str, times_s: Sequence[float], cues: Sequence[Cue]) -> Layout:
    """The sequence of a question about frames at these times, in the template and the order of a model from parts."""
    mark = processor.image_token
    spoken = words_by_frame(cues, times_s) if cues else [""] * len(times_s)
    blocks: list[Any] = []
    image = {"type": "image"}  # one for all: there may be tens of thousands
    for words in spoken:
        blocks.append(image)
        if words:
            blocks.append({"type": "text", "text": words.replace(mark, "")})
    asked = question.replace(mark, "")
    messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": asked}]}]
    order = processor.order if processor.reads_text else "interleaved"
    arranged = arrange(messages, "bare-question", order)
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    counts = [processor.tokens_of(part) for part in arranged.parts]
    pieces = text.split(mark)
    if len(pieces) != len(counts) + 1:
        raise InputError(f"its chat template writes {len(pieces) - 1} images where {len(counts)} are shown")
    written = "".join(piece + mark * count for piece, count in zip(pieces, [*counts, 0], strict=True))
    bos = processor.tokenizer.bos_token
    begun = bos is not None and written.startswith(bos)
    input_ids = np.array(processor.tokenizer(written, add_special_tokens=not begun)["input_ids"])
    places = np.flatnonzero(input_ids == processor.image_token_id)
    ends = np.cumsum(counts)
    starts = places[ends - counts]
    numbers = np.arange(len(times_s))
    frames = numbers if order == "interleaved" else np.concatenate([numbers, numbers])
    return Layout(input_ids, frames, np.array(arranged.parts), starts, starts + np.array(counts), asked)


def tokens_of_frame(processor: Any) -> int:
    """How many tokens a frame takes, all of them together."""
    if not processor.reads_text or processor.order == "interleaved":
        return int(processor.tokens_of(WHOLE))
    return int(processor.tokens_of(CONTENT) + processor.tokens_of(CONTEXT))


def fitting_rate(duration_s: float, fps: float, frames: int) -> float:
    """The rate, at most `fps`, at which no more than so many frames are seen. Raises InputError where not one is."""
    if frames < 1:
        raise InputError("not one frame fits beside question, subtitles and answer")
    return min(fps, frames / max(duration_s, 1e-9))
