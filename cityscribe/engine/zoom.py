"""ZoomEye (Shen et al. 2024): a picture is searched as a tree of smaller and smaller parts, the likeliest first by the
model's own confidence; nothing is trained.

    found = look_for(engine, image, "What does the sign say?", "sign")
    boxes = [found.box] if found else []
    answer = answer_with(engine, image, "What does the sign say?", boxes)

Confidence is what the model says of yes against no, from -1 to 1. Whether the cue is there and whether it could be
found by looking nearer are weighed by depth: far up the picture of the whole says little. The search ends where the
model is sure that it can answer; after some steps it settles for less. The rules and their numbers are those of the
published program, the words of the questions our own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from cityscribe.engine.request import Answer, Engine, Request
from cityscribe.files import InputError
from cityscribe.records import image_block, message, text_block

PixelEdges = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels of the picture."""

YES, NO = "Yes", "No"
EXISTS = "Can you see a {} in this image? Answer Yes or No."
LATENT = (
    "Going by the image and by what you know, might a {} show up if one looked at it more closely? Answer Yes or No."
)
ANSWERABLE = "Question: {}\nDoes the image show enough to answer it? Answer Yes or No."
LONG = 2.0
"""From this ratio of its sides on a part is cut into four along the longer one."""


@dataclass(frozen=True, slots=True)
class ZoomSettings:
    """What the search goes by. The numbers are the published ones."""

    least: int = 336  # pixels: a part whose sides are both shorter is not cut
    depth: int = 5  # of the tree at most
    sure: float = 0.6  # how sure the model has to be that it can answer
    unsure: float = 0.0  # and how sure at least, when it settles for less
    steps_a_level: int = 3  # parts that are looked at before it settles for less, for each level of the tree
    yields: tuple[float, ...] = (0.1, 0.1, 0.2)  # by how much, time after time; the last again and again
    bias: float = 0.2  # the weight of being there against showing up, at the root; at the deepest level it is 1
    visible: float = 0.6  # how sure it has to be that one of many is there (`look_for_all`)


@dataclass(frozen=True, slots=True)
class PictureRegion:
    box: PixelEdges
    depth: int


@dataclass(frozen=True, slots=True)
class FoundPart:
    """The part that answers, how sure the model is that it does, and how many parts were looked at."""

    box: PixelEdges
    confidence: float
    steps: int


def look_for(
    engine: Engine, image: Image.Image, question: str, cue: str, settings: ZoomSettings | None = None
) -> FoundPart | None:
    """Where the picture shows what a question about one thing, its cue, needs; None where the model is nowhere sure
    enough. Raises InputError where it has no likelihood of yes and no."""
    rules = settings or ZoomSettings()
    root = PictureRegion((0, 0, *image.size), 0)
    deepest = min(_deepest(root, rules), rules.depth)
    waiting: list[tuple[float, PictureRegion]] = [(0.0, root)]
    seen: list[tuple[float, PictureRegion]] = []
    threshold, limit = rules.sure, rules.steps_a_level * deepest
    yields = list(rules.yields)
    while waiting:
        _, part = waiting.pop(0)
        ((sure,),) = confidences(engine, image, [part], [ANSWERABLE.format(question)], rules)
        seen.append((sure, part))
        if sure >= threshold:
            break
        if len(seen) >= limit:
            threshold, limit = threshold - yields[0], limit + 2
            yields = yields[1:] or yields
            if max(seen, key=_by_confidence)[0] >= threshold or threshold < rules.unsure:
                break
        waiting += _ranked(engine, image, parts_of(part, rules) if part.depth < deepest else [], cue, deepest, rules)
        waiting.sort(key=_by_confidence, reverse=True)
    best, part = max(seen, key=_by_confidence)
    return FoundPart(part.box, best, len(seen)) if best >= threshold and best >= rules.unsure else None


def look_for_all(
    engine: Engine, image: Image.Image, thing: str, settings: ZoomSettings | None = None, *, depth: int = 2
) -> list[PixelEdges]:
    """All parts, down to a depth, that show a thing more surely than any part of them does: for questions about
    each."""
    rules = settings or ZoomSettings()
    found: list[PixelEdges] = []

    def look(part: PictureRegion) -> float:
        inner = parts_of(part, rules) if part.depth < depth else []
        best = max((look(each) for each in inner), default=-1.0)
        ((sure,),) = confidences(engine, image, [part], [EXISTS.format(thing)], rules)
        if sure >= max(best, rules.visible):
            found.append(part.box)
        return max(best, sure)

    look(PictureRegion((0, 0, *image.size), 0))
    return found


