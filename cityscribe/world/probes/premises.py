"""Questions that take something for granted which is not so: MAD-Bench (arXiv 2402.13220).

"The pedestrian wears a red coat. How does the pedestrian move?" has an option that says that the premise is false. It
is asked with a true premise, with a false one, and with a false one behind a paragraph that asks to check the premises
first. Failed where a false premise is let pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cityscribe.evaluate.probes.probe import Asking, ProbedAnswers, ProbeResult, accuracy, result, share
from cityscribe.world.facts import Facts
from cityscribe.world.look import (
    CARRIED,
    CLOTHES_COLOURS,
    LIGHT_STATES,
    LOWER_GARMENTS,
    MOTIONS,
    ROADS,
    UPPER_GARMENTS,
    VEHICLE_COLOURS,
    WEATHERS,
)
from cityscribe.world.probes.views import CityView, asked_of, choice, other_value, shuffled, views, write_view

NOT_SO = "What the question takes for granted is not so."
GUARD = "Before you answer, check each thing that the question says against the picture; it may be wrong."

PREMISES: dict[str, tuple[str, Sequence[str]]] = {
    "upper_colour": ("The pedestrian is dressed in {} on top.", tuple(CLOTHES_COLOURS)),
    "lower_colour": ("The pedestrian wears {} on the legs.", tuple(CLOTHES_COLOURS)),
    "upper": ("The pedestrian has a {} on.", UPPER_GARMENTS),
    "lower": ("On the legs the pedestrian has this: {}.", LOWER_GARMENTS),
    "carried": ("The pedestrian carries this: {}.", CARRIED),
    "vehicle_colour": ("The vehicle is {}.", tuple(VEHICLE_COLOURS)),
    "position": ("Seen from the vehicle the pedestrian is on this side: {}.", ("left", "right", "front")),
    "lanes": ("The street has this many lanes: {}.", ("1", "2", "4")),
    "weather": ("The weather is {}.", WEATHERS),
    "road": ("The place is a {}.", ROADS),
    "traffic_light": ("The traffic light shows {}.", tuple(LIGHT_STATES)),
}
"""Attribute -> a premise, and the values that it can have."""


def premises_of(facts: Facts) -> list[str]:
    """The attributes that a true premise can be about."""
    return [
        name
        for name, (_, values) in PREMISES.items()
        if facts.get(name) in values and not (name == "vehicle_colour" and facts["vehicle_kind"] == "ego")
    ]


class Premises:
    """The member `false-premise`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            if view.facts["motion"] in MOTIONS:
                yield self._asking(view, folder)

    def _asking(self, view: CityView, folder: Path) -> Asking:
        name = view.draw("premise").choice(premises_of(view.facts))
        said, values = PREMISES[name]
        false = other_value(view, name, values)
        options = shuffled(view, (*MOTIONS, NOT_SO), "options")
        true_stem, false_stem = (
            f"{said.format(value)} How does the pedestrian move?" for value in (view.facts[name], false)
        )
        picture = write_view(view, folder, "plain")
        return Asking(
            choice(view, true_stem, options, view.facts["motion"], [picture], name),
            (
                asked_of("a false premise", false_stem, options, NOT_SO),
                asked_of("a false premise, told to check", f"{GUARD}\n{false_stem}", options, NOT_SO),
            ),
        )

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        noticed, guarded = ([each.right()[n] for each in asked] for n in (0, 1))
        lines = [
            *accuracy(asked, seed),
            share("called a true premise false", asked, [float(each.plain == NOT_SO) for each in asked], seed),
            share("noticed a false premise", asked, noticed, seed),
            share("noticed when told to check", asked, guarded, seed),
        ]
        for topic in sorted({each.question.about["dimension"] for each in asked}):
            part = [n for n, each in enumerate(asked) if each.question.about["dimension"] == topic]
            lines.append(share(f"noticed, {topic}", [asked[n] for n in part], [noticed[n] for n in part], seed))
        faults = [1 - right for right in noticed]
        return result(asked, faults, "false premise let pass", "false premises that are let pass", lines, seed)


PREMISE = Premises()
