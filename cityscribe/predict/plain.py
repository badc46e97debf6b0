"""Which models can decode on shared prefixes, and plain `generate` for those that cannot.

What is known about a family stands in `reason_against`; whether a model really computes the same is checked on its
first prompt, because a mask or a position that is not understood is wrong without a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel

from cityscribe.models.attention import decoder_attention
from cityscribe.models.inputs import WHOLE_IMAGES
from cityscribe.predict.attention import NAME, SharedCache
from cityscribe.predict.decode import Talk, feed, image_inputs_of, positions_from, prefill, token_inputs_of
from cityscribe.predict.prompts import Prompt

PROCESSED = (
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "bad_words_ids",
    "min_length",
    "min_new_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
    "sequence_bias",
    "guidance_scale",
    "watermarking_config",
)
"""Generation settings of a checkpoint that change greedy answers and that only `generate` knows."""


def reason_against(model: PreTrainedModel) -> str:
    """Why a model cannot decode on shared prefixes, by what its configuration says; empty where it can."""
    text = model.config.get_text_config().to_dict()
    kinds = set(text.get("layer_types") or ["sliding_attention" if text.get("sliding_window") else "full_attention"])
    strange = sorted(kinds - {"full_attention"})
    if strange:
        return f"its decoder has layers of {', '.join(strange)}"
    if model.config.model_type in WHOLE_IMAGES:
        return "its image tokens see each other in both directions"
    given = model.generation_config.to_dict()
    processed = [name for name in PROCESSED if given.get(name)]
    if processed:
        return f"its generation settings have {', '.join(processed)}"
    try:
        with decoder_attention(model, NAME):
            pass
    except ValueError as error:
        return f"its attention cannot be shared: {error}"
    return ""


@torch.inference_mode()
def difference(model: PreTrainedModel, prompt: Prompt) -> float:
    """How far the last two logits of a prompt, computed as two rows on a shared prefix, are from those of `forward`.

    As a share of the largest logit; 0 where `forward` gives no finite numbers to compare with. Raises what the model
    raises when its `forward` does not take what it is given.
    """
    length = len(prompt.input_ids)
    positions = torch.from_numpy(prompt.position_ids).to(model.device)
    expected = model(
        input_ids=torch.from_numpy(prompt.input_ids[None]).to(model.device),
        position_ids=positions[:, None] if len(positions) > 1 else positions,
        use_cache=False,
        logits_to_keep=2,
        **image_inputs_of(model, prompt),
    ).logits[0]
    start = min(max(prompt.media_end, length // 2, 1), length - 2)
    if start < max(prompt.media_end, 1) or not expected.isfinite().all():
        return 0.0
    cache = SharedCache([prefill(model, prompt, start)], [0, 0])
    ids = prompt.input_ids.tolist()
    tokens = [ids[start:-1], ids[start:]]
    with decoder_attention(model, NAME):
        got = feed(model, cache, tokens, [positions_from(prompt, start, len(each)) for each in tokens], [1, 1])
    return float((got.float() - expected.float()).abs().max() / expected.float().abs().max())


def generate_one(
    model: PreTrainedModel,
    talk: Talk,
    *,
    ends: Sequence[int],
    pad: int,
    temperature: float,
    seed: int,
    top_p: float = 1.0,
    given_up: Callable[[], bool] = lambda: False,
) -> None:
    """Fill in what is said to one prompt, by `generate` alone. A checkpoint may bring settings for sampling of its own;
    `temperature` takes their place, 0 is greedy. An answer that is given up ends with the token that is due."""
    prompt = talk.prompt
    began = time.perf_counter()
    ids = torch.from_numpy(prompt.input_ids[None]).to(model.device)
    check = _Check(talk, ends, began, given_up)
    sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None, "num_beams": 1}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": top_p, "num_beams": 1}
    with torch.random.fork_rng(enabled=temperature > 0):
        if temperature > 0:
            torch.manual_seed(seed)
        said = cast(Any, model).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **image_inputs_of(model, prompt),
            **token_inputs_of(model, prompt),
            **sampling,
            max_new_tokens=talk.limit,
            pad_token_id=pad,
            eos_token_id=list(ends),
            logits_processor=LogitsProcessorList([check]),
        )
    tokens = said[0, ids.shape[1] :].tolist()
    until = next((n + 1 for n, token in enumerate(tokens) if token in ends), len(tokens))
    if check.stuck_at:
        until = check.stuck_at  # the end token behind it was not the model's
    talk.said, talk.bad, talk.steps = tokens[:until], talk.bad, until
    talk.seconds = time.perf_counter() - began


class _Check(LogitsProcessor):
    """Keeps to a talk's grammar, and ends an answer whose logits are infinite or not numbers: `argmax` would take any
    token. Notes when the first token is chosen."""

    def __init__(self, talk: Talk, ends: Sequence[int], began: float, given_up: Callable[[], bool]) -> None:
        self.talk, self.ends, self.began, self.given_up = talk, ends, began, given_up
        self.steps = 0
        self.stuck_at = 0  # how many tokens were said when the grammar could not be followed any more

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # [1, tokens], [1, vocabulary]
        talk = self.talk
        talk.first_s = talk.first_s or time.perf_counter() - self.began
        self.steps += 1
        # The comparison is false for NaN as well. Minus infinity is how tokens are forbidden.
        talk.bad |= not bool((scores < float("inf")).all())
        going = not talk.bad and not self.given_up()
        if going and talk.guide is None:
            return scores
        if going and talk.guide is not None:
            if self.steps > 1:
                talk.guide.take(int(input_ids[0, -1]))
            masked = talk.guide.mask(scores[0])
            if masked is not None:
                return masked[None]
            self.stuck_at = self.steps - 1
        ending = torch.full_like(scores, float("-inf"))
        ending[:, self.ends[0]] = 0.0
        return ending
