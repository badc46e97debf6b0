"""Are some road users answered about less well? Accuracy by what the data say of the people and vehicles of a clip.

The attributes are read by `metrics.attributes` from all captions and answers about the clip of a question, as far as
they are among those of the pedestrian's and the vehicle's looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cityscribe.evaluate.probes.groups import gap_between_groups
from cityscribe.evaluate.probes.probe import ChangedQuestion, ProbedAnswers, ProbedQuestion, ProbeResult
from cityscribe.traffic.metrics.attributes import UNCLEAR, read_attributes

GROUPS = ("sex", "age", "height", "upper_colour", "lower_colour", "vehicle_kind", "vehicle_type", "road", "weather")
"""Attributes of the reader; those that a data set says nothing of give no groups."""


class Fairness:
    """The member `fairness`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        return [ChangedQuestion("asked again", question.options)]

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        known = []
        for each in asked:
            said = read_attributes(each.question.words)
            groups = {name: value for name, value in said.items() if name in GROUPS and value != UNCLEAR}
            question = replace(each.question, about={**each.question.about, **groups})
            known.append(replace(each, question=question))
        return gap_between_groups(known, (*GROUPS, "view", "phase", "road user"), seed)


FAIRNESS = Fairness()
