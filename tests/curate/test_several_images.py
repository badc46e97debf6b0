"""One image among several: where it is drawn is where it is looked for, and shares of attention are shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cityscribe.curate.pairs import PAIR_BUILDERS
from cityscribe.curate.pairs.asking import EngineAnswering
from cityscribe.curate.pairs.builder import NoPair, Pair
from cityscribe.curate.pairs.several_images import collage, picture_in_picture
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.looks import share_on
from cityscribe.engine.request import WHOLE
from cityscribe.models.load import load_model, load_processor
from cityscribe.records import Sample, image_block, message, text_block, text_of

COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0))


def in_the_middle(picture: Image.Image, box: tuple[float, ...]) -> tuple[int, ...]:
    left, top, right, bottom = (round(value * picture.width) for value in box)
    return picture.getpixel(((left + right) // 2, (top + bottom) // 2))  # type: ignore[return-value]


def test_a_picture_lies_where_it_is_said_to() -> None:
    pictures = [Image.new("RGB", (40, 30), colour) for colour in COLOURS]
    for count in (2, 3, 4):
        for place in range(count):
            drawn, (number, box) = collage(pictures[:count], place)
            assert (number, in_the_middle(drawn, box)) == (0, COLOURS[place])
    for corner in range(4):
        drawn, (_, box) = picture_in_picture(pictures[0], pictures[1], corner)
        assert in_the_middle(drawn, box) == COLOURS[1]
        assert in_the_middle(drawn, (0.4, 0.4, 0.6, 0.6)) == COLOURS[0]


def test_shares_of_attention() -> None:
    media = np.array([-1, 0, 0, 0, 0, -1, 1, 1, 1, 1, 1])
    looks = np.array([0, 4, 3, 2, 1, 0, 2, 2, 2, 2, 2]) / 20
    assert share_on(looks, media, (0, WHOLE)) == pytest.approx(0.5)
    assert share_on(looks, media, (0, (0.5, 0.0, 1.0, 0.5))) == pytest.approx(3 / 20)  # the second of two rows of two
    assert share_on(looks, media, (1, WHOLE)) == pytest.approx(0.5)
    assert share_on(looks, media, (1, (0.0, 0.0, 0.5, 1.0))) is None  # five tokens are no square
    assert share_on(0 * looks, media, (0, WHOLE)) is None


def test_what_is_said_while_looking_elsewhere_is_rejected(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    root = tmp_path / "prepared"
    root.mkdir()
    samples = []
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (40, 40), colour).save(root / f"{number}.png")
        asked = message("user", image_block(), text_block("Which colour?"))
        answer = message("assistant", text_block(f"Colour {number}."))
        samples.append(Sample((asked, answer), (f"{number}.png",), str(number)))
    folder = tiny("llava")
    engine = LocalEngine(load_model(folder, dtype=torch.float32), load_processor(folder))
    answering = EngineAnswering(
        lambda: engine,
        root,
        tmp_path / "pairs",
        "key",
        seed=0,
        max_tokens=4,
        batch_size=2,
        progress=lambda done, total: None,
        pictures=tmp_path / "pair-pictures",
    )
    both = Sample(
        (message("user", image_block(), image_block(), text_block("Which?")), message("assistant", text_block("One."))),
        ("0.png", "1.png"),
        "both",
    )
    shares = answering.looks([both, both], [(0, WHOLE), (1, WHOLE)])
    assert sum(share or 0.0 for share in shares) == pytest.approx(1)
    assert all(share is not None and 0 < share < 1 for share in shares)
    for layout in ("sequence", "collage", "picture-in-picture"):
        found = list(PAIR_BUILDERS["several-images"](layouts=[layout], share=0.0).build(samples, answering, 0))
        pairs = [one for one in found if isinstance(one, Pair)]
        assert pairs, layout
        for pair in pairs:
            chosen, rejected = pair.samples
            assert text_of(chosen.messages[-1]).startswith("Colour ")
            assert chosen.images == rejected.images
            assert len(chosen.images) == (4 if layout == "sequence" else 1)
            assert all((root / image).is_file() for image in chosen.images)
            assert text_of(chosen.messages[0]).startswith("This is about ")
            assert "of its attention on other images" in pair.rejected_from
    sure = list(PAIR_BUILDERS["several-images"](layouts=["sequence"], share=0.999).build(samples, answering, 0))
    assert [one.why for one in sure if isinstance(one, NoPair)] == [
        "the model looks at the image that is asked about"
    ] * 4
