"""From groups to what the model computes: the trees of one step, side by side in rows, as micro-batches.

    batch = Collator(groups, image_root, encoder, settings, attention)([0, 5, 7])

The model gets one copy of each image for all places of a row that show it. Without sharing, every sample has a row of
its own and its own copy of the images, as other trainers do it; the loss is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.features import distinct_media, image_keys
from cityscribe.tokens.media import join_media, video_frames
from cityscribe.train.events import Outcomes, TaughtTokens, TeacherRows, teacher_rows
from cityscribe.train.groups import Group, Groups, media_inputs, sample_name
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import TreeAttention
from cityscribe.tree import Forest, Rows, join, lay_out, pack


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """What one forward pass computes."""

    rows: Rows
    image_inputs: dict[str, Tensor]  # of all images in the rows, in their order; with `copies` of each of them once
    alone: (
        dict[str, Tensor] | None
    )  # the model's own mask and further inputs of samples in rows of their own; or a tree
    branches: tuple[tuple[int, int], ...] = ()  # whose branches they are: number of the group, number in its samples
    units: tuple[tuple[int, ...], ...] = ()  # branches that the objective takes together
    reference: Tensor | None = None  # [edges], log-probabilities before the training, where the objective needs them
    teacher: TeacherRows | None = None  # of the targets, where the objective needs a teacher
    old: Tensor | None = None  # [edges], the same of the model that sampled the answers; None: it is this one
    advantages: Tensor | None = None  # [branches], of answers that were sampled
    copies: tuple[int, ...] = ()  # for each place that shows an image its number in `image_inputs`; empty: its own
    keys: tuple[bytes, ...] = ()  # of each item of `image_inputs` its content key, where each is one image
    video_frames: tuple[int, ...] = ()  # of each video, where `image_inputs` pads them; empty: all have as many
    counts: bool = True  # false: computed for company, while other processes compute theirs

    def to(self, device: torch.device) -> MicroBatch:
        return replace(
            self,
            rows=self.rows.to(device),
            image_inputs=_to(self.image_inputs, device),
            alone=None if self.alone is None else _to(self.alone, device),
            reference=None if self.reference is None else self.reference.to(device),
            teacher=None if self.teacher is None else self.teacher.to(device),
            old=None if self.old is None else self.old.to(device),
            advantages=None if self.advantages is None else self.advantages.to(device),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The groups of one step."""

    micro_batches: list[MicroBatch]
    denominator: float  # of its share of the loss
    distinct: int  # tokens that are computed, without padding
    effective: int  # tokens of the samples one by one
    samples: tuple[str, ...]

    def to(self, device: torch.device, **_: object) -> Batch:
        """The same batch on a device; a data loader moves whatever has this method."""
        return replace(self, micro_batches=[micro.to(device) for micro in self.micro_batches])


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A forest of a group on its way into a row."""

    forest: Forest
    media: list[dict[str, Tensor]]  # in the order of their placeholders
    keys: list[bytes]  # of the media
    branches: list[tuple[int, int]]  # number of the group, number in its samples
    units: list[tuple[int, ...]]  # by numbers of branches


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """One sample that is computed alone."""

    forest: Forest  # of one branch
    token_inputs: dict[str, np.ndarray]  # [length] each
    media: list[dict[str, Tensor]]


class Collator:
    """Lays out the groups of one step. The data loader calls it, in its worker processes where there are some.

    `reference` has the log-probabilities of the trained tokens of each sample of each group before the training, and
    `taught` what a teacher says there, in the form that `outcomes` says.
    """

    outcomes: Outcomes | None = None
    taught: Sequence[Sequence[TaughtTokens]] = ()

    def __init__(
        self,
        groups: Groups,
        image_root: Path,
        encoder: Encoder,
        settings: TrainSettings,
        attention: TreeAttention | None,
        reference: Sequence[Sequence[np.ndarray]] | None = None,
    ) -> None:
        self.groups = groups
        self.image_root = image_root
        self.encoder = encoder
        self.settings = settings
        self.attention = attention
        self.reference = reference

    def __call__(self, numbers: Sequence[int]) -> Batch:
        if not numbers:
            return self._idle()
        groups = [self.groups[number] for number in numbers]
        media = [self.media(group) for group in groups]
        forests = [forest for group in groups for forest in group.forests]
        if self.attention is None:
            micro_batches = self._singles(numbers, media)
        else:
            micro_batches = self._trees(numbers, media, self.attention)
        units = sum(len(group.units) for group in groups)
        return Batch(
            micro_batches=micro_batches,
            denominator=self.settings.objective.denominator(forests, units),
            distinct=sum(forest.length for forest in forests),
            effective=sum(forest.effective for forest in forests),
            samples=tuple(sample_name(sample) for group in groups for sample in group.samples),
        )

    def _idle(self) -> Batch:
        """What a process computes that has no group in a step: the shortest one, which counts for nothing.

        It cannot do nothing, since processes meet within the gradient.
        """
        shortest = min(range(len(self.groups)), key=lambda number: self.groups.outlines[number].length)
        batch = self([shortest])
        return Batch([weightless(batch.micro_batches[-1])], denominator=0.0, distinct=0, effective=0, samples=())

    def media(self, group: Group) -> list[list[dict[str, Tensor]]]:
        """What the model takes for the media of each forest of a group, in the order of their placeholders."""
        inputs = media_inputs(group, self.encoder, self.image_root, self.settings)
        self.groups.keep(group, inputs)
        return [[inputs[key] for key in keys] for keys in group.media]

    def _trees(
        self, numbers: Sequence[int], media: Sequence[list[list[dict[str, Tensor]]]], attention: TreeAttention
    ) -> list[MicroBatch]:
        """Trees side by side in rows.

        Where attention leaves out what trees do not see of each other, a micro-batch is one row of as many as the
        budget allows. A dense mask is computed whole: there a row is no longer than the longest tree, and a micro-batch
        is as many rows as the budget allows.
        """
        trees = self._trees_of(numbers, media)
        budget = self.settings.budget_tokens
        lengths = [tree.forest.length for tree in trees]
        packed = pack(lengths, budget if attention.sparse else max(lengths))
        rows = [_side_by_side([trees[number] for number in members]) for members in packed]
        rows.sort(key=lambda row: -row.forest.length)
        chunks = chunk_rows([row.forest.length for row in rows], 1 if attention.sparse else budget)
        return [self._micro_batch(rows[chunk], attention) for chunk in chunks]

    def in_one_row(self, numbers: Sequence[int], attention: TreeAttention) -> MicroBatch:
        """All trees of some groups side by side, whatever the budget is."""
        media = [self.media(self.groups[number]) for number in numbers]
        return self._micro_batch([_side_by_side(self._trees_of(numbers, media))], attention)

    def _trees_of(self, numbers: Sequence[int], media: Sequence[list[list[dict[str, Tensor]]]]) -> list[Tree]:
        trees = []
        for number, parts in zip(numbers, media, strict=True):
            group = self.groups[number]
            whole = zip(group.forests, group.members, parts, group.media, strict=True)
            for forest, members, inputs, keys in whole:
                place = {member: branch for branch, member in enumerate(members)}
                inside = [tuple(place[n] for n in unit) for unit in group.units if unit[0] in place]
                trees.append(Tree(forest, inputs, list(keys), [(number, member) for member in members], inside))
        return trees

    def _micro_batch(self, rows: Sequence[Tree], attention: TreeAttention) -> MicroBatch:
        whole = _side_by_side(rows)
        media, copies = distinct_media(whole.keys, whole.media) if self.encoder.computes_once else (whole.media, ())
        laid_out = lay_out([row.forest for row in rows], multiple=attention.multiple)
        return MicroBatch(
            rows=laid_out,
            image_inputs=join_media(media),
            alone=None,
            copies=copies,
            keys=image_keys(whole.keys, whole.media, copies),
            video_frames=video_frames(media),
            branches=tuple(whole.branches),
            units=tuple(whole.units),
            reference=self._reference(whole.branches),
            teacher=self._teacher(whole.branches, laid_out),
        )

    def _singles(self, numbers: Sequence[int], media: Sequence[list[list[dict[str, Tensor]]]]) -> list[MicroBatch]:
        """A row for each sample; those of a unit in one micro-batch."""
        units = []
        for number, parts in zip(numbers, media, strict=True):
            group = self.groups[number]
            for unit in group.units:
                alone = [Single(group.forests[n], group.token_inputs[n], parts[n]) for n in unit]
                units.append((alone, [(number, n) for n in unit]))
        units.sort(key=lambda unit: -max(single.forest.length for single in unit[0]))
        lengths = [max(single.forest.length for single in alone) for alone, _ in units]
        sizes = [len(alone) for alone, _ in units]
        micro_batches = []
        for part in chunk_rows(lengths, self.settings.budget_tokens if self.encoder.pads else 1, sizes):
            branches = [branch for _, members in units[part] for branch in members]
            ends = np.cumsum([0, *sizes[part]]).tolist()
            singles = lay_out_singles([single for alone, _ in units[part] for single in alone])
            micro_batches.append(
                replace(
                    singles,
                    branches=tuple(branches),
                    units=tuple(tuple(range(*ends)) for ends in pairwise(ends)),
                    reference=self._reference(branches),
                    teacher=self._teacher(branches, singles.rows),
                )
            )
        return micro_batches

    def _reference(self, branches: Sequence[tuple[int, int]]) -> Tensor | None:
        """The stored log-probabilities of some branches, [edges]."""
        if self.reference is None:
            return None
        return torch.from_numpy(np.concatenate([self.reference[group][number] for group, number in branches]))

    def _teacher(self, branches: Sequence[tuple[int, int]], rows: Rows) -> TeacherRows | None:
        """What a teacher says at the targets of some branches."""
        if self.outcomes is None:
            return None
        samples = [self.taught[group][number] for group, number in branches]
        return teacher_rows(self.outcomes, samples, rows.edge_target.numpy())


def _side_by_side(trees: Sequence[Tree]) -> Tree:
    """Trees as one, their branches numbered through."""
    offsets = np.cumsum([0, *(len(tree.branches) for tree in trees)]).tolist()
    return Tree(
        forest=join([tree.forest for tree in trees]),
        media=[inputs for tree in trees for inputs in tree.media],
        keys=[key for tree in trees for key in tree.keys],
        branches=[branch for tree in trees for branch in tree.branches],
        units=[
            tuple(branch + offset for branch in unit)
            for tree, offset in zip(trees, offsets, strict=False)
            for unit in tree.units
        ],
    )


def weightless(micro: MicroBatch) -> MicroBatch:
    """The same forward pass, none of which counts."""
    return replace(micro, counts=False)


def lay_out_singles(singles: Sequence[Single]) -> MicroBatch:
    """One row a sample with its own media, as the model's processor would give them, padded on the right."""
    rows = lay_out([single.forest for single in singles])
    inputs = {"attention_mask": torch.zeros_like(rows.input_ids)}
    for row, single in enumerate(singles):
        filled = slice(0, single.forest.length)
        inputs["attention_mask"][row, filled] = 1
        for name, values in single.token_inputs.items():
            inputs.setdefault(name, torch.zeros_like(rows.input_ids))[row, filled] = torch.from_numpy(values)
    media = [each for single in singles for each in single.media]
    return MicroBatch(rows, join_media(media), inputs, video_frames=video_frames(media))


def chunk_rows(lengths: Sequence[int], budget: int, sizes: Sequence[int] | None = None) -> Iterator[slice]:
    """Cut rows, longest first, into stretches that take at most `budget` tokens with their padding, or are one row.

    With `sizes` each of them stands for so many rows that stay together, and its length is that of the longest.
    """
    start = 0
    while start < len(lengths):
        end, rows = start, 0
        while end < len(lengths):
            rows += sizes[end] if sizes is not None else 1
            if end > start and rows * lengths[start] > budget:
                break
            end += 1
        yield slice(start, end)
        start = end


def _to(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}
