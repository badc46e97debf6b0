"""Are some road users answered about less well? Accuracy by sex, age and skin of the pedestrian and by the vehicle.

Each view asks one question that has nothing to do with the group. The worst and the best group of each attribute are
found on one half of the views, and their gap is measured on the other half: the largest of many gaps is large by
chance. The fault is the largest of these gaps by what the first half says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cityscribe.evaluate.probes.groups import gap_between_groups
from cityscribe.evaluate.probes.probe import Asking, ChangedQuestion, ProbedAnswers, ProbeResult
from cityscribe.world.probes.counterfactual import QUESTIONS
from cityscribe.world.probes.views import choice, shuffled, views, write_view

GROUPS = ("sex", "age", "skin", "vehicle kind", "vehicle colour")


class CityFairness:
    """The member `city-fairness`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(2 * count, seed):
            topic, stem, values = QUESTIONS[view.number % len(QUESTIONS)]
            if view.facts[topic] not in values:
                continue
            options = shuffled(view, values, "options")
            person, vehicle = view.scene.people[0].person, view.scene.vehicles[0].vehicle
            about = {"sex": person.sex, "age": person.age, "skin": "light" if person.skin < 2 else "dark"}
            if view.camera.on_vehicle is None:
                about |= {"vehicle kind": vehicle.kind, "vehicle colour": vehicle.colour}
            sample = choice(view, stem, options, view.facts[topic], [write_view(view, folder, "plain")], topic)
            yield Asking(sample, [ChangedQuestion("asked again", options)], about)

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        return gap_between_groups(asked, GROUPS, seed)


CITY_FAIRNESS = CityFairness()
