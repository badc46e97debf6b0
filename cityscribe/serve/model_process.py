"""The model behind a queue: requests are answered in batches of what waits, by a process that is replaced when it dies.

A request that was being answered when the process died is told to come again; those that still waited are answered by
the next process. A process that shows no life while it answers is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from cityscribe.engine.members import Setup
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.serve.child import Child
from cityscribe.serve.counting import Counting
from cityscribe.serve.log import log, log_bug
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.model_child import Finished, ModelReady, NumberedRequest, Piece, RequestRefused, hold_model
from cityscribe.serve.refusal import Refusal, interrupted, stopping

LOAD_S = 900.0
"""For a model to load: 70 GB from a slow disk."""

PAUSES_S = (0.0, 1.0, 5.0, 30.0)
"""Before a process is started that takes the place of one that died, by how many died in a row without an answer."""


@dataclass(eq=False, slots=True)
class _Ticket:
    """A request that waits or is being answered."""

    asked: NumberedRequest
    events: asyncio.Queue[Piece | Finished | Refusal] = field(default_factory=asyncio.Queue)
    left: bool = False  # nobody waits for it any more


class ModelProcess:
    """The model of a checkpoint, ready for `ask` after `start`."""

    def __init__(self, checkpoint: str, drafts: Path, setup: Setup, timeout_s: float, metrics: ServiceMetrics) -> None:
        self.ready = False
        self.context = 0  # tokens of a question and its answer together; 0 while it is not known, or without a limit
        self.pid: int | None = None
        self._checkpoint, self._drafts, self._setup, self._metrics = checkpoint, drafts, setup, metrics
        self._timeout_s = timeout_s  # for which the process may show no life
        self._ids = itertools.count(1)
        self._waiting: deque[_Ticket] = deque()
        self._running: dict[int, _Ticket] = {}
        self._child: Child | None = None
        self._counting: Counting | None = None
        self._wake = asyncio.Event()
        self._runs: asyncio.Task[None] | None = None
        self._loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        metrics.gauge("cityscribe_waiting", "requests that wait for the model", lambda: len(self._waiting))
        metrics.gauge("cityscribe_running", "requests that are being answered", lambda: len(self._running))
        metrics.gauge("cityscribe_model_ready", "whether the model is loaded", lambda: self.ready)

    async def start(self) -> None:
        """Load the model. Raises InputError where the checkpoint cannot be used."""
        self._runs = asyncio.create_task(self._run())
        await asyncio.wait({self._runs, self._loaded}, return_when=asyncio.FIRST_COMPLETED)
        if self._runs.done():
            self._runs.result()
        self._loaded.result()

    async def stop(self) -> None:
        """End the process; who still waits is told to come again later."""
        if self._runs is not None:
            self._runs.cancel()
            await asyncio.gather(self._runs, return_exceptions=True)
        for ticket in (*self._waiting, *self._running.values()):
            ticket.events.put_nowait(stopping())
        self._waiting.clear()
        self._running.clear()

    async def ask(self, request: Request, *, timeout_s: float | None) -> AsyncGenerator[Piece | Finished, None]:
        """The pieces of an answer and how it ended. Leaving early gives the request up.

        Without `timeout_s` it waits as long as the process that holds the model shows life.

        Raises Refusal: 422 for what the model cannot be asked, 503 where it died or took too long.
        """
        ticket = _Ticket(NumberedRequest(next(self._ids), request))
        self._waiting.append(ticket)
        self._wake.set()
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            while True:
                left_s = None if ends is None else max(ends - time.monotonic(), 0.001)
                try:
                    event = await asyncio.wait_for(ticket.events.get(), left_s)
                except TimeoutError:
                    words = f"no whole answer within {timeout_s:g} s; ask for fewer tokens"
                    raise Refusal(503, "timeout", words) from None
                if isinstance(event, Refusal):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._leave(ticket)

    async def image_tokens(self, sizes: Sequence[tuple[int, int]]) -> int:
        """How many tokens images of these sizes (width and height) are at least; 0 while no model is ready."""
        counting = self._counting if self.ready else None
        return 0 if counting is None else await asyncio.to_thread(counting.ask, list(sizes))

    def _leave(self, ticket: _Ticket) -> None:
        ticket.left = True
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        elif ticket.asked.id in self._running and self._child is not None:
            self._child.tell(ticket.asked.id)

    async def _run(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
            failures += 1
            try:
                self._counting = Counting()
                self._child = Child(hold_model, self._checkpoint, self._drafts, self._setup, self._counting.other_end)
                self._counting.other_end.close()
                self.pid = self._child.process.pid
                await self._load(self._child)
                async for _ in self._batches(self._child):
                    failures = 0
            except InputError as error:
                if not self._loaded.done():
                    raise
                log_bug("model-not-loaded", error)
            finally:
                self.ready = False
                child, self._child = self._child, None
                counting, self._counting = self._counting, None
                if child is not None:
                    await asyncio.shield(child.stop())
                if counting is not None:
                    counting.close()
            for ticket in self._running.values():
                ticket.events.put_nowait(interrupted())
            log("model-process-ended", interrupted=len(self._running), waiting=len(self._waiting))
            self._running.clear()
            if not self._loaded.done() and failures > 2:
                raise InputError(f"{self._checkpoint}: the process that loads it ends, most likely for want of memory")

    async def _load(self, child: Child) -> None:
        began = time.monotonic()
        try:
            said = await asyncio.wait_for(child.said.get(), LOAD_S)
        except TimeoutError:
            raise InputError(f"{self._checkpoint}: not loaded after {LOAD_S:g} s") from None
        if isinstance(said, str):
            raise InputError(said)
        if isinstance(said, ModelReady):
            self.ready, self.context = True, said.context
            self._metrics.count("cityscribe_model_starts_total")
            log("model-ready", pid=self.pid, seconds=round(time.monotonic() - began, 2))
            if not self._loaded.done():
                self._loaded.set_result(None)

    async def _batches(self, child: Child) -> AsyncGenerator[None, None]:
        """Answer what waits, batch by batch, until the process is gone or shows no life. Yields after each batch."""
        while self.ready:
            while not self._waiting:
                self._wake.clear()
                incoming = asyncio.create_task(child.said.get())
                woken = asyncio.create_task(self._wake.wait())
                try:
                    await asyncio.wait({incoming, woken}, return_when=asyncio.FIRST_COMPLETED)
                    if incoming.done():  # an idle process says nothing but that it is gone
                        return
                finally:
                    incoming.cancel()
                    woken.cancel()
            size = min(len(self._waiting), self._setup.batch_size)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._running = {ticket.asked.id: ticket for ticket in batch}
            self._metrics.count("cityscribe_batches_total")
            child.tell([ticket.asked for ticket in batch])
            while self._running:
                try:
                    event = await asyncio.wait_for(child.said.get(), self._timeout_s)
                except TimeoutError:
                    log("model-process-silent", seconds=self._timeout_s)
                    return
                if event is None:
                    return
                self._hear(event)
            yield

    def _hear(self, event: Piece | Finished | RequestRefused) -> None:
        if isinstance(event, Piece):
            ticket = self._running[event.id]
            if not ticket.left:
                ticket.events.put_nowait(event)
            return
        ticket = self._running.pop(event.id)
        if isinstance(event, Finished):
            self._metrics.count("cityscribe_prompt_tokens_total", event.prompt_tokens)
            self._metrics.count("cityscribe_answer_tokens_total", event.tokens)
            ticket.events.put_nowait(event)
        else:
            if event.status >= 500:
                log("model-failed", code=event.code, at=list(event.at))
            ticket.events.put_nowait(Refusal(event.status, event.code, event.message, param="messages"))


async def whole(answer: AsyncGenerator[Piece | Finished, None]) -> tuple[str, Finished]:
    """The text of an answer and how it ended."""
    pieces: list[str] = []
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, Finished):
                return "".join(pieces), event
            pieces.append(event.text)
    raise AssertionError("an answer ends with Said or a Refusal")
