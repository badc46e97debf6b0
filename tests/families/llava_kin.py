"""Tiny models of the kin of LLaVA and of other families with one tower, one connector and one decoder."""

from __future__ import annotations

from typing import Any

from transformers import (
    AriaConfig,
    AriaForConditionalGeneration,
    AriaProcessor,
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    AyaVisionProcessor,
    CLIPVisionConfig,
    Cohere2Config,
    DeepseekVLConfig,
    DeepseekVLForConditionalGeneration,
    DeepseekVLProcessor,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusProcessor,
    LlamaConfig,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    LlavaProcessor,
    Ovis2Config,
    Ovis2ForConditionalGeneration,
    Ovis2Processor,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2Config,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
    VideoLlavaProcessor,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)
from transformers.models.aria.image_processing_pil_aria import AriaImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import DeepseekVLImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil
from transformers.models.video_llava.image_processing_video_llava import VideoLlavaImageProcessor

from cityscribe.models.tokenizer import IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision
from tests.tiny_models import TEXTS, TILES, VISION, VOCABULARY, random_model, template, text_fields

SQUARE = {"height": 16, "width": 16}


def _clip(**options: Any) -> CLIPVisionConfig:
    return CLIPVisionConfig(**VISION, image_size=16, patch_size=8, projection_dim=32, **options)


def _clip_images() -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=SQUARE)


def vipllava() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = VipLlavaConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=[-1, -2],
        image_seq_length=4,
    )
    processor = LlavaProcessor(
        image_processor=_clip_images(),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(IMAGE),
    )
    return random_model(VipLlavaForConditionalGeneration, config, tokenizer), processor


def llava_next_video() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"video_token": "<video>"})
    config = LlavaNextVideoConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=TILES,
        image_seq_length=4,
        spatial_pool_stride=1,
    )
    processor = without_torchvision(LlavaNextVideoProcessor)(
        video_processor=VideoSettings({"video_processor_type": "LlavaNextVideoVideoProcessor"}),
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=SQUARE, image_grid_pinpoints=TILES
        ),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(IMAGE),
    )
    return random_model(LlavaNextVideoForConditionalGeneration, config, tokenizer), processor


def video_llava() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"video_token": "<video>"})
    config = VideoLlavaConfig(
        vision_config=_clip(),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_seq_length=4,
    )
    processor = without_torchvision(VideoLlavaProcessor)(
        image_processor=VideoLlavaImageProcessor(size={"shortest_edge": 16}, crop_size=SQUARE),
        video_processor=VideoSettings({"video_processor_type": "VideoLlavaVideoProcessor"}),
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=template(IMAGE),
    )
    return random_model(VideoLlavaForConditionalGeneration, config, tokenizer), processor


IDEFICS = {
    "fake_image_token": "<fake_token_around_image>",
    "image_boundary_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}


def idefics2() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, IDEFICS)
    config = Idefics2Config(
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "num_key_value_heads": 1,
        },
        text_config={**text_fields(tokenizer), "model_type": "mistral", "sliding_window": None},
        image_token_id=tokenizer.image_token_id,
    )
    processor = Idefics2Processor(
        image_processor=Idefics2ImageProcessorPil(
            size={"longest_edge": 32, "shortest_edge": 16}, do_image_splitting=False
        ),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=template(IMAGE),
    )
    return random_model(Idefics2ForConditionalGeneration, config, tokenizer), processor


def idefics3() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, IDEFICS)
    config = Idefics3Config(
        vision_config={**VISION, "image_size": 16, "patch_size": 4},
        text_config={**text_fields(tokenizer), "model_type": "llama"},
        image_token_id=tokenizer.image_token_id,
        scale_factor=2,
    )
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 16}),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=template(IMAGE),
    )
    return random_model(Idefics3ForConditionalGeneration, config, tokenizer), processor


AYA = {
    "img_patch_token": "<|IMG_PATCH|>",
    "start_of_img_token": "<|START_OF_IMG|>",
    "end_of_img_token": "<|END_OF_IMG|>",
    "img_line_break_token": "<|IMG_LINE_BREAK|>",
    "tile_global_token": "TILE_GLOBAL",
    **{f"tile_{number}_token": f"TILE_{number}" for number in range(1, 5)},
}


