"""Boxes that images bring along, as tokens of their own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cityscribe.files import InputError
from cityscribe.media.image_boxes import boxes_comment, boxes_in, boxes_of, with_boxes
from cityscribe.media.images import open_image
from cityscribe.models.vlm.connectors.box_tokens import roi_align
from cityscribe.models.vlm.features import boxes_by_view
from cityscribe.prepare.keyframe import KeyFrame
from cityscribe.prepare.pictures import render_noted, write_jpeg
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.encode import Encoder
from tests.models.test_load import picture
from tests.models.vlm.composed import parts, tiny
from tests.models.vlm.test_trees import assert_trains_and_answers_exactly

CONNECTOR = {"kind": "box-tokens", "connector": {"kind": "average-pooling", "pool": 2}, "most": 3}
LEFT, RIGHT = (0.0, 0.0, 0.4, 0.8), (0.6, 0.2, 1.0, 1.0)


def test_what_is_in_a_box_is_looked_up_between_the_cells_of_a_map() -> None:
    """By the formula of bilinear interpolation, place by place. (torchvision's `roi_align` gives the same to 1e-14.)"""
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    left, top, right, bottom = 0.1, 0.05, 0.7, 0.9
    found = roi_align(maps, torch.tensor([[left, top, right, bottom]], dtype=torch.float64), 3)[0]
    for row in range(3):
        for column in range(3):
            x = min(max((left + (column + 0.5) / 3 * (right - left)) * 6 - 0.5, 0), 5)
            y = min(max((top + (row + 0.5) / 3 * (bottom - top)) * 4 - 0.5, 0), 3)
            x0, y0 = min(math.floor(x), 4), min(math.floor(y), 2)
            expected = torch.zeros(2, dtype=torch.float64)
            for r, down in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
                for c, across in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
                    expected += down * across * maps[0, :, r, c]
            torch.testing.assert_close(found[:, row, column], expected, atol=1e-12, rtol=1e-12)


def test_boxes_lie_in_the_file_and_are_left_behind_by_what_no_longer_shows_them(tmp_path: Path) -> None:
    frame = np.zeros((40, 80, 3), dtype=np.uint8)
    key = KeyFrame(0, {"vehicle": (40.0, 0.0, 60.0, 20.0), "pedestrian": (8.0, 10.0, 16.0, 20.0)})
    settings = PrepareSettings(images=("global", "pedestrian"), store_boxes=True, draw_boxes=False)
    (whole, note), (cropped, near) = render_noted(frame, key, settings)
    write_jpeg(tmp_path / "whole.jpg", whole, settings, note)
    opened = open_image(tmp_path / "whole.jpg")
    assert boxes_of(opened) == ((0.1, 0.25, 0.3, 0.75), (0.5, 0.0, 1.0, 0.5)), "pedestrian first, cut to the picture"
    assert boxes_of(opened.crop((0, 0, 4, 4))) == boxes_of(opened.resize((8, 4))) == ()
    assert cropped.shape[1] < 80
    (alone,) = boxes_in(near)[:1]
    assert alone[2] - alone[0] > 0.3, "in shares of the crop"
    plain = render_noted(frame, key, settings.model_copy(update={"store_boxes": False}))
    assert [line for _, line in plain] == ["", ""]
    for odd in ("", None, b"boxes: 1 2", "boxes: 0.5 0.5 0.4 0.9", "boxes: x", b"\xff"):
        assert boxes_in(odd) == ()


def encoded(processor: Any, *images: Image.Image) -> Any:
    content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": "Where?"}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
    )


@torch.no_grad()
def test_tokens_of_boxes_stand_behind_those_of_their_image() -> None:
    model, processor = tiny(parts(connector=CONNECTOR, tiling={"kind": "letterbox"}))
    inner: Any = model
    first, second = with_boxes(picture(0, (64, 32)), [LEFT, RIGHT]), picture(1, (32, 32))
    inputs = encoded(processor, first, second)
    assert int((inputs["input_ids"] == model.config.image_token_id).sum()) == 4 + 2 + 4
    given = {name: inputs[name] for name in ("image_boxes", "image_views")}
    tokens = inner.model.image_tokens(inputs["pixel_values"], **given)
    features, _ = inner.model.features(inputs["pixel_values"])
    views, edges = boxes_by_view(**given)
    assert views.tolist() == [0, 0]
    torch.testing.assert_close(edges[0], torch.tensor([0.0, 0.25, 0.4, 0.65])), "between the borders of a letterbox"
    plain = inner.model.connector(features)
    boxed = inner.model.connector.box_tokens(features, views, edges)
    torch.testing.assert_close(tokens, torch.cat([plain[0], boxed, plain[1]]))
    assert (boxed[0] - boxed[1]).abs().max() > 1e-2
    assert model(**inputs).logits.isfinite().all()
    assert model(**encoded(processor, second)).logits.isfinite().all(), "an image without boxes"


def test_an_image_is_shared_where_its_boxes_are_the_same(tmp_path: Path) -> None:
    model, processor = tiny(parts(connector=CONNECTOR))
    encoder = Encoder(model, processor)
    asked = (message("user", image_block(), text_block("Where?")),)
    keys = [
        encoder.ask("a", asked, [with_boxes(picture(0), boxes)]).media[0].key for boxes in ([LEFT], [LEFT], [RIGHT], [])
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    with pytest.raises(InputError, match="an image has 4 boxes, and the model takes 3"):
        encoder.ask("a", asked, [with_boxes(picture(0), [LEFT] * 4)])
    boxes = [boxes_comment([LEFT]), boxes_comment([LEFT, RIGHT]), boxes_comment([])]
    assert_trains_and_answers_exactly(model, processor, tmp_path, saves=1.2, boxes=boxes)
