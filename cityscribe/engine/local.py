"""The local engine: answers requests with any checkpoint through transformers.

    engine = LocalEngine(model, processor)
    answers = engine.answer([Request(messages, media), ...])

Every image is computed once: all requests about it branch from its tokens, the next turn of a conversation continues
what the last call computed, scenes go together in batches, and equal requests are answered once. Greedy answers are,
token for token, those of `generate` on each conversation alone (in float32; bf16 rounds differently in batches of
another shape). After `forget`, the same calls give the same answers in any run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.engine.batches import whole_groups
from cityscribe.engine.call import Call
from cityscribe.engine.constrain import Guide, Guides
from cityscribe.engine.decode import generate
from cityscribe.engine.drafts import Drafts
from cityscribe.engine.failure import Failure
from cityscribe.engine.members import Setup
from cityscribe.engine.plain import difference, generate_alone, reason_against
from cityscribe.engine.prefix import Memory
from cityscribe.engine.prompts import read_prompts
from cityscribe.engine.request import Answer, Listener, Request, Score
from cityscribe.engine.score import ScoredText, ValuedText, score_alone, score_together
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.precision import ROUNDING_BF16, ROUNDING_FLOAT32, resolve_dtype
from cityscribe.models.quantise.loading import use_kernels
from cityscribe.models.reward_head import scoring
from cityscribe.records import media_blocks
from cityscribe.tokens.encode import Encoded
from cityscribe.tokens.shown import without_media

log = logging.getLogger(__name__)


class LocalEngine:
    """A model with its processor, ready to answer.

    `batch_size` scenes are answered together. With a `context`, requests are refused whose prompt and answer together
    could have more tokens. Drafts are what the model is likely to say; they change no answer.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        batch_size: int = 8,
        drafts: Drafts | None = None,
        context: int = 0,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.batch_size = batch_size
        self.drafts = drafts
        self.context = context
        self.memory = Memory()
        tokenizer = processor.tokenizer
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # what stands in the padding is masked anyway
        ends = model.generation_config.eos_token_id
        if ends is None:
            ends = tokenizer.eos_token_id
        self.ends: list[int] = [ends] if isinstance(ends, int) else list(ends)
        self.special: tuple[str, ...] = tuple(tokenizer.all_special_tokens)
        self._guides: Guides | None = None
        self._shares: bool | None = None  # whether the model decodes on shared prefixes; None until it was checked

    @property
    def penalty(self) -> float:
        """The repetition penalty of the checkpoint; 1 where it has none."""
        return self.model.generation_config.repetition_penalty or 1.0

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        """For each request, in their order, as many answers as it wants samples."""
        return self.answer_prompts(requests, self.read(requests), listener)

    def answer_prompts(
        self, requests: Sequence[Request], prompts: Sequence[Encoded | Failure], listener: Listener | None = None
    ) -> list[list[Answer]]:
        """The same for requests that `read` has read."""
        contrasted = [n for n, each in enumerate(requests) if each.contrast is not None and media_blocks(each.messages)]
        blind = self.read([_blind(requests[n]) for n in contrasted])
        call = Call(self, requests, prompts, dict(zip(contrasted, blind, strict=True)), listener)
        with torch.inference_mode():
            for batch in whole_groups(call.generations, lambda each: each.prompt.scene, self.batch_size):
                if self.shares([generation.prompt for generation in batch]):
                    generate(
                        self.model,
                        batch,
                        ends=self.ends,
                        memory=self.memory,
                        drafts=self.drafts,
                        finished=call.finish,
                    )
                    continue
                for generation in batch:
                    generate_alone(self.model, generation, ends=self.ends, pad=self.processor.tokenizer.pad_token_id)
                    call.finish(generation)
        return call.answers()

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        """For each request the scores of the given texts as its answer, in their order."""
        return self._scored(requests, continuations, ended, ScoredText)

    def worth(self, requests: Sequence[Request], answers: Sequence[Sequence[str]]) -> list[list[Score]]:
        """For each request what the reward head of the model gives each answer, as the only number of its score."""
        return self._scored(requests, answers, True, ValuedText)

    def _scored(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], ended: bool, kind: type[ScoredText]
    ) -> list[list[Score]]:
        branches = [
            [self._branch(prompt, text, ended, kind) for text in texts]
            for prompt, texts in zip(self.read(requests), continuations, strict=True)
        ]
        asked = [[branch for branch in each if isinstance(branch, ScoredText)] for each in branches]
        with torch.inference_mode():
            for part in whole_groups(
                [each for each in asked if each], lambda each: each[0].prompt.scene, self.batch_size
            ):
                flat = [branch for each in part for branch in each]
                shares = self.shares([branch.prompt for branch in flat])
                with scoring(self.model) if kind is ValuedText else nullcontext():
                    if shares:
                        score_together(self.model, flat, self.memory)
                    else:
                        for branch in flat:
                            score_alone(self.model, branch)
        return [[_score(branch) for branch in each] for each in branches]

    def forget(self) -> None:
        """Free what the last call computed, and let the next one start as the first."""
        self.memory.scenes, self.memory.unguided = {}, {}

    def read(self, requests: Sequence[Request]) -> list[Encoded | Failure]:
        """Requests as prompts. One that the processor refuses, or whose media cannot be read, fails alone."""
        return read_prompts(self.model, self.processor, requests)

    def guide(self, grammar: str) -> Guide | None:
        """The beginning of a grammar; None for an empty one. Raises InputError for one that cannot be followed."""
        if not grammar:
            return None
        if self._guides is None:
            self._guides = Guides(self.processor, self.ends)
        return self._guides.begin(grammar)

    def text(self, token_ids: Sequence[int]) -> str:
        """What tokens say, without the control tokens."""
        text = self.processor.tokenizer.decode(token_ids, skip_special_tokens=True)
        for token in self.special:
            # Spelled out of ordinary tokens, it would become a real one when the answer is part of the next prompt.
            text = text.replace(token, "")
        return text

    def shares(self, prompts: Sequence[Encoded]) -> bool:
        """Whether the model decodes on shared prefixes: by its configuration, and as checked on a prompt that can tell.

        Where the check itself fails, for want of memory or for a prompt that makes the model raise, the next prompt is
        taken, and the next call checks again where none could tell.
        """
        if self._shares is None and (reason := reason_against(self.model)):
            self._refuse_sharing(reason)
        failed = 0
        for prompt in prompts if self._shares is None else ():
            try:
                found = difference(self.model, prompt)
            except (TypeError, ValueError) as error:
                self._refuse_sharing(f"its forward does not take what that needs: {error}")
                break
            except Exception:
                failed += 1
                continue
            if found is not None:
                allowed = ROUNDING_FLOAT32 if self.model.dtype == torch.float32 else ROUNDING_BF16
                self._shares = found <= allowed
                if not self._shares:
                    self._refuse_sharing(f"it would change its logits by {found:.2g} of the largest")
            break
        return failed < len(prompts) if self._shares is None else self._shares

    def _refuse_sharing(self, reason: str) -> None:
        name = type(self.model).__name__
        log.warning("%s answers one conversation at a time, without shared prefixes: %s", name, reason)
        self._shares = False

    def _branch(
        self, prompt: Encoded | Failure, text: str, ended: bool, kind: type[ScoredText]
    ) -> ScoredText | Failure:
        if isinstance(prompt, Failure):
            return prompt
        token_ids = self.processor.tokenizer.encode(text, add_special_tokens=False)
        if not token_ids:
            return Failure("refused", f"continuation `{text}`: has no tokens")
        return kind(prompt, [*token_ids, self.ends[0]] if ended else token_ids)


