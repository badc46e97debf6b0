"""Of two processes that train together one is killed: the other says so in one line, and its checkpoint is there."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.cli import shell
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from cityscribe.train.trainer import TreeTrainer
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def in_a_process(rank: int, port: int, folder: Path, work: Callable[..., None]) -> int:
    """Do work as one of two processes, under the entry point of the command line; returns the process id."""
    pid = os.fork()
    if pid:
        return pid
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    out = os.open(folder / f"said-{rank}", os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = sys.stderr = open(out, "w")  # noqa: SIM115
    status = 99
    try:
        shell.app = work  # type: ignore[assignment]
        shell.complaints.file = sys.stderr
        shell.main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


@pytest.mark.parametrize("killed", [0, 1])
def test_who_is_left_says_that_another_process_has_ended(killed: int, load: Load, city: City, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=3, batch_groups=2, precision="fp32", save_steps=1)

    def work(*_: Any, **__: Any) -> None:
        torch.manual_seed(0)
        model, processor = load("llava")
        prepare_tuning(model, ModelSettings(method="full"))

        taken = TreeTrainer.training_step

        def stop(trainer: TreeTrainer, *arguments: Any, **options: Any) -> Any:
            if trainer.state.global_step == 2 and int(os.environ["RANK"]) == killed:
                os.kill(os.getpid(), signal.SIGKILL)
            return taken(trainer, *arguments, **options)

        TreeTrainer.training_step = stop  # type: ignore[method-assign]
        train(city.samples, city.root, model, processor, settings, tmp_path / "out")

    load("llava")  # before the processes part
    port = free_port()
    processes = [in_a_process(rank, port, tmp_path, work) for rank in range(2)]
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in processes]
    said = [(tmp_path / f"said-{rank}").read_text() for rank in range(2)]
    assert ended[killed] == -signal.SIGKILL, said
    assert ended[1 - killed] == 2, said
    assert "error: another process of this training has ended" in said[1 - killed]
    assert "Traceback" not in said[1 - killed]
    assert [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()]
