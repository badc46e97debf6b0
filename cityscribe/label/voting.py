"""What a frame shows, by the votes of several readers on it and on the frames around it.

    votes = vote(times_s, seen, weights, window_s=1.0, stops=stops)
    runs = refuse_orders(runs_of(votes), follows)

Each reader votes once a frame, with its weight. The value with most votes within half a window on each side wins; its
confidence is its share of all votes that could have been cast there, so that a reader that says nothing, and a frame
that could not be looked at, count against it. Of equals the one that is first in the alphabet wins. For a feature of
the place, frames of one stop vote as one: it cannot change while the camera stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cityscribe.prompts.library import NO


@dataclass(frozen=True, slots=True)
class FrameVote:
    """The value of a feature in a frame; empty, with confidence 0, where nobody says anything."""

    value: str
    confidence: float
    by: tuple[int, ...]  # readers that say so in the window, by their places


@dataclass(frozen=True, slots=True)
class ValueRun:
    """Successive frames that show the same value."""

    first: int  # place of the first frame
    last: int
    value: str
    confidence: float  # mean of its frames
    by: tuple[int, ...]
    why: str = ""  # it is refused

    @property
    def support(self) -> float:
        return self.confidence * (self.last - self.first + 1)


def vote(
    times_s: Sequence[float],
    seen: Sequence[Sequence[str]],
    weights: Sequence[float],
    *,
    window_s: float,
    stops: Sequence[int],
) -> list[FrameVote]:
    """The value of one feature in each frame. `seen[reader][frame]` is what a reader says, empty for nothing."""
    half, slack = window_s / 2, 1e-6
    voted: dict[int, FrameVote] = {}
    found = []
    for stop in stops:
        if stop not in voted:
            own = [times_s[n] for n in range(len(times_s)) if stops[n] == stop]
            near = [n for n, time_s in enumerate(times_s) if own[0] - half - slack <= time_s <= own[-1] + half + slack]
            voted[stop] = _count(near, seen, weights)
        found.append(voted[stop])
    return found


def _count(near: Sequence[int], seen: Sequence[Sequence[str]], weights: Sequence[float]) -> FrameVote:
    votes: defaultdict[str, float] = defaultdict(float)
    by: dict[str, set[int]] = {}
    for reader, (said, weight) in enumerate(zip(seen, weights, strict=True)):
        for n in near:
            if said[n]:
                votes[said[n]] += weight
                by.setdefault(said[n], set()).add(reader)
    if not votes:
        return FrameVote("", 0.0, ())
    value = min(votes, key=lambda each: (-votes[each], each))
    return FrameVote(value, votes[value] / (sum(weights) * len(near)), tuple(sorted(by[value])))


def runs_of(votes: Sequence[FrameVote]) -> list[ValueRun]:
    """Successive frames with the same value; those without any are a run of the empty value."""
    runs: list[ValueRun] = []
    start = 0
    for n in range(1, len(votes) + 1) if votes else ():
        if n < len(votes) and votes[n].value == votes[start].value:
            continue
        part = votes[start:n]
        by = tuple(sorted({reader for each in part for reader in each.by}))
        mean = sum(each.confidence for each in part) / len(part)
        runs.append(ValueRun(start, n - 1, part[0].value, mean, by))
        start = n
    return runs


def refuse_orders(runs: Sequence[ValueRun], follows: Mapping[str, Sequence[str]]) -> list[ValueRun]:
    """Runs of one feature, in which those are refused that make an impossible order.

    Of two runs, one right behind the other, of which the second may not follow the first, the one with less support
    (confidence times frames; of equals the second) is refused. The runs before and behind it are then compared with
    each other, so that of what is left each order is possible. Equal values may follow each other; behind frames that
    nobody says anything of, anything may.
    """
    found = list(runs)
    kept = list(range(len(runs)))
    n = 0
    while n + 1 < len(kept):
        one, other = found[kept[n]], found[kept[n + 1]]
        if _may_follow(one.value, other.value, follows):
            n += 1
            continue
        place = n if one.support < other.support else n + 1
        why = f"{one.value}, then {other.value}: an impossible order"
        found[kept[place]] = replace(found[kept[place]], why=why)
        del kept[place]
        n = max(n - 1, 0)
    return found


def _may_follow(one: str, other: str, follows: Mapping[str, Sequence[str]]) -> bool:
    return one not in follows or other in (one, NO, "") or other in follows[one]
