"""Steps that need nothing of each other at the same time, each in a process of its own: the training of a model and of
its blind baseline.

    make_side_by_side(steps, made_from, 2, begin, finish, watch)

Every step is made as it is alone, into its own files, so that what comes out, what a stop or a kill leaves and how it
is gone on from are the same. The processes end with this one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from cityscribe.files import InputError
from cityscribe.pipeline.step import Step, StepProgress, Watch
from cityscribe.workers import quiet_libraries, worker_processes

LOOK_S = 0.1
"""Seconds between looks at what the processes tell."""


@dataclass(frozen=True)
class _Running:
    """A step that a process makes."""

    step: Step
    progress: StepProgress
    shown: ExitStack


def make_side_by_side(
    steps: Sequence[Step],
    made_from: Mapping[str, str],
    count: int,
    begin: Callable[[Step], bool],
    finish: Callable[[Step], None],
    watch: Watch,
) -> None:
    """Make steps in their order, up to `count` of those at once whose steps before are done.

    `begin` says whether a step is to be made, and `finish` is called when it is; both here. `made_from` has the hash of
    each. A step that is alone, is not long, or cannot travel to another process is made here too. What a step raises
    ends the others and is raised.
    """
    waiting = list(steps)
    with ExitStack() as stack:
        queue: Any = get_context("spawn").SimpleQueue()
        pool = stack.enter_context(worker_processes(count, _begin, (queue,)))
        running: dict[Future[None], _Running] = {}
        while waiting or running:
            undone = {step.name for step in waiting} | {one.step.name for one in running.values()}
            ready = [step for step in waiting if undone.isdisjoint(step.after)]
            for step in ready:
                apart = step.apart and (bool(running) or _others(ready, step)) and _can_travel(step)
                if running and (not apart or len(running) == count):
                    continue
                waiting.remove(step)
                if not begin(step):
                    break  # what comes after it may be ready
                if not apart:
                    with watch(step.name) as progress:
                        step.make(made_from[step.name], progress)
                    finish(step)
                    break
                shown = stack.enter_context(ExitStack())
                progress = shown.enter_context(watch(step.name))
                running[pool.submit(_make, step, made_from[step.name])] = _Running(step, progress, shown)
            _collect(running, queue, finish)


def _others(ready: Sequence[Step], step: Step) -> bool:
    return any(other.apart for other in ready if other is not step)


def _can_travel(step: Step) -> bool:
    """Whether a step can go to another process; not where a member of a registry is made of what cannot."""
    try:
        pickle.dumps(step)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def _collect(running: dict[Future[None], _Running], queue: Any, finish: Callable[[Step], None]) -> None:
    """Wait until a step is made or there is something to show."""
    done, _ = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED) if running else (set(), set())
    by_name = {one.step.name: one.progress for one in running.values()}
    while not queue.empty():
        name, told = queue.get()
        by_name[name](*told)
    for future in done:
        one = running.pop(future)
        try:
            future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"{one.step.name}: its process was killed, most likely for want of memory; set at_once to 1"
            ) from error
        finish(one.step)
        one.shown.close()


_told: Any = None
"""Where a process says how far it is."""


def _begin(queue: Any) -> None:
    global _told
    _told = queue
    quiet_libraries()


def _make(step: Step, made_from: str) -> None:
    step.make(made_from, lambda *told: _told.put((step.name, told)))
