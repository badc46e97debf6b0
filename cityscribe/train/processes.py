"""Several processes that train one model: which of them this is, where they meet, how their shares become whole.

    torchrun --nproc_per_node 8 -m cityscribe train project.yaml

The launcher says by environment variables how many processes there are. All of them do the same; what is written is
written by the first. Nothing here needs torch before processes meet, so that the command line can ask who it is.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

PATIENCE = timedelta(hours=3)
"""How long processes wait for each other: the first writes a large model while the others have nothing to do."""


class ProcessFailedError(Exception):
    """A process that was started ended with this status, and has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes and talks."""
    return rank() == 0


def device() -> torch.device:
    """The device of this process: a GPU of its own where there are some. Processes find each other here."""
    import torch
    from accelerate import PartialState

    if count() > 1:
        return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE).device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def use_threads(count: int) -> None:
    """Let torch compute in so many threads on CPUs; 0 changes nothing."""
    if count:
        import torch

        torch.set_num_threads(count)


def wait() -> None:
    """Go on when all processes have come here."""
    if count() > 1:
        from accelerate import PartialState

        device()
        PartialState().wait_for_everyone()


def from_all(value: T) -> list[T]:
    """What each process has, in order, on every process."""
    if count() == 1:
        return [value]
    from accelerate.utils import gather_object

    return list(gather_object([value]))


def lost_another(error: BaseException | None) -> bool:
    """Whether an exception says that another of the processes is gone: gloo and NCCL find their connection closed."""
    while error is not None and count() > 1:
        told = f"{type(error).__name__} {error}"
        if isinstance(error, RuntimeError) and any(sign in told for sign in LOST):
            return True
        error = error.__cause__ or error.__context__
    return False


LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "DistBackendError", "DistNetworkError")
"""What stands in the errors of torch.distributed when a process that it waits for has ended."""


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a part, whole on every process. All of them have to call this."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share_like(tensor: Tensor, target: Tensor) -> Tensor:
    """The part of a whole tensor that this process holds where `target` is shared out, else the tensor itself."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(target, DTensor):
        return tensor
    on_device = tensor.to(target.device)
    # Every process has the whole already: none has to send it.
    return distribute_tensor(on_device, target.device_mesh, target.placements, src_data_rank=None)
