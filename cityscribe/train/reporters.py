"""Where the curves of a training go beside `curve.jsonl`: TensorBoard or Weights & Biases, if wanted."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from transformers import TrainerCallback

from cityscribe.files import InputError
from cityscribe.train import processes

Reporter = Literal["none", "tensorboard", "wandb"]


def check_reporter(reporter: Reporter) -> None:
    """Raises InputError where what is to show the curves is not installed."""
    if reporter != "none" and find_spec(reporter) is None:
        raise InputError(
            f"train.report_to: {reporter} is not installed; `pip install 'cityscribe[{reporter}]'`, or set it to none"
        )


def reporters(reporter: Reporter, out: Path, resumed_from: int) -> list[TrainerCallback]:
    """The callbacks that show what the `Trainer` logs after each step.

    TensorBoard reads `out/tensorboard`; what an earlier run wrote there after the step that training goes on from is
    dropped. Weights & Biases goes by its own environment variables, with `cityscribe` for the project.
    """
    if reporter == "none" or not processes.is_first():
        return []
    if reporter == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        return [TensorBoardCallback(SummaryWriter(str(out / "tensorboard"), purge_step=resumed_from + 1))]
    from transformers.integrations import WandbCallback

    os.environ.setdefault("WANDB_PROJECT", "cityscribe")
    return [WandbCallback()]
