"""Processes that work for this one and end with it, how they share the cores, and what libraries may say in them.

A pool of `concurrent.futures` waits for work on pipes that it holds itself, so its processes outlive a parent that was
killed. Here each of them also watches a pipe that only the parent can write to: at its end, whether the parent died or
gave up, they end at once.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_without_spinning() -> None:
    """Let threads of torch that wait for each other give up their core. To be called before torch is loaded.

    They spin otherwise, and where other programs use the cores too, most of the time goes into that.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def quiet_libraries() -> None:
    """Bars and warnings of libraries would cut through our own progress bars."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    for library in ("transformers", "bitsandbytes"):
        logging.getLogger(library).setLevel(logging.ERROR)


class _Pool(ProcessPoolExecutor):
    """Its processes never see an interrupt, also not while they load: a terminal sends it to all, and the parent ends
    them."""

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(*given, **named)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # is inherited
        try:
            return super().submit(*given, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def worker_processes(
    count: int, begin: Callable[..., None] | None = None, given: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` fresh processes, each of which calls `begin(*given)` first. Leaving it by an error, Ctrl-C
    included, ends what they are doing; otherwise what was submitted is done first."""
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    pool = _Pool(count, mp_context=context, initializer=_end_with_parent, initargs=(watched, begin, given))
    try:
        yield pool
    except BaseException:
        held.close()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()
        held.close()
        watched.close()


def _end_with_parent(watched: Connection, begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_end, args=(watched,), daemon=True).start()
    if begin is not None:
        begin(*given)


def _wait_for_end(watched: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)
