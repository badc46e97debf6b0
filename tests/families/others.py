"""Tiny models of families that are built in other ways: a Q-Former, cross-attention, discrete images, prefix masks."""

from __future__ import annotations

from typing import Any

from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Emu3Config,
    Emu3ForConditionalGeneration,
    Emu3Processor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4Processor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.emu3.image_processing_emu3 import Emu3ImageProcessor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from cityscribe.models.tokenizer import IMAGE, START, train_tokenizer
from cityscribe.models.without_torchvision import AudioSettings, VideoSettings, without_torchvision
from tests.tiny_models import TEXTS, VISION, VOCABULARY, random_model, template, text_fields

SQUARE = {"height": 16, "width": 16}
QFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "encoder_hidden_size": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
BLIP_VISION = {**VISION, "image_size": 16, "patch_size": 8, "initializer_range": 0.1}


def _plain(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokens without a name for that of images, as these checkpoints have them."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        pad_token=tokenizer.pad_token,
        eos_token=tokenizer.eos_token,
        padding_side="left",
    )


def blip_2() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = Blip2Config(
        vision_config=BLIP_VISION,
        qformer_config={**QFORMER, "vocab_size": len(tokenizer)},
        text_config={
            "model_type": "opt",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "max_position_embeddings": 2048,
            "dropout": 0.0,
            "init_std": 0.2,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        num_query_tokens=4,
        image_token_index=tokenizer.image_token_id,
    )
    processor = Blip2Processor(BlipImageProcessorPil(size=SQUARE), _plain(tokenizer), num_query_tokens=4)
    processor.chat_template = template("")
    return random_model(Blip2ForConditionalGeneration, config, tokenizer), processor


def instructblip() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = InstructBlipConfig(
        vision_config=BLIP_VISION,
        qformer_config={**QFORMER, "vocab_size": len(tokenizer)},
        text_config=LlamaConfig(**text_fields(tokenizer)).to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.image_token_id,
    )
    words = train_tokenizer(TEXTS, VOCABULARY)
    processor = InstructBlipProcessor(BlipImageProcessorPil(size=SQUARE), _plain(tokenizer), words, num_query_tokens=4)
    processor.chat_template = template("")
    return random_model(InstructBlipForConditionalGeneration, config, tokenizer), processor


def emu3() -> tuple[PreTrainedModel, ProcessorMixin]:
    special = {
        "boi_token": "<|image start|>",
        "eoi_token": "<|image end|>",
        "image_wrapper_token": "<|image token|>",
        "eof_token": "<|extra_201|>",
        **{f"visual_{n}_token": f"<|visual token {n:06d}|>" for n in range(16)},
        "extra_200_token": "<|extra_200|>",
    }
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    names = [f"<|visual token {n:06d}|>" for n in range(16)]
    config = Emu3Config(
        vq_config={
            "codebook_size": 16,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "hidden_size": 32,
            "attn_resolutions": [],
            "temporal_downsample_factor": 1,
        },
        text_config={**text_fields(tokenizer), "bos_token_id": 1, "attention_dropout": 0.0},
        vocabulary_map={
            **{name: tokenizer.convert_tokens_to_ids(name) for name in (*names, "<|extra_200|>")},
            IMAGE: tokenizer.image_token_id,
        },
        image_token_id=tokenizer.image_token_id,
    )
    processor = Emu3Processor(
        image_processor=Emu3ImageProcessor(min_pixels=16 * 16, max_pixels=32 * 32, spatial_factor=8),
        tokenizer=tokenizer,
        chat_template=template(IMAGE),
    )
    return random_model(Emu3ForConditionalGeneration, config, tokenizer), processor


def mllama() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"python_token": "<|python_tag|>"})
    tokenizer.bos_token = START
    config = MllamaConfig(
        vision_config={
            **VISION,
            "attention_heads": 2,
            "num_global_layers": 1,
            "image_size": 16,
            "patch_size": 8,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [1],
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
            "max_num_tiles": 2,
        },
        text_config={
            **text_fields(tokenizer),
            "bos_token_id": 1,
            "cross_attention_layers": [1, 3],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        image_token_index=tokenizer.image_token_id,
    )
    processor = MllamaProcessor(
        image_processor=MllamaImageProcessorPil(size=SQUARE, max_image_tiles=2),
        tokenizer=tokenizer,
        chat_template=template(IMAGE),
    )
    return random_model(MllamaForConditionalGeneration, config, tokenizer), processor


def paligemma() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    tokenizer.bos_token = START
    images = SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=template(IMAGE))
    config = PaliGemmaConfig(
        vision_config={
            **VISION,
            "image_size": 16,
            "patch_size": 8,
            "projection_dim": 32,
            "vision_use_head": False,
            "model_type": "siglip_vision_model",
        },
        text_config={**text_fields(tokenizer), "model_type": "gemma", "head_dim": 8},
        image_token_index=tokenizer.image_token_id,
        projection_dim=32,
        hidden_size=32,
        vocab_size=len(tokenizer),
    )
    return random_model(PaliGemmaForConditionalGeneration, config, tokenizer), processor


def gemma4() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(
        TEXTS,
        VOCABULARY,
        {
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "image_token": "<|image|>",
            "video_token": "<|video|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
    )
    config = Gemma4Config(
        vision_config={
            **VISION,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "position_embedding_size": 64,
        },
        text_config={
            **text_fields(tokenizer),
            "head_dim": 8,
            "global_head_dim": 8,
            "sliding_window": 12,
            "hidden_size_per_layer_input": 0,
            "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
        },
        audio_config=None,
        boi_token_id=tokenizer.convert_tokens_to_ids("<|image>"),
        eoi_token_id=tokenizer.convert_tokens_to_ids("<image|>"),
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
    )
    processor = without_torchvision(Gemma4Processor)(
        feature_extractor=AudioSettings({"feature_extractor_type": "Gemma4AudioFeatureExtractor"}),
        image_processor=Gemma4ImageProcessorPil(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Gemma4VideoProcessor"}),
        chat_template=template("<|image|>"),
    )
    return random_model(Gemma4ForConditionalGeneration, config, tokenizer), processor


MODELS: dict[str, Any] = {
    "blip-2": blip_2,
    "instructblip": instructblip,
    "emu3": emu3,
    "mllama": mllama,
    "paligemma": paligemma,
    "gemma4": gemma4,
}
