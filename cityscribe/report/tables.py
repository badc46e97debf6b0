"""What the numbers of a run say: the sentence at the top, the score tables, what was left out.

All scores are in points: BLEU-4, METEOR and ROUGE-L times 100, CIDEr-D times 10; the score is their mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from cityscribe.report.bootstrap import Interval, paired_interval, score
from cityscribe.report.run_files import EvaluatedModel, Run, Scores, SegmentKey, SkippedEntry
from cityscribe.traffic.scenario import PHASES, ROLES, Domain

EXAMPLES = 3
"""Of each reason in the table of what was left out."""

VARIABLE = re.compile(r"\S*[/\\]\S*|\b\d+(?:\.\d+)?")
"""What differs between reasons of one kind: files and numbers."""

ROUNDING = 0.005
"""Points. Two ways to the same score may differ by less."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One model in a score table; `lead` is the score of the tuned model minus this one's. None: there is none."""

    score: float | None
    lead: float | None
    interval: Interval | None
    metrics: Mapping[str, float]  # in points; empty for all domains together


@dataclass(frozen=True, slots=True)
class ScoreGroup:
    """All models, in their order, on one part of the references, such as the pedestrians of a domain."""

    domain: str  # "" for all domains together
    who: str  # "both", or a role
    phases: int | None  # that have a reference; None for the parts of a domain
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True, slots=True)
class SkipGroup:
    """What was left out for one reason. Where its reasons differ in numbers or files only, `why` leaves these open."""

    what: str
    why: str
    count: int
    examples: tuple[str, ...]


def signed(value: float) -> str:
    """A difference in points with its sign; without one where it rounds to zero."""
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def headline(run: Run) -> str:
    """What the run is worth, in one sentence."""
    if run.tuned.scores is None:
        if run.tuned.captions is None:
            return "Nothing is predicted yet"
        phases = len(run.tuned.captions)
        return f"{phases} {'phase' if phases == 1 else 'phases'} described, not scored"
    own = run.tuned.scores.score
    scored = [(model.name, model.scores.score) for model in run.baselines if model.scores is not None]
    leads = [
        f"{_compared(own - other)} the {name} {'line' if name == 'majority' else 'one' if place else 'model'}"
        for place, (name, other) in enumerate(scored)
    ]
    points = f"{own:.1f} points"
    if not leads:
        return points
    return f"{points}, {' and '.join(filter(None, [', '.join(leads[:-1]), leads[-1]]))}"


def _compared(lead: float) -> str:
    amount = f"{abs(lead):.1f}"
    return "level with" if amount == "0.0" else f"{amount} {'above' if lead > 0 else 'below'}"


def score_groups(run: Run, seed: int) -> list[ScoreGroup]:
    """All domains together, with the intervals of the leads, then each domain and the road users in it."""
    intervals = _intervals(run, seed)
    groups = [ScoreGroup("", "both", None, _rows(run, lambda scores: (scores.score, {}), intervals))]
    for domain in get_args(Domain):
        for who in ("both", *ROLES):
            rows = _rows(run, partial(_part, domain=domain, who=who))
            if any(row.score is not None for row in rows):
                groups.append(ScoreGroup(domain, who, _phases(run, domain) if who == "both" else None, rows))
    return groups


def _part(scores: Scores, domain: str, who: str) -> tuple[float, Mapping[str, float]] | None:
    found = scores.domains().get(domain)
    if found is None:
        return None
    if who == "both":
        return found.score, found.mean.all_points()
    metrics = found.pedestrian if who == "pedestrian" else found.vehicle
    return None if metrics is None else (metrics.score(), metrics.all_points())


def _phases(run: Run, domain: str) -> int:
    parts = [model.scores.domains().get(domain) for model in run.models if model.scores is not None]
    return next(part.segments for part in parts if part is not None)


def _rows(
    run: Run,
    part_of: Callable[[Scores], tuple[float, Mapping[str, float]] | None],
    intervals: Sequence[Interval | None] = (),
) -> tuple[ScoreRow, ...]:
    parts = [None if model.scores is None else part_of(model.scores) for model in run.models]
    own = parts[0]
    rows = []
    for place, part in enumerate(parts):
        lead = own[0] - part[0] if place and own is not None and part is not None else None
        interval = intervals[place] if intervals else None
        rows.append(ScoreRow(part and part[0], lead, interval, part[1] if part else {}))
    return tuple(rows)


def segment_points(model: EvaluatedModel) -> dict[SegmentKey, float] | None:
    """The points of each segment that a model predicted; None where it is not scored."""
    return None if model.segments is None else {key: metrics.score() for key, metrics in model.segments.items()}


def reference_domains(run: Run) -> dict[SegmentKey, str]:
    """The domain of each segment that has a reference, as far as the prepared data know it."""
    scored = {key for model in run.models for key in model.segments or ()}
    return {
        (*phase.key, role): phase.domain
        for phase in run.phases
        for role in ROLES
        if phase.references.get(role, "").strip() or (*phase.key, role) in scored
    }


def _intervals(run: Run, seed: int) -> list[Interval | None]:
    own, domains = segment_points(run.tuned), reference_domains(run)
    others = [None, *(segment_points(model) for model in run.baselines)]
    return [
        paired_interval(own, other, domains, seed) if own is not None and other is not None and domains else None
        for other in others
    ]


def unexplained(run: Run) -> float:
    """By how many points the tuned model's score differs from that of the segments that the prepared data know; 0 where
    it does not. Intervals and breakdowns stand on the latter: references without images are not in them."""
    own, domains = segment_points(run.tuned), reference_domains(run)
    if own is None or run.tuned.scores is None or not domains:
        return 0.0
    difference = run.tuned.scores.score - score(own, domains)
    return difference if abs(difference) > ROUNDING else 0.0


def skip_groups(skipped: Sequence[SkippedEntry]) -> list[SkipGroup]:
    """What was left out by reason, the most frequent first, with the first examples."""
    groups: dict[tuple[str, str], list[SkippedEntry]] = {}
    for skip in skipped:
        groups.setdefault((skip.what, VARIABLE.sub("…", skip.why)), []).append(skip)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [_skip_group(what, pattern, members) for (what, pattern), members in ordered]


def _skip_group(what: str, pattern: str, members: Sequence[SkippedEntry]) -> SkipGroup:
    alike = len({member.why for member in members}) == 1
    places = [
        ", ".join(filter(None, [member.scenario, member.view, _phase_word(member), member.role, member.split]))
        + ("" if alike else f": {member.why}")
        for member in members[:EXAMPLES]
    ]
    return SkipGroup(what, members[0].why if alike else pattern, len(members), tuple(places))


def _phase_word(skip: SkippedEntry) -> str:
    return PHASES[skip.phase] if skip.phase >= 0 else ""
