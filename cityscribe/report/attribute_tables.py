"""What models get wrong, attribute by attribute: rows for the tables and plots of the page, from `attributes.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from cityscribe.evaluate.resampling import Interval, Stratum, interval, stratum
from cityscribe.report.run_files import AttributeCounts, EvaluatedModel, Kept, Run, Steps
from cityscribe.traffic.metrics.attribute_scores import judge
from cityscribe.traffic.metrics.attributes import attributes


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One attribute; per model None where it has no attribute scores. The interval is that of the first model."""

    attribute: str
    about: str
    stated: int
    constant: float  # share that the best constant answer gets right
    models: tuple[AttributeCounts | None, ...]
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class FixedRow:
    """How often statements about what cannot change agree within a scenario, in the references and by each model."""

    attribute: str
    references: float | None
    models: tuple[Kept | None, ...]


@dataclass(frozen=True, slots=True)
class ChangingRow:
    """How often what can change does so where the reference does, by model."""

    attribute: str
    models: tuple[Steps | None, ...]


def attribute_rows(run: Run, seed: int) -> list[AttributeRow]:
    """The attributes that references state, in the order of the rules; none where no model is read."""
    found = [
        {} if model.attributes is None else {row.attribute: row for row in model.attributes.attributes}
        for model in run.models
    ]
    known = {name: row for rows in reversed(found) for name, row in rows.items()}
    rows = []
    for name in _in_order(found):
        own = outcomes(run.tuned, name) if name in found[0] else None
        rows.append(
            AttributeRow(
                attribute=name,
                about=known[name].about,
                stated=known[name].stated,
                constant=known[name].share("constant"),
                models=tuple(rows.get(name) for rows in found),
                interval=None if own is None else interval([own], seed),
            )
        )
    return rows


def mean_accuracies(rows: list[AttributeRow]) -> tuple[float | None, ...]:
    """The mean accuracy of each model over attributes, each counting the same."""
    columns = zip(*(row.models for row in rows), strict=True)
    return tuple(
        None if None in column else fmean(counts.share("right") for counts in column if counts) for column in columns
    )


def outcomes(model: EvaluatedModel, name: str) -> Stratum:
    """Right (1) or not (0) for each segment that states an attribute in one way, as a table by scenario."""
    segments = model.attributes.segments if model.attributes is not None else {}
    verdicts = [
        (key.rsplit("/", 2)[0], judge(name, facts)) for key, facts in sorted(segments.items()) if name in facts.stated
    ]
    kept = [(scenario, float(verdict == "right")) for scenario, verdict in verdicts if verdict != "unclear"]
    return stratum([scenario for scenario, _ in kept], [""] * len(kept), [value for _, value in kept])


def fixed_rows(run: Run) -> list[FixedRow]:
    """The fixed attributes that some model or the references state more than once in a scenario."""
    found = [{} if model.attributes is None else model.attributes.consistency.fixed for model in run.models]
    rows = []
    for name in _in_order(found):
        known = [kept[name] for kept in found if name in kept]
        first = known[0]
        share = first.references_kept / first.references if first.references else None
        rows.append(FixedRow(name, share, tuple(kept.get(name) for kept in found)))
    return rows


def changing_rows(run: Run) -> list[ChangingRow]:
    """The attributes that can change and are stated in two phases in a row."""
    found = [{} if model.attributes is None else model.attributes.consistency.changing for model in run.models]
    return [ChangingRow(name, tuple(steps.get(name) for steps in found)) for name in _in_order(found)]


def _in_order(found: Sequence[Mapping[str, object]]) -> list[str]:
    """All attributes that some model has, in the order of the rules; those of older rules last."""
    ranks = {name: rank for rank, name in enumerate(attributes())}
    return sorted({name for names in found for name in names}, key=lambda name: (ranks.get(name, len(ranks)), name))
