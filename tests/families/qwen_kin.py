"""Tiny models of the kin of Qwen-VL: patches of any grid, positions along several axes."""

from __future__ import annotations

from typing import Any

from transformers import (
    Exaone4_5_Config,
    Exaone4_5_ForConditionalGeneration,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vMoeConfig,
    Glm4vMoeForConditionalGeneration,
    Glm46VConfig,
    Glm46VForConditionalGeneration,
    GlmOcrConfig,
    GlmOcrForConditionalGeneration,
    HunYuanVLConfig,
    HunYuanVLForConditionalGeneration,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    VideoLlama3Config,
    VideoLlama3ForConditionalGeneration,
)
from transformers.models.exaone4_5.processing_exaone4_5 import Exaone4_5_Processor
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil
from transformers.models.glm46v.processing_glm46v import Glm46VProcessor
from transformers.models.hunyuan_vl.image_processing_pil_hunyuan_vl import HunYuanVLImageProcessorPil
from transformers.models.hunyuan_vl.processing_hunyuan_vl import HunYuanVLProcessor
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil
from transformers.models.video_llama_3.processing_video_llama_3 import VideoLlama3Processor

from cityscribe.models.tokenizer import IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision
from tests.decoders import GATED_DELTA
from tests.tiny_models import (
    QWEN_IMAGE,
    QWEN_VISION,
    TEXTS,
    VISION,
    VOCABULARY,
    qwen_images,
    qwen_tokenizer,
    random_model,
    template,
    text_fields,
)

ROTARY = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
INTERLEAVED = {**ROTARY, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
DELTA = {
    **GATED_DELTA,
    "rope_parameters": {**INTERLEAVED, "partial_rotary_factor": 0.5},
    "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
}


def _qwen(
    config_class: Any, model_class: Any, processor_class: Any, vision: dict[str, Any], text: dict[str, Any]
) -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer, tokens = qwen_tokenizer()
    config = config_class(
        vision_config={**QWEN_VISION, "patch_size": 4, **vision},
        text_config={**text_fields(tokenizer), **text},
        **tokens,
    )
    processor = without_torchvision(processor_class)(
        image_processor=qwen_images(4),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Qwen2VLVideoProcessor", "patch_size": 4}),
        chat_template=template(QWEN_IMAGE),
    )
    return random_model(model_class, config, tokenizer), processor


def qwen2_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    vision = {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    return _qwen(Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, vision, {"rope_parameters": ROTARY})


def qwen3_vl_moe() -> tuple[PreTrainedModel, ProcessorMixin]:
    vision = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    text = {"head_dim": 8, "rope_parameters": INTERLEAVED, **EXPERTS}
    return _qwen(Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, Qwen3VLProcessor, vision, text)


def qwen3_5() -> tuple[PreTrainedModel, ProcessorMixin]:
    vision = {"num_position_embeddings": 64}
    return _qwen(Qwen3_5Config, Qwen3_5ForConditionalGeneration, Qwen3VLProcessor, vision, DELTA)


def qwen3_5_moe() -> tuple[PreTrainedModel, ProcessorMixin]:
    vision = {"num_position_embeddings": 64}
    text = {**DELTA, **EXPERTS, "shared_expert_intermediate_size": 16}
    return _qwen(Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration, Qwen3VLProcessor, vision, text)


def exaone4_5() -> tuple[PreTrainedModel, ProcessorMixin]:
    vision = {"window_size": 16, "fullatt_block_indexes": [1], "num_key_value_heads": 2}
    text = {
        "model_type": "exaone4",
        "head_dim": 8,
        "sliding_window": 9,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    return _qwen(Exaone4_5_Config, Exaone4_5_ForConditionalGeneration, Exaone4_5_Processor, vision, text)


GLM_TOKENS = {
    "image_start_token": "<|begin_of_image|>",
    "image_end_token": "<|end_of_image|>",
    "video_start_token": "<|begin_of_video|>",
    "video_end_token": "<|end_of_video|>",
    "image_token": "<|image|>",
    "video_token": "<|video|>",
}


def _glm(
    config_class: Any,
    model_class: Any,
    processor_class: Any,
    images: Any,
    text: dict[str, Any],
    vision: str = "glm4v_vision",
) -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, GLM_TOKENS)
    config = config_class(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "patch_size": 4,
            "image_size": 32,
            "spatial_merge_size": 2,
            "model_type": vision,
        },
        text_config={**text_fields(tokenizer), "rope_parameters": {**ROTARY, "partial_rotary_factor": 1.0}, **text},
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in GLM_TOKENS.items()},
    )
    processor = without_torchvision(processor_class)(
        image_processor=images(
            patch_size=4, merge_size=2, size={"shortest_edge": 2 * 16 * 16, "longest_edge": 2 * 32 * 32}
        ),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Glm4vVideoProcessor", "patch_size": 4}),
        chat_template=template("<|begin_of_image|><|image|><|end_of_image|>"),
    )
    return random_model(model_class, config, tokenizer), processor


