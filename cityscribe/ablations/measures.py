"""What the captions of arms state and leave out, beside their score: a table of means, differences and tests.

Each measure is a number of a caption and its reference, in points of 100 or words:

    right, contradicted, omitted     of the attributes that the reference states, the share that is
    invented                         of the objects that it names, the share that no reference there has (CHAIRi)
    words                            how many it has

The means, the intervals and the tests are those of the score (`report/bootstrap.py`): over scenarios, paired, with the
values of a segment averaged over the seeds; p-values with Holm's correction over the arms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from cityscribe.evaluate.hallucination.objects import in_truth, mentions, read_vocabulary
from cityscribe.evaluate.resampling import holm
from cityscribe.report.bootstrap import Interval, paired_interval, paired_p_value, score
from cityscribe.report.run_files import Run, SegmentKey
from cityscribe.report.tables import reference_domains
from cityscribe.traffic.metrics.attribute_scores import judge
from cityscribe.traffic.metrics.attributes import UNCLEAR, read_attributes
from cityscribe.traffic.metrics.consistency import SegmentFacts
from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS

MEASURES = ("right", "contradicted", "omitted", "invented", "words")


@dataclass(frozen=True, slots=True)
class ArmMeasure:
    """One measure of one arm."""

    mean: float
    by_seed: tuple[float, ...]
    against: float | None  # the mean less that of the first arm; None of the first itself
    interval: Interval | None  # of that difference, over scenarios
    p_value: float | None  # of that difference, corrected for the number of arms


@dataclass(frozen=True, slots=True)
class ArmMeasures:
    """All measures of all arms, the first one first."""

    arms: Mapping[str, Mapping[str, ArmMeasure]]

    def to_json(self) -> dict[str, dict[str, dict[str, object]]]:
        return {arm: {name: asdict(one) for name, one in found.items()} for arm, found in self.arms.items()}

    def table(self) -> str:
        """In Markdown; a difference whose interval holds no zero is bold."""
        heads = ["arm", *MEASURES]
        lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * len(MEASURES)}"]
        for arm, found in self.arms.items():
            lines.append(f"| {' | '.join([arm, *(_cell(found[name]) for name in MEASURES)])} |")
        return "\n".join(lines) + "\n"


def measures(runs: Mapping[str, Sequence[Run]]) -> ArmMeasures:
    """The measures of runs, one a seed of each arm, compared with the first arm."""
    values = {arm: [_values(one) for one in seeds] for arm, seeds in runs.items()}
    first = next(iter(values))
    domains = reference_domains(next(iter(runs.values()))[0])
    arms: dict[str, dict[str, ArmMeasure]] = {arm: {} for arm in values}
    for name in MEASURES:
        base = _mean([one[name] for one in values[first]])
        for arm, seeds in values.items():
            own = _mean([one[name] for one in seeds])
            by_seed = tuple(score(one[name], domains) for one in seeds)
            found = ArmMeasure(score(own, domains), by_seed, None, None, None)
            if arm != first:
                found = replace(
                    found,
                    against=score(own, domains) - score(base, domains),
                    interval=paired_interval(own, base, domains, seed=0),
                    p_value=paired_p_value(own, base, domains, seed=0),
                )
            arms[arm][name] = found
        corrected = holm([arms[arm][name].p_value for arm in arms])
        for arm, p_value in zip(arms, corrected, strict=True):
            arms[arm][name] = replace(arms[arm][name], p_value=p_value)
    return ArmMeasures(arms)


def _values(run: Run) -> dict[str, dict[SegmentKey, float]]:
    """Each measure of each caption that has a reference; of a caption that is not there, all is omitted."""
    vocabulary = read_vocabulary(TRAFFIC_OBJECTS)
    captions = run.tuned.captions or {}
    found: dict[str, dict[SegmentKey, float]] = {name: {} for name in MEASURES}
    for phase in run.phases:
        truth = [name for text in phase.references.values() for name in mentions(text, vocabulary)]
        for role, reference in phase.references.items():
            caption = captions.get(phase.key, {}).get(role, "")
            stated = {name: value for name, value in read_attributes(reference).items() if value != UNCLEAR}
            facts = SegmentFacts(stated, read_attributes(caption))
            verdicts = [judge(name, facts) for name in stated]
            named = mentions(caption, vocabulary)
            wrong = sum(not in_truth(name, truth, vocabulary) for name in named)
            key = (phase.scenario, phase.phase, role)
            for verdict in ("right", "contradicted", "omitted"):
                found[verdict][key] = 100 * verdicts.count(verdict) / max(len(verdicts), 1)
            found["invented"][key] = 100 * wrong / max(len(named), 1)
            found["words"][key] = float(len(caption.split()))
    return found


def _mean(seeds: Sequence[Mapping[SegmentKey, float]]) -> dict[SegmentKey, float]:
    return {key: sum(one.get(key, 0.0) for one in seeds) / len(seeds) for key in seeds[0]}


def _cell(found: ArmMeasure) -> str:
    value = f"{found.mean:.1f}"
    if found.against is None or found.interval is None:
        return value
    low, high = found.interval.low, found.interval.high
    difference = f"{found.against:+.1f}, {low:+.1f} to {high:+.1f}"
    return f"{value} ({f'**{difference}**' if low > 0 or high < 0 else difference})"
