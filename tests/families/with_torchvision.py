"""Tiny models of families whose image processors need torchvision, and of those whose towers need timm as well."""

from __future__ import annotations

from typing import Any

from transformers import (
    Cohere2Config,
    Cohere2VisionConfig,
    Cohere2VisionForConditionalGeneration,
    Cohere2VisionProcessor,
    Lfm2VlConfig,
    Lfm2VlForConditionalGeneration,
    Lfm2VlProcessor,
    LightOnOcrConfig,
    LightOnOcrForConditionalGeneration,
    LightOnOcrProcessor,
    Llama4Config,
    Llama4ForConditionalGeneration,
    Llama4Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Molmo2Config,
    Molmo2ForConditionalGeneration,
    Molmo2Processor,
    PixtralProcessor,
    PixtralVisionConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from cityscribe.models.tokenizer import IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision
from tests.tiny_models import TEXTS, VISION, VOCABULARY, random_model, template, text_fields

SQUARE = {"height": 16, "width": 16}
ROTARY = {"rope_type": "default", "rope_theta": 10000.0}
PIXTRAL = {"image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]", "image_token": "[IMG]"}


def _pixtral_tower() -> PixtralVisionConfig:
    return PixtralVisionConfig(**VISION, image_size=32, patch_size=8, head_dim=16, rope_parameters=dict(ROTARY))


def pixtral_in_llava() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, PIXTRAL)
    config = LlavaConfig(
        vision_config=_pixtral_tower(),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessorPil(patch_size=8, size={"longest_edge": 32}),
        tokenizer=tokenizer,
        patch_size=8,
        chat_template=template("[IMG]"),
    )
    return random_model(LlavaForConditionalGeneration, config, tokenizer), processor


def mistral3() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, PIXTRAL)
    config = Mistral3Config(
        vision_config=_pixtral_tower(),
        text_config={**text_fields(tokenizer), "model_type": "mistral", "head_dim": 8, "sliding_window": None},
        image_token_index=tokenizer.image_token_id,
        spatial_merge_size=2,
    )
    processor = PixtralProcessor(
        image_processor=PixtralImageProcessorPil(patch_size=16, size={"longest_edge": 32}),
        tokenizer=tokenizer,
        patch_size=8,
        spatial_merge_size=2,
        chat_template=template("[IMG]"),
    )
    return random_model(Mistral3ForConditionalGeneration, config, tokenizer), processor


def lighton_ocr() -> tuple[PreTrainedModel, ProcessorMixin]:
    special = {
        "image_token": "<|image_pad|>",
        "image_break_token": "<|vision_pad|>",
        "image_end_token": "<|vision_end|>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    config = LightOnOcrConfig(
        vision_config=_pixtral_tower(),
        text_config={**text_fields(tokenizer), "model_type": "qwen3", "head_dim": 8},
        image_token_id=tokenizer.image_token_id,
        spatial_merge_size=2,
    )
    processor = LightOnOcrProcessor(
        image_processor=PixtralImageProcessorPil(patch_size=16, size={"longest_edge": 32}),
        tokenizer=tokenizer,
        patch_size=8,
        spatial_merge_size=2,
        chat_template=template("<|image_pad|>"),
    )
    return random_model(LightOnOcrForConditionalGeneration, config, tokenizer), processor


MOLMO = ("patch", "col", "start", "end", "low")


