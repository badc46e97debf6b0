"""Is something there? The same scene with an object put in, taken out, or without what usually comes with it.

AutoHallusion (arXiv 2406.10900) edits pictures so that what a language model expects is wrong; here the scene is
rendered anew, so that light, shadows and what covers what are true. An animal stands in the street (insert); the person
whom the scene is about is gone (remove); cones stand there without the barrier that often closes their row, and with it
(pair). Asked is a yes or no about the object before and after. Failed where the answer does not follow the change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cityscribe.evaluate.probes.probe import Asking, ProbedAnswers, ProbeResult, accuracy, plain_right, result, share
from cityscribe.world.probes.views import YES_NO, CityView, asked_of, choice, views, write_view
from cityscribe.world.render import box_of
from cityscribe.world.scene import AnimalState, Prop, Scene
from cityscribe.world.silhouettes import visible_share

YES, NO = YES_NO
LEAST_PIXELS = 700.0
LEAST_VISIBLE = 0.7
PLACES = [(ahead, aside) for ahead in (6.0, 8.0, 10.0, 13.0, 5.0) for aside in (0.0, 2.0, -2.0, 3.5, -3.5)]
"""Metres before the camera, and to its left."""

SPECIES = ("deer", "cow", "horse", "dog")


class Objects:
    """The member `objects`."""

    def questions(self, folder: Path, count: int, seed: int) -> Iterator[Asking]:
        for view in views(count, seed):
            made = (self._insert, self._remove, self._pair)[view.number % 3](view, folder)
            if made is not None:
                yield made

    def _insert(self, view: CityView, folder: Path) -> Asking | None:
        species = view.draw("species").choice(SPECIES)
        for x, y in _places(view):
            animal = AnimalState(species, x, y, view.camera.yaw + math.pi / 2, "standing")
            scene = replace(view.scene, animals=(animal,))
            if _is_seen(view, scene, animal, "animal", 0):
                return _asked(view, folder, f"a {species}", (view.scene, NO), ("put in", scene, YES), "insert")
        return None

    def _remove(self, view: CityView, folder: Path) -> Asking | None:
        scene = replace(view.scene, people=())
        seen = any(box_of(person, view.camera) is not None for person in view.scene.people[1:])
        riders = any(box_of(rider, view.camera) is not None for rider in view.scene.cyclists)
        if seen or riders:
            scene = replace(scene, cyclists=())
        return _asked(view, folder, "a person", (view.scene, YES), ("taken out", scene, NO), "remove")

    def _pair(self, view: CityView, folder: Path) -> Asking | None:
        props = tuple(prop for prop in view.scene.props if prop.kind not in ("cone", "barrier"))
        towards = view.camera.yaw + math.pi
        for x, y in _places(view):
            aside = (-math.sin(view.camera.yaw), math.cos(view.camera.yaw))
            cones = tuple(Prop("cone", x + n * 0.7 * aside[0], y + n * 0.7 * aside[1], towards) for n in (-2, -1, 1, 2))
            barrier = Prop("barrier", x, y, towards)
            alone = replace(view.scene, props=(*props, *cones))
            both = replace(view.scene, props=(*props, *cones, barrier))
            if _is_seen(view, both, barrier, "prop", len(both.props) - 1):
                return _asked(view, folder, "a barrier", (alone, NO), ("with its pair", both, YES), "pair")
        return None

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain, edited = plain_right(asked), [each.right()[0] for each in asked]
        lines = [*accuracy(asked, seed), share("right after the change", asked, edited, seed)]
        both = [before * after for before, after in zip(plain, edited, strict=True)]
        lines.append(share("right before and after", asked, both, seed))
        lines.append(share("says yes", asked, [((e.plain == YES) + (e.changed[0] == YES)) / 2 for e in asked], seed))
        same = [float(each.plain == each.changed[0]) for each in asked]
        for topic in sorted({each.question.about["dimension"] for each in asked}):
            part = [n for n, each in enumerate(asked) if each.question.about["dimension"] == topic]
            lines.append(share(f"same answer, {topic}", [asked[n] for n in part], [same[n] for n in part], seed))
        return result(asked, same, "same answer to both", "changes that the answer does not follow", lines, seed)


def _asked(
    view: CityView, folder: Path, what: str, before: tuple[Scene, str], after: tuple[str, Scene, str], topic: str
) -> Asking:
    stem = f"Is there {what} in the picture?"
    pictures = [
        write_view(view, folder, f"{topic}-{n}", scene, marked=False) for n, scene in enumerate((before[0], after[1]))
    ]
    sample = choice(view, stem, YES_NO, before[1], pictures[:1], topic)
    return Asking(sample, (asked_of(after[0], stem, YES_NO, after[2], pictures[1]),))


def _places(view: CityView) -> Iterator[tuple[float, float]]:
    """Points of the ground before the camera."""
    camera = view.camera
    forward, left = (math.cos(camera.yaw), math.sin(camera.yaw)), (-math.sin(camera.yaw), math.cos(camera.yaw))
    for ahead, aside in PLACES:
        yield camera.x + ahead * forward[0] + aside * left[0], camera.y + ahead * forward[1] + aside * left[1]


def _is_seen(view: CityView, scene: Scene, thing: AnimalState | Prop, kind: str, index: int) -> bool:
    box = box_of(thing, view.camera)
    if box is None or box[2] * box[3] < LEAST_PIXELS:
        return False
    return visible_share(scene, view.camera, kind, index) >= LEAST_VISIBLE


OBJECTS = Objects()
