"""One call of the local engine: from requests to generations, and from generations back to answers.

Equal requests share a generation, and so do the samples of a request that draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cityscribe.engine.decode import Generation
from cityscribe.engine.decoding import Contrast
from cityscribe.engine.failure import Failure, failure_of
from cityscribe.engine.request import Answer, AnswerProblem, Listener, Request, Sampling
from cityscribe.engine.sampling import Sampler
from cityscribe.engine.stream import TextStream
from cityscribe.tokens.encode import Encoded

if TYPE_CHECKING:
    from cityscribe.engine.local import LocalEngine

SamplePlace = tuple[int, int]
"""Request and sample."""

GenerationKey = tuple[bytes, int, Sampling, tuple[str, ...], str, bool, Contrast | None, int]
"""What two requests agree in that share a generation."""


class Call:
    """The state of one call. `blind` are the prompts without media of those requests that are compared with them, by
    number. `finish` is told of each generation that is done; nothing here refers to `Call`, so that what it holds is
    free as soon as it is over."""

    def __init__(
        self,
        engine: LocalEngine,
        requests: Sequence[Request],
        prompts: Sequence[Encoded | Failure],
        blind: Mapping[int, Encoded | Failure],
        listener: Listener | None,
    ) -> None:
        self.generations: list[Generation] = []
        self._engine, self._requests, self._listener = engine, requests, listener
        self._answers: dict[SamplePlace, Answer] = {}
        self._places: dict[int, list[SamplePlace]] = {}  # of a generation, by its id: whose answers it makes
        known: dict[GenerationKey, Generation] = {}
        for n, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            failure = self._begin(n, request, prompt, blind.get(n), known)
            if failure is not None:
                tokens = prompt.length if isinstance(prompt, Encoded) else 0
                self._answer([(n, sample) for sample in range(request.samples)], _no_answer(failure, tokens))

    def answers(self) -> list[list[Answer]]:
        return [[self._answers[n, sample] for sample in range(each.samples)] for n, each in enumerate(self._requests)]

    def finish(self, generation: Generation) -> None:
        """Make the answers of a generation that is done."""
        tokens = generation.prompt.length
        try:
            answer = self._read(generation) if generation.failure is None else _no_answer(generation.failure, tokens)
        except Exception as error:
            answer = _no_answer(failure_of(error), tokens)
        if generation.watcher is not None:
            generation.watcher.tell()
        self._answer(self._places[id(generation)], answer)

    def _begin(
        self,
        n: int,
        request: Request,
        prompt: Encoded | Failure,
        blind: Encoded | Failure | None,
        known: dict[GenerationKey, Generation],
    ) -> Failure | None:
        """Add the generations of a request. Returns why it cannot be answered, if so."""
        if isinstance(prompt, Failure):
            return prompt
        if isinstance(blind, Failure):
            return blind
        if request.max_tokens < 1:
            return Failure("refused", f"max_tokens {request.max_tokens}: expected one or more")
        engine = self._engine
        if engine.context and prompt.length + request.max_tokens > engine.context:
            reason = f"{prompt.length} tokens with max_tokens {request.max_tokens} exceed {engine.context}"
            return Failure("too-long", reason)
        begun: list[tuple[GenerationKey, Generation]] = []
        try:
            for sample in range(request.samples if request.sampling.temperature > 0 else 1):
                key = (
                    prompt.key,
                    request.max_tokens,
                    request.sampling,
                    request.stop,
                    request.grammar,
                    request.logprobs,
                    request.contrast,
                    sample,
                )
                generation = known.get(key) or Generation(
                    prompt,
                    request.max_tokens,
                    Sampler(request.sampling, prompt, engine.penalty, sample),
                    guide=engine.guide(request.grammar),
                    wants_logprobs=request.logprobs,
                    contrast=request.contrast,
                    blind=blind,
                )
                begun.append((key, generation))
        except Exception as error:
            return failure_of(error, "grammar")
        for sample in range(request.samples):
            key, generation = begun[min(sample, len(begun) - 1)]
            if key not in known:
                known[key] = generation
                self.generations.append(generation)
            places = self._places.setdefault(id(generation), [])
            places.append((n, sample))
            if generation.watcher is None and (self._listener is not None or request.stop):
                stream = TextStream(engine.text, engine.special, request.stop)
                generation.watcher = _Watcher(stream, places, self._listener or Listener())
        return None

    def _read(self, generation: Generation) -> Answer:
        token_ids = generation.token_ids
        stop = self._requests[self._places[id(generation)][0][0]].stop
        stream = TextStream(self._engine.text, self._engine.special, stop)
        text = stream.text(token_ids)[0].strip()
        problem: AnswerProblem = ""
        if generation.non_finite:
            problem = "non-finite"
        elif not generation.stopped and (not token_ids or token_ids[-1] not in self._engine.ends):
            problem = "cut"
        elif not text:
            problem = "empty"
        if generation.watcher is not None and not generation.non_finite:
            generation.watcher.finish(token_ids)
        return Answer(
            text,
            generation.prompt.length,
            len(token_ids),
            problem,
            steps=generation.steps,
            first_s=generation.first_s,
            seconds=generation.seconds,
            token_ids=tuple(token_ids),
            logprobs=tuple(generation.logprobs),
        )

    def _answer(self, places: Sequence[SamplePlace], answer: Answer) -> None:
        for place in places:
            self._answers[place] = answer
        for n in dict.fromkeys(n for n, _ in places):
            found = [self._answers.get((n, sample)) for sample in range(self._requests[n].samples)]
            whole = [each for each in found if each is not None]
            if self._listener is not None and len(whole) == len(found):
                self._listener.finished(n, whole)


class _Watcher:
    """Follows the text of a generation for those who listen."""

    def __init__(self, stream: TextStream, places: Sequence[SamplePlace], listener: Listener) -> None:
        self._stream, self._places, self._listener = stream, places, listener

    def wanted(self) -> bool:
        return any(self._listener.wanted(n) for n, _ in self._places)

    def take(self, token_ids: Sequence[int]) -> bool:
        return self._stream.take(token_ids)

    def finish(self, token_ids: Sequence[int]) -> None:
        self._stream.finish(token_ids)

    def tell(self) -> None:
        text = self._stream.new()
        for n, sample in self._places if text else ():
            self._listener.piece(n, sample, text)


def _no_answer(failure: Failure, prompt_tokens: int) -> Answer:
    return Answer("", prompt_tokens, 0, failure.problem, failure.reason, at=failure.at)
