"""Parts that are a LLaVA or a LLaVA-NeXT, as models of transformers: configuration and processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from cityscribe.models.tokenizer import IMAGE
from cityscribe.models.vlm.tilings.anyres import GRIDS

TOWERS = ("clip", "siglip")
CONNECTOR = {"kind": "mlp", "layers": 2, "row_marks": False, "class_token": False}


def is_llava(towers: tuple[Mapping[str, Any], ...], connector: Mapping[str, Any]) -> bool:
    """Whether LLaVA and its kin have such a tower and such a connector; what they do with them, the tiling says."""
    chosen = {**CONNECTOR, **connector}
    one = len(towers) == 1 and towers[0].get("kind") in TOWERS
    return one and all(chosen[name] == value for name, value in CONNECTOR.items())


def llava_model(
    tower: Any, text: PreTrainedConfig, connector: Mapping[str, Any], tiling: Mapping[str, Any], image_token: int
) -> PreTrainedModel:
    """The LLaVA of a tower, or with tiles the LLaVA-NeXT."""
    shared: Any = {
        "vision_config": tower.model.config,
        "text_config": text,
        "image_token_index": image_token,
        "image_seq_length": tower.grid[0] * tower.grid[1],
        "vision_feature_layer": tower.layer,
        "vision_feature_select_strategy": "default" if tower.class_tokens else "full",
        "projector_hidden_act": connector.get("activation", "gelu"),
        "multimodal_projector_bias": connector.get("bias", True),
        "tie_word_embeddings": bool(text.tie_word_embeddings),
    }
    if tiling["kind"] == "whole":
        return LlavaForConditionalGeneration(LlavaConfig(**shared))
    return LlavaNextForConditionalGeneration(LlavaNextConfig(**shared, image_grid_pinpoints=pinpoints(tower, tiling)))


def pinpoints(tower: Any, tiling: Mapping[str, Any]) -> list[list[int]]:
    """Height and width of the grids of tiles, in pixels."""
    return [[rows * tower.size[0], columns * tower.size[1]] for rows, columns in tiling.get("grids", GRIDS)]


def processor_of(tokenizer: PreTrainedTokenizerBase, tower: Any, tiling: Mapping[str, Any]) -> ProcessorMixin:
    """The processor that goes with `llava_model`."""
    return llava_processor(tokenizer, tower, pinpoints(tower, tiling) if tiling["kind"] == "anyres" else None)


def llava_processor(
    tokenizer: PreTrainedTokenizerBase, tower: Any, grids: list[list[int]] | None = None
) -> LlavaProcessor | LlavaNextProcessor:
    """The processor of a LLaVA whose images become the square that its tower reads, whole; with `grids` in pixels, that
    of a LLaVA-NeXT, whose images are that square and tiles.

    The aspect ratio of the whole is given up and nothing is cut off: a centre crop would lose what stands near the
    border.
    """
    square = {"height": tower.size[0], "width": tower.size[1]}
    pictures: Any = {
        "size": square,
        "crop_size": square,
        "do_center_crop": False,
        "image_mean": list(tower.mean),
        "image_std": list(tower.std),
    }
    own: type[Any] = LlavaProcessor if grids is None else LlavaNextProcessor
    made: LlavaProcessor | LlavaNextProcessor = own(
        image_processor=CLIPImageProcessorPil(**pictures)
        if grids is None
        else LlavaNextImageProcessorPil(**pictures, image_grid_pinpoints=grids),
        tokenizer=tokenizer,
        patch_size=tower.model.config.patch_size,
        vision_feature_select_strategy="default" if tower.class_tokens else "full",
        num_additional_image_tokens=tower.class_tokens,  # which the strategy drops again
        image_token=IMAGE,
        chat_template=tokenizer.chat_template,
    )
    return made
