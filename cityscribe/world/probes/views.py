"""Views of the city for probes: scenes with facts, pictures of them, and questions with options about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2

from cityscribe.evaluate.probes.probe import ChangedQuestion, with_options
from cityscribe.files import write_bytes
from cityscribe.letters import LETTERS
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.world.facts import Facts
from cityscribe.world.pictures import sample_view
from cityscribe.world.render import box_of, render
from cityscribe.world.scene import Camera, Scene
from cityscribe.world.sets import JPEG_QUALITY, MARKS
from cityscribe.world.solids import Mover

FIRST_SEED = 700_000_000
"""Below it lie the seeds of sets that models learn from."""

YES_NO = ("Yes", "No")


@dataclass(frozen=True, slots=True)
class CityView:
    """A scene as a camera sees it, with what is true of its pedestrian, its vehicle and its street."""

    number: int
    seed: int
    scene: Scene
    camera: Camera
    facts: Facts

    @property
    def name(self) -> str:
        return f"view {self.number + 1}"

    def draw(self, purpose: str) -> Random:
        """Random numbers of this view."""
        return Random(f"{self.seed}/{purpose}")


def views(count: int, seed: int) -> Iterator[CityView]:
    """So many views; equal arguments give equal ones."""
    for number in range(count):
        at = FIRST_SEED + 100_000 * seed + number
        yield CityView(number, at, *sample_view(at))


def write_view(
    view: CityView, folder: Path, name: str, scene: Scene | None = None, *, grain: int = 0, marked: bool = True
) -> Path:
    """The picture of a view, or of another scene before its camera, with boxes around the pedestrian and the vehicle
    that are meant where they are `marked`; `grain` moves what is random in the picture. What is there already stays."""
    path = (folder / f"{view.number:04d}-{name}.jpg").resolve()
    if path.is_file():
        return path
    shown = view.scene if scene is None else scene
    image = render(shown, view.camera, seed=(view.seed + grain) % 100_003)
    meant: dict[str, Sequence[Mover]] = {
        "person": shown.people[:1],
        "vehicle": shown.vehicles[:1] if view.camera.on_vehicle is None else (),
    }
    for kind, colour in MARKS.items() if marked else ():
        for thing in meant[kind]:
            box = box_of(thing, view.camera)
            if box is not None:
                x, y, w, h = (round(value) for value in box)
                cv2.rectangle(image, (x - 2, y - 2), (x + w + 2, y + h + 2), colour, 2)
    coded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, coded.tobytes())
    return path


def choice(
    view: CityView, stem: str, options: Sequence[str], right: str, images: Sequence[Path], topic: str = ""
) -> Sample:
    """A question with options about a view, one picture a block."""
    asks = message("user", *[image_block() for _ in images], text_block(with_options(stem, options)))
    answer = message("assistant", text_block(LETTERS[list(options).index(right)]))
    meta = TrafficMeta(scenario=view.name, kind="choice", dimension=topic, options=tuple(options))
    return Sample((asks, answer), tuple(map(str, images)), view.name, meta)


def shuffled(view: CityView, options: Sequence[str], purpose: str) -> tuple[str, ...]:
    """Options in an order of this view's own."""
    return tuple(view.draw(purpose).sample(list(options), len(options)))


def other_value(view: CityView, name: str, values: Sequence[str] | Mapping[str, object]) -> str:
    """A value that an attribute does not have, drawn by the view."""
    return view.draw(f"other {name}").choice([value for value in values if value != view.facts[name]])


def asked_of(label: str, stem: str, options: Sequence[str], right: str, picture: Path | None = None) -> ChangedQuestion:
    """A variant with other words, or another picture."""
    images = None if picture is None else (picture,)
    return ChangedQuestion(label, tuple(options), text=with_options(stem, options), images=images, right=right)
