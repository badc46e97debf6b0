"""What a model gets wrong: captions compared attribute by attribute, and phase by phase.

    found = evaluate_attributes(references, predictions, split="val")

Both captions of a segment are read by `attributes.py`. Where the reference states an attribute, the prediction is
right, omits it or contradicts it; where only the prediction does, that is an extra. A reference that states an
attribute in two ways asks for nothing and is counted as unclear; a prediction that does so contradicts. Beside each
accuracy stands that of the best constant answer: the value that is most frequent in the references themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cityscribe.evaluate.provenance import provenance
from cityscribe.traffic.metrics.attributes import (
    UNCLEAR,
    agrees,
    attributes,
    read_attributes,
    rules_sha256,
    sentence_counts,
)
from cityscribe.traffic.metrics.caption_files import pair_segments, read_predictions, read_references
from cityscribe.traffic.metrics.consistency import SegmentFacts, consistency

CONFUSIONS = 5
"""Of each attribute that are listed, the most frequent first."""


@dataclass(frozen=True, slots=True)
class AttributeScore:
    """Counts of segments for one attribute."""

    attribute: str
    about: str  # "pedestrian", "vehicle" or "scene"
    stated: int  # by the reference, in one way
    right: int  # of these, as are the next two
    contradicted: int
    omitted: int
    extra: int  # by the prediction only
    unclear: int  # by the reference in two ways
    constant: int  # of the stated ones that the best constant answer gets right
    confusions: tuple[tuple[str, str, int], ...]  # stated, said instead, how often

    @property
    def accuracy(self) -> float:
        """The share of the stated ones that are right."""
        return self.right / self.stated


@dataclass(frozen=True, slots=True)
class AttributeScores:
    """What a comparison by attribute found."""

    attributes: list[AttributeScore]
    mean: Mapping[str, float]  # shares over the attributes
    consistency: dict[str, dict[str, dict[str, int]]]  # over the phases, as `consistency` counts
    reading: dict[str, dict[str, int]]  # how many sentences of both sides could not be read
    segments: dict[str, SegmentFacts]  # what each reference states and each prediction says
    made_by: dict[str, str]

    def to_json(self) -> dict[str, object]:
        """What `attributes.json` holds."""
        return {
            "attributes": [asdict(score) for score in self.attributes],
            "mean": self.mean,
            "consistency": self.consistency,
            "reading": self.reading,
            "segments": {key: {"stated": found.stated, "said": found.said} for key, found in self.segments.items()},
            "made_by": self.made_by,
        }


def evaluate_attributes(
    references: Path, predictions: Path, *, split: str | None = None, without: Collection[str] = ()
) -> AttributeScores:
    """Compare a file of predictions in the submission format with the captions of a WTS data set, by attribute.

    Files are read, and InputError is raised, as by the profile `wts`.
    """
    expected = read_references(references, split, False, [], without)
    predicted = read_predictions(predictions)
    pairs: dict[str, tuple[str, str | None]] = {}
    for scenarios in expected.values():
        for captions in pair_segments(scenarios, predicted).captions.values():
            pairs |= captions
    facts = {
        key: SegmentFacts(read_attributes(reference), read_attributes(prediction or ""))
        for key, (reference, prediction) in sorted(pairs.items())
    }
    scores = attribute_scores(facts.values())
    return AttributeScores(
        attributes=scores,
        mean=mean_shares(scores),
        consistency=consistency(facts),
        reading={
            "references": sentence_counts(reference for reference, _ in pairs.values()),
            "predictions": sentence_counts(prediction or "" for _, prediction in pairs.values()),
        },
        segments=facts,
        made_by={
            **provenance("attributes", split, expected, predictions, ()),
            "rules_sha256": rules_sha256(),
        },
    )


def attribute_scores(facts: Iterable[SegmentFacts]) -> list[AttributeScore]:
    """The scores of all attributes that a reference states, in the order of the rules."""
    stated: dict[str, Counter[str]] = {}
    verdicts: dict[str, Counter[str]] = {}
    confusions: dict[str, Counter[tuple[str, str]]] = {}
    for segment in facts:
        for name in segment.stated.keys() | segment.said.keys():
            verdict = judge(name, segment)
            verdicts.setdefault(name, Counter())[verdict] += 1
            if verdict in ("right", "contradicted", "omitted"):
                stated.setdefault(name, Counter())[segment.stated[name]] += 1
            if verdict == "contradicted":
                confusions.setdefault(name, Counter())[segment.stated[name], segment.said[name]] += 1
    scores = []
    for name, attribute in attributes().items():
        if name in stated:
            values, counts = stated[name], verdicts[name]
            wrong = sorted(confusions.get(name, {}).items(), key=lambda entry: (-entry[1], entry[0]))
            scores.append(
                AttributeScore(
                    attribute=name,
                    about=attribute.about,
                    stated=values.total(),
                    right=counts["right"],
                    contradicted=counts["contradicted"],
                    omitted=counts["omitted"],
                    extra=counts["extra"],
                    unclear=counts["unclear"],
                    constant=max(
                        sum(count for other, count in values.items() if agrees(name, value, other)) for value in values
                    ),
                    confusions=tuple((*pair, count) for pair, count in wrong[:CONFUSIONS]),
                )
            )
    return scores


def judge(name: str, segment: SegmentFacts) -> str:
    """What became of one attribute that a segment states or says: "right", "contradicted", "omitted", "extra", or
    "unclear" where its reference states it in two ways."""
    truth, said = segment.stated.get(name), segment.said.get(name)
    if truth == UNCLEAR:
        return "unclear"
    if truth is None:
        return "extra"
    if said is None:
        return "omitted"
    return "right" if agrees(name, truth, said) else "contradicted"


def mean_shares(scores: Iterable[AttributeScore]) -> Mapping[str, float]:
    """The mean over attributes, each counting the same, of the shares of what is stated; empty for none."""
    rows = list(scores)
    kinds = ("right", "contradicted", "omitted", "constant")
    return {kind: sum(asdict(row)[kind] / row.stated for row in rows) / len(rows) for kind in kinds} if rows else {}
