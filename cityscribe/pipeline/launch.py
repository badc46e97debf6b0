"""Run a project with a process on each device: torchrun is started here, for the stages that share their work.

    run_on_all(settings, watch, tell)          # as `run`; settings.processes, or one a GPU, train and predict

Everything else is done by this one process. What the launcher says of failed processes is not shown: they have said
themselves what is wrong.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cityscribe.files import InputError, write_text
from cityscribe.pipeline.digests import Digests
from cityscribe.pipeline.needs import check_needs
from cityscribe.pipeline.run import SHARED, refuse_nothing_to_do, run, stale_stages
from cityscribe.pipeline.step import STAGES, Plan, Watch
from cityscribe.project import Settings, dump_settings
from cityscribe.train import processes
from cityscribe.train.processes import ProcessFailedError
from cityscribe.workers import cores


def run_on_all(settings: Settings, watch: Watch, tell: Callable[[str], None], stages: Sequence[str] = ()) -> None:
    """Bring the wanted stages up to date as `run` does; training and prediction in several processes where the settings
    say so or there are several GPUs. Raises what `run` raises, and ProcessFailedError."""
    wanted = tuple(stages) or tuple(STAGES)
    digests = Digests()
    if processes.count() > 1 or settings.processes == 1 or not set(wanted) & set(SHARED):
        run(settings, watch, tell, stages, digests=digests)
        return
    plan = Plan.of(settings, digests)
    refuse_nothing_to_do(plan, wanted)
    stale = stale_stages(plan, wanted)
    # Only where there is work to share: counting GPUs takes seconds, since torch is loaded for it.
    count = how_many(settings) if set(stale) & set(SHARED) else 1
    if count == 1:
        run(settings, watch, tell, stages, digests=digests)
        return
    check_needs(settings, stale)
    present = {step.stage for step in plan.steps.values()}
    for stage in (stage for stage in wanted if stage in present):
        alone = stage not in SHARED or (stage == "predict" and settings.predict.engine != "local")
        if alone or not stale_stages(plan, [stage]):
            run(settings, watch, tell, (stage,), digests=digests)
        else:
            settings.run_dir.mkdir(parents=True, exist_ok=True)
            project = settings.run_dir / "project.yaml"
            write_text(project, dump_settings(settings))
            launch([stage, str(project)], count)


def how_many(settings: Settings) -> int:
    """How many processes are to train and predict: as many as the settings say, or one a GPU."""
    if settings.processes:
        return settings.processes
    import torch

    return max(torch.cuda.device_count(), 1)


def launch(arguments: Sequence[str], count: int) -> None:
    """Run `cityscribe ARGUMENTS` in several processes of this machine that know of each other. Raises
    ProcessFailedError where one fails, and InputError where one is killed."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,  # the same mistake would come again; a stopped run goes on where it was
    )
    stopped = 0
    with _environment(count), _quiet(), _signals_kept():
        try:
            elastic_launch(config, sys.executable)("-m", "cityscribe", *arguments)
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                raise InputError(
                    f"{arguments[0]}: one of {count} processes was killed by {name}, most likely for want of memory"
                ) from None
            raise ProcessFailedError(failure.exitcode) from None
        except SignalException as error:
            stopped = int(error.sigval)
    if stopped:
        signal.raise_signal(stopped)


@contextmanager
def _environment(count: int) -> Iterator[None]:
    """Within it, started processes share the cores, and keep what torch has to say about sockets to themselves."""
    added = {
        "OMP_NUM_THREADS": str(max(cores() // count, 1)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    before = {name: os.environ.get(name) for name in added}
    os.environ.update({name: value for name, value in added.items() if not before[name]})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it nothing is logged of how processes are started and end."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """After it signals are handled as before; the launcher takes some for itself."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
