"""Which models can decode on shared prefixes, and plain `generate` for those that cannot.

What is known about a family stands in `reason_against`; whether a model really computes the same is checked on its
first prompt, because a mask or a position that is not understood is wrong without a word.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel

from cityscribe.engine.attention import NAME
from cityscribe.engine.decode import Generation
from cityscribe.engine.failure import Failure, failure_of
from cityscribe.engine.prefix import feed, fork, media_inputs_of, positions_from, prefill, token_inputs_of
from cityscribe.models.attention import decoder_attention, reaches
from cityscribe.models.inputs import only_kept
from cityscribe.tokens.encode import Encoded

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
    try:
        reaches(model)
    except ValueError as error:
        return str(error)
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
def difference(model: PreTrainedModel, prompt: Encoded) -> float | None:
    """How far the last two logits of a prompt, computed as two rows on a shared prefix, are from those of `forward` on
    all that `generate` gives it.

    As a share of the largest logit; None where this prompt cannot tell: it is too short, or `forward` gives no finite
    numbers. Raises ValueError where the model cannot compute them as rows, and what it raises by itself.
    """
    length = len(prompt.input_ids)
    ids = torch.from_numpy(prompt.input_ids[None]).to(model.device)
    expected = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        use_cache=False,
        logits_to_keep=2,
        **token_inputs_of(model, prompt),
        **media_inputs_of(model, prompt),
    ).logits
    expected = only_kept(expected, 2)
    start = min(max(prompt.media_end, length // 2, 1), length - 2)
    if start < max(prompt.media_end, 1) or not expected.isfinite().all():
        return None
    try:
        found = _as_rows(model, prompt, start)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever foreign code makes of a cache that is not its own
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return float((found.float() - expected.float()).abs().max() / expected.float().abs().max())


def _as_rows(model: PreTrainedModel, prompt: Encoded, start: int) -> Tensor:
    """The last two logits of a prompt, [2, vocabulary], as two rows that continue its first `start` tokens."""
    ids = prompt.input_ids.tolist()
    tokens = [ids[start:-1], ids[start:]]
    cache = fork(model, [prefill(model, prompt, start)], [0, 0])
    with decoder_attention(model, NAME):
        return feed(model, cache, tokens, [positions_from(prompt, start, len(each)) for each in tokens], [1, 1])


def generate_alone(model: PreTrainedModel, generation: Generation, *, ends: Sequence[int], pad: int) -> None:
    """Fill in the tokens of one generation by `generate` of transformers. An exception becomes its failure."""
    if generation.blind is not None:
        generation.fail(Failure("refused", "this model decodes without shared prefixes, and so without a contrast"))
        return
    began = time.perf_counter()
    check = _Check(generation, ends, began)
    try:
        token_ids, logits = _generate(model, generation, check, ends, pad)
        until = next((n + 1 for n, token in enumerate(token_ids) if token in ends), len(token_ids))
        if check.ended_at is not None:
            until = check.ended_at  # the end token behind it was not the model's
        check.take(token_ids[:until])
        if generation.wants_logprobs:
            logprobs = torch.stack(logits[:until]).float().log_softmax(dim=-1) if until else torch.empty(0, 1)
            generation.logprobs = logprobs[torch.arange(until), generation.token_ids].tolist()
    except Exception as error:
        if check.raised is error:
            raise
        generation.fail(failure_of(error))
    generation.steps, generation.done = len(generation.token_ids), True
    generation.seconds = time.perf_counter() - began


def _generate(
    model: PreTrainedModel, generation: Generation, check: _Check, ends: Sequence[int], pad: int
) -> tuple[list[int], list[Tensor]]:
    """The tokens that `generate` adds, and for each of them the logits [vocabulary] of the model where they are wanted.

    A checkpoint may bring settings for sampling of its own; those of the request take their place.
    """
    prompt, sampler = generation.prompt, generation.sampler
    ids = torch.from_numpy(prompt.input_ids[None]).to(model.device)
    options: dict[str, object] = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    draws = sampler.temperature > 0
    if draws:
        options = {"do_sample": True, "temperature": sampler.temperature, "top_k": 0, "top_p": sampler.top_p}
    with torch.random.fork_rng(enabled=draws):
        if draws:
            torch.manual_seed(sampler.seed)
        output = cast(Any, model).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **media_inputs_of(model, prompt),
            **token_inputs_of(model, prompt),
            **options,
            num_beams=1,
            repetition_penalty=sampler.penalty,
            max_new_tokens=generation.max_tokens,
            pad_token_id=pad,
            eos_token_id=list(ends),
            logits_processor=LogitsProcessorList([check]),
            return_dict_in_generate=True,
            output_logits=generation.wants_logprobs,
        )
    logits = [each[0] for each in output.logits] if generation.wants_logprobs else []
    return output.sequences[0, ids.shape[1] :].tolist(), logits


class _Check(LogitsProcessor):
    """Follows one generation: keeps to its grammar, looks for its stop texts, and ends it where its logits are infinite
    or not numbers (`argmax` would take any token) or nobody wants it. Notes when the first token is chosen."""

    def __init__(self, generation: Generation, ends: Sequence[int], began: float) -> None:
        self.generation, self.ends, self.began = generation, ends, began
        self.ended_at: int | None = None  # how many tokens there were when it was ended, the end token not counted
        self.raised: Exception | None = None  # by who listens, which is no failure of the generation

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # [1, tokens], [1, vocabulary]
        generation = self.generation
        generation.first_s = generation.first_s or time.perf_counter() - self.began
        self.take(input_ids[0, len(generation.prompt.input_ids) :].tolist())
        # The comparison is false for NaN as well. Minus infinity is how tokens are forbidden.
        generation.non_finite = not bool((scores < float("inf")).all())
        if generation.non_finite:
            return self._end(scores)
        if generation.stopped or not self._is_wanted():
            self.ended_at = len(generation.token_ids)
            return self._end(scores)
        if generation.guide is None:
            return scores
        masked = generation.guide.mask(scores[0])
        if masked is None:
            self.ended_at = len(generation.token_ids)
            return self._end(scores)
        return masked[None]

    def take(self, token_ids: Sequence[int]) -> None:
        """Look at the tokens that are new."""
        generation = self.generation
        for token in token_ids[len(generation.token_ids) :]:
            generation.token_ids.append(token)
            ended = token in self.ends
            if generation.watcher is not None and not ended:
                generation.stopped = generation.watcher.take(generation.token_ids)
            if generation.guide is not None and not ended and not generation.stopped:
                generation.guide.take(token)

    def _is_wanted(self) -> bool:
        watcher = self.generation.watcher
        if watcher is None:
            return True
        try:
            watcher.tell()
            return watcher.wanted()
        except Exception as error:
            self.raised = error
            raise

    def _end(self, scores: Tensor) -> Tensor:
        ending = torch.full_like(scores, float("-inf"))
        ending[:, self.ends[0]] = 0.0
        return ending
