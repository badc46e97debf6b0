"""One image among several: what the model says while it looks at the wrong one (MIA-DPO, Liu et al. 2024).

A question about one image is asked beside images of other samples: one after the other, in a collage, or as a picture
within another picture. The reference is chosen; the model's answer is rejected where more than a share of its attention
on images lies on the others. Needs no labels but those of single images; cameras of a crossing are its natural case.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from PIL import Image
from pydantic import Field

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair, PairBuilder, pair_of
from cityscribe.engine.request import WHOLE, MediaRegion
from cityscribe.media.images import open_image
from cityscribe.records import Sample, image_block, message, text_block, text_of
from cityscribe.rewards.reward import answered, asked_of, reference_answer

ShownTogether = Literal["sequence", "collage", "picture-in-picture"]

SIDE = 672
"""Pixels of a drawn image, which is square: processors that crop leave it whole."""

SMALL = 0.4
"""The side of a picture within a picture, as a share."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about one of several images."""

    sample: Sample
    region: MediaRegion
    wanted: bool  # whether that is where to look, or where not to


class SeveralImages(PairBuilder):
    kind: Literal["several-images"] = "several-images"
    layouts: tuple[ShownTogether, ...] = Field(
        ("sequence", "collage", "picture-in-picture"), min_length=1, description="how images are shown together"
    )
    images: int = Field(4, ge=2, le=9, description="that are shown in a sequence or a collage")
    share: float = Field(
        0.5, ge=0, lt=1, description="of the attention on images, that is on others where an answer is rejected"
    )

    asks: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        firsts = list(dict.fromkeys(sample.images[0] for sample in samples if sample.images))
        shown: list[_Asked | NoPair] = [
            self._shown(sample, firsts, answering, random.Random(f"{seed} {sample.group}/{sample.name}"))
            for sample in samples
        ]
        asked = [one for one in shown if not isinstance(one, NoPair)]
        own = [text for (text,) in answering([one.sample for one in asked])] if asked else []
        said = [answered(one.sample, text or ".") for one, text in zip(asked, own, strict=True)]
        looks = iter(answering.looks(said, [one.region for one in asked]))
        texts = iter(own)
        for one in shown:
            if isinstance(one, NoPair):
                yield one
                continue
            sample, text, looked = one.sample, next(texts), next(looks)
            outside = 0.0 if looked is None else 1 - looked if one.wanted else looked
            if looked is None:
                yield NoPair(sample.name, "which part of an image its tokens are is not known")
            elif outside <= self.share:
                yield NoPair(sample.name, "the model looks at the image that is asked about")
            else:
                sources = ("reference", f"own output, {outside:.0%} of its attention on other images")
                yield pair_of(self.kind, sample, reference_answer(sample), text, sources)

    def _shown(
        self, sample: Sample, firsts: Sequence[str], answering: Answering, draw: random.Random
    ) -> _Asked | NoPair:
        """A sample that asks about one of several images."""
        question = asked_of(sample)
        others = [image for image in firsts if image not in sample.images]
        if not sample.images or len(question) != 1 or not others:
            return NoPair(sample.name, "is no single question about images, or there is no other image to show")
        layout = draw.choice(self.layouts)
        count = 2 if layout == "picture-in-picture" else self.images
        images = draw.sample(others, min(count - 1, len(others)))
        place = draw.randrange(len(images) + 1)
        images.insert(place, sample.images[0])
        said = text_of(question[0]).strip()
        region: MediaRegion
        wanted = True
        if layout == "sequence":
            about, region = f"This is about image {place + 1} of {len(images)}.", (place, WHOLE)
        else:
            pictures = [open_image(answering.root / image).convert("RGB") for image in images]
            if layout == "collage":
                drawn, region = collage(pictures, place)
                about = f"This is about picture {place + 1} of the collage, row by row from the top left."
            else:
                corner = draw.randrange(4)
                large, little = pictures
                drawn, region = picture_in_picture(large, little, corner)
                wanted = place == 1
                about = f"This is about the {'small picture in the corner' if wanted else 'large picture'}."
            images = [answering.keep_picture(f"{layout}-{sample.group}-{sample.name}", drawn)]
        asks = message("user", *[image_block()] * len(images), text_block(f"{about} {said}"))
        messages = (asks, message("assistant", text_block(reference_answer(sample))))
        return _Asked(replace(sample, messages=messages, images=tuple(images)), region, wanted)


def collage(pictures: Sequence[Image.Image], place: int) -> tuple[Image.Image, MediaRegion]:
    """Pictures row by row in one square image, and where the one at `place` is."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    drawn = Image.new("RGB", (SIDE, SIDE))
    width, height = SIDE // columns, SIDE // rows
    for number, picture in enumerate(pictures):
        drawn.paste(picture.resize((width, height)), (number % columns * width, number // columns * height))
    left, top = place % columns / columns, place // columns / rows
    return drawn, (0, (left, top, left + 1 / columns, top + 1 / rows))


def picture_in_picture(large: Image.Image, little: Image.Image, corner: int) -> tuple[Image.Image, MediaRegion]:
    """A picture in a corner (0 to 3) of another one, and where the small one is."""
    drawn = large.resize((SIDE, SIDE))
    side = round(SMALL * SIDE)
    left, top = corner % 2 * (SIDE - side), corner // 2 * (SIDE - side)
    drawn.paste(little.resize((side, side)), (left, top))
    return drawn, (0, (left / SIDE, top / SIDE, (left + side) / SIDE, (top + side) / SIDE))
