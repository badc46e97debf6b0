"""Decode many prompts at once on shared prefixes.

    memory = Memory()
    generate(model, [Generation(prompt, max_tokens=64, sampler=sampler), ...], ends=[2], memory=memory)

What prompts about the same images have in common is computed once (`prefix`). From there on every prompt is a row of a
`SharedCache`, and all rows go together: first what is left of the prompts, then token by token, or several at a time
where a draft proposes them and the model agrees. Rows that are finished drop out, those that fail too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.engine.attention import NAME
from cityscribe.engine.constrain import Guide
from cityscribe.engine.decoding import Contrast
from cityscribe.engine.drafts import Drafts
from cityscribe.engine.failure import Failure, apart, failure_of, shared_step
from cityscribe.engine.prefix import Memory, Past, Prefix, begin, feed, positions_from
from cityscribe.engine.sampling import Sampler
from cityscribe.models.attention import decoder_attention
from cityscribe.tokens.encode import Encoded


class Watcher(Protocol):
    """Follows one generation."""

    def wanted(self) -> bool:
        """Whether anybody still waits for it; asked before each token. What it raises ends the call."""
        ...

    def take(self, token_ids: Sequence[int]) -> bool:
        """Look at all tokens so far; True where a stop text ends them. What it raises is a failure of this one."""
        ...

    def finish(self, token_ids: Sequence[int]) -> None:
        """Nothing comes behind these tokens."""
        ...

    def tell(self) -> None:
        """Tell those who listen what is new. What it raises ends the call."""
        ...


@dataclass(slots=True, eq=False)
class Generation:
    """A prompt and the tokens that are generated to it."""

    prompt: Encoded
    max_tokens: int
    sampler: Sampler
    guide: Guide | None = None  # where its grammar allows only some tokens
    watcher: Watcher | None = None
    wants_logprobs: bool = False
    contrast: Contrast | None = None  # how its logits are corrected by those of `blind`
    blind: Encoded | None = None  # its prompt without media, where it is compared with that
    follows: bool = False  # it takes the tokens of another one, beside whose logits its own are read
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # of `token_ids`, where they are wanted
    steps: int = 0  # passes of the model in which tokens were chosen
    non_finite: bool = False  # its logits overflowed or were not numbers; an end token was put in their place
    stopped: bool = False  # by a stop text
    done: bool = False
    failure: Failure | None = None
    first_s: float = 0.0  # from when its batch was begun to its first token
    seconds: float = 0.0  # to its last

    def fail(self, failure: Failure) -> None:
        self.failure, self.done = failure, True

    def tokens_from(self, start: int) -> list[int]:
        """The tokens of the prompt and behind it, from one of them on."""
        length = len(self.prompt.input_ids)
        if start >= length:
            return self.token_ids[start - length :]
        return [*self.prompt.input_ids[start:].tolist(), *self.token_ids]

    def take(self, token: int, logits: Tensor, ends: Sequence[int]) -> None:
        """Add a chosen token; `logits` [vocabulary] are those of the model."""
        self.token_ids.append(token)
        if self.wants_logprobs:
            self.logprobs.append(float(logits.float().log_softmax(dim=0)[token]))
        ended = token in ends
        if self.watcher is not None and not ended:
            self.stopped = self.watcher.take(self.token_ids)
        self.done = ended or self.stopped or len(self.token_ids) >= self.max_tokens
        if self.guide is not None and not self.done:
            self.guide.take(token)

    def give_up_numbers(self, end: int) -> None:
        """End where the logits are infinite or not numbers: `argmax` would take any token."""
        self.non_finite = self.done = True
        self.token_ids.append(end)
        if self.wants_logprobs:
            self.logprobs.append(float("nan"))


def generate(
    model: PreTrainedModel,
    generations: Sequence[Generation],
    *,
    ends: Sequence[int],
    memory: Memory,
    drafts: Drafts | None = None,
    finished: Callable[[Generation], None] = lambda generation: None,
) -> None:
    """Fill in the tokens of each generation: until an end token, which counts, a stop text, or its limit.

    Drafts change how many steps it takes, and nothing else. One that raises fails alone: the others go on without it.
    `finished` is told of each that is done. `memory` is read, and left with what these computed.
    """
    began = time.perf_counter()
    computed: dict[bytes, list[Past]] = {}

    def run(part: Sequence[Generation], first: bool) -> None:
        # What memory holds could be what a retry fails on.
        _Batch(model, part, memory if first else Memory(), ends, drafts, began, finished).decode(computed)

    def fail(generation: Generation, failure: Failure) -> None:
        generation.fail(failure)
        finished(generation)

    apart(generations, run, fail, lambda generation: generation.done)
    memory.scenes = computed


class _Batch:
    """Generations that are decoded together: a row each, in the cache and in the lists here."""

    def __init__(
        self,
        model: PreTrainedModel,
        generations: Sequence[Generation],
        memory: Memory,
        ends: Sequence[int],
        drafts: Drafts | None,
        began: float,
        finished: Callable[[Generation], None],
    ) -> None:
        self.model, self.ends, self.drafts, self.began, self.finished = model, ends, drafts, began, finished
        # A prompt without media is a row as well, behind all others; it follows the tokens of the one that it is for.
        compared = [each for each in generations if each.blind is not None]
        blind = [_without_media(each) for each in compared]
        self.blind_of = {id(generation): one for generation, one in zip(compared, blind, strict=True)}
        self.alive = [*generations, *blind]
        with shared_step():
            begun = begin(model, [generation.prompt for generation in self.alive], memory)
        self.cache, self.fed = begun.cache, begun.fed
        prefixes = [
            Prefix(prefix.tokens, self.cache.prefix(number), prefix.marks)
            for number, prefix in enumerate(begun.prefixes)
        ]
        self.prefix_of = [prefixes[number] for number in self.cache.prefix_of]

    def decode(self, computed: dict[bytes, list[Past]]) -> None:
        """Go on until all are done, and add what was computed, by scene. Raises StepError where a pass of the model
        does; what was generated before it stays."""
        with decoder_attention(self.model, NAME):
            while self.alive:
                self._step(computed)

    def _step(self, computed: dict[bytes, list[Past]]) -> None:
        drafts = self._propose(computed)
        if not self.alive:
            return
        tokens = [
            [*generation.tokens_from(start), *draft]
            for generation, start, draft in zip(self.alive, self.fed, drafts, strict=True)
        ]
        positions = [
            positions_from(generation.prompt, start, len(each))
            for generation, start, each in zip(self.alive, self.fed, tokens, strict=True)
        ]
        with shared_step():
            logits = feed(self.model, self.cache, tokens, positions, [1 + len(draft) for draft in drafts])
            # The comparison is false for NaN as well. Minus infinity is how tokens are forbidden.
            finite = (logits < float("inf")).all(dim=1).tolist()
            likeliest = logits.argmax(dim=1).tolist()
        stays = [True] * len(self.alive)
        starts = np.cumsum([0, *(1 + len(draft) for draft in drafts)]).tolist()
        place_of = {id(generation): start for generation, start in zip(self.alive, starts, strict=False)}
        for row, (generation, draft, place) in enumerate(zip(self.alive, drafts, starts, strict=False)):
            if generation.follows:
                self.cache.lengths[row] += len(tokens[row])
                self.fed[row] += len(tokens[row])
                continue
            until = place + 1 + len(draft)
            blind = self.blind_of.get(id(generation))
            if generation.watcher is not None and not generation.watcher.wanted():
                generation.done = True
                accepted = 0
            else:
                try:
                    accepted = self._choose(
                        generation,
                        draft,
                        logits[place:until],
                        finite[place:until],
                        likeliest[place:until],
                        None if blind is None else logits[place_of[id(blind)]],
                    )
                except Exception as error:
                    generation.fail(failure_of(error))
                    accepted = 0
            if blind is not None:
                blind.done, blind.failure = generation.done, generation.failure
            generation.steps += 1
            generation.seconds = time.perf_counter() - self.began
            generation.first_s = generation.first_s or generation.seconds
            new = len(tokens[row]) - len(draft) + accepted
            if self.cache.states and accepted < len(draft):
                # A state does not go back by some tokens: the row stays where it was, and brings them again.
                stays[row], new = False, 0
            self.cache.lengths[row] += new
            self.fed[row] += new
            if generation.watcher is not None:
                generation.watcher.tell()
        self.cache.settle(stays)
        self._drop_done(computed)

    def _propose(self, computed: dict[bytes, list[Past]]) -> list[list[int]]:
        """What each may go on with, for the model to verify. Those that this fails for drop out."""
        proposed: list[list[int]] = []
        for generation, start in zip(self.alive, self.fed, strict=True):
            longest = generation.max_tokens - len(generation.token_ids) - 1
            try:
                if self.cache.states and len(generation.tokens_from(start)) > 1:
                    proposed.append([])  # first what is known, so that no wrong draft makes it longer and longer
                elif generation.guide is not None and generation.blind is None:
                    proposed.append(generation.guide.forced(longest))
                elif self.drafts is not None and generation.blind is None and not generation.follows:
                    proposed.append(self.drafts.propose(generation.token_ids, longest))
                else:
                    proposed.append([])
            except Exception as error:
                generation.fail(failure_of(error))
        self._drop_done(computed)
        return proposed

    def _choose(
        self,
        generation: Generation,
        draft: Sequence[int],
        logits: Tensor,
        finite: list[bool],
        likeliest: list[int],
        blind: Tensor | None,
    ) -> int:
        """Take the tokens that the logits [1 + draft, vocabulary] give: one, and more while the draft agrees with them.
        `blind` are the logits [vocabulary] without media, where there are such; then there is no draft. Returns how
        many tokens of the draft were right."""
        sampler, guide = generation.sampler, generation.guide
        for n in range(1 + len(draft)):
            if not finite[n]:
                generation.give_up_numbers(self.ends[0])
                return n
            own = corrected = logits[n]
            if blind is not None and generation.contrast is not None:
                corrected = generation.contrast.correct(own, blind, len(generation.token_ids))
            if guide is None:
                plain = corrected is own and sampler.takes_likeliest
                token = likeliest[n] if plain else sampler.choose(corrected)
            else:
                masked = guide.mask(corrected)
                if masked is None:
                    generation.done = True
                    return n
                token = sampler.choose(masked)
            generation.take(token, logits[n], self.ends)
            if generation.done or n == len(draft) or token != draft[n]:
                return n
        raise AssertionError("the last token ends it")

    def _drop_done(self, computed: dict[bytes, list[Past]]) -> None:
        """Let rows that are done go, and keep what was computed for them."""
        going = [row for row, generation in enumerate(self.alive) if not generation.done]
        if len(going) == len(self.alive):
            return
        for row, generation in enumerate(self.alive):
            if not generation.done:
                continue
            if generation.failure is None and not generation.follows:
                sequence = generation.tokens_from(0)[: self.fed[row]]
                past = Past(np.array(sequence), self.prefix_of[row], self.cache.row(row), self.cache.states_of(row))
                computed.setdefault(generation.prompt.scene, []).append(past)
            if not generation.follows:
                self.finished(generation)
        self.alive, self.fed = [self.alive[row] for row in going], [self.fed[row] for row in going]
        self.prefix_of = [self.prefix_of[row] for row in going]
        if going:
            self.cache.keep(going)


def _without_media(generation: Generation) -> Generation:
    """The row that says what the model would say without the media of a generation; their tokens are one list."""
    assert generation.blind is not None
    follower = Generation(generation.blind, generation.max_tokens, generation.sampler, follows=True)
    follower.token_ids = generation.token_ids
    return follower
