"""Tiny random models of the families that show a video as a video, with templates that have a place for one."""

from __future__ import annotations

from collections.abc import Callable

from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2Config,
    VideoLlama3Config,
    VideoLlama3ForConditionalGeneration,
    VideoLlama3Processor,
)
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil

from cityscribe.models.tokenizer import IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision
from tests.tiny_models import (
    FAMILIES,
    QWEN_IMAGE,
    TEXTS,
    TILES,
    VISION,
    VOCABULARY,
    qwen_tokenizer,
    random_model,
    template,
    text_fields,
)

SMALL = {"height": 16, "width": 16}
OF_VIDEOS = {
    "qwen2.5-vl": {"size": {"shortest_edge": 16 * 16, "longest_edge": 32 * 32}},
    "qwen3-vl": {"size": {"shortest_edge": 16 * 16 * 2, "longest_edge": 24 * 56 * 8}},
    "llava-onevision": {"size": SMALL},
    "internvl": {"size": SMALL},
    "smolvlm": {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 16}},
}
"""Settings of video processors that fit the tiny towers."""


def llava_next_video() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = train_tokenizer(TEXTS, VOCABULARY, {"video_token": "<video>"})
    config = LlavaNextVideoConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=16, patch_size=4, projection_dim=32),
        text_config=LlamaConfig(**text_fields(tokenizer)),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=TILES,
    )
    processor = without_torchvision(LlavaNextVideoProcessor)(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 16}, crop_size=SMALL, image_grid_pinpoints=TILES
        ),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"size": {"shortest_edge": 16}, "crop_size": SMALL}, "LlavaNextVideoProcessor"),
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template(IMAGE),
    )
    return random_model(LlavaNextVideoForConditionalGeneration, config, tokenizer), processor


def videollama3() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer, tokens = qwen_tokenizer()
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = VideoLlama3Config(
        vision_config={**vision, "patch_size": 4},
        text_config=Qwen2Config(**text_fields(tokenizer)),
        image_token_id=tokens["image_token_id"],
        video_token_id=tokens["video_token_id"],
    )
    size = {"shortest_edge": 8 * 8, "longest_edge": 4 * 16 * 32}
    processor = without_torchvision(VideoLlama3Processor)(
        image_processor=VideoLlama3ImageProcessorPil(patch_size=4, merge_size=1, size=size),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"patch_size": 4, "merge_size": 2, "size": size}, "VideoLlama3Processor"),
        chat_template=template(QWEN_IMAGE),
    )
    return random_model(VideoLlama3ForConditionalGeneration, config, tokenizer), processor


NEW: dict[str, Callable[[], tuple[PreTrainedModel, ProcessorMixin]]] = {
    "llava-next-video": llava_next_video,
    "videollama3": videollama3,
}

VIDEO_MARKS = {
    "qwen2.5-vl": "<|vision_start|><|video_pad|><|vision_end|>",
    "qwen3-vl": "<|video_pad|>",
    "llava-onevision": "<video>",
    "internvl": "<video>",
    "smolvlm": "<video>",
    "llava-next-video": "<video>",
    "videollama3": "<|video_pad|>",
}
"""What the templates of the families that show a video as such write for it."""


def with_videos(family: str, processor: ProcessorMixin) -> ProcessorMixin:
    """The processor with a template that has a place for videos, as published ones have."""
    mark = "{%- if block['type'] == 'image' -%}"
    place = f"{{%- if block['type'] == 'video' -%}}{{%- set text.value = text.value + '{VIDEO_MARKS[family]}' -%}}"
    processor.chat_template = processor.chat_template.replace(mark, place + mark.replace("if", "elif", 1))
    return processor


VIDEO_FAMILIES = tuple(VIDEO_MARKS)


def video_model(family: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The tiny model of a family, which is shown videos as videos."""
    model, processor = (NEW.get(family) or FAMILIES[family])()
    settings = processor.video_processor.settings
    settings.update(OF_VIDEOS.get(family, {}))
    return model, with_videos(family, processor)
