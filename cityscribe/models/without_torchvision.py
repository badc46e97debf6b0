"""Processors that read images and videos without torchvision, and no sound.

The processors of Qwen-VL, LLaVA-OneVision, InternVL and SmolVLM insist on a video processor, and every video processor
of transformers needs torchvision; those of Gemma 4 and Nemotron Omni insist on a feature extractor for sound. Stand-ins
take these places: they keep the settings as the checkpoint has them and save them again, so that other software finds
them unchanged. `VideoSettings` processes videos too, by the family's own class on plain tensors (`video_processor`).
The same classes serve machines with and without torchvision, so that an image or a video gives the same pixels on both.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, ClassVar

from transformers import AutoImageProcessor, AutoTokenizer, ProcessorMixin
from transformers.models.auto.video_processing_auto import get_video_processor_config
from transformers.utils import PushToHubMixin

from cityscribe.models.video_processor import PlainTensors, video_class_name, video_processor

REPLACED = ("video_processor", "feature_extractor")
"""Parts of processors that have stand-ins."""


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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"this processor reads images only: {self.instead}")


class AudioSettings(LeftOut):
    """Of a checkpoint's feature extractor."""

    instead = "sound is not read"


class VideoSettings(LeftOut):
    """Of a checkpoint's video processor, and what that does. `processor` names the class of the processor that it is a
    part of."""

    instead = "give the frames of a video as images"

    def __init__(self, settings: dict[str, Any], processor: str = "") -> None:
        super().__init__(settings)
        self.class_name = video_class_name(processor, settings)  # None: it is not known to show videos
        self._plain: PlainTensors | None = None  # made when it is first asked

    @property
    def plain(self) -> PlainTensors | None:
        """The family's own video processor, where it is known."""
        if self._plain is None and self.class_name is not None:
            self._plain = video_processor(self.class_name, self.settings)
        return self._plain

    def __getattr__(self, name: str) -> Any:
        # SmolVLM asks for both whenever it renders a conversation, be there a video in it or not.
        if name.startswith("_") or name in ("settings", "class_name", "num_frames", "fps") or self.plain is None:
            return super().__getattr__(name)
        return getattr(self.plain, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # The class of the video processor is made at run time, another process cannot find it by name.
        return _restore_settings, (self.settings, self.class_name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__() if self.plain is None else self.plain(*args, **kwargs)


def shows_videos(processor: ProcessorMixin) -> bool:
    """Whether a processor takes a video as a video: it is of a family whose way with videos is known, and its chat
    template has a place for one."""
    video: Any = getattr(processor, "video_processor", None)
    if not isinstance(video, VideoSettings) or video.class_name is None:
        return False
    template: Any = processor.chat_template
    text: str = template["default"] if isinstance(template, dict) else template
    return "video" in text or renders_videos_itself(processor)


def renders_videos_itself(processor: ProcessorMixin) -> bool:
    """Whether a processor writes conversations with videos by a template of its own."""
    return type(processor).__name__ == "SmolVLMProcessor"


class WithoutTorchvision:
    """Mixed in before a processor class: loads it with stand-ins for the parts that have some."""

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
                parts[name] = VideoSettings(get_video_processor_config(base), cls.__name__)
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
def without_torchvision(processor_class: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A subclass of a processor class, under the same name, that works without torchvision.

    The class itself where it needs no stand-in. The name stays because it is written to `processor_config.json`.
    """
    if not set(REPLACED) & set(processor_class.get_attributes()):
        return processor_class
    module = importlib.import_module(processor_class.__module__)
    if vars(module).get("num2words", "absent") is None:
        # SmolVLM refuses to start without the package that spells the number of frames of a video in words.
        vars(module)["num2words"] = in_words
    return type(processor_class.__name__, (WithoutTorchvision, processor_class), {"__module__": __name__})


def _restore(processor_class: type[ProcessorMixin], state: dict[str, Any]) -> ProcessorMixin:
    made = without_torchvision(processor_class)  # type: ignore[arg-type]
    processor = made.__new__(made)
    vars(processor).update(state)
    return processor


def _restore_settings(settings: dict[str, Any], class_name: str | None) -> VideoSettings:
    restored = VideoSettings(settings)
    restored.class_name = class_name
    return restored


ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """A whole number below a million in English, as the package num2words spells it: one hundred and five."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    between = " and " if 0 < rest < 100 else ", "
    return f"{in_words(thousands)} thousand" + (between + in_words(rest) if rest else "")
