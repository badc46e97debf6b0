"""Where the videos of `prepare` are worked on: in processes of this machine, or on a Ray cluster.

Both take the same jobs and the same function, and give its results in the order of the jobs, so that what is written
does not depend on them. Ray Data schedules and repeats the work of its cluster; the data set and the run folder have to
be reachable under the same path on all of its machines.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from cityscribe.files import InputError
from cityscribe.prepare.pictures import PhasePictures, VideoJob
from cityscribe.prepare.skipped import Skip
from cityscribe.workers import cores, worker_processes

VIDEOS_A_PROCESS = 8
"""Fewer are done before a process has started."""

VIDEOS_A_BLOCK = 4
"""That Ray hands out together, and repeats where a machine is lost."""

VideoResult = tuple[list[PhasePictures], list[Skip]]
VideoWork = Callable[[VideoJob], VideoResult]


def run_local(jobs: Sequence[VideoJob], work: VideoWork, workers: int) -> Iterator[VideoResult]:
    """The results of all jobs in their order, from as many processes as are worth starting; `workers` 0: one a core.

    Raises InputError where a process dies.
    """
    processes = min(workers or cores(), len(jobs) // VIDEOS_A_PROCESS)
    if processes <= 1:
        yield from map(work, jobs)
        return
    try:
        with worker_processes(processes) as pool:
            for pending in [pool.submit(work, job) for job in jobs]:
                yield pending.result()
    except BrokenProcessPool as error:
        raise InputError("prepare.workers: a worker process died, most likely for want of memory; set fewer") from error


def run_ray(jobs: Sequence[VideoJob], work: VideoWork, workers: int) -> Iterator[VideoResult]:
    """The results of all jobs in their order, from a Ray cluster: the one joined already, that of RAY_ADDRESS, or one
    that is started here. `workers` limits the tasks at once; 0: one a core of the cluster.

    Raises InputError where Ray is missing or its cluster cannot be reached.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("prepare.engine: ray is not installed; pip install 'cityscribe[ray]'") from error
    for name in ("ray", "ray.data"):  # of its plans and of how it stores our objects
        logging.getLogger(name).setLevel(logging.ERROR)
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"prepare.engine: the Ray cluster cannot be joined; check RAY_ADDRESS: {error}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    folder = os.getcwd()  # settings may name files relative to it

    def one(row: dict[str, Any]) -> dict[str, Any]:
        try:
            with contextlib.chdir(folder):
                return {"place": row["place"], "result": work(row["job"]), "error": ""}
        except (InputError, OSError) as error:
            return {"place": row["place"], "result": None, "error": str(error)}

    rows = [{"place": place, "job": job} for place, job in enumerate(jobs)]
    data = ray.data.from_items(rows, override_num_blocks=math.ceil(len(rows) / VIDEOS_A_BLOCK))
    waiting: dict[int, VideoResult] = {}
    following = 0
    for row in data.map(one, num_cpus=1, concurrency=workers or None).iter_rows():
        if row["error"]:
            raise InputError(row["error"])
        waiting[row["place"]] = row["result"]
        while following in waiting:
            yield waiting.pop(following)
            following += 1