def aya_vision() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, AYA)
    config = AyaVisionConfig(
        vision_config={
            "model_type": "siglip_vision_model",
            **VISION,
            "image_size": 16,
            "patch_size": 4,
            "vision_use_head": False,
        },
        text_config=Cohere2Config(
            **text_fields(tokenizer),
            sliding_window=12,
            layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )
    processor = AyaVisionProcessor(
        image_processor=GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer=tokenizer,
        patch_size=4,
        img_size=16,
        downsample_factor=2,
        chat_template=template(IMAGE),
    )
    return random_model(AyaVisionForConditionalGeneration, config, tokenizer), processor


def deepseek_vl() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = DeepseekVLConfig(
        vision_config={**VISION, "image_size": 16, "patch_size": 8, "model_type": "siglip_vision_model"},
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_id=tokenizer.image_token_id,
    )
    processor = DeepseekVLProcessor(
        image_processor=DeepseekVLImageProcessorPil(size=SQUARE, min_size=2),
        tokenizer=tokenizer,
        num_image_tokens=4,
        chat_template=template(IMAGE),
    )
    return random_model(DeepseekVLForConditionalGeneration, config, tokenizer), processor


def janus() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"})
    config = JanusConfig(
        vision_config={
            **VISION,
            "image_size": 16,
            "patch_size": 8,
            "projection_dim": 32,
            "mlp_ratio": 2.0,
            "num_image_tokens": 4,
            "depth": 1,
        },
        vq_config={
            "num_embeddings": 16,
            "latent_channels": 32,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_patches": 2,
            "projection_dim": 32,
            "image_token_embed_dim": 32,
        },
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_id=tokenizer.image_token_id,
    )
    processor = JanusProcessor(
        image_processor=JanusImageProcessorPil(size=SQUARE, min_size=2),
        tokenizer=tokenizer,
        num_image_tokens=4,
        chat_template=template(IMAGE),
    )
    return random_model(JanusForConditionalGeneration, config, tokenizer), processor


def aria() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY)
    config = AriaConfig(
        vision_config={"model_type": "idefics3_vision", **VISION, "image_size": 980, "patch_size": 140},
        text_config={**text_fields(tokenizer), "moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 1},
        projector_patch_to_query_dict={"49": 4},
        image_token_index=tokenizer.image_token_id,
    )
    processor = AriaProcessor(
        image_processor=AriaImageProcessorPil(max_image_size=980, min_image_size=336),
        tokenizer=tokenizer,
        size_conversion={490: 4, 980: 4},
        chat_template=template(IMAGE),
    )
    return random_model(AriaForConditionalGeneration, config, tokenizer), processor


OVIS = [f"<IMG_{word}>" for word in ("ATOM", "START", "GRID", "COL", "ROW", "END")]


def ovis2() -> tuple[PreTrainedModel, ProcessorMixin]:
    special = {f"ovis_{number}_token": word for number, word in enumerate(OVIS)}
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, special)
    config = Ovis2Config(
        vision_config={**VISION, "image_size": 16, "patch_size": 4, "hidden_stride": 2, "vocab_size": 24},
        text_config=Qwen2Config(**text_fields(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids(OVIS[0]),
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(OVIS[1:]),
        vocab_size=len(tokenizer),
        hidden_size=32,
    )
    processor = Ovis2Processor(
        image_processor=Ovis2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=4),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=template(IMAGE),
    )
    return random_model(Ovis2ForConditionalGeneration, config, tokenizer), processor


MODELS = {
    "vipllava": vipllava,
    "llava_next_video": llava_next_video,
    "video_llava": video_llava,
    "idefics2": idefics2,
    "idefics3": idefics3,
    "aya_vision": aya_vision,
    "deepseek_vl": deepseek_vl,
    "janus": janus,
    "aria": aria,
    "ovis2": ovis2,
}
