"""From groups to what the model computes: the trees of one step, side by side in rows, as micro-batches.

    batch = Collator(groups, image_root, processor, settings, attention)([0, 5, 7])

The model gets one copy of each image for all samples that share it. Without sharing, every sample has a row of its own
and its own copy of the images, as other trainers do it; the loss is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import ProcessorMixin

from cityscribe.settings import TrainSettings
from cityscribe.train.encode import Conversation, encode_images
from cityscribe.train.groups import Group, load_images, sample_name
from cityscribe.train.rules import TreeAttention
from cityscribe.tree import Forest, Rows, join, lay_out, pack


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """What one forward pass computes."""

    rows: Rows
    image_inputs: dict[str, Tensor]  # of all images in the rows, in their order
    alone: (
        dict[str, Tensor] | None
    )  # the model's own mask and further inputs of samples in rows of their own; or a tree

    def to(self, device: torch.device) -> MicroBatch:
        alone = None if self.alone is None else _to(self.alone, device)
        return MicroBatch(self.rows.to(device), _to(self.image_inputs, device), alone)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The groups of one step."""

    micro_batches: list[MicroBatch]
    weight: float  # the sum of all weights
    distinct: int  # tokens that are computed, without padding
    effective: int  # tokens of the samples one by one
    samples: tuple[str, ...]

    def to(self, device: torch.device, **_: object) -> Batch:
        """The same batch on a device; a data loader moves whatever has this method."""
        return replace(self, micro_batches=[micro.to(device) for micro in self.micro_batches])


class Collator:
    """Lays out the groups of one step. The data loader calls it, in its worker processes where there are some."""

    def __init__(
        self,
        groups: Sequence[Group],
        image_root: Path,
        processor: ProcessorMixin,
        settings: TrainSettings,
        attention: TreeAttention | None,
    ) -> None:
        self.groups = groups
        self.image_root = image_root
        self.processor = processor
        self.settings = settings
        self.attention = attention

    def __call__(self, numbers: Sequence[int]) -> Batch:
        if not numbers:
            return self._idle()
        groups = [self.groups[number] for number in numbers]
        images = [self.image_inputs(group) for group in groups]
        forests = [forest for group in groups for forest in group.forests]
        if self.attention is None:
            micro_batches = self._singles(groups, images)
        else:
            micro_batches = self._trees(groups, images, self.attention)
        return Batch(
            micro_batches=micro_batches,
            weight=float(sum(forest.edge_weight.sum() for forest in forests)),
            distinct=sum(forest.length for forest in forests),
            effective=sum(forest.effective for forest in forests),
            samples=tuple(sample_name(sample) for group in groups for sample in group.samples),
        )

    def _idle(self) -> Batch:
        """What a process computes that has no group in a step: the shortest one, which counts for nothing.

        It cannot do nothing, since processes meet within the gradient.
        """
        shortest = min(range(len(self.groups)), key=lambda number: self.groups[number].length)
        batch = self([shortest])
        return Batch([weightless(batch.micro_batches[-1])], weight=0.0, distinct=0, effective=0, samples=())

    def image_inputs(self, group: Group) -> dict[str, Tensor]:
        """The images of a group as the model takes them, from memory or preprocessed again."""
        if group.image_inputs is not None:
            return group.image_inputs
        sample = group.samples[0]
        return encode_images(self.processor, sample_name(sample), sample.messages, load_images(sample, self.image_root))

    def _trees(
        self, groups: list[Group], images: list[dict[str, Tensor]], attention: TreeAttention
    ) -> list[MicroBatch]:
        """Trees side by side in rows.

        Where attention leaves out what trees do not see of each other, a micro-batch is one row of as many as the
        budget allows. A dense mask is computed whole: there a row is no longer than the longest tree, and a micro-batch
        is as many rows as the budget allows.
        """
        trees = [
            (forest, [inputs] * copies)
            for group, inputs in zip(groups, images, strict=True)
            for forest, copies in zip(group.forests, group.copies, strict=True)
        ]
        budget = self.settings.budget_tokens
        lengths = [forest.length for forest, _ in trees]
        rows = []
        for members in pack(lengths, budget if attention.sparse else max(lengths)):
            forest = join([trees[number][0] for number in members])
            rows.append((forest, [inputs for number in members for inputs in trees[number][1]]))
        rows.sort(key=lambda row: -row[0].length)
        chunks = chunk_rows([forest.length for forest, _ in rows], 1 if attention.sparse else budget)
        return [
            MicroBatch(
                rows=lay_out([forest for forest, _ in rows[chunk]], multiple=attention.multiple),
                image_inputs=join_images([inputs for _, parts in rows[chunk] for inputs in parts]),
                alone=None,
            )
            for chunk in chunks
        ]

    def _singles(self, groups: list[Group], images: list[dict[str, Tensor]]) -> list[MicroBatch]:
        singles = [
            (forest, conversation, inputs)
            for group, inputs in zip(groups, images, strict=True)
            for forest, conversation in zip(group.forests, group.conversations, strict=True)
        ]
        singles.sort(key=lambda single: -single[0].length)
        lengths = [forest.length for forest, _, _ in singles]
        return [lay_out_singles(singles[part]) for part in chunk_rows(lengths, self.settings.budget_tokens)]


def weightless(micro: MicroBatch) -> MicroBatch:
    """The same forward pass, none of which counts."""
    return replace(micro, rows=replace(micro.rows, weights=torch.zeros_like(micro.rows.weights)))


def lay_out_singles(singles: Sequence[tuple[Forest, Conversation, dict[str, Tensor]]]) -> MicroBatch:
    """One row a sample with its own images, as the model's processor would give them, padded on the right."""
    rows = lay_out([forest for forest, _, _ in singles])
    inputs = {"attention_mask": torch.zeros_like(rows.input_ids)}
    for row, (forest, conversation, _) in enumerate(singles):
        inputs["attention_mask"][row, : forest.length] = 1
        for name, values in conversation.token_inputs.items():
            inputs.setdefault(name, torch.zeros_like(rows.input_ids))[row, : forest.length] = torch.from_numpy(values)
    return MicroBatch(rows, join_images([images for _, _, images in singles if images]), inputs)


def join_images(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The images of several conversations as one model input: one after the other, padded with zeros where they differ.

    Images are cut into different numbers of tiles. The models whose processors pad them pass over the padding: they
    know the sizes (LLaVA-NeXT and OneVision) or recognise tiles of zeros (SmolVLM).
    """
    joined = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        shape = [max(sizes) for sizes in zip(*(value.shape[1:] for value in values), strict=True)]
        joined[name] = torch.cat([_padded(value, shape) for value in values])
    return joined


def _padded(value: Tensor, shape: Sequence[int]) -> Tensor:
    """`value` with zeros at the end of each axis but the first, up to `shape`."""
    missing = [size - now for size, now in zip(shape, value.shape[1:], strict=True)]
    if not any(missing):
        return value
    return torch.nn.functional.pad(value, [side for count in reversed(missing) for side in (0, count)])


def chunk_rows(lengths: Sequence[int], budget: int) -> Iterator[slice]:
    """Cut rows, longest first, into stretches that take at most `budget` tokens with their padding, or are one row."""
    start = 0
    while start < len(lengths):
        end = start + max(budget // lengths[start], 1)
        yield slice(start, end)
        start = end


def _to(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