def _blind(request: Request) -> Request:
    return replace(request, messages=tuple(without_media(request.messages)), media=())


def _score(branch: ScoredText | Failure) -> Score:
    failure = branch.failure if isinstance(branch, ScoredText) else branch
    if failure is not None or isinstance(branch, Failure):
        assert failure is not None
        return Score((), failure.problem, failure.reason)
    return Score(tuple(branch.logprobs))


def load(checkpoint: Path | str, setup: Setup, texts: Iterable[str] = ()) -> LocalEngine:
    """The engine of a checkpoint, a folder or hub id, on the GPU where there is one.

    Drafts are taken from `texts`, such as the answers of the training. Raises InputError for a checkpoint that cannot
    be used. A checkpoint with packed weights is computed by torch's kernels for them; with precision fp32 exactly as
    plain transformers computes it.
    """
    dtype, packed = resolve_dtype(setup.precision), setup.precision != "fp32"
    model = load_model(checkpoint, dtype=dtype, tiles=setup.tiles)
    if torch.cuda.is_available():
        model = model.to("cuda")  # type: ignore[arg-type]
    if packed and (unfit := use_kernels(model)):
        log.warning("%s: %d of its packed layers fit no kernel and are unpacked when used", checkpoint, len(unfit))
    processor = load_processor(checkpoint, tiles=setup.tiles)
    engine = LocalEngine(model, processor, batch_size=setup.batch_size)
    if setup.drafts:
        encode = processor.tokenizer.encode
        engine.drafts = Drafts([*encode(text, add_special_tokens=False), engine.ends[0]] for text in texts)
    return engine
