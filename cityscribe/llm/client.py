"""The client: what is done around every language model, whatever kind it is.

The cache holds one file a reply, named by the model, the messages and the sampling (`reply_digest`), written whole or
not at all as soon as the reply is there. So a stopped program goes on where it was, and a second one asks nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cityscribe.files import InputError, write_text
from cityscribe.llm.message import Chat, LanguageModel, NoReplyError, Reply, ReplySampling, reply_digest, request_digest
from cityscribe.progress import Progress, silent

Value = TypeVar("Value")

SILENT_IN_A_ROW = 5
"""So many requests without any reply mean that the server or its settings are wrong, rather than one reply lost."""

REPEAT_TEMPERATURE = 0.7
"""Of a request that is asked again because its reply could not be parsed: a greedy model would say the same again."""


@dataclass(frozen=True, slots=True)
class Replies(Generic[Value]):
    """What became of requests, in their order."""

    values: list[Value | None]  # parsed; None where there was no reply or none that could be parsed
    texts: list[str | None]  # the last reply as it came; None where there was none
    unparsed: int  # requests whose last reply could not be parsed, or was no reply of the protocol
    unanswered: int  # requests that got no reply
    repeated: int  # times that a request was asked again because its reply could not be parsed
    answered_as: tuple[str, ...]  # what servers called the models that answered, each once


class Client:
    """Asks one model. `cache` is a folder, made when the first reply is kept."""

    def __init__(self, model: LanguageModel, *, cache: Path | None = None) -> None:
        self.model = model
        self.cache = cache
        self.recorded: dict[str, str] = {}
        """Digest of each request that got a reply -> the reply, for `script.write_script`."""

    def ask(
        self,
        chats: Sequence[Chat],
        sampling: ReplySampling,
        parse: Callable[[int, str], Value | None],
        *,
        repeats: int = 0,
        skip_unanswered: bool = False,
        progress: Progress = silent,
    ) -> Replies[Value]:
        """Ask, and parse each reply: `parse(place of the chat, text)` gives the value, None where it cannot.

        What cannot be parsed is asked again up to `repeats` times, each with the next seed and, if the sampling is
        greedy, at `REPEAT_TEMPERATURE`. Equal chats are asked once. With `skip_unanswered` a request without reply is
        counted and passed over, unless none can get one or `SILENT_IN_A_ROW` in a row got none; without it, it ends
        the whole. `progress` takes how many chats are done, and all.

        Raises InputError naming the model (a NoReplyError, where it is about one request) or a cache that cannot be
        written. Replies that came before are kept.
        """
        digests = [request_digest(chat, sampling) for chat in chats]
        chat_of = dict(zip(digests, chats, strict=True))
        times = Counter(digests)
        parse_of: dict[str, list[int]] = {}
        for place, digest in enumerate(digests):
            parse_of.setdefault(digest, []).append(place)
        last: dict[str, Reply | NoReplyError] = {}
        values: dict[int, Value | None] = dict.fromkeys(range(len(chats)))
        repeated = done = 0
        pending = list(chat_of)
        for attempt in range(repeats + 1):
            unread = []
            for digest, reply in self._replies(pending, chat_of, _attempt(sampling, attempt), skip_unanswered):
                last[digest] = reply
                if isinstance(reply, Reply):
                    for place in parse_of[digest]:
                        values[place] = parse(place, reply.text)
                    if any(values[place] is None for place in parse_of[digest]):
                        unread.append(digest)
                if digest not in unread or attempt == repeats:
                    done += times[digest]
                    progress(done, len(chats))
            pending = unread
            repeated += len(unread) if attempt < repeats else 0
            if not pending:
                break
        answers = [last[digest] for digest in digests]
        read = [isinstance(answer, Reply) and values[place] is not None for place, answer in enumerate(answers)]
        malformed = [isinstance(answer, NoReplyError) and answer.why == "malformed" for answer in answers]
        answered = [isinstance(answer, Reply) for answer in answers]
        return Replies(
            values=[values[place] for place in range(len(chats))],
            texts=[answer.text if isinstance(answer, Reply) else None for answer in answers],
            unparsed=sum(not ok and (came or torn) for ok, came, torn in zip(read, answered, malformed, strict=True)),
            unanswered=sum(not came and not torn for came, torn in zip(answered, malformed, strict=True)),
            repeated=repeated,
            answered_as=tuple(
                dict.fromkeys(
                    answer.answered_as for answer in answers if isinstance(answer, Reply) and answer.answered_as
                )
            ),
        )

    def _replies(
        self, digests: Sequence[str], chats: Mapping[str, Chat], sampling: ReplySampling, skip_unanswered: bool
    ) -> Iterator[tuple[str, Reply | NoReplyError]]:
        """The replies to some requests, in order, each as soon as it and all before it are there."""
        names = {digest: reply_digest(self.model.identity, chats[digest], sampling) for digest in digests}
        kept = {digest: self._read(names[digest]) for digest in digests}
        known = {digest: reply for digest, reply in kept.items() if reply is not None}
        asked = [digest for digest in digests if digest not in known]
        size = self.model.batch_size
        batches = [asked[start : start + size] for start in range(0, len(asked), size)]
        stopped = threading.Event()

        def call(batch: Sequence[str]) -> list[Reply | NoReplyError]:
            if stopped.is_set():  # a request before this one ended the whole
                return [NoReplyError(f"{self.model.place}: not asked", "silent")] * len(batch)
            replies = self.model.answer([chats[digest] for digest in batch], sampling)
            for digest, reply in zip(batch, replies, strict=True):
                if isinstance(reply, Reply):
                    self._keep(names[digest], reply)
                elif reply.why == "hopeless" or not skip_unanswered:
                    stopped.set()
            return replies

        pool = ThreadPoolExecutor(self.model.calls_at_once)
        try:
            waiting: dict[str, tuple[Future[list[Reply | NoReplyError]], int]] = {}
            for batch in batches:
                future = pool.submit(call, batch)
                waiting |= {digest: (future, place) for place, digest in enumerate(batch)}
            silent = 0
            for digest in digests:
                reply: Reply | NoReplyError = (
                    known[digest] if digest in known else waiting[digest][0].result()[waiting[digest][1]]
                )
                if isinstance(reply, NoReplyError):
                    silent += reply.why != "malformed"
                    hopeless = reply.why == "hopeless" or silent == min(SILENT_IN_A_ROW, len(digests))
                    if hopeless or not skip_unanswered:
                        raise reply
                else:
                    silent = 0
                    self.recorded[request_digest(chats[digest], sampling)] = reply.text
                yield digest, reply
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _file(self, name: str) -> Path | None:
        return None if self.cache is None else self.cache / name[:2] / f"{name}.json"

    def _read(self, name: str) -> Reply | None:
        """What the cache knows. A file that cannot be read is no reply, and is written anew."""
        file = self._file(name)
        if file is None or not file.is_file():
            return None
        try:
            kept = _Kept.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None
        return Reply(kept.text, kept.answered_as)

    def _keep(self, name: str, reply: Reply) -> None:
        file = self._file(name)
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, _Kept(text=reply.text, answered_as=reply.answered_as).model_dump_json() + "\n")
        except OSError as error:
            raise InputError(f"{error.filename or file}: {error.strerror or error}") from error


class _Kept(BaseModel):
    """A file of the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    answered_as: str = ""


def _attempt(sampling: ReplySampling, number: int) -> ReplySampling:
    if number == 0:
        return sampling
    return replace(sampling, seed=sampling.seed + number, temperature=sampling.temperature or REPEAT_TEMPERATURE)
