"""One of several processes that train: does the jobs of a JSON file one after the other, and notes what it held.

A job goes on from the first checkpoint of another where it says so.

    torchrun --standalone --nproc_per_node 2 -m tests.train.training_child JOBS.json
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.records import read_samples
from cityscribe.train import processes, trainer
from cityscribe.train.settings import TrainSettings
from cityscribe.train.sharing import check_shares, held_elements
from cityscribe.train.supervised import train


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Train as the job says; returns what came of it on this process."""
    noted: dict[str, Any] = {}

    def note_shares(model: nn.Module) -> None:
        noted["held"], noted["total"] = held_elements(model)
        check_shares(model)

    torch.manual_seed(0)
    model = load_model(job["base"], dtype=torch.float32)
    prepare_tuning(model, ModelSettings.model_validate(job["method"]))
    if job["broken"]:
        with torch.no_grad():
            model.model.multi_modal_projector.linear_1.weight[0, 0] = torch.inf
    samples = read_samples(Path(job["samples"]))
    settings = TrainSettings.model_validate(job["settings"])
    out = Path(job["out"])
    if job["resumes"] and processes.is_first():
        shutil.copytree(Path(job["resumes"]) / "checkpoints" / "checkpoint-1", out / "checkpoints" / "checkpoint-1")
    processes.wait()
    trainer.check_shares = note_shares
    try:
        report = train(samples, Path(job["samples"]).parent, model, load_processor(job["base"]), settings, out)
    except InputError as error:
        return {"error": str(error)}
    finally:
        trainer.check_shares = check_shares
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(weights, out / f"weights-{processes.rank()}.safetensors")
    return {**noted, "first_loss": report.first_loss, "last_loss": report.last_loss, "from": report.resumed_from}


def do_all(jobs: list[dict[str, Any]]) -> None:
    """Do jobs in turn, and write what came of each beside its folder."""
    for job in jobs:
        result = do(job)
        Path(f"{job['out']}-{processes.rank()}.json").write_text(json.dumps(result), encoding="utf-8")
        processes.wait()


if __name__ == "__main__":
    torch.set_num_threads(1)
    do_all(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
