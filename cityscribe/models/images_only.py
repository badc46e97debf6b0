"""Processors that read images and never videos.

The processors of Qwen-VL, LLaVA-OneVision, InternVL and SmolVLM insist on a video processor, and every video processor
needs torchvision. Frames reach a model as images here, so a stand-in takes that place: it answers for nothing but its
settings, which are kept as the checkpoint has them and saved again, so that other software finds them unchanged. The
same classes serve machines with and without torchvision, so that an image gives the same pixels on both.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, NoReturn

from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin
from transformers.models.auto.video_processing_auto import get_video_processor_config
from transformers.utils import PushToHubMixin


class VideoSettings(PushToHubMixin):
    """The settings of a checkpoint's video processor, in the place of the video processor.

    `PushToHubMixin` is what marks a part of a processor as one that writes itself into `processor_config.json`.
    """

    _auto_class = None

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        # SmolVLM asks for both whenever it renders a conversation, be there a video in it or not.
        self.num_frames = settings.get("num_frames")
        self.fps = settings.get("fps")

    def to_dict(self) -> dict[str, Any]:
        return self.settings

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this processor reads images only: give the frames of a video as images")


class ImagesOnly:
    """Mixed in before a processor class: loads it with `VideoSettings` for its video processor."""

    @classmethod
    def _get_arguments_from_pretrained(cls, base: str, processor_dict: Any = None, **kwargs: Any) -> list[Any]:
        parts: dict[str, Any] = {}
        for name in cls.get_attributes():  # type: ignore[attr-defined]
            if name == "tokenizer":
                parts[name] = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
            elif name == "image_processor":
                parts[name] = AutoImageProcessor.from_pretrained(base, backend="pil", trust_remote_code=False)
            elif name == "video_processor":
                parts[name] = VideoSettings(get_video_processor_config(base))
            else:
                raise ValueError(f"its processor has a part `{name}`, which is none of tokenizer, images and videos")
        return list(parts.values())

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        if isinstance(argument, VideoSettings):
            return VideoSettings
        return super().check_argument_for_proper_class(argument_name, argument)  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made at run time, a process that loads data cannot find it by name.
        return _restore, (type(self).__bases__[1], vars(self))

    def to_dict(self) -> dict[str, Any]:
        written = super().to_dict()  # type: ignore[misc]
        if written.get("video_processor") == {}:
            del written["video_processor"]  # an empty entry would hide the defaults of the family
        return written


@cache
def images_only(processor_class: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A subclass of a processor class, under the same name, that works without a video processor.

    The class itself where it has none. The name stays because it is written to `processor_config.json`.
    """
    if "video_processor" not in processor_class.get_attributes():
        return processor_class
    module = importlib.import_module(processor_class.__module__)
    if vars(module).get("num2words", "absent") is None:
        # SmolVLM refuses to start without the package that spells the number of frames of a video in words.
        vars(module)["num2words"] = VideoSettings({})
    return type(processor_class.__name__, (ImagesOnly, processor_class), {"__module__": __name__})


def _restore(processor_class: type[ProcessorMixin], state: dict[str, Any]) -> ProcessorMixin:
    made = images_only(processor_class)  # type: ignore[arg-type]
    processor = made.__new__(made)
    vars(processor).update(state)
    return processor
