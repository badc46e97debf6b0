"""Tiny random checkpoints of real model families, with processors and chat templates, as they lie on disk.

A few hundred thousand parameters each: enough for everything that is about structure, sizes, names and equality. What
they say is noise. The same family and seed give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    GenerationConfig,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMProcessor,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from cityscribe.models.build import build_tiny_llava
from cityscribe.models.load import save_model
from cityscribe.models.tokenizer import CHAT_TEMPLATE, IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision

TEXTS = (
    "The pedestrian is a male in his 30s, about 170 cm tall, wearing a black jacket and gray pants.",
    "The vehicle is on the left side of the pedestrian, far away, moving straight at 20 km/h on a dry road.",
    "Describe the weather conditions and the road environment.",
)
VOCABULARY = 320
TEXT = {
    "num_hidden_layers": 4,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    # Far above what is trained with: with the usual 0.02 a random model repeats its last token for ever.
    "initializer_range": 0.2,
}
VISION = {"num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
TILES = [[16, 16], [16, 32], [32, 16], [32, 32]]  # height and width of the grids of LLaVA-NeXT and its kin


def tiny_checkpoint(family: str, folder: Path) -> Path:
    """Write the tiny model of a family of `FAMILIES`, or `ONE_BY_ONE`, to `folder` and return it."""
    model, processor = FAMILIES[family]() if family != ONE_BY_ONE else one_by_one()
    save_model(model, processor, folder)
    return folder


def llava() -> tuple[PreTrainedModel, ProcessorMixin]:
    model, processor = build_tiny_llava(
        train_tokenizer(TEXTS, VOCABULARY),
        image_size=32,
        patch_size=8,
        vision_layers=3,
        vision_width=32,
        vision_heads=2,
        vision_mlp=64,
        text_layers=4,
        text_width=32,
        text_heads=4,
        text_kv_heads=2,
        text_mlp=64,
    )
    with torch.no_grad():
        for parameter in model.model.language_model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(10)
    return model, processor


def llava_next() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=16, patch_size=8, projection_dim=32),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        image_grid_pinpoints=TILES,
        image_seq_length=4,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, image_grid_pinpoints=TILES
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(IMAGE),
    )
    return random_model(LlavaNextForConditionalGeneration, config, tokenizer), processor


def llava_onevision() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"video_token": "<video>"})
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=16, patch_size=8, vision_use_head=False),
        text_config=Qwen2Config(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=TILES,
    )
    processor = without_torchvision(LlavaOnevisionProcessor)(
        image_processor=LlavaOnevisionImageProcessorPil(size={"height": 16, "width": 16}, image_grid_pinpoints=TILES),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "LlavaOnevisionVideoProcessor"}),
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=template(IMAGE),
    )
    return random_model(LlavaOnevisionForConditionalGeneration, config, tokenizer), processor


def qwen2_5_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer, tokens = qwen_tokenizer()
    config = Qwen2_5_VLConfig(
        vision_config={
            **QWEN_VISION,
            "patch_size": 4,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
        text_config={
            **text_fields(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
        },
        **tokens,
    )
    processor = without_torchvision(Qwen2_5_VLProcessor)(
        image_processor=qwen_images(4),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Qwen2VLVideoProcessor", "patch_size": 4}),
        chat_template=template(QWEN_IMAGE),
    )
    return random_model(Qwen2_5_VLForConditionalGeneration, config, tokenizer), processor


def qwen3_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer, tokens = qwen_tokenizer()
    config = Qwen3VLConfig(
        vision_config={
            **QWEN_VISION,
            "patch_size": 4,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        text_config={
            **text_fields(tokenizer),
            "head_dim": 8,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
                "mrope_interleaved": True,
            },
        },
        **tokens,
    )
    processor = without_torchvision(Qwen3VLProcessor)(
        image_processor=qwen_images(4),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 4}),
        chat_template=template(QWEN_IMAGE),
    )
    return random_model(Qwen3VLForConditionalGeneration, config, tokenizer), processor


def internvl() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(
        TEXTS,
        VOCABULARY,
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )
    config = InternVLConfig(
        vision_config={**VISION, "image_size": [16, 16], "patch_size": [4, 4]},
        text_config=Qwen2Config(**text_fields(tokenizer)),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    processor = without_torchvision(InternVLProcessor)(
        image_processor=GotOcr2ImageProcessorPil(
            size={"height": 16, "width": 16}, crop_to_patches=True, min_patches=1, max_patches=4
        ),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "InternVLVideoProcessor"}),
        image_seq_length=4,
        chat_template=template("<IMG_CONTEXT>"),
    )
    return random_model(InternVLForConditionalGeneration, config, tokenizer), processor


def smolvlm() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(
        TEXTS,
        VOCABULARY,
        {
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "end_of_utterance_token": "<end_of_utterance>",
            "video_token": "<video>",
        },
    )
    config = SmolVLMConfig(
        vision_config={**VISION, "image_size": 16, "patch_size": 4},
        text_config={**text_fields(tokenizer), "model_type": "llama"},
        image_token_id=tokenizer.image_token_id,
        scale_factor=2,
    )
    processor = without_torchvision(SmolVLMProcessor)(
        image_processor=SmolVLMImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 16}),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "SmolVLMVideoProcessor", "num_frames": 8, "fps": 1}),
        image_seq_len=4,
        chat_template=template(IMAGE),
    )
    return random_model(SmolVLMForConditionalGeneration, config, tokenizer), processor


def gemma3() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(
        TEXTS,
        VOCABULARY,
        {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
    )
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**VISION, image_size=16, patch_size=4, vision_use_head=False),
        text_config={
            **text_fields(tokenizer),
            "head_dim": 8,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 8,
        },
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessorPil(size={"height": 16, "width": 16}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=template("<start_of_image>"),
    )
    return random_model(Gemma3ForConditionalGeneration, config, tokenizer), processor


ONE_BY_ONE = "one-by-one"


def one_by_one() -> tuple[PreTrainedModel, ProcessorMixin]:
    """A model that answers by `generate`: its generation settings have one that only this knows, and that changes
    nothing."""
    model, processor = gemma3()
    model.generation_config.min_length = 1
    return model, processor


FAMILIES: dict[str, Callable[[], tuple[PreTrainedModel, ProcessorMixin]]] = {
    "llava": llava,
    "llava-next": llava_next,
    "llava-onevision": llava_onevision,
    "qwen2.5-vl": qwen2_5_vl,
    "qwen3-vl": qwen3_vl,
    "internvl": internvl,
    "smolvlm": smolvlm,
    "gemma3": gemma3,
}

QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": 32,
    "spatial_merge_size": 2,
}


def qwen_tokenizer() -> tuple[PreTrainedTokenizerFast, dict[str, int]]:
    special = {
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    return tokenizer, {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}


def qwen_images(patch_size: int) -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(
        patch_size=patch_size, merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 32 * 32}
    )


def text_fields(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        **TEXT,
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def template(image: str) -> str:
    return CHAT_TEMPLATE.replace(f"'{IMAGE}'", f"'{image}'")


def random_model(
    model_class: type[PreTrainedModel], config: Any, tokenizer: PreTrainedTokenizerFast
) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model.eval()
