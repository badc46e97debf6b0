"""LLaVA-NeXT weights as a plain LLaVA: each image whole, resized to the square that the vision tower reads.

LLaVA-NeXT cuts an image into tiles, up to 2,880 tokens an image. CityLLaVA feeds the same weights two plainly resized
images of 576 tokens each: one of them is cut out by the boxes, and tiles that nothing guides distract (section 3.2.2;
Table 6). Without tiles the two families compute the same but for one vector, `image_newline`, which ends the rows of
tiles and is left out. What is trained and saved is a plain LLaVA.
"""

from __future__ import annotations

import copy
from typing import Any

from transformers import LlavaConfig, LlavaNextConfig, LlavaProcessor, PreTrainedConfig, ProcessorMixin
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from cityscribe.files import InputError


def plain_config(config: PreTrainedConfig, base: str) -> LlavaConfig:
    """The configuration of a LLaVA that takes the weights of a LLaVA-NeXT; that of a plain LLaVA as it is.

    Raises InputError, naming the base, for another family: its weights belong to its own way with images.
    """
    if isinstance(config, LlavaConfig):
        return config
    if not isinstance(config, LlavaNextConfig):
        raise InputError(f"{base}: model.tiles: only LLaVA-NeXT can do without tiles, not `{config.model_type}`")
    vision: Any = copy.deepcopy(config.vision_config)
    text: Any = copy.deepcopy(config.text_config)
    # LLaVA ties its head where the text configuration says so; LLaVA-NeXT goes by its own word alone.
    text.tie_word_embeddings = config.tie_word_embeddings
    drops_first = config.vision_feature_select_strategy == "default"
    plain = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=config.image_token_index,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2 + _class_tokens(vision) - drops_first,
        projector_hidden_act=config.projector_hidden_act,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        vision_feature_layer=config.vision_feature_layer,
        multimodal_projector_bias=config.multimodal_projector_bias,
        tie_word_embeddings=config.tie_word_embeddings,
    )
    plain.dtype = config.dtype
    return plain


def plain_processor(processor: ProcessorMixin, config: LlavaNextConfig) -> LlavaProcessor:
    """The processor to `plain_config`: images become squares, whole; tokenizer and chat template stay.

    The aspect ratio is given up, as CityLLaVA does, and nothing is cut off.
    """
    vision: Any = config.vision_config
    square = {"height": vision.image_size, "width": vision.image_size}
    images = processor.image_processor
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size=square,
            crop_size=square,
            do_center_crop=False,
            resample=images.resample,
            do_rescale=images.do_rescale,
            rescale_factor=images.rescale_factor,
            do_normalize=images.do_normalize,
            image_mean=images.image_mean,
            image_std=images.image_std,
            do_convert_rgb=images.do_convert_rgb,
        ),
        tokenizer=processor.tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=_class_tokens(vision),
        image_token=processor.image_token,  # type: ignore[attr-defined]
        chat_template=processor.chat_template,
    )


def _class_tokens(vision: PreTrainedConfig) -> int:
    """How many tokens the vision tower puts before those of its patches: CLIP one, SigLIP none."""
    return int(vision.model_type == "clip_vision_model")
