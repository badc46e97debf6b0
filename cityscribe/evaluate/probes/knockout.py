"""Which way does an answer take through the decoder? Attention is cut, a few layers at a time, and the right option
becomes less likely where the way led through them.

Zhang et al. 2024 (arXiv 2411.18620) cut the ways from the image to the question, from the question to the last
position, and from the image to the last position. Here each is cut in windows of a quarter of the layers; the lines are
the probability of the right option among the options that is lost. Cut off everywhere, for all positions and in all
layers, an image can tell nothing: where that costs nothing, answers are not read from images, and the probe fails.

Asked is the question with its images in a turn of its own. A decoder whose layers are given no mask cannot be looked
into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cityscribe.engine.members import Setup
from cityscribe.engine.request import Request
from cityscribe.evaluate.probes.probe import (
    TOLERANCE,
    ProbedAnswers,
    ProbeResult,
    difference,
    judged_gains,
    share,
)
from cityscribe.files import InputError
from cityscribe.letters import LETTERS
from cityscribe.models.parts import decoder_layers
from cityscribe.records import image_block, message, text_block

if TYPE_CHECKING:
    from cityscribe.engine.local import LocalEngine
    from cityscribe.tokens.encode import Encoded

MOST = 24
"""Questions that are looked into."""

WAYS = ("image to question", "question to answer", "image to answer")
EVERYWHERE = "image to all"


@dataclass(frozen=True, slots=True)
class Cut:
    """A way that is closed: in these layers the rows do not attend to the columns."""

    layers: range
    rows: np.ndarray  # positions that look, bool [length]
    columns: np.ndarray  # positions that are looked at, bool [length]


class Knockout:
    """The member `knockout`."""

    def look(self, asked: Sequence[ProbedAnswers], checkpoint: Path | str, setup: Setup, seed: int) -> ProbeResult:
        from cityscribe.engine.local import load

        engine = load(checkpoint, setup)
        count = len(decoder_layers(engine.model))
        known = [each for each in asked if each.question.images and each.question.options][:MOST]
        prompts = [(each, prompt) for each in known if (prompt := read_prompt(engine, each)) is not None]
        if not prompts:
            raise InputError(f"{checkpoint}: no question can be shown to its decoder")
        kept = [each for each, _ in prompts]
        whole = [right_probability(engine, prompt, each, None) for each, prompt in prompts]

        def left(way: str, layers: range) -> list[float]:
            return [right_probability(engine, prompt, each, _cut(way, prompt, layers)) for each, prompt in prompts]

        lines = [share("probability of the right option", kept, whole, seed)]
        for way in WAYS:
            for window in windows(count):
                name = f"lost: {way}, layers {window.start + 1} to {window.stop}"
                lines.append(difference(name, kept, whole, left(way, window), seed))
        without = left(EVERYWHERE, range(count))
        lost = difference("lost: image to all, all layers", kept, whole, without, seed)
        fault = share("probability that is left without the image", kept, without, seed)
        finding, why = judged_gains((lost,), ": answers are not read from images")
        peak = max(lines[1:], key=lambda line: line.value)
        why += f"; most by {peak.name.removeprefix('lost: ')}, {100 * peak.value:.1f} points"
        examples = [e.question.key for e, a, b in zip(kept, whole, without, strict=True) if a - b <= TOLERANCE]
        return ProbeResult(finding, why, (*lines, lost, fault), tuple(examples), fault, tuple(without))


def windows(count: int) -> list[range]:
    """Quarters of so many layers."""
    size = max(1, round(count / 4))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def read_prompt(engine: LocalEngine, each: ProbedAnswers) -> Encoded | None:
    """The tokens of a question with its images; None where the model cannot be shown them."""
    from cityscribe.tokens.encode import Encoded

    images = each.question.images
    asks = message("user", *[image_block() for _ in images], text_block(each.question.text))
    (found,) = engine.read([Request((asks,), images)])
    return found if isinstance(found, Encoded) else None


def _cut(way: str, prompt: Encoded, layers: range) -> Cut:
    image = prompt.media_ids >= 0
    last = np.arange(len(image)) == len(image) - 1
    question = ~image & ~last & (np.arange(len(image)) > np.flatnonzero(image).max(initial=-1))
    rows, columns = {
        "image to question": (question, image),
        "question to answer": (last, question),
        "image to answer": (last, image),
        EVERYWHERE: (~image, image),
    }[way]
    return Cut(layers, rows, columns)


@torch.inference_mode()
def right_probability(engine: LocalEngine, prompt: Encoded, each: ProbedAnswers, cut: Cut | None) -> float:
    """The probability of the letter of the right option among the letters of all options."""
    logits = letter_logits(engine, prompt, len(each.question.options), cut)
    return float(logits.softmax(dim=0)[each.question.right])


@torch.inference_mode()
def letter_logits(engine: LocalEngine, prompt: Encoded, count: int, cut: Cut | None) -> Tensor:
    """The logits of the first letters as the first token of the answer, [count]."""
    from cityscribe.engine.prefix import media_inputs_of, token_inputs_of

    model, tokenizer = engine.model, engine.processor.tokenizer
    ids = [tokenizer(letter, add_special_tokens=False)["input_ids"][-1] for letter in LETTERS[:count]]
    tokens = torch.from_numpy(prompt.input_ids[None].astype(np.int64)).to(model.device)
    with closed(model, cut):
        logits = model(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            use_cache=False,
            logits_to_keep=1,
            **media_inputs_of(model, prompt),
            **token_inputs_of(model, prompt),
        ).logits
    found: Tensor = logits[0, -1, ids].float()
    return found


@contextmanager
def closed(model: Any, cut: Cut | None) -> Iterator[None]:
    """Within it the layers of a cut are given a mask that closes its way."""
    hooks = []
    if cut is not None:
        rows, columns = (torch.from_numpy(np.flatnonzero(each)) for each in (cut.rows, cut.columns))

        def close(module: object, args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[Any, ...], Any]:
            states = args[0] if args else kwargs["hidden_states"]
            mask = _as_bias(kwargs.get("attention_mask"), states)
            mask[:, :, rows[:, None], columns] = torch.finfo(states.dtype).min
            return args, {**kwargs, "attention_mask": mask}

        layers = decoder_layers(model)
        hooks = [layers[n].register_forward_pre_hook(close, with_kwargs=True) for n in cut.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _as_bias(mask: Tensor | None, states: Tensor) -> Tensor:
    """A mask as what is added to the scores of attention, [batch, 1, length, length]; without one each position sees
    those before it. Raises InputError for one of another shape."""
    batch, length = states.shape[:2]
    lowest = torch.finfo(states.dtype).min
    if mask is None:
        seen = torch.ones(length, length, dtype=torch.bool, device=states.device).tril()[None, None]
    elif mask.ndim == 4 and mask.dtype == torch.bool:
        seen = mask
    elif mask.ndim == 4:
        return mask.to(states.dtype).expand(batch, -1, -1, -1).clone()
    else:
        raise InputError("the layers of this decoder are given a mask that cannot be cut")
    return torch.zeros(seen.shape, dtype=states.dtype, device=states.device).masked_fill(~seen, lowest).clone()


KNOCKOUT = Knockout()
