"""Whether some groups are answered about less well than others.

The largest of many gaps is large by chance. So the best and the worst group of each attribute are found on one half of
the clips, and their gap is measured on the other half.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cityscribe.evaluate import resampling
from cityscribe.evaluate.probes.probe import (
    ProbedAnswers,
    ProbeLine,
    ProbeResult,
    accuracy,
    judged,
    plain_right,
    share,
)

LEAST = 4
"""Questions of a group on each half; smaller groups are left out of the gap."""


def gap_between_groups(asked: Sequence[ProbedAnswers], attributes: Sequence[str], seed: int) -> ProbeResult:
    """What is known of the accuracies of groups: the values of attributes in `question.about`."""
    plain = plain_right(asked)
    halves = [hashlib.sha256(each.question.group.encode()).digest()[0] % 2 for each in asked]
    lines, gaps = [*accuracy(asked, seed)], []
    for attribute in attributes:
        members = _members(asked, attribute)
        for value, places in members.items():
            part = [asked[n] for n in places]
            lines.append(share(f"accuracy, {attribute} {value}", part, [plain[n] for n in places], seed))
        gap = _gap(asked, plain, halves, attribute, members, seed)
        if gap is not None:
            gaps.append(gap)
    if not gaps:
        none = ProbeLine("gap between groups", 0.0, None, len(asked))
        return ProbeResult(
            "unclear", f"no attribute has two groups of {LEAST} questions a half", tuple(lines), (), none, ()
        )
    # The attribute is chosen by what the first half says; that choice makes no gap of the other half larger.
    first, fault = max(gaps, key=lambda gap: gap[0])
    finding, why = judged(fault, f"{fault.name}, measured on views that did not choose these groups")
    ordered = [gap for _, gap in gaps]
    examples = [each.question.key for each, right in zip(asked, plain, strict=True) if not right]
    faults = tuple(1 - right for right in plain)
    return ProbeResult(finding, why, (*lines, *ordered), tuple(examples) if first > 0 else (), fault, faults)


def _members(asked: Sequence[ProbedAnswers], attribute: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for n, each in enumerate(asked):
        if attribute in each.question.about:
            found.setdefault(each.question.about[attribute], []).append(n)
    return dict(sorted(found.items()))


def _gap(
    asked: Sequence[ProbedAnswers],
    plain: Sequence[float],
    halves: Sequence[int],
    attribute: str,
    members: dict[str, list[int]],
    seed: int,
) -> tuple[float, ProbeLine] | None:
    """The gap of the best and the worst group on the half that chose them, and the line of it on the other half."""

    def mean(value: str, half: int) -> float:
        outcomes = [plain[n] for n in members[value] if halves[n] == half]
        return sum(outcomes) / len(outcomes)

    large = [
        value
        for value, places in members.items()
        if min(sum(halves[n] == half for n in places) for half in (0, 1)) >= LEAST
    ]
    if len(large) < 2:
        return None
    best, worst = max(large, key=lambda value: mean(value, 0)), min(large, key=lambda value: mean(value, 0))
    if best == worst or mean(best, 0) == mean(worst, 0):
        best, worst = large[0], large[1]
    places = [n for value in (best, worst) for n in members[value] if halves[n] == 1]
    columns = ["0 best" if n in set(members[best]) else "1 worst" for n in places]
    table = resampling.stratum([asked[n].question.group for n in places], columns, [plain[n] for n in places])
    # Both columns count alike in a mean, so that twice the mean of (best, -worst) is their difference.
    signed = resampling.Stratum(table.sums * [1.0, -1.0], table.counts)
    found = resampling.interval([signed], seed)
    twice = None if found is None else resampling.Interval(2 * found.low, 2 * found.high)
    value = 2 * resampling.mean([signed])
    return mean(best, 0) - mean(worst, 0), ProbeLine(f"{attribute}: {best} above {worst}", value, twice, len(places))
