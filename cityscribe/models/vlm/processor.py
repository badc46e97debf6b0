"""Conversations with images as a model from parts takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature, ProcessorMixin
from transformers.image_transforms import to_pil_image
from transformers.image_utils import make_flat_list_of_images
from transformers.processing_utils import MultiModalData

from cityscribe.models.vlm.parts import make_tiling
from cityscribe.models.vlm.tilings import TilingView


class VlmImageProcessor(BaseImageProcessor):
    """Images to the views that towers see, in pixels. Pillow and NumPy only, so that they are the same everywhere.

    `tiling` are the options of one, `towers` what each reads: `size` (height and width in pixels), `mean` and `std`.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012  # as in every image processor of transformers

    def __init__(self, tiling: dict[str, Any], towers: Sequence[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tiling = tiling
        self.towers = [dict(tower) for tower in towers]

    def preprocess(self, images: Any, return_tensors: Any = None, **_: Any) -> BatchFeature:
        """`pixel_values` [views of all images, 3 a tower, height, width]; `image_views`, how many each image has."""
        shape = tuple(self.towers[0]["size"])
        tiling = make_tiling(self.tiling, shape)
        rows = max(tower["size"][0] for tower in self.towers)
        columns = max(tower["size"][1] for tower in self.towers)
        pixels, counts = [], []
        flat: Any = make_flat_list_of_images(images)
        for image in flat:
            picture = _as_rgb(image)
            views = tiling.views(*picture.size)
            counts.append(len(views))
            for view in views:
                values = np.zeros((3 * len(self.towers), rows, columns), dtype=np.float32)
                for number, tower in enumerate(self.towers):
                    height, width = tower["size"]
                    values[3 * number : 3 * number + 3, :height, :width] = _seen(picture, view, tower)
                pixels.append(values)
        return BatchFeature({"pixel_values": np.stack(pixels), "image_views": counts}, tensor_type=return_tensors)

    def to_dict(self) -> dict[str, Any]:
        return {"image_processor_type": type(self).__name__, "tiling": self.tiling, "towers": self.towers}


def _as_rgb(image: Any) -> Image.Image:
    picture = image if isinstance(image, Image.Image) else to_pil_image(image)
    return picture.convert("RGB")


def _seen(picture: Image.Image, view: TilingView, tower: dict[str, Any]) -> np.ndarray:
    """What a tower sees of a view: [3, height, width], normalised, so that the mean colour around it is zero."""
    height, width = tower["size"]
    left, right = (round(view.place[side] * width) for side in (0, 2))
    top, bottom = (round(view.place[side] * height) for side in (1, 3))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    part = picture.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=view.crop)
    values = np.asarray(part, dtype=np.float32) / 255
    values = (values - np.array(tower["mean"], np.float32)) / np.array(tower["std"], np.float32)
    seen = np.zeros((3, height, width), dtype=np.float32)
    seen[:, top:bottom, left:right] = values.transpose(2, 0, 1)
    return seen


class VlmProcessor(ProcessorMixin):
    """`view_tokens` is how many tokens a view becomes, `reads_text` whether they depend on the text of its message."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        view_tokens: int = 1,
        reads_text: bool = False,
        image_token: str = "<image>",
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.view_tokens = view_tokens
        self.reads_text = reads_text
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    @property
    def unused_input_names(self) -> list[str]:
        return [] if self.reads_text else ["image_views"]

    def _get_num_multimodal_tokens(self, image_sizes: Any = None, **_: Any) -> MultiModalData:
        """The tokens of images by their sizes (height and width), as vLLM asks for them."""
        images: Any = self.image_processor
        tiling = make_tiling(images.tiling, tuple(images.towers[0]["size"]))
        views = [len(tiling.views(width, height)) for height, width in image_sizes or ()]
        return MultiModalData([count * self.view_tokens for count in views], num_image_patches=views)

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """As every processor's. For a connector that reads text, with the text of the message of each image: what later
        turns say, and the answer, change nothing about it."""
        encoded = super().apply_chat_template(conversation, *args, **kwargs)
        if self.reads_text and isinstance(encoded, BatchFeature) and "pixel_values" in encoded:
            turns = (
                conversation if isinstance(conversation[0], dict) else [turn for each in conversation for turn in each]
            )
            texts = [
                " ".join(block["text"] for block in turn["content"] if block["type"] == "text")
                for turn in turns
                for each in turn["content"]
                if each["type"] == "image"
            ]
            read = self.tokenizer(
                texts, padding=True, padding_side="right", add_special_tokens=False, return_tensors="pt"
            )
            encoded["question_ids"], encoded["question_mask"] = read["input_ids"], read["attention_mask"]
        return encoded

    def replace_image_token(self, image_inputs: Any, image_idx: int, **kwargs: Any) -> str:
        """The places of an image in the text."""
        return self.image_token * (int(image_inputs["image_views"][image_idx]) * self.view_tokens)
