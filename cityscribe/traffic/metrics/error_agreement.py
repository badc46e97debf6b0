"""How far a judge that counts errors agrees with the truth of attributes.

The truth of a caption is what the reader of attributes finds in it and in its reference: each attribute that is
contradicted or left out is an error. Both are counts, so that their correlation is what is shown, and the agreement on
whether there is any error at all (Cohen's kappa).
"""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.evaluate.agreement import Agreement, agreement
from cityscribe.evaluate.error_counts import ErrorCounts
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, read_attributes


def attribute_errors(item: JudgeItem) -> int:
    """How many attributes of the reference an answer contradicts or leaves out."""
    truth, said = read_attributes(item.reference), read_attributes(item.answer)
    return sum(
        name not in said or not agrees(name, value, said[name]) for name, value in truth.items() if value != UNCLEAR
    )


def agreement_with_attributes(items: Sequence[JudgeItem], counted: Sequence[ErrorCounts | None]) -> Agreement:
    """The agreement of a judge (first) with the reader of attributes (second) on the same items. Scores are numbers of
    errors, and an answer is right where it has none."""
    judged = [
        Verdict(None, None) if counts is None else Verdict(counts.number() == 0, float(counts.number()))
        for counts in counted
    ]
    truth = [Verdict(errors == 0, float(errors)) for errors in map(attribute_errors, items)]
    return agreement(judged, truth)
