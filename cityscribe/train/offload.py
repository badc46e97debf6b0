"""Activations that wait for the backward pass in main memory, for contexts that are too long for a GPU.

With gradient checkpointing a layer keeps what it reads, [rows, length, width]; all of it moves to main memory and comes
back layer by layer. What is computed is the same, bit for bit. Parameters, and what is small, stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed.tensor import DTensor

LEAST = 2**16
"""Elements from which a tensor moves: below, asking costs more than its memory."""

Waiting = Tensor | tuple[torch.device, Tensor]
"""What stands for a saved tensor: itself, or where it was and a copy."""


@contextmanager
def offloaded(model: nn.Module, wanted: bool = True, *, least: int = LEAST) -> Iterator[None]:
    """Within it, where that is wanted, what the backward pass will need of at least so many elements is copied to main
    memory."""
    if not wanted:
        yield
        return
    # Parameters that are shared out are gathered anew for each layer: no place in memory tells them.
    own = [parameter for parameter in model.parameters() if not isinstance(parameter, DTensor)]
    held = {parameter.untyped_storage().data_ptr() for parameter in own}

    def pack(saved: Tensor) -> Waiting:
        if saved.numel() < least or saved.untyped_storage().data_ptr() in held or type(saved) is not Tensor:
            return saved
        return saved.device, copied(saved)

    def unpack(kept: Waiting) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        device, copy = kept
        return copy.to(device, non_blocking=True)

    with saved_tensors_hooks(pack, unpack):
        yield


def copied(saved: Tensor) -> Tensor:
    """A copy in main memory, from where a GPU can fetch it by itself."""
    copy = torch.empty_like(saved, device="cpu", pin_memory=saved.is_cuda)
    return copy.copy_(saved)
