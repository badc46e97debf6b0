"""The local engine: answers conversations about images with any checkpoint through transformers.

    engine = Engine(model, processor, settings.predict)
    answers = engine.answer([Conversation(messages, images), ...])

Greedy unless a temperature is set. Every image is computed once: all conversations about it branch from its tokens, the
next turn of a conversation continues what the last call computed, scenes go together in batches, and equal prompts are
answered once. Greedy answers are, token for token, those of `generate` on each conversation alone (in float32; bf16
rounds differently in batches of another shape). After `forget`, the same calls give the same answers in any run.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.models.precision import ROUNDING_BF16, ROUNDING_FLOAT32
from cityscribe.predict.answers import Answer
from cityscribe.predict.batches import whole_groups
from cityscribe.predict.constrain import Guide, Guides
from cityscribe.predict.decode import Memory, Talk, answer_prompts
from cityscribe.predict.drafts import Drafts
from cityscribe.predict.plain import (
    difference,
    generate_one,
    reason_against,
)
from cityscribe.predict.prompts import Conversation, Prompt, read_prompts
from cityscribe.predict.sampling import next_token, seed_of
from cityscribe.predict.settings import PredictSettings

log = logging.getLogger(__name__)


class Engine:
    """A model with its processor, ready to answer. `seed` matters where a temperature is set."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        settings: PredictSettings,
        seed: int = 0,
        drafts: Drafts | None = None,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.settings = settings
        self.seed = seed
        self.drafts = drafts
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
        self._shares: bool | None = None  # whether the model decodes on shared prefixes; None until the first prompt

    @property
    def penalty(self) -> float:
        """The repetition penalty of the checkpoint; 1 where it has none."""
        return self.model.generation_config.repetition_penalty or 1.0

    @torch.inference_mode()
    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Answers in the order of the conversations, `batch_size` scenes at a time.

        Raises InputError for an image that cannot be read and for a question that the model's processor refuses.
        """
        prompts = self.read(conversations)
        limits = [conversation.max_new_tokens or self.settings.max_new_tokens for conversation in conversations]
        keys = [
            (prompt.key, limit, conversation.grammar)
            for prompt, limit, conversation in zip(prompts, limits, conversations, strict=True)
        ]
        talks: dict[tuple[bytes, int, str], Talk] = {}
        for prompt, key in zip(prompts, keys, strict=True):
            if key not in talks:
                talks[key] = Talk(prompt, key[1], guide=self.guide(key[2]))
        for batch in whole_groups(list(talks.values()), lambda talk: talk.prompt.scene, self.settings.batch_size):
            self._answer_batch(batch)
        return [
            replace(
                self._decode(talk.said, len(talk.prompt.input_ids), talk.bad, talk.steps),
                first_s=talk.first_s,
                seconds=talk.seconds,
            )
            for talk in (talks[key] for key in keys)
        ]

    def read(self, conversations: Sequence[Conversation]) -> list[Prompt]:
        """Conversations as prompts. Raises InputError as `answer` does."""
        return read_prompts(self.model, self.processor, conversations)

    def guide(self, grammar: str) -> Guide | None:
        """The beginning of a grammar; None for an empty one. Raises InputError for one that cannot be followed."""
        if not grammar:
            return None
        if self._guides is None:
            self._guides = Guides(self.processor, self.ends)
        return self._guides.begin(grammar)

    def forget(self) -> None:
        """Free what the last call computed, and let the next one start as the first."""
        self.memory.scenes = {}

    def shares(self, prompt: Prompt) -> bool:
        """Whether the model decodes on shared prefixes: by its configuration, and as checked on the first prompt."""
        if self._shares is None:
            reason = reason_against(self.model)
            if not reason:
                try:
                    found = difference(self.model, prompt)
                except (TypeError, ValueError) as error:
                    reason = f"its forward does not take what that needs: {error}"
                else:
                    allowed = ROUNDING_FLOAT32 if self.model.dtype == torch.float32 else ROUNDING_BF16
                    if found > allowed:
                        reason = f"it would change its logits by {found:.2g} of the largest"
            if reason:
                name = type(self.model).__name__
                log.warning("%s answers one conversation at a time, without shared prefixes: %s", name, reason)
            self._shares = not reason
        return self._shares

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, without the control tokens."""
        text = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        for token in self.special:
            # Spelled out of ordinary tokens, it would become a real one when the answer is part of the next prompt.
            text = text.replace(token, "")
        return text

    def _answer_batch(self, batch: list[Talk]) -> None:
        temperature = self.settings.temperature
        if not self.shares(batch[0].prompt):
            pad = self.processor.tokenizer.pad_token_id
            for talk in batch:
                seed = seed_of(self.seed, talk.prompt)
                generate_one(self.model, talk, ends=self.ends, pad=pad, temperature=temperature, seed=seed)
            return
        for talk in batch:
            talk.generator = torch.Generator().manual_seed(seed_of(self.seed, talk.prompt))
        pick = functools.partial(next_token, penalty=self.penalty, temperature=temperature)
        plain = temperature == 0 and self.penalty == 1.0
        answer_prompts(
            self.model,
            batch,
            ends=self.ends,
            memory=self.memory,
            pick=None if plain else pick,
            drafts=self.drafts,
        )

    def _decode(self, said: list[int], prompt_tokens: int, bad: bool, steps: int = 0) -> Answer:
        length = next((index + 1 for index, token in enumerate(said) if token in self.ends), len(said))
        text = self.text(said[:length]).strip()
        problem: Literal["", "empty", "cut", "non-finite"] = ""
        if bad:
            problem = "non-finite"
        elif said[length - 1] not in self.ends:
            problem = "cut"
        elif not text:
            problem = "empty"
        return Answer(text, prompt_tokens, length, problem, steps)