def answer_with(
    engine: Engine,
    image: Image.Image,
    question: str,
    boxes: Sequence[PixelEdges],
    *,
    max_tokens: int = 256,
    settings: ZoomSettings | None = None,
) -> Answer:
    """The answer beside the picture as a whole and what was found in it, in that order."""
    rules = settings or ZoomSettings()
    shown = [image, *(_crop(image, box, rules.least) for box in boxes)]
    asked = message("user", *(image_block() for _ in shown), text_block(question))
    ((answer,),) = engine.answer([Request((asked,), tuple(shown), max_tokens=max_tokens)])
    return answer


def parts_of(part: PictureRegion, settings: ZoomSettings) -> list[PictureRegion]:
    """A part in four: two by two, or in a row along a side that is twice as long; none of one that is small enough."""
    x1, y1, x2, y2 = part.box
    width, height = x2 - x1, y2 - y1
    if max(width, height) < settings.least or min(width, height) < 2:
        return []
    across, down = (1, 4) if height >= LONG * width else (4, 1) if width >= LONG * height else (2, 2)
    columns = [x1 + width * n // across for n in range(across + 1)]
    rows = [y1 + height * n // down for n in range(down + 1)]
    return [
        PictureRegion((columns[column], rows[row], columns[column + 1], rows[row + 1]), part.depth + 1)
        for row in range(down)
        for column in range(across)
    ]


def confidences(
    engine: Engine, image: Image.Image, parts: Sequence[PictureRegion], questions: Sequence[str], settings: ZoomSettings
) -> list[list[float]]:
    """How sure the model says yes to each question about each part, -1 to 1: [parts][questions]. All questions about a
    part are asked together, so that its picture is computed once."""
    requests = []
    for part in parts:
        shown = image if part.depth == 0 else _crop(image, part.box, settings.least)
        requests += [Request((message("user", image_block(), text_block(text)),), (shown,)) for text in questions]
    scores = engine.score(requests, [[YES, NO]] * len(requests))
    found: list[float] = []
    for yes, no in scores:
        if yes.problem or no.problem:
            raise InputError(f"zoom: the model gives no likelihood of yes and no: {yes.reason or yes.problem}")
        found.append(math.tanh((yes.sum - no.sum) / 2))  # 2 * softmax - 1
    return list(_chunks(found, len(questions)))


def _ranked(
    engine: Engine, image: Image.Image, parts: Sequence[PictureRegion], cue: str, deepest: int, settings: ZoomSettings
) -> list[tuple[float, PictureRegion]]:
    """Parts with their promise: how surely they show the cue, and how surely one would find it there."""
    if not parts:
        return []
    ranked = []
    asked = [EXISTS.format(cue), LATENT.format(cue)]
    for part, (there, latent) in zip(parts, confidences(engine, image, parts, asked, settings), strict=True):
        weight = settings.bias + (1 - settings.bias) * (part.depth / deepest) ** 2
        ranked.append((weight * there + (1 - weight) * latent, part))
    return ranked


def _deepest(part: PictureRegion, settings: ZoomSettings) -> int:
    """The depth of the tree below a part: its largest part is cut as often as any."""
    inner = parts_of(part, settings)
    return _deepest(max(inner, key=_largest), settings) if inner else max(part.depth, 1)


def _largest(part: PictureRegion) -> int:
    return max(part.box[2] - part.box[0], part.box[3] - part.box[1])


def _by_confidence(each: tuple[float, PictureRegion]) -> float:
    return each[0]


def _crop(image: Image.Image, box: PixelEdges, least: int) -> Image.Image:
    """A part as it is shown: with what is around it where it is smaller than what the model sees."""
    x1, y1, x2, y2 = box
    width, height = min(max(x2 - x1, least), image.width), min(max(y2 - y1, least), image.height)
    left = min(max((x1 + x2 - width) // 2, 0), image.width - width)
    top = min(max((y1 + y2 - height) // 2, 0), image.height - height)
    return image.crop((left, top, left + width, top + height))


def _chunks(values: Sequence[float], size: int) -> Iterator[list[float]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