def glm4v() -> tuple[PreTrainedModel, ProcessorMixin]:
    return _glm(Glm4vConfig, Glm4vForConditionalGeneration, Glm4vProcessor, Glm4vImageProcessorPil, {})


def glm46v() -> tuple[PreTrainedModel, ProcessorMixin]:
    text = {"model_type": "glm4v_text"}
    return _glm(Glm46VConfig, Glm46VForConditionalGeneration, Glm46VProcessor, Glm46VImageProcessorPil, text)


def glm4v_moe() -> tuple[PreTrainedModel, ProcessorMixin]:
    experts = {"moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2}
    return _glm(
        Glm4vMoeConfig,
        Glm4vMoeForConditionalGeneration,
        Glm4vProcessor,
        Glm4vImageProcessorPil,
        experts,
        "glm4v_moe_vision",
    )


def glm_ocr() -> tuple[PreTrainedModel, ProcessorMixin]:
    return _glm(
        GlmOcrConfig, GlmOcrForConditionalGeneration, Glm46VProcessor, Glm46VImageProcessorPil, {}, "glm_ocr_vision"
    )


def hunyuan_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    special = {
        "image_start_token": "<img_start>",
        "image_end_token": "<img_end>",
        "image_newline_token": "<img_newline>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}
    config = HunYuanVLConfig(
        vision_config={
            **VISION,
            "out_hidden_size": 32,
            "text_hidden_size": 32,
            "patch_size": 4,
            "max_image_size": 64,
            "min_image_size": 16,
            "img_max_token_num": 64,
        },
        text_config={
            **text_fields(tokenizer),
            "bos_token_id": 1,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2, 2]},
        },
        image_token_id=tokenizer.image_token_id,
        im_start_id=ids["image_start_token"],
        im_end_id=ids["image_end_token"],
        im_newline_id=ids["image_newline_token"],
    )
    processor = HunYuanVLProcessor(
        image_processor=HunYuanVLImageProcessorPil(
            patch_size=4, merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32}
        ),
        tokenizer=tokenizer,
        chat_template=template(f"<img_start>{IMAGE}<img_end>"),
    )
    return random_model(HunYuanVLForConditionalGeneration, config, tokenizer), processor


def video_llama_3() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"video_token": "<video>"})
    config = VideoLlama3Config(
        vision_config={**VISION, "patch_size": 4},
        text_config={**text_fields(tokenizer), "model_type": "qwen2"},
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
    )
    processor = without_torchvision(VideoLlama3Processor)(
        image_processor=VideoLlama3ImageProcessorPil(
            patch_size=4, merge_size=1, size={"shortest_edge": 8 * 8, "longest_edge": 16 * 16}
        ),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "VideoLlama3VideoProcessor"}),
        chat_template=template(IMAGE),
    )
    return random_model(VideoLlama3ForConditionalGeneration, config, tokenizer), processor


MODELS = {
    "hunyuan_vl": hunyuan_vl,
    "video_llama_3": video_llama_3,
    "qwen2_vl": qwen2_vl,
    "qwen3_vl_moe": qwen3_vl_moe,
    "qwen3_5": qwen3_5,
    "qwen3_5_moe": qwen3_5_moe,
    "exaone4_5": exaone4_5,
    "glm4v": glm4v,
    "glm46v": glm46v,
    "glm4v_moe": glm4v_moe,
    "glm_ocr": glm_ocr,
}
