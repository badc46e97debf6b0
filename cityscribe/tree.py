"""The prefix tree: what token sequences have in common is computed once, and each of them sees its own path only.

    forest = build_forest([Branch(ids, positions, weights), ...])   # merge
    rows = lay_out([join([forest, another])])                       # [rows, length] tensors
    logits = model(rows.input_ids, attention_mask=dense_mask(rows.visibility()), position_ids=rows.position_ids,
                   logits_to_keep=rows.keep).logits                 # [kept, vocabulary]
    loss = (rows.weights * -target_logprobs(logits, rows)).sum() / rows.weights.sum()

A forest is stored in depth-first order, so that one vector describes its whole attention mask: token j sees token i
exactly when i is an ancestor of j or j itself, that is `i <= j <= last[i]` with `last[i]` the last descendant of i. A
token is predicted from the logits of its parent, which may stand far before it: branches part wherever they differ, in
the middle of an answer too. A token that several branches share carries the sum of their weights, so that loss and
gradient equal those of the branches computed one by one.

The same layout serves every objective: supervised loss (`target_logprobs` and `weights`), preference pairs and option
scoring (`branch_logprobs`), distillation (the logits of two models on one layout, weighted by `weights`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

Visibility = Callable[[Tensor, Tensor | None, Tensor, Tensor], Tensor]
"""`(row, head, query, key) -> bool`: may the query see the key? Arguments broadcast; the head does not matter."""


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One token sequence as the model would see it alone: a path through the tree."""

    input_ids: np.ndarray  # [length], integers
    position_ids: np.ndarray  # [axes, length], as the model numbers this sequence alone
    weights: np.ndarray  # [length], of the loss of predicting a token from those before it; 0 where none is taken
    media_ids: np.ndarray | None = None  # [length], equal exactly where the content of the placeholder is, -1 for text
    token_inputs: np.ndarray | None = None  # [kinds, length], integers that the model takes for each token beside it

    @property
    def length(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Merged branches in depth-first order. An edge is a token with a weight in one branch; it is trained there."""

    input_ids: np.ndarray  # [length]
    parent: np.ndarray  # [length], -1 at a root
    last: np.ndarray  # [length], the last descendant, itself where there is none
    depth: np.ndarray  # [length], the token's place in its own sequence
    position_ids: np.ndarray  # [axes, length]
    media_ids: np.ndarray  # [length], -1 for text
    edge_token: np.ndarray  # [edges], index of the predicted token
    edge_branch: np.ndarray  # [edges], which of the branches, in the order they were given
    edge_weight: np.ndarray  # [edges], float64
    branches: int
    effective: int  # tokens of the branches one by one

    @property
    def length(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Forests as tensors, one a row, padded at the end. Targets are the tokens with a weight, in row order."""

    input_ids: Tensor  # [rows, length]
    position_ids: Tensor  # [rows, length], or [axes, rows, length] where there is more than one axis
    last: Tensor  # [rows, length]
    depth: Tensor  # [rows, length]
    image_block: Tensor  # [rows, length], number of the run of image tokens, -1 for text
    keep: Tensor  # [rows, length] bool, the positions whose logits are needed
    source: Tensor  # [targets], which of the kept logits predicts the target
    target: Tensor  # [targets], token ids
    weights: Tensor  # [targets], float32, summed over the branches that share the token
    edge_target: Tensor  # [edges], index of a target
    edge_branch: Tensor  # [edges], counted through the rows
    branches: int

    def to(self, device: torch.device) -> Rows:
        """The same rows with their tensors on a device."""
        values = [getattr(self, field.name) for field in fields(self)]
        moved: list[Any] = [value.to(device) if isinstance(value, Tensor) else value for value in values]
        return Rows(*moved)

    def visibility(self, *, window: int = 0, chunk: int = 0, whole_images: bool = False) -> Visibility:
        """Who sees whom: ancestors and oneself.

        With `whole_images` the tokens of an image see each other in both directions, as in Gemma 3. With a `window`
        nobody sees further back than `window - 1` tokens of the own sequence, as in layers of sliding attention; with a
        `chunk` nobody sees beyond the piece of so many tokens of the own sequence that it stands in, as in Llama 4.
        """
        last, depth, block = self.last, self.depth, self.image_block

        def visible(row: Tensor, head: Tensor | None, query: Tensor, key: Tensor) -> Tensor:
            seen = (key <= query) & (query <= last[row, key])
            if whole_images:
                seen = seen | ((block[row, query] == block[row, key]) & (block[row, query] >= 0))
            if window:
                seen = seen & (depth[row, query] - depth[row, key] < window)
            if chunk:
                seen = seen & (depth[row, query] // chunk == depth[row, key] // chunk)
            return seen

        return visible


def weigh(trained: Sequence[np.ndarray], weighting: Literal["token", "sequence", "sqrt-branches"]) -> list[np.ndarray]:
    """The weights of the branches of one image group, from which of their tokens are trained (bool [length] each).

    `token`: every trained token counts the same. `sequence`: every branch counts the same, however long its answer.
    `sqrt-branches`: a group with n branches counts as much as the square root of n, so that images with many captions
    do not crowd out the others (the `root_subsegments` weighting of Molmo).
    """
    shares = {
        "token": [1.0] * len(trained),
        "sequence": [1.0 / max(int(places.sum()), 1) for places in trained],
        "sqrt-branches": [len(trained) ** -0.5] * len(trained),
    }[weighting]
    return [places * share for places, share in zip(trained, shares, strict=True)]


def build_forest(branches: Sequence[Branch]) -> Forest:
    """Merge branches from the front, as far as token, position, inputs and media agree.

    Order-independent: permuting the branches permutes the branch numbers and changes nothing else. Weights play no part
    in merging. Raises ValueError for no or empty branches and for a weight on a first token, which nothing predicts.
    """
    if not branches:
        raise ValueError("a forest needs at least one branch")
    for number, branch in enumerate(branches):
        if not branch.length:
            raise ValueError(f"branch {number} has no tokens")
        if branch.weights[0]:
            raise ValueError(f"branch {number} has a weight on its first token, which nothing predicts")
    keys = _keys(branches)
    order = sorted(range(len(branches)), key=lambda number: (keys[number].tobytes(), number))

    pieces: list[tuple[int, int]] = []  # (branch, where its part that no branch before it shares begins)
    parents: list[np.ndarray] = []
    lasts = np.empty(sum(branch.length for branch in branches), dtype=np.int64)
    tokens: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(branches)
    path = np.empty(0, dtype=np.int64)  # the forest indices of the branch before
    length = 0
    for before, number in zip([None, *order], order, strict=False):
        shared = _common_prefix(keys[before], keys[number]) if before is not None else 0
        new = np.arange(length, length + branches[number].length - shared)
        lasts[path[shared:]] = length - 1
        parents.append(np.concatenate([path[shared - 1 : shared] if shared else [-1], new[:-1]])[: len(new)])
        path = tokens[number] = np.concatenate([path[:shared], new])
        pieces.append((number, shared))
        length += len(new)
    lasts[path] = length - 1

    trained = [np.flatnonzero(branch.weights) for branch in branches]
    return Forest(
        input_ids=np.concatenate([branches[n].input_ids[start:] for n, start in pieces]).astype(np.int64),
        parent=np.concatenate(parents).astype(np.int64),
        last=lasts[:length],
        depth=np.concatenate([np.arange(start, branches[n].length) for n, start in pieces]),
        position_ids=np.concatenate([branches[n].position_ids[:, start:] for n, start in pieces], axis=1),
        media_ids=np.concatenate([_media_ids(branches[n])[start:] for n, start in pieces]),
        edge_token=np.concatenate([tokens[n][places] for n, places in enumerate(trained)]),
        edge_branch=np.repeat(np.arange(len(branches)), [len(places) for places in trained]),
        edge_weight=np.concatenate(
            [branch.weights[places] for branch, places in zip(branches, trained, strict=True)]
        ).astype(np.float64),
        branches=len(branches),
        effective=sum(branch.length for branch in branches),
    )


def join(forests: Sequence[Forest]) -> Forest:
    """Forests side by side as one; none sees another. Branches are numbered through."""
    token_offsets = np.cumsum([0, *(forest.length for forest in forests)])
    branch_offsets = np.cumsum([0, *(forest.branches for forest in forests)])
    placed = list(zip(forests, token_offsets[:-1], branch_offsets[:-1], strict=True))
    return Forest(
        input_ids=np.concatenate([forest.input_ids for forest in forests]),
        parent=np.concatenate([np.where(f.parent < 0, -1, f.parent + offset) for f, offset, _ in placed]),
        last=np.concatenate([forest.last + offset for forest, offset, _ in placed]),
        depth=np.concatenate([forest.depth for forest in forests]),
        position_ids=np.concatenate([forest.position_ids for forest in forests], axis=1),
        media_ids=np.concatenate([forest.media_ids for forest in forests]),
        edge_token=np.concatenate([forest.edge_token + offset for forest, offset, _ in placed]),
        edge_branch=np.concatenate([forest.edge_branch + offset for forest, _, offset in placed]),
        edge_weight=np.concatenate([forest.edge_weight for forest in forests]),
        branches=int(branch_offsets[-1]),
        effective=sum(forest.effective for forest in forests),
    )


def split_branches(
    branches: Sequence[Branch], budget: int, units: Sequence[Sequence[int]] | None = None
) -> list[list[int]]:
    """Divide branches into parts whose forests have at most `budget` tokens each, the shared prefix repeated.

    Branches of one of the `units` (numbers of branches; None: each is one) come into the same part. Returns the numbers
    of the branches of each part, ascending. Neighbours in depth-first order stay together, since they share most.
    Raises ValueError for a unit that is longer than the budget by itself.
    """
    keys = _keys(branches)
    order = sorted(range(len(branches)), key=lambda number: (keys[number].tobytes(), number))
    place = {number: rank for rank, number in enumerate(order)}
    placed = [sorted(place[n] for n in unit) for unit in units or [[n] for n in range(len(branches))]]
    parts: list[list[int]] = []  # places, ascending
    filled = 0
    for unit in sorted(placed):
        alone = _distinct([keys[order[rank]] for rank in unit])
        if alone > budget:
            raise ValueError(f"branch {order[unit[0]]} has {alone} tokens, more than the budget of {budget}")
        if not parts:
            together, length = unit, alone
        elif parts[-1][-1] < unit[0]:
            together = [*parts[-1], *unit]
            length = filled + alone - _common_prefix(keys[order[parts[-1][-1]]], keys[order[unit[0]]])
        else:
            together = sorted([*parts[-1], *unit])
            length = _distinct([keys[order[rank]] for rank in together])
        if parts and length <= budget:
            parts[-1], filled = together, length
        else:
            parts.append(unit)
            filled = alone
    return [sorted(order[rank] for rank in part) for part in parts]


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put pieces into as few bins of a capacity as first-fit decreasing finds; one that is longer gets its own.

    Returns the numbers of the pieces of each bin, fullest piece first; equal input gives equal bins.
    """
    bins: list[list[int]] = []
    free: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        place = next((place for place, room in enumerate(free) if room >= lengths[number]), None)
        if place is None:
            bins.append([number])
            free.append(capacity - lengths[number])
        else:
            bins[place].append(number)
            free[place] -= lengths[number]
    return bins


def lay_out(forests: Sequence[Forest], *, multiple: int = 1) -> Rows:
    """Turn forests into tensors, one a row, padded at the end to a common length that is a multiple of `multiple`.

    A padding token sees and is seen by itself alone: no row of the mask is empty, and no logits are kept of it.
    """
    count = len(forests)
    longest = max(forest.length for forest in forests)
    length = -(-longest // multiple) * multiple
    axes = len(forests[0].position_ids)
    input_ids, depth = np.zeros((2, count, length), dtype=np.int64)
    last = np.tile(np.arange(length), (count, 1))
    block = np.full((count, length), -1, dtype=np.int64)
    position_ids = np.zeros((axes, count, length), dtype=np.int64)
    keep = np.zeros((count, length), dtype=bool)
    for row, forest in enumerate(forests):
        filled = slice(0, forest.length)
        input_ids[row, filled] = forest.input_ids
        last[row, filled] = forest.last
        depth[row, filled] = forest.depth
        block[row, filled] = _image_blocks(forest)
        position_ids[:, row, filled] = forest.position_ids
        keep[row, forest.parent[forest.edge_token]] = True

    rank = np.cumsum(keep.ravel()) - 1
    sources, targets, weights, edge_targets, edge_branches = [], [], [], [], []
    seen_targets = seen_branches = 0
    for row, forest in enumerate(forests):
        tokens, places = np.unique(forest.edge_token, return_inverse=True)
        sources.append(rank[row * length + forest.parent[tokens]])
        targets.append(forest.input_ids[tokens])
        weights.append(np.bincount(places, weights=forest.edge_weight, minlength=len(tokens)))
        edge_targets.append(places + seen_targets)
        edge_branches.append(forest.edge_branch + seen_branches)
        seen_targets += len(tokens)
        seen_branches += forest.branches
    return Rows(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids if axes > 1 else position_ids[0]),
        last=torch.from_numpy(last),
        depth=torch.from_numpy(depth),
        image_block=torch.from_numpy(block),
        keep=torch.from_numpy(keep),
        source=torch.from_numpy(np.concatenate(sources)),
        target=torch.from_numpy(np.concatenate(targets)),
        weights=torch.from_numpy(np.concatenate(weights).astype(np.float32)),
        edge_target=torch.from_numpy(np.concatenate(edge_targets)),
        edge_branch=torch.from_numpy(np.concatenate(edge_branches)),
        branches=seen_branches,
    )


def dense_mask(visible: Visibility, rows: int, length: int, device: torch.device | None = None) -> Tensor:
    """The whole mask, bool [rows, 1, length, length], true where the query (third axis) sees the key (fourth).

    For scaled-dot-product attention; eager attention adds its mask to the scores, and is silently wrong with it.
    """
    row = torch.arange(rows, device=device)[:, None, None]
    place = torch.arange(length, device=device)
    return visible(row, None, place[None, :, None], place[None, None, :])[:, None]


def block_mask(visible: Visibility, rows: int, length: int, device: torch.device) -> BlockMask:
    """The same mask for FlexAttention, which leaves out the blocks in which nobody sees anybody."""
    return create_block_mask(visible, B=rows, H=None, Q_LEN=length, KV_LEN=length, device=device)


def target_logprobs(logits: Tensor, rows: Rows) -> Tensor:
    """The log-probability of every target, [targets], from the kept `logits` [kept, vocabulary]; float32 or wider."""
    vocabulary = logits.shape[-1]
    wide = torch.promote_types(logits.dtype, torch.float32)
    # index_select and not indexing: several targets may share a source, and only its backward adds in a fixed order.
    normaliser = torch.logsumexp(logits.to(wide), dim=-1).index_select(0, rows.source)
    chosen = logits.reshape(-1).index_select(0, rows.source * vocabulary + rows.target)
    return chosen.to(wide) - normaliser


def branch_logprobs(logits: Tensor, rows: Rows) -> Tensor:
    """The summed log-probability of each branch's trained tokens, [branches], in the order they were given."""
    logprobs = target_logprobs(logits, rows)
    sums = logprobs.new_zeros(rows.branches)
    return sums.index_add(0, rows.edge_branch, logprobs.index_select(0, rows.edge_target))


def _media_ids(branch: Branch) -> np.ndarray:
    return np.full(branch.length, -1, dtype=np.int64) if branch.media_ids is None else branch.media_ids


def _token_inputs(branches: Sequence[Branch]) -> np.ndarray:
    """The inputs per token of all branches, one after the other, [kinds, tokens]; all branches have the same kinds."""
    given = [branch.token_inputs for branch in branches if branch.token_inputs is not None]
    if given and len(given) < len(branches):
        raise ValueError("some branches have inputs beside their tokens and others do not")
    return np.concatenate(given, axis=1) if given else np.empty((0, sum(branch.length for branch in branches)))


def _keys(branches: Sequence[Branch]) -> list[np.ndarray]:
    """For each branch its tokens as big-endian integers, equal exactly where all are equal that decides about a token.

    Big-endian bytes compare as the numbers do, which sorts branches lexicographically at the speed of memcmp.
    """
    columns = [
        np.concatenate([branch.input_ids for branch in branches]),
        *np.concatenate([branch.position_ids for branch in branches], axis=1),
        np.concatenate([_media_ids(branch) for branch in branches]),
        *_token_inputs(branches),
    ]
    key = np.zeros(len(columns[0]), dtype=np.int64)
    width = 1
    for column in columns:
        low, high = int(column.min()), int(column.max())
        if width * (high - low + 1) >= 2**63:
            _, key = np.unique(key, return_inverse=True)
            width = len(key)
        key = key * (high - low + 1) + (column - low)
        width *= high - low + 1
    ends = np.cumsum([branch.length for branch in branches])[:-1]
    return np.split(key.astype(">i8"), ends)


def _distinct(keys: Sequence[np.ndarray]) -> int:
    """How many tokens the forest of branches has, whose keys are given in depth-first order."""
    return sum(map(len, keys)) - sum(_common_prefix(first, second) for first, second in pairwise(keys))


def _common_prefix(first: np.ndarray, second: np.ndarray) -> int:
    shorter = min(len(first), len(second))
    differs = first[:shorter] != second[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


def _image_blocks(forest: Forest) -> np.ndarray:
    """Number the runs of image tokens that follow each other on a path, -1 for text."""
    image = forest.media_ids >= 0
    follows = np.zeros(forest.length, dtype=bool)
    follows[1:] = image[:-1] & (forest.parent[1:] == np.arange(forest.length - 1))
    return np.where(image, np.cumsum(image & ~follows) - 1, -1)
