"""What is alike wherever TRL's trainers are the peer: their settings, and the clock and the loss after each update."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def peer_settings(folder: Path, rows: int, accumulated: int, updates: int) -> dict[str, Any]:
    """Of an `SFTConfig` or `DPOConfig`: `rows` at a time, so many times `accumulated` an update, in the order of the
    data; nothing is cut, saved or reported."""
    return {
        "output_dir": str(folder / "trl"),
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": accumulated,
        "max_steps": updates,
        "train_sampling_strategy": "sequential",
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch_fused",
        "max_length": None,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def loss_watch(seen: list[tuple[float, float]], now: Callable[[], float]) -> Any:
    """A callback that adds the clock and the loss after each update to `seen`."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                seen.append((now(), logs["loss"]))

    return Watch()
