"""Processors that read images, and neither videos nor sound.

The processors of Qwen-VL, LLaVA-OneVision, InternVL and SmolVLM insist on a video processor, and every video processor
needs torchvision; those of Gemma 4 and Nemotron Omni insist on a feature extractor for sound. Frames reach a model as
images here, so a stand-in takes these places: it answers for nothing but its settings, which are kept as the checkpoint
has them and saved again, so that other software finds them unchanged. The same classes serve machines with and without
torchvision, so that an image gives the same pixels on both.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, ClassVar, NoReturn

from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin
from transformers.models.auto.video_processing_auto import get_video_processor_config
from transformers.utils import PushToHubMixin

REPLACED = ("video_processor", "feature_extractor")
"""Parts of processors that images do not need."""


class LeftOut(PushToHubMixin):
    """The settings of a part of a processor, in the place of that part. What it does not say is None.

    `PushToHubMixin` is what marks a part of a processor as one that writes itself into `processor_config.json`.
    """

    _auto_class = None
    instead: ClassVar[str] = ""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "settings":  # what pickle and copy ask for before there are settings
            raise AttributeError(name)
        return self.settings.get(name)

    def to_dict(self) -> dict[str, Any]:
        return self.settings

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"this processor reads images only: {self.instead}")


class VideoSettings(LeftOut):
    """Of a checkpoint's video processor."""

    instead = "give the frames of a video as images"


class AudioSettings(LeftOut):
    """Of a checkpoint's feature extractor."""

    instead = "sound is not read"


class ImagesOnly:
    """Mixed in before a processor class: loads it with settings for the parts that images do not need."""

    @classmethod
    def _get_arguments_from_pretrained(cls, base: str, processor_dict: Any = None, **kwargs: Any) -> list[Any]:
        parts: dict[str, Any] = {}
        for name in cls.get_attributes():  # type: ignore[attr-defined]
            if name == "tokenizer":
                parts[name] = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
            elif name == "feature_extractor":
                parts[name] = AudioSettings(dict(processor_dict or {}).get(name) or {})
            elif name == "image_processor":
                parts[name] = AutoImageProcessor.from_pretrained(base, backend="pil", trust_remote_code=False)
            elif name == "video_processor":
                parts[name] = VideoSettings(get_video_processor_config(base))
            else:
                raise ValueError(f"its processor has a part `{name}`, which is no tokenizer, images, videos or sound")
        return list(parts.values())

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        if isinstance(argument, LeftOut):
            return type(argument)
        return super().check_argument_for_proper_class(argument_name, argument)  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made at run time, a process that loads data cannot find it by name.
        return _restore, (type(self).__bases__[1], vars(self))

    def to_dict(self) -> dict[str, Any]:
        written = super().to_dict()  # type: ignore[misc]
        for name in REPLACED:
            if written.get(name) == {}:
                del written[name]  # an empty entry would hide the defaults of the family
        return written


@cache
def images_only(processor_class: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A subclass of a processor class, under the same name, that works without the parts that images do not need.

    The class itself where it has none of them. The name stays because it is written to `processor_config.json`.
    """
    if not set(REPLACED) & set(processor_class.get_attributes()):
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
