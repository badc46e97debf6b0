"""Tensors of which each process holds a part (FSDP2): each writes and reads its own, nothing is gathered.

torch.distributed.checkpoint in its form of safetensors: a file a process, which says where in the whole tensors its
parts belong. So any number of processes can read what another number wrote. All have to see the same folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.tensor import DTensor

from cityscribe.files import InputError


def divide(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors that every process has whole, and those that they share."""
    shared: dict[str, Tensor] = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, DTensor)}
    return {name: tensor for name, tensor in tensors.items() if name not in shared}, shared


def save_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write what processes share into a folder. All have to call it; raises InputError on all where one cannot."""
    try:
        dcp.save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))
    except (CheckpointException, OSError) as error:
        raise InputError(f"{folder}: cannot be written: {_reason(error)}") from error


def shard_names(folder: Path) -> frozenset[str]:
    """The names of the tensors in a folder; none where it does not exist. Raises InputError where it is torn."""
    if not folder.is_dir():
        return frozenset()
    try:
        return frozenset(HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata)
    except Exception as error:  # whatever the reader makes of a damaged file
        raise InputError(f"{folder}: cannot be read: {_reason(error)}") from error


def load_shards(folder: Path, targets: Mapping[str, Tensor]) -> None:
    """Fill tensors, whole or shared, in place. All processes have to call it."""
    if not targets:
        return
    try:
        dcp.load(dict(targets), storage_reader=HuggingFaceStorageReader(str(folder)))
    except (CheckpointException, OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: cannot be read: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line of an error, of one of the processes where several failed."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    return str(error).splitlines()[0] if str(error) else type(error).__name__
