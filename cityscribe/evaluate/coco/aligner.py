"""The alignment of METEOR 1.5: which of the candidate matches of two captions hold, at most one for each word.

A beam of 40 paths goes over the words of the reference from left to right. Paths are ranked by the weight of the words
that they cover in both captions, then by fewer chunks, then by a smaller distance, earlier ones first among equals.
Weights are whole numbers, cut off after each match, so that a single stem match counts nothing; and what a match adds
to the distance counts for the siblings that come after it, not for itself. Both are as the original has it, and
without them scores differ.

Many pairs of captions go over their words side by side: a state is an array [pairs, paths], and one number holds the
rank of a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cityscribe.files import InputError

BEAM = 40
TOGETHER = 64  # pairs of captions that are aligned side by side
WEIGHTS = np.array([1.0, 0.5, 0.5, 0.5])  # of exact, stem, synonym and paraphrase matches, while aligning
PADDING = (2, 5, 10, 20)  # pairs of which a word has up to so many candidates share arrays
MASK_BITS = 62  # words of a prediction that one number marks as used

# The columns of a match: the first word and the number of words in the prediction, the same in the reference, and the
# module, an index into WEIGHTS.
START, LENGTH, REFERENCE_START, REFERENCE_LENGTH, MODULE = range(5)

Ints = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """What two captions offer to the aligner."""

    length: int  # words of the prediction
    reference_length: int
    matches: Ints  # [candidates, 5], by the first word in the reference, then in the order of preference


class Alignment(NamedTuple):
    matches: Ints  # [matches, 5]
    chunks: int  # runs of matches that follow each other in both captions


def align(pairs: Sequence[Candidates]) -> list[Alignment]:
    """Align pairs of captions; each result depends on its own pair only."""
    # Captions of one length end together.
    order = sorted(range(len(pairs)), key=lambda index: -pairs[index].reference_length)
    alignments = [Alignment(np.zeros((0, 5), np.int64), 0)] * len(pairs)
    order = [index for index in order if len(pairs[index].matches)]
    for start in range(0, len(order), TOGETHER):
        together = order[start : start + TOGETHER]
        for index, alignment in zip(together, _align([pairs[index] for index in together]), strict=True):
            alignments[index] = alignment
    return alignments


class _Scale(NamedTuple):
    """The rank of a path as one number: weight (negative), chunks, distance and order, from high bits to low."""

    weight: int
    chunk: int
    distance: int
    limit: int  # the rank of a path without a match


class _Table(NamedTuple):
    """The candidates of pairs that are aligned together; arrays [words of the reference, pairs, candidates]."""

    starts: Ints  # -2 where there is no candidate
    ends: Ints
    reference_ends: Ints
    distances: Ints  # on the scale of ranks
    gains: Ints  # weights on the scale of ranks
    masks: Ints  # [parts, words of the reference, pairs, candidates]: the words of the prediction, as bits
    numbers: Ints  # of the match among its pair's
    widths: Ints  # [words of the reference, pairs]: how many candidates there are, 0 where the match is fixed
    fixed_starts: Ints  # [words of the reference, pairs], -2 where no match is fixed
    fixed_ranks: Ints  # what a fixed match adds to the rank, but for chunks


class _Paths(NamedTuple):
    """The beams of pairs that are aligned together; arrays [pairs, paths]."""

    rank: Ints
    last: Ints  # the word of the prediction after the match that ends at the word before, -1 where none does
    free: Ints  # the next word of the reference that no match of the path covers
    used: Ints  # [parts, pairs, paths]: the matched words of the prediction, as bits


def _align(pairs: Sequence[Candidates]) -> list[Alignment]:
    """Align pairs, each with a candidate, in descending order of the length of their references."""
    steps, count = pairs[0].reference_length, len(pairs)
    fixed = [_fixed(pair) for pair in pairs]
    table, scale = _table(pairs, fixed)
    nothing = 2 * scale.limit
    rank = np.full((count, BEAM), nothing)
    rank[:, 0] = scale.limit
    used = np.zeros((len(table.masks), count, BEAM), np.int64)
    for row, (pair, of_pair) in enumerate(zip(pairs, fixed, strict=True)):
        for start in pair.matches[of_pair, START].tolist():
            used[start // MASK_BITS, row, 0] |= 1 << start % MASK_BITS
    paths = _Paths(rank, np.full((count, BEAM), -1), np.zeros((count, BEAM), np.int64), used)
    parents = np.zeros((steps, count, BEAM), np.int64)
    numbers = np.full((steps, count, BEAM), -1)
    going = np.array([pair.reference_length for pair in pairs])
    edges = (-1, 0, *(most for most in PADDING if most < table.starts.shape[2]), table.starts.shape[2])
    for step in range(steps):
        widths = np.where(going > step, table.widths[step], -1)
        for least, most in pairwise(edges):
            rows = np.flatnonzero((widths > least) & (widths <= most))
            if len(rows):
                kept, parents[step, rows], numbers[step, rows] = _step(step, rows, most, paths, table, scale)
                paths.rank[rows], paths.last[rows], paths.free[rows], paths.used[:, rows] = kept
    final = paths.rank + scale.chunk * (paths.last >= 0)
    path = np.argmin(final, axis=1)
    rows = np.arange(count)
    chunks = final[rows, path] % scale.weight // scale.chunk
    taken = np.zeros((steps, count), np.int64)
    for step in range(steps - 1, -1, -1):
        taken[step] = numbers[step, rows, path]
        # A pair that had ended kept its paths as they were.
        path = np.where(going > step, parents[step, rows, path], path)
    return [
        Alignment(
            pair.matches[np.concatenate([np.flatnonzero(fixed[row]), taken[taken[:, row] >= 0, row]])], int(chunks[row])
        )
        for row, pair in enumerate(pairs)
    ]


def _fixed(pair: Candidates) -> npt.NDArray[np.bool_]:
    """Which candidates match one word with one word that no other candidate touches."""
    matches = pair.matches
    alone = (matches[:, LENGTH] == 1) & (matches[:, REFERENCE_LENGTH] == 1)
    for start, length, words in (
        (matches[:, START], matches[:, LENGTH], pair.length),
        (matches[:, REFERENCE_START], matches[:, REFERENCE_LENGTH], pair.reference_length),
    ):
        begun, ended = (np.bincount(places, minlength=words + 1) for places in (start, start + length))
        alone &= np.cumsum(begun - ended)[start] == 1
    return alone


def _table(pairs: Sequence[Candidates], fixed: Sequence[npt.NDArray[np.bool_]]) -> tuple[_Table, _Scale]:
    steps, count = pairs[0].reference_length, len(pairs)
    sizes = [len(pair.matches) for pair in pairs]
    matches = np.concatenate([pair.matches for pair in pairs])
    rows = np.repeat(np.arange(count), sizes)
    begins = np.cumsum(sizes) - sizes
    numbers = np.arange(len(matches)) - np.repeat(begins, sizes)
    places = matches[:, REFERENCE_START]
    keys = rows * (steps + 1) + places
    columns = np.arange(len(matches)) - np.searchsorted(keys, keys)
    width = int(columns.max()) + 1
    distances = np.abs(matches[:, START] - places)
    weights = WEIGHTS[matches[:, MODULE]]
    gains = sum(np.floor(matches[:, column] * weights).astype(np.int64) for column in (LENGTH, REFERENCE_LENGTH))
    scale = _scale(pairs, width, int(np.bincount(rows, weights=distances).max()))
    shape = (steps, count, width)
    at = (places, rows, columns)
    starts = np.full(shape, -2)
    starts[at] = matches[:, START]
    ends, reference_ends, far, gained, number = (np.zeros(shape, np.int64) for _ in range(5))
    ends[at] = matches[:, START] + matches[:, LENGTH]
    reference_ends[at] = places + matches[:, REFERENCE_LENGTH]
    far[at] = distances * scale.distance
    gained[at] = gains * scale.weight
    number[at] = numbers
    masks = np.zeros((max(pair.length for pair in pairs) // MASK_BITS + 1, *shape), np.int64)
    for part, mask in enumerate(masks):
        low, high = (np.clip(ends_at - part * MASK_BITS, 0, MASK_BITS) for ends_at in (starts[at], ends[at]))
        mask[at] = (1 << high) - (1 << low)
    widths = np.zeros((steps, count), np.int64)
    np.maximum.at(widths, (places, rows), columns + 1)
    fixed_starts, fixed_ranks = np.full((steps, count), -2), np.zeros((steps, count), np.int64)
    alone = np.concatenate(fixed)
    there = places[alone], rows[alone]
    fixed_starts[there] = matches[alone, START]
    fixed_ranks[there] = distances[alone] * scale.distance - gains[alone] * scale.weight
    widths[there] = 0
    return (
        _Table(starts, ends, reference_ends, far, gained, masks, number, widths, fixed_starts, fixed_ranks),
        scale,
    )


def _scale(pairs: Sequence[Candidates], width: int, distance: int) -> _Scale:
    """Room for the largest order, distance, number of chunks and weight that these pairs can reach."""
    largest = (
        BEAM * (width + 1),
        distance,
        pairs[0].reference_length + 1,
        max(pair.length + pair.reference_length for pair in pairs),
    )
    units = [1]
    for most in largest:
        units.append(units[-1] << int(most).bit_length())
    if units[-1] >> 61:
        raise InputError(f"a caption of {pairs[0].reference_length} words is too long for METEOR")
    return _Scale(weight=units[3], chunk=units[2], distance=units[1], limit=units[4])


def _step(step: int, rows: Ints, width: int, paths: _Paths, table: _Table, scale: _Scale) -> tuple[_Paths, Ints, Ints]:
    """The paths of some pairs after one more word of the reference, their parents, and the numbers of their matches."""
    rank, last, free, used = paths.rank[rows], paths.last[rows], paths.free[rows], paths.used[:, rows]
    nothing = 2 * scale.limit
    waiting = (free > step) | (rank >= nothing)
    # Without a match a path goes on as it is where it waits, with a fixed match, or without this word.
    fixed_start = table.fixed_starts[step, rows, None]
    opens = (last >= 0) & (last != fixed_start)
    rest = np.where(waiting, rank, rank + table.fixed_ranks[step, rows, None] + scale.chunk * opens)
    rest_last = np.where(waiting, last, np.where(fixed_start >= 0, fixed_start + 1, -1))
    row = np.arange(len(rows))[:, None]
    if not width:
        order = np.argsort(rest, axis=1, kind="stable")
        kept = _Paths(rest[row, order], rest_last[row, order], free[row, order], used[:, row, order])
        return kept, order, np.full_like(order, -1)
    starts = table.starts[step, rows, :width]
    possible = (starts >= 0)[:, None, :] & ~waiting[:, :, None]  # [pairs, paths, candidates]
    for part, mask in enumerate(table.masks):
        possible &= (used[part, :, :, None] & mask[step, rows, None, :width]) == 0
    far = possible * table.distances[step, rows, None, :width]
    reached = np.cumsum(far, axis=2)
    opens_here = (last[:, :, None] >= 0) & (last[:, :, None] != starts[:, None, :])
    taken = rank[:, :, None] - table.gains[step, rows, None, :width] + (reached - far) + scale.chunk * opens_here
    children = np.empty((len(rows), BEAM, width + 1), np.int64)
    children[:, :, :width] = np.where(possible, taken, nothing)
    children[:, :, width] = rest + reached[:, :, -1]
    flat = children.reshape(len(rows), -1)
    flat += np.arange(flat.shape[1])
    best = np.sort(np.partition(flat, BEAM - 1, axis=1)[:, :BEAM], axis=1)
    order = best & (scale.distance - 1)
    parents, choices = np.divmod(order, width + 1)
    chosen = (choices < width) & (best < nothing)
    column = np.where(choices < width, choices, 0)
    kept = _Paths(
        best - order,
        np.where(chosen, table.ends[step, rows][row, column], rest_last[row, parents]),
        np.where(chosen, table.reference_ends[step, rows][row, column], free[row, parents]),
        used[:, row, parents] | np.where(chosen, table.masks[:, step, rows][:, row, column], 0),
    )
    return kept, parents, np.where(chosen, table.numbers[step, rows][row, column], -1)
