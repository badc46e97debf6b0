"""Where the curves of a training go beside `curve.jsonl`: TensorBoard or Weights & Biases, if wanted."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from transformers import TrainerCallback

from cityscribe.files import InputError
from cityscribe.train import processes
from cityscribe.train.registries import REPORTERS


def check_reporter(reporter: str) -> None:
    """Raises InputError where what is to show the curves is not installed."""
    extra = REPORTERS.entry(reporter).extra if reporter != "none" else ""
    if extra and find_spec(extra) is None:
        raise InputError(
            f"train.report_to: {reporter} is not installed; `pip install 'cityscribe[{extra}]'`, or set it to none"
        )


def reporters(reporter: str, out: Path, resumed_from: int) -> list[TrainerCallback]:
    """The callbacks that show what the `Trainer` logs after each step, below `out`; none but in the first process."""
    if reporter == "none" or not processes.is_first():
        return []
    return REPORTERS[reporter](out, resumed_from)


def to_tensorboard(out: Path, resumed_from: int) -> list[TrainerCallback]:
    """TensorBoard reads `out/tensorboard`; what an earlier run wrote there after the step that training goes on from is
    dropped."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(out / "tensorboard"), purge_step=resumed_from + 1))]


def to_wandb(out: Path, resumed_from: int) -> list[TrainerCallback]:
    """Weights & Biases goes by its own environment variables, with `cityscribe` for the project."""
    from transformers.integrations import WandbCallback

    os.environ.setdefault("WANDB_PROJECT", "cityscribe")
    return [WandbCallback()]
