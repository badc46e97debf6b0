"""Files from outside are decoded in a process that is killed when it takes too long, and started again when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cityscribe.serve.child import Child
from cityscribe.serve.decoding import Limits, decode_files
from cityscribe.serve.log import log
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import ServeSettings

START_S = 60.0
"""For the process to start; loading libraries on a busy machine takes seconds."""


class Decoder:
    """Runs functions of `decoding`, one at a time: a client's files wait for those before them, not for the model."""

    def __init__(self, settings: ServeSettings, metrics: ServiceMetrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self.limits = Limits(settings.max_megapixels, settings.max_duration_s, settings.max_frames)

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work(*arguments)`.

        Raises Refusal: what `work` raises, and 422 where the file takes too long or ends the process.
        """
        async with self._turn:
            child = await self._ready()
            child.tell((work, arguments))
            try:
                said = await asyncio.wait_for(child.said.get(), self._settings.decode_timeout_s)
            except TimeoutError:
                await self._kill("time")
                limit = f"{self._settings.decode_timeout_s:g} s"
                raise Refusal(422, "decode_time", f"decoding the file takes longer than {limit}") from None
            except asyncio.CancelledError:
                # Its result would be taken for that of the next file.
                await self._kill("cancelled")
                raise
            if said is None:
                broke = await child.broke()
                await self._kill("died")
                if not broke:  # somebody ended it, such as the system for want of memory: the file may be good
                    raise Refusal(503, "interrupted", "the decoder was ended from outside; send the request again")
                raise Refusal(422, "undecodable", "the file breaks its decoder")
        outcome, value = said
        if outcome == "refused":
            status, code, message = value
            raise Refusal(status, code, message)
        if outcome == "failed":
            log("decoder-failed", error=value)
            raise Refusal(500, "internal", "the file could not be decoded for a reason of our own")
        return value

    async def start(self) -> None:
        async with self._turn:
            await self._ready()

    async def stop(self) -> None:
        async with self._turn:
            if self._child is not None:
                await self._child.stop(patience_s=1.0)
                self._child = None

    async def _ready(self) -> Child:
        if self._child is None:
            self._child = Child(decode_files, self._settings.decode_memory_mb)
            try:
                said = await asyncio.wait_for(self._child.said.get(), START_S)
            except TimeoutError:
                said = None
            except asyncio.CancelledError:
                await self._kill("cancelled")
                raise
            if said is None:
                await self._kill("start")
                raise Refusal(503, "decoder", "the process that decodes files could not be started")
        return self._child

    async def _kill(self, why: str) -> None:
        child, self._child = self._child, None
        self._metrics.count("cityscribe_decoder_kills_total", why=why)
        log("decoder-killed", why=why)
        if child is not None:
            await asyncio.shield(child.stop())
