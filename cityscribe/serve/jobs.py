"""Clips that are described: each is a job that can be looked at, followed and cancelled, and is kept for a set time."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cityscribe.serve.log import log, log_bug
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.refusal import Refusal, stopping
from cityscribe.serve.settings import ServeSettings
from cityscribe.traffic.scenario import ROLES

Status = Literal["queued", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")
FACTS = "facts"
"""The part of a phase that is there where it was asked for."""


@dataclass(eq=False, slots=True)
class DescribeJob:
    """One clip. `events` only grows; who follows reads on from where it was."""

    folder: Path
    parts: tuple[str, ...] = ROLES  # of each phase: what is answered about it
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    status: Status = "queued"
    created_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    phases: list[dict[str, Any]] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    error: dict[str, str | None] | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        return self.status in OVER

    def tell(self, event: str, value: dict[str, Any]) -> None:
        """Add an event and wake all who follow."""
        self.events.append((event, value))
        self._news.set()
        self._news = asyncio.Event()

    def turn(self, status: Status, error: dict[str, str | None] | None = None) -> None:
        """Change the status; one that is over stays as it is."""
        if self.over:
            return
        self.status, self.error = status, error
        if self.over:
            self.ended_at = time.time()
        self.tell("status", {"status": status, "error": error})

    async def follow(self, seen: int) -> AsyncGenerator[tuple[int, str, dict[str, Any]], None]:
        """Number, name and value of the events behind the first `seen`, until the job is over."""
        while True:
            news = self._news
            while seen < len(self.events):
                event, value = self.events[seen]
                seen += 1
                yield seen, event, value
            if self.over:
                return
            await news.wait()


JobWork = Callable[[DescribeJob], Awaitable[None]]


class Jobs:
    """All jobs of the service. They live in memory: results that must outlive it are fetched before it is stopped."""

    def __init__(self, settings: ServeSettings, metrics: ServiceMetrics, folder: Path) -> None:
        self._settings, self._metrics, self._folder = settings, metrics, folder
        self._jobs: dict[str, DescribeJob] = {}
        metrics.gauge("cityscribe_jobs_unfinished", "clips that are being described", lambda: self.unfinished)

    @property
    def unfinished(self) -> int:
        return sum(not job.over for job in self._jobs.values())

    def new(self, *, facts: bool = False) -> DescribeJob:
        """A job with a folder of its own, with the facts of each phase or without. Raises Refusal (429) where there are
        too many that are not over."""
        self.expire()
        if len(self._jobs) >= self._settings.jobs:
            old = [job for job in self._jobs.values() if job.over]
            if not old:
                words = f"{len(self._jobs)} clips are being described already"
                raise Refusal(429, "too_many_jobs", words, retry_after_s=30)
            self._remove(min(old, key=lambda job: job.ended_at or 0))
        job = DescribeJob(self._folder / secrets.token_hex(16), (*ROLES, FACTS) if facts else ROLES)
        job.folder.mkdir()
        self._jobs[job.id] = job
        return job

    def start(self, job: DescribeJob, work: JobWork) -> None:
        job.task = asyncio.create_task(self._run(job, work))

    def get(self, id_: str) -> DescribeJob:
        """Raises Refusal (404) for a job that never was or is no longer kept."""
        self.expire()
        if id_ not in self._jobs:
            raise Refusal(404, "no_such_job", "there is no such job, or its result is no longer kept")
        return self._jobs[id_]

    async def cancel(self, job: DescribeJob) -> None:
        """End a job that is under way, and remove one that is over."""
        if job.over:
            self._remove(job)
            return
        job.turn("cancelled")
        if job.task is not None:
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)

    def drop(self, job: DescribeJob) -> None:
        """Remove a job that was never started."""
        self._remove(job)

    def expire(self) -> None:
        """Remove what has been kept for its time."""
        oldest = time.time() - self._settings.keep_s
        for job in [job for job in self._jobs.values() if job.ended_at is not None and job.ended_at < oldest]:
            self._remove(job)

    async def stop(self) -> None:
        """Hand back what is not over: it fails with the advice to send it again."""
        for job in self._jobs.values():
            job.turn("failed", stopping().body["error"])
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remove(self, job: DescribeJob) -> None:
        del self._jobs[job.id]
        shutil.rmtree(job.folder, ignore_errors=True)

    async def _run(self, job: DescribeJob, work: JobWork) -> None:
        job.turn("running")
        began = time.monotonic()
        try:
            await work(job)
            job.turn("done")
        except Refusal as refusal:
            job.turn("failed", refusal.body["error"])
        except Exception as error:
            log_bug("job", error)
            job.turn("failed", Refusal(500, "internal", "an error of the service").body["error"])
        finally:
            job.turn("cancelled")  # unless it is over: the task was cancelled
            self._metrics.count("cityscribe_jobs_total", status=job.status)
            log("job", status=job.status, seconds=round(time.monotonic() - began, 2), phases=len(job.phases))
