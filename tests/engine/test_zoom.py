"""Searching a picture by the confidence of whoever looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Answer, Request, Score
from cityscribe.engine.zoom import PictureRegion, ZoomSettings, answer_with, look_for, look_for_all, parts_of
from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor
from cityscribe.records import text_of

RULES = ZoomSettings(least=16)


class RedSeer:
    """Is sure of what is red by its share of what it is shown, which `pixels` counts."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, requests: Sequence[Request], continuations: Any, *, ended: bool = False) -> list[list[Score]]:
        self.asked += len(requests)
        return [self._says(request) for request in requests]

    def _says(self, request: Request) -> list[Score]:
        share = self.share(request)
        if "enough to answer" in text_of(request.messages[0]):
            yes = 0.99 if share > 0.2 else 0.01
        else:
            yes = min(0.5 + share * 2, 0.99) if share else 0.1
        return [Score((math.log(yes),)), Score((math.log(1 - yes),))]

    def share(self, request: Request) -> float:
        shown: Any = request.media[0]
        pixels = np.asarray(shown)
        return float(((pixels[..., 0] > 200) & (pixels[..., 1] < 50)).mean())

    def answer(self, requests: Sequence[Request], listener: Any = None) -> list[list[Answer]]:
        return [[Answer(str(len(request.media)), 0, 0)] for request in requests]

    def forget(self) -> None:
        pass


def grey(*spots: tuple[int, int, int, int], size: tuple[int, int] = (128, 96)) -> Image.Image:
    image = Image.new("RGB", size, (120, 120, 120))
    for spot in spots:
        image.paste((250, 10, 10), spot)
    return image


def holds(box: tuple[int, int, int, int], spot: tuple[int, int, int, int]) -> bool:
    return box[0] <= spot[0] and box[1] <= spot[1] and spot[2] <= box[2] and spot[3] <= box[3]


def test_the_tree_covers_a_picture_and_ends_where_parts_are_small() -> None:
    for size in ((128, 96), (200, 30), (17, 90), (15, 15)):
        parts = parts_of(PictureRegion((0, 0, *size), 0), RULES)
        if max(size) < RULES.least:
            assert parts == []
            continue
        covered = np.zeros(size[::-1], dtype=int)
        for part in parts:
            covered[part.box[1] : part.box[3], part.box[0] : part.box[2]] += 1
        assert (covered == 1).all()
        assert len({part.box[1] for part in parts}) == {200: 1, 17: 4}.get(size[0], 2)


def test_a_small_thing_is_found_without_looking_everywhere() -> None:
    spot = (100, 60, 110, 70)
    seer = RedSeer()
    found = look_for(seer, grey(spot), "What is on the sign?", "sign", RULES)
    assert found is not None
    assert holds(found.box, spot)
    assert found.box[2] - found.box[0] <= 32
    assert found.steps <= 5, "each level once: it never looked where nothing red is"
    again = look_for(RedSeer(), grey(spot), "What is on the sign?", "sign", RULES)
    assert again == found


def test_what_is_seen_at_once_needs_no_zooming_and_what_is_not_there_is_not_found() -> None:
    seer = RedSeer()
    whole = look_for(seer, grey((0, 0, 100, 96)), "What colour?", "wall", RULES)
    assert whole is not None
    assert whole.box == (0, 0, 128, 96)
    assert seer.asked == 1
    assert look_for(RedSeer(), grey(), "What colour?", "wall", RULES) is None


def test_it_settles_for_less_after_some_steps() -> None:
    class Unsure(RedSeer):
        def _says(self, request: Request) -> list[Score]:
            yes = 0.5 + self.share(request) / 2
            return [Score((math.log(yes),)), Score((math.log(1 - yes),))]

    spot = (0, 0, 6, 6)
    assert look_for(Unsure(), grey(spot), "?", "spot", ZoomSettings(least=16, unsure=0.5)) is None
    found = look_for(Unsure(), grey(spot), "?", "spot", ZoomSettings(least=16, sure=0.3))
    assert found is not None
    assert holds(found.box, spot)


def test_all_things_are_found_each_in_its_smallest_part() -> None:
    spots = (5, 5, 20, 20), (100, 74, 115, 90)
    found = look_for_all(RedSeer(), grey(*spots), "light", RULES)
    assert len(found) == 2
    assert all(any(holds(box, spot) for box in found) for spot in spots)
    assert answer_with(RedSeer(), grey(*spots), "How many?", found, settings=RULES).text == "3"


def test_a_model_is_asked_as_it_is_and_one_without_likelihoods_is_an_error(tiny: Callable[[str], Path]) -> None:
    import torch

    folder = tiny("llava")
    engine = LocalEngine(load_model(folder, dtype=torch.float32), load_processor(folder), batch_size=8)
    image = grey((3, 3, 20, 20), size=(40, 40))
    rules = ZoomSettings(least=30, sure=-2.0, unsure=-2.0)
    found = look_for(engine, image, "Where?", "vehicle", rules)
    assert found is not None
    assert found.box == (0, 0, 40, 40)
    assert -1 <= found.confidence <= 1

    class Silent(RedSeer):
        def _says(self, request: Request) -> list[Score]:
            return [Score((), "refused", "no such thing")] * 2

    with pytest.raises(InputError, match="zoom: the model gives no likelihood of yes and no: no such thing"):
        look_for(Silent(), image, "Where?", "vehicle", rules)
