"""Does a scene keep the rules? Rules in words and a picture: one of them is broken, or none.

After DesignQA (arXiv 2404.07917), with rules of the street instead of those of a racing car. The scene is rendered
twice, once with one rule broken and once with all kept; asked is whether one is broken, and which. Failed where both
scenes get the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cityscribe.evaluate.probes.probe import (
    Asking,
    ProbedAnswers,
    ProbeResult,
    accuracy,
    changed_right,
    plain_right,
    result,
    share,
)
from cityscribe.world.probes.views import YES_NO, CityView, asked_of, choice, views, write_view
from cityscribe.world.scene import Scene

YES, NO = YES_NO
NONE_BROKEN = "none"

RULES = {
    "phone": "The pedestrian does not look at a phone.",
    "run": "The pedestrian does not run.",
    "lie": "The pedestrian does not lie on the ground.",
    "signal": "The vehicle does not signal that it turns.",
}

KEPT, WHICH, WHICH_KEPT = "all rules kept", "which rule", "which rule, all kept"


def scene_with(view: CityView, broken: str) -> Scene:
    """The scene of a view with one rule broken, or with all kept (empty)."""
    person, vehicle = view.scene.people[0], view.scene.vehicles[0]
    motion = {"run": "running", "lie": "fallen"}.get(broken, "walking")
    person = replace(person, motion=motion, gaze="phone" if broken == "phone" else "ahead")
    vehicle = replace(vehicle, turning="left" if broken == "signal" else "")
    return replace(view.scene, people=(person, *view.scene.people[1:]), vehicles=(vehicle, *view.scene.vehicles[1:]))


class CityRules:
    """The member `rules`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            draw = view.draw("rules")
            own = view.camera.on_vehicle is not None
            known = [name for name in RULES if not (own and name == "signal")]
            order = draw.sample(known, len(known))
            broken = draw.choice(known)
            book = "\n".join(f"Rule {n + 1}: {RULES[name]}" for n, name in enumerate(order))
            whether, which = f"{book}\nIs one of these rules broken?", f"{book}\nWhich of these rules is broken?"
            numbers = (*(f"rule {n + 1}" for n in range(len(order))), NONE_BROKEN)
            breaks = write_view(view, folder, broken, scene_with(view, broken))
            keeps = write_view(view, folder, "kept", scene_with(view, ""))
            variants = (
                asked_of(KEPT, whether, YES_NO, NO, keeps),
                asked_of(WHICH, which, numbers, numbers[order.index(broken)]),
                asked_of(WHICH_KEPT, which, numbers, NONE_BROKEN, keeps),
            )
            yield Asking(choice(view, whether, YES_NO, YES, [breaks], broken), variants)

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        noticed, kept = plain_right(asked), changed_right(asked, KEPT)
        lines = [
            *accuracy(asked, seed),
            share("noticed a broken rule", asked, noticed, seed),
            share("said that all are kept where they are", asked, kept, seed),
            share("both right", asked, [a * b for a, b in zip(noticed, kept, strict=True)], seed),
            share("named the rule", asked, changed_right(asked, WHICH), seed),
            share("named none where none is broken", asked, changed_right(asked, WHICH_KEPT), seed),
        ]
        for topic in sorted({each.question.about["dimension"] for each in asked}):
            part = [n for n, each in enumerate(asked) if each.question.about["dimension"] == topic]
            lines.append(share(f"noticed, {topic}", [asked[n] for n in part], [noticed[n] for n in part], seed))
        same = [float(each.plain == each.changed[0]) for each in asked]
        return result(asked, same, "same answer to both", "pairs of scenes that get the same answer", lines, seed)


CITY_RULES = CityRules()