def molmo2() -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers.models.molmo2.image_processing_molmo2 import Molmo2ImageProcessor

    special = {
        "image_token": "<|image|>",
        "video_token": "<|video|>",
        "low_res_im_start_token": "<low_res_im_start>",
        "frame_start_token": "<frame_start>",
        "frame_end_token": "<frame_end>",
        **{f"im_{name}_token": f"<im_{name}>" for name in MOLMO},
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config = Molmo2Config(
        vision_config={**VISION, **heads, "image_size": [32, 32], "patch_size": 4},
        adapter_config={
            **heads,
            "hidden_size": 32,
            "intermediate_size": 64,
            "text_hidden_size": 32,
            "vision_feature_layer": [2, 1],
        },
        text_config={
            **text_fields(tokenizer),
            "head_dim": 8,
            "additional_vocab_size": 0,
            "rope_parameters": dict(ROTARY),
        },
        image_start_token_id=ids["im_start_token"],
        low_res_image_start_token_id=ids["low_res_im_start_token"],
        image_end_token_id=ids["im_end_token"],
        image_patch_id=ids["im_patch_token"],
        frame_start_token_id=ids["frame_start_token"],
        frame_end_token_id=ids["frame_end_token"],
    )
    processor = without_torchvision(Molmo2Processor)(
        image_processor=Molmo2ImageProcessor(
            size={"height": 32, "width": 32}, max_crops=2, overlap_margins=[1, 1], patch_size=4, pooling_size=[2, 2]
        ),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Molmo2VideoProcessor"}),
        chat_template=template("<|image|>"),
    )
    return random_model(Molmo2ForConditionalGeneration, config, tokenizer), processor


def lfm2_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor

    special = {
        "image_start_token": "<|image_start|>",
        "image_end_token": "<|image_end|>",
        "image_thumbnail_token": "<|img_thumbnail|>",
        **{f"row_{r}_col_{c}_token": f"<|img_row_{r}_col_{c}|>" for r in range(1, 3) for c in range(1, 3)},
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    config = Lfm2VlConfig(
        vision_config={
            **VISION,
            "patch_size": 4,
            "num_patches": 64,
            "model_type": "siglip2_vision_model",
            "vision_use_head": False,
        },
        text_config={
            **text_fields(tokenizer),
            "model_type": "lfm2",
            "layer_types": ["conv", "full_attention", "conv", "conv"],
            "block_auto_adjust_ff_dim": False,
            "rope_parameters": dict(ROTARY),
        },
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=32,
    )
    processor = Lfm2VlProcessor(
        image_processor=Lfm2VlImageProcessor(
            encoder_patch_size=4,
            tile_size=32,
            min_image_tokens=4,
            max_image_tokens=16,
            max_num_patches=64,
            do_image_splitting=False,
        ),
        tokenizer=tokenizer,
        chat_template=template(IMAGE),
    )
    return random_model(Lfm2VlForConditionalGeneration, config, tokenizer), processor


def cohere2_vision() -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers.models.cohere2_vision.image_processing_cohere2_vision import Cohere2VisionImageProcessor

    special = {
        "boi_token": "<|START_OF_IMG|>",
        "eoi_token": "<|END_OF_IMG|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    config = Cohere2VisionConfig(
        vision_config={
            **VISION,
            "model_type": "siglip_vision_model",
            "image_size": 16,
            "patch_size": 4,
            "vision_use_head": False,
        },
        text_config=Cohere2Config(
            **text_fields(tokenizer),
            sliding_window=12,
            layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        ),
        image_token_id=tokenizer.image_token_id,
        alignment_intermediate_size=64,
    )
    processor = Cohere2VisionProcessor(
        image_processor=Cohere2VisionImageProcessor(size=SQUARE, patch_size=2, min_patches=1, max_patches=2),
        tokenizer=tokenizer,
        chat_template=template(IMAGE),
    )
    return random_model(Cohere2VisionForConditionalGeneration, config, tokenizer), processor


def llama4() -> tuple[PreTrainedModel, ProcessorMixin]:
    from transformers.models.llama4.image_processing_llama4 import Llama4ImageProcessor

    special = {
        "image_token": "<|image|>",
        "patch_token": "<|patch|>",
        "start_token": "<|image_start|>",
        "end_token": "<|image_end|>",
        "x_token": "<|tile_x_separator|>",
        "y_token": "<|tile_y_separator|>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    config = Llama4Config(
        vision_config={
            **VISION,
            "image_size": 16,
            "patch_size": 4,
            "vision_output_dim": 32,
            "projector_input_dim": 32,
            "projector_output_dim": 32,
            "intermediate_size": 128,
            "rope_parameters": dict(ROTARY),
        },
        text_config={
            **text_fields(tokenizer),
            "head_dim": 8,
            "intermediate_size_mlp": 64,
            "attention_chunk_size": 10,
            "num_local_experts": 2,
            "layer_types": ["chunked_attention", "chunked_attention", "chunked_attention", "full_attention"],
            "no_rope_layers": [1, 1, 1, 0],
            "rope_parameters": dict(ROTARY),
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|patch|>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<|image_start|>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<|image_end|>"),
    )
    processor = Llama4Processor(
        image_processor=Llama4ImageProcessor(size=SQUARE, max_patches=2),
        tokenizer=tokenizer,
        patch_size=4,
        pixel_shuffle_ratio=0.5,
        fake_image_token="<|image|>",
        image_token="<|image|>",
        chat_template=template("<|image|>"),
    )
    return random_model(Llama4ForConditionalGeneration, config, tokenizer), processor


MODELS: dict[str, Any] = {
    "llava+pixtral": pixtral_in_llava,
    "mistral3": mistral3,
    "lighton_ocr": lighton_ocr,
    "molmo2": molmo2,
    "lfm2_vl": lfm2_vl,
    "cohere2_vision": cohere2_vision,
    "llama4": llama4,
}
