"""Conversations with images as a model from parts takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, BaseImageProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_transforms import to_pil_image
from transformers.image_utils import make_flat_list_of_images
from transformers.processing_utils import ImagesKwargs, MultiModalData

from cityscribe.media.image_boxes import ImageBoxes, boxes_of
from cityscribe.media.thumbnail import strip
from cityscribe.models.vlm.guides import CONTENT, CONTEXT, DEFAULT_GUIDE, WHOLE, arrange, check_arrangement
from cityscribe.models.vlm.parts import make_tiling
from cityscribe.models.vlm.tilings import TilingView

QUESTION_TOKENIZER = "question_tokenizer"
"""The folder in a checkpoint of the tokenizer of its text decoder, where that has a vocabulary of its own."""

QUESTION_TOKENS = 256
"""Tokens of a question that are read; of a longer one the last (LLaMA-VID)."""


class ImageInputs(ImagesKwargs, total=False):
    """What a processor may be given for its images."""

    image_parts: list[int]  # what the place of each image shows of it (`guides`)
    image_boxes: list[ImageBoxes]  # the boxes of each image, in shares of its width and height


class VlmImageProcessor(BaseImageProcessor):
    """Images to the views that towers see, in pixels. Pillow and NumPy only, so that they are the same everywhere.

    `tiling` are the options of one, `towers` what each reads: `size` (height and width in pixels), `mean` and `std`.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012  # as in every image processor of transformers
    valid_kwargs = ImageInputs

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

    def views_of(self, image: Any) -> tuple[TilingView, ...]:
        """The views of an image, in the order of their pixels."""
        size = image.size if isinstance(image, Image.Image) else _as_rgb(image).size
        views: tuple[TilingView, ...] = make_tiling(self.tiling, tuple(self.towers[0]["size"])).views(*size)
        return views

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
    """`view_tokens` is how many tokens a view becomes, `reads_text` whether some of them depend on the text that guides
    the image: `context_tokens` of them, 0 where all do.

    `guide` and `order` say which text that is and where such tokens stand (`guides`). With `own_words` the text is read
    by a tokenizer of its own, `question_tokenizer`, else by the one of the decoder. Where the connector `joins_views`,
    `view_tokens` are those of a whole image, and a video is one; `thumbnail` of its frames are its first view.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        view_tokens: int = 1,
        reads_text: bool = False,
        image_token: str = "<image>",
        context_tokens: int = 0,
        guide: str = DEFAULT_GUIDE,
        order: str = "interleaved",
        own_words: bool = False,
        most_boxes: int = 0,
        joins_views: bool = False,
        thumbnail: int = 0,
        tile_tokens: int = 0,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_arrangement(guide, order)
        self.view_tokens = view_tokens
        self.reads_text = reads_text
        self.context_tokens = context_tokens
        self.guide = guide
        self.order = order
        self.own_words = own_words
        self.most_boxes = most_boxes
        self.joins_views = joins_views
        self.thumbnail = thumbnail
        self.tile_tokens = tile_tokens
        self.question_tokenizer: PreTrainedTokenizerBase = tokenizer
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    @classmethod
    def from_pretrained(cls, base: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        processor = super().from_pretrained(base, *args, **kwargs)
        if processor.own_words:
            found: Any = AutoTokenizer.from_pretrained(base, subfolder=QUESTION_TOKENIZER, trust_remote_code=False)
            processor.question_tokenizer = found
        return processor

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if self.own_words:
            self.question_tokenizer.save_pretrained(Path(save_directory) / QUESTION_TOKENIZER)
        return saved

    @property
    def arranges_images(self) -> bool:
        """Whether a conversation may show an image at several places, each of them an item with features of its own."""
        return self.reads_text

    @property
    def unused_input_names(self) -> list[str]:
        return [] if self.reads_text or self.joins_views or self.most_boxes else ["image_views"]

    def strip_of(self, frames: Sequence[Image.Image]) -> Image.Image:
        """The frames of a video as the one image that a connector which joins views takes."""
        height, width = self.image_processor.towers[0]["size"]
        return strip(frames, (height, width), self.thumbnail)

    def _get_num_multimodal_tokens(self, image_sizes: Any = None, **_: Any) -> MultiModalData:
        """The tokens of images by their sizes (height and width), as vLLM asks for them."""
        images: Any = self.image_processor
        tiling = make_tiling(images.tiling, tuple(images.towers[0]["size"]))
        views = [tiling.views(width, height) for height, width in image_sizes or ()]
        tokens = [
            self.view_tokens if self.joins_views else sum(self.tokens_of(WHOLE, view) for view in each)
            for each in views
        ]
        return MultiModalData(tokens, num_image_patches=[len(each) for each in views])

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """As every processor's. For a connector that reads text, with the text that guides each image, and images as
        often and where that wants them."""
        if self.most_boxes and conversation and kwargs.get("tokenize"):
            return self._with_boxes(conversation, *args, **kwargs)
        if not self.reads_text or not conversation:
            return super().apply_chat_template(conversation, *args, **kwargs)
        single = isinstance(conversation[0], dict)
        arranged = [arrange(each, self.guide, self.order) for each in ([conversation] if single else conversation)]
        messages: Any = [each.messages for each in arranged]
        parts = [part for each in arranged for part in each.parts]
        if kwargs.get("tokenize") and parts:
            given = dict(kwargs.get("processor_kwargs") or {})
            given["images_kwargs"] = {**given.get("images_kwargs", {}), "image_parts": parts}
            kwargs["processor_kwargs"] = given
        encoded = super().apply_chat_template(messages[0] if single else messages, *args, **kwargs)
        if isinstance(encoded, BatchFeature) and "pixel_values" in encoded:
            texts = [text for each in arranged for text in each.texts]
            encoded["question_ids"], encoded["question_mask"] = self.read_questions(texts)
            if self.order != "interleaved":
                encoded["image_parts"] = torch.tensor(parts)
        return encoded

    def _with_boxes(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """As every processor's, with the boxes that the images bring along."""
        shown = [
            block["image"]
            for messages in ([conversation] if isinstance(conversation[0], dict) else conversation)
            for message in messages
            if not isinstance(message["content"], str)
            for block in message["content"]
            if block["type"] == "image"
        ]
        if not shown:
            return super().apply_chat_template(conversation, *args, **kwargs)
        boxes = [boxes_of(image) for image in shown]
        given = dict(kwargs.get("processor_kwargs") or {})
        given["images_kwargs"] = {**given.get("images_kwargs", {}), "image_boxes": boxes}
        encoded: Any = super().apply_chat_template(conversation, *args, **{**kwargs, "processor_kwargs": given})
        views = [self.image_processor.views_of(image) for image in shown]
        rows = [self._box_rows(own, each) for own, each in zip(boxes, views, strict=True)]
        encoded["image_boxes"] = torch.tensor(rows)
        return encoded

    def _box_rows(self, boxes: ImageBoxes, views: Sequence[TilingView]) -> list[list[float]]:
        """[most_boxes, 5]: the view that shows the whole image, and the edges of each box in shares of that."""
        if len(boxes) > self.most_boxes:
            raise ValueError(f"an image has {len(boxes)} boxes, and the model takes {self.most_boxes}")
        rows = [[0.0] * 5 for _ in range(self.most_boxes)]
        if boxes:
            number = next((n for n, view in enumerate(views) if view.role == "whole"), None)
            if number is None:
                raise ValueError("no view shows the whole image, on which boxes are looked up")
            left, top, right, bottom = views[number].place
            for row, (x1, y1, x2, y2) in zip(rows, boxes, strict=False):
                across, down = right - left, bottom - top
                edges = (left + x1 * across, top + y1 * down, left + x2 * across, top + y2 * down)
                row[:] = [float(number), *edges]
        return rows

    def read_questions(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The tokens of texts that guide images, and which of them count, [texts, QUESTION_TOKENS] each: equal for
        equal texts, whatever stands beside them. An empty text has none."""
        tokenizer: Any = self.question_tokenizer
        pad = tokenizer.pad_token_id or 0
        ids = torch.full((len(texts), QUESTION_TOKENS), pad)
        mask = torch.zeros(len(texts), QUESTION_TOKENS, dtype=torch.long)
        known: dict[str, list[int]] = {"": []}
        for row, text in enumerate(texts):
            if text not in known:
                known[text] = self._question_tokens(text)
            found = known[text]
            ids[row, : len(found)] = torch.tensor(found, dtype=torch.long)
            mask[row, : len(found)] = 1
        return ids, mask

    def _question_tokens(self, text: str) -> list[int]:
        tokenizer: Any = self.question_tokenizer
        own = list(tokenizer.encode(text, add_special_tokens=False))
        if not self.own_words:
            return own[-QUESTION_TOKENS:]
        first, last = (
            [token] if token is not None else [] for token in (tokenizer.cls_token_id, tokenizer.sep_token_id)
        )
        return [*first, *own[-(QUESTION_TOKENS - len(first) - len(last)) :], *last]

    def _process_images(
        self,
        images: Any,
        image_parts: Sequence[int] | None = None,
        image_boxes: Sequence[ImageBoxes] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The inputs of images, and what stands in the text for each. An image that is shown several times is
        preprocessed once."""
        flat: Any = make_flat_list_of_images(images)
        first: dict[int, int] = {}
        numbers = [first.setdefault(id(image), len(first)) for image in flat]
        distinct = [flat[numbers.index(number)] for number in range(len(first))]
        found = self.image_processor(distinct if len(distinct) < len(flat) else images, **kwargs)
        views = [int(count) for count in found["image_views"]]
        if len(distinct) < len(flat):
            found = _repeated(found, numbers, views)
            views = [views[number] for number in numbers]
        parts = image_parts or [WHOLE] * len(views)
        if self.joins_views:
            return found, [self.image_token * self.view_tokens for _ in views]
        shown = [self.image_processor.views_of(image) for image in flat]
        if self.tile_tokens:
            found["view_is_tile"] = torch.tensor([view.role == "tile" for each in shown for view in each])
        return found, [
            "".join(view.before + self.image_token * self.tokens_of(part, view) + view.after for view in each)
            + self.image_token * len(own)
            for each, part, own in zip(shown, parts, image_boxes or [()] * len(parts), strict=True)
        ]

    def tokens_of(self, part: int, view: TilingView | None = None) -> int:
        """How many tokens of a view stand at a place; without one, of a whole image."""
        if self.tile_tokens and view is not None and view.role == "tile":
            return self.tile_tokens
        return {WHOLE: self.view_tokens, CONTENT: self.view_tokens - self.context_tokens, CONTEXT: self.context_tokens}[
            part
        ]


def _repeated(found: BatchFeature, numbers: Sequence[int], views: Sequence[int]) -> BatchFeature:
    """The inputs of images, image `numbers[n]` at the n-th place; `views` are how many each has."""
    ends = np.cumsum([0, *views])
    rows = [row for number in numbers for row in range(ends[number], ends[number + 1])]
    counts = found["image_views"]
    again = counts[list(numbers)] if isinstance(counts, Tensor) else [counts[number] for number in numbers]
    return BatchFeature({"pixel_values": found["pixel_values"][rows], "image_views": again})
