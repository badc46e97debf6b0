"""The tokens of images by their sizes are never more than what the processor makes of the images."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.sizes import TELLS_OF_ONE, fewest_image_tokens
from tests.models.vlm.composed import COMPOSED, tiny
from tests.tiny_models import FAMILIES

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
SIZES = ((40, 30), (64, 64), (20, 160), (333, 77))
UNTOLD = ("smolvlm",)
"""Families whose processors do not tell."""


@pytest.mark.parametrize("family", [*FAMILIES, *COMPOSED])
def test_images_take_as_many_tokens_as_their_sizes_tell(family: str, load: Load) -> None:
    model, processor = load(family) if family in FAMILIES else tiny(COMPOSED[family])
    encoder = Encoder(model, processor)
    alone = encoder.ask("it", [message("user", text_block("?"))], []).length
    for size, count in itertools.product(SIZES, (1, 2)):
        images = [Image.new("RGB", size, (90 * number, 0, 0)) for number in range(count)]
        shown = encoder.ask("it", [message("user", *[image_block()] * count, text_block("?"))], images)
        told = fewest_image_tokens(processor, [size] * count)
        assert told <= shown.length - alone, (size, count)
        if family in UNTOLD or (count > 1 and type(processor).__name__ in TELLS_OF_ONE):
            assert told == count
        else:
            assert told >= (shown.media_ids >= 0).sum(), (size, count)
