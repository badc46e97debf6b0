"""Values of trained tokens that a model gives before a training, computed once: each process a share of the groups.

What a killed computation had is kept in parts and taken by the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.files import InputError
from cityscribe.progress import Progress
from cityscribe.train import processes
from cityscribe.train.collator import Collator, MicroBatch

PART = 64
"""Groups whose values are put on disk together while they are computed."""

SampleValues = list[list[np.ndarray]]
"""Of each group, of each of its samples: the values of its trained tokens, [tokens, ...]."""

Write = Callable[[Path, Sequence[Sequence[str]], SampleValues], None]
"""Writes a file of values by the keys of their samples."""

Read = Callable[[Path], dict[str, np.ndarray]]
"""Reads what `Write` wrote. Raises InputError for a file of another model."""


class Parts:
    """What was computed so far, in files of some groups each."""

    def __init__(self, folder: Path, keys: Sequence[Sequence[str]], write: Write, read: Read) -> None:
        self._folder, self._keys, self._write = folder, keys, write
        self._unwritten: dict[str, np.ndarray] = {}
        self._groups = 0
        self._known: dict[str, np.ndarray] = {}  # by the key of the sample
        for path in sorted(folder.glob("*.parquet")):
            with contextlib.suppress(InputError):  # of other weights
                self._known |= read(path)

    def of(self, group: int) -> list[np.ndarray] | None:
        """The values of a group, None where they are not known."""
        keys = self._keys[group]
        return [self._known[key] for key in keys] if all(key in self._known for key in keys) else None

    def add(self, group: int, values: Sequence[np.ndarray]) -> None:
        self._unwritten |= zip(self._keys[group], values, strict=True)
        self._groups += 1
        if self._groups == PART:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._folder / f"{processes.rank()}-{group}.parquet"
            self._write(file, [list(self._unwritten)], [list(self._unwritten.values())])
            self._unwritten, self._groups = {}, 0


@torch.no_grad()
def compute_values(
    collator: Collator,
    model: PreTrainedModel,
    values: Callable[[MicroBatch], Tensor],
    parts: Parts | None = None,
    on_group: Progress | None = None,
) -> SampleValues:
    """What `values` gives for the trained tokens of each sample of a micro-batch, [edges, ...], of all groups. `parts`
    has some of them, and takes the others. All processes have to call this."""
    groups = collator.groups
    mine = range(processes.rank(), len(groups), processes.count())
    found: dict[int, list[np.ndarray]] = {}
    training = model.training
    model.eval()
    try:
        for done, number in enumerate(mine, start=1):
            known = None if parts is None else parts.of(number)
            found[number] = _of_group(number, collator, model, values) if known is None else known
            if parts is not None and known is None:
                parts.add(number, found[number])
            if on_group is not None:
                on_group(done, len(mine))
    finally:
        model.train(training)
    everybody = {number: each for part in processes.from_all(found) for number, each in part.items()}
    return [everybody[number] for number in range(len(groups))]


def _of_group(
    number: int, collator: Collator, model: PreTrainedModel, values: Callable[[MicroBatch], Tensor]
) -> list[np.ndarray]:
    """The values of the trained tokens of each sample of a group, [tokens, ...] each."""
    found: dict[int, np.ndarray] = {}
    for micro in (micro.to(model.device) for micro in collator([number]).micro_batches):
        tokens = torch.bincount(micro.rows.edge_branch, minlength=micro.rows.branches)
        edges = values(micro).cpu().split(tokens.tolist())
        found |= {place: part.numpy() for (_, place), part in zip(micro.branches, edges, strict=True)}
    return [found[place] for place in range(len(collator.groups[number].samples))]
