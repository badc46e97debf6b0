"""The one encoder: conversations as the model sees them alone, for training, its check, asking and scoring.

    encoder = Encoder(model, processor)
    prompt = encoder.ask("the question", messages, images)   # ends where the answer is to begin
    taught = encoder.teach("event_1/long", messages, images)  # with its answers, and which tokens are trained

Every conversation is tokenised whole, by the model's own processor and chat template, so that the result is right for
any template. Nothing of one conversation is taken for another; only the same image objects are preprocessed once.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.media.clips import Clip
from cityscribe.models.inputs import (
    TOKEN_MASKS,
    arranges_images,
    joins_frames,
    position_rule,
    vision_reads_text,
    written_tokens,
)
from cityscribe.models.vlm.guides import CONTENT
from cityscribe.models.without_torchvision import renders_videos_itself, shows_videos
from cityscribe.records import MEDIA_BLOCKS, MessageBlock, Messages, SampleMessage, media_blocks
from cityscribe.tokens.answers import (
    count_answers,
    located_answers,
    marked_answers,
    marks_answers,
    open_end,
)
from cityscribe.tokens.clips import ClipProcessor
from cityscribe.tokens.features import feature_owner
from cityscribe.tokens.media import POSITION_INPUTS, MediaItem, begins, content_key, join_media, split_media
from cityscribe.tokens.preprocess import PreprocessOnce
from cityscribe.tokens.processed import MarkedByNumbers, ProcessedSequence, Replacements
from cityscribe.tokens.shown import Media, as_images, as_videos

REFUSALS = (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What chat templates and processors, which are foreign, raise for a conversation that they are not made for."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One conversation as the model sees it alone."""

    input_ids: np.ndarray  # [length] int64
    position_ids: np.ndarray  # [axes, length] int64
    token_inputs: dict[str, np.ndarray]  # name of TOKEN_INPUTS -> [length] int64, as far as the processor gives them
    media: tuple[MediaItem, ...]  # in the order of their placeholders
    media_ids: np.ndarray  # [length] int64, which of `media` a placeholder token belongs to; -1 for all other tokens
    trained: np.ndarray  # [length] bool, the answers and what ends them; none of a conversation that is to be asked
    written_end: int = 0  # where the last token ends that the vision path writes beside the placeholders

    @property
    def length(self) -> int:
        return len(self.input_ids)

    @property
    def next_position(self) -> int:
        """The position of the token behind the last, on every axis (one more than the largest)."""
        return int(self.position_ids.max()) + 1

    @property
    def media_end(self) -> int:
        """Where what is computed from its media ends; 0 without media."""
        places = np.flatnonzero(self.media_ids >= 0)
        return max(int(places[-1]) + 1, self.written_end) if len(places) else 0

    @property
    def media_inputs(self) -> dict[str, Tensor]:
        """What the model takes for all its media; empty without."""
        return join_media([item.inputs for item in self.media])

    @property
    def media_key(self) -> bytes:
        """Equal exactly where the media are, in their order; empty without."""
        return b"".join(item.key for item in self.media)

    @property
    def key(self) -> bytes:
        """Equal exactly where conversations are."""
        return self.media_key + self.input_ids.tobytes()

    @property
    def scene(self) -> bytes:
        """Equal exactly where the media and what stands before them are: such conversations can share them."""
        return self.media_key + self.input_ids[: self.media_end].tobytes()

    @property
    def unguided(self) -> int:
        """How many of its first media are the same whatever is asked, though others read the question."""
        guided = [not _reads_nothing(item) for item in self.media]
        return guided.index(True) if True in guided else 0

    @property
    def unguided_end(self) -> int:
        """Where the last placeholder of those ends; 0 without them."""
        places = np.flatnonzero((self.media_ids >= 0) & (self.media_ids < self.unguided))
        return int(places[-1]) + 1 if len(places) else 0

    def without_inputs(self) -> Encoded:
        """The same without what the model takes for media; their keys stay."""
        return replace(self, media=tuple(MediaItem(item.key, {}) for item in self.media))

    def answered(self, token_ids: Sequence[int]) -> Encoded:
        """The conversation that goes on with these tokens, which are trained."""
        count = len(token_ids)
        later = np.broadcast_to(self.next_position + np.arange(count), (len(self.position_ids), count))
        return replace(
            self,
            input_ids=np.append(self.input_ids, np.asarray(token_ids, dtype=np.int64)),
            position_ids=np.concatenate([self.position_ids, later], axis=1),
            token_inputs={name: np.append(v, np.zeros(count, v.dtype)) for name, v in self.token_inputs.items()},
            media_ids=np.append(self.media_ids, np.full(count, -1, dtype=np.int64)),
            trained=np.append(np.zeros_like(self.trained), np.ones(count, dtype=bool)),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Tokens and what stands beside them, [1, length] each, as the model's `forward` takes them."""
        values = {"input_ids": self.input_ids, **self.token_inputs}
        return {name: torch.from_numpy(value)[None] for name, value in values.items()}


class Encoder:
    """Encodes conversations for one model. `media` are `PIL` images and clips, one for each image and video block, in
    the order of these.

    All methods raise InputError, with the name of the conversation, for one that has another number of blocks or that
    the template or the processor does not accept.
    """

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin) -> None:
        # A copy whose parts note what they do; the processor itself stays as it is.
        self.processor: Any = copy.copy(processor)
        self._images = PreprocessOnce(processor.image_processor)
        self.processor.image_processor = self._images
        self._clips = ClipProcessor(processor.video_processor) if shows_videos(processor) else None
        if self._clips is not None:
            self.processor.video_processor = self._clips
        self._replaced = Replacements(processor)
        vars(self.processor)["get_text_with_replacements"] = self._replaced  # in the place of its method
        if hasattr(processor, MarkedByNumbers.NAME):
            vars(self.processor)[MarkedByNumbers.NAME] = MarkedByNumbers(processor)
        self._original = processor
        self._model_config = model.config
        self._placeholders = placeholders_of(model)
        self._positions = position_rule(model)
        self.pads = True  # whether conversations that are computed alone may stand as rows of a padded batch
        self._reads_text = vision_reads_text(model)
        self._written = sorted(written_tokens(model))
        self._arranges = arranges_images(processor)
        self.computes_once = feature_owner(model) is not None  # an image that stands at several places of a row
        self._items: dict[tuple[tuple[str, object], ...], tuple[MediaItem, ...]] = {}

    def digest(self) -> bytes:
        """Of all that decides how conversations are encoded: what the processor writes to disk, and the model's
        configuration."""
        digest = hashlib.sha256(type(self._original).__name__.encode())
        digest.update(self._model_config.to_json_string(use_diff=False).encode())
        with tempfile.TemporaryDirectory() as folder:
            self._original.save_pretrained(folder)
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file():
                    digest.update(path.name.encode() + path.read_bytes())
        return digest.digest()

    def ask(self, name: str, messages: Messages, media: Sequence[Media]) -> Encoded:
        """A conversation that ends where the answer is to begin."""
        messages, shown = self._shown(name, messages, media)
        encoded = self._apply(name, self._filled(name, messages, shown), add_generation_prompt=True)
        return self._encoded(ProcessedSequence.of(encoded, bool(shown)), shown)

    def teach(self, name: str, messages: Messages, media: Sequence[Media]) -> Encoded:
        """A conversation with its answers marked. Raises InputError where they cannot be located, too."""
        messages, shown = self._shown(name, messages, media)
        filled = self._filled(name, messages, shown)
        answers = count_answers(name, messages)
        if marks_answers(self.processor) and not (_has_clips(shown) and renders_videos_itself(self._original)):
            encoded = self._apply(name, filled, return_assistant_tokens_mask=True)
            sequence = ProcessedSequence.of(encoded, bool(shown))
            sequence.trained = marked_answers(name, encoded["assistant_masks"][0].numpy(), answers)
        else:
            encoded = self._apply(name, filled, processor_kwargs={"return_offsets_mapping": True})
            sequence = ProcessedSequence.of(encoded, bool(shown))
            sequence.trained = located_answers(
                name,
                messages,
                functools.partial(self._render, name),
                encoded["offset_mapping"][0].numpy(),
                self._replaced.last,
                self._places(sequence),
            )
        sequence.media = self._asked_media(name, messages, shown, sequence)
        kept = open_end(self.processor, sequence.input_ids, sequence.trained)
        return self._encoded(sequence if kept is None else sequence.ended(kept, self.eos), shown)

    @property
    def eos(self) -> int:
        return int(self.processor.tokenizer.eos_token_id)

    def _shown(self, name: str, messages: Messages, media: Sequence[Media]) -> tuple[list[SampleMessage], list[Media]]:
        """A conversation and its media as the model takes them: videos as videos, or as images."""
        one_kind = self._clips is not None and renders_videos_itself(self._original)
        mixed = _has_clips(media) and not all(isinstance(item, Clip) for item in media)
        pictured = any(block.get("grid") for block in media_blocks(messages))
        if self._clips is not None and not pictured and not (one_kind and mixed):
            return as_videos(name, messages, media)
        strip_of = self._original.strip_of if joins_frames(self._original) else None  # type: ignore[attr-defined]
        written, images = as_images(name, messages, media, strip_of)
        return written, list(images)

    def _filled(self, name: str, messages: Messages, shown: Sequence[Media]) -> list[SampleMessage]:
        """Messages whose blocks hold images and the frames of videos."""
        clips = [item for item in shown if isinstance(item, Clip)]
        pixels = iter(self._clips.show(clips) if self._clips is not None else [])
        return with_media(name, messages, [next(pixels) if isinstance(item, Clip) else item for item in shown])

    def _places(self, sequence: ProcessedSequence) -> np.ndarray:
        """Which tokens stand for media, bool [length]."""
        if not sequence.media:
            return np.zeros(len(sequence.input_ids), dtype=bool)
        return np.isin(sequence.input_ids, self._placeholders)

    def _encoded(self, sequence: ProcessedSequence, shown: Sequence[Media]) -> Encoded:
        places = self._places(sequence)
        counts = self._replaced.count(self.processor.tokenizer.convert_ids_to_tokens(self._placeholders))
        kinds = ["video" if isinstance(item, Clip) else "image" for item in shown]
        kinds = ["image"] * len(counts) if self._arranges else kinds
        apart = len(counts) == len(kinds) and sum(counts) == places.sum()
        media = self._media(sequence, kinds if apart else kinds[:1])
        media_ids = np.full(len(places), -1, dtype=np.int64)
        media_ids[places] = np.repeat(np.arange(len(kinds)), counts) if len(media) == len(kinds) and apart else 0
        tokens = sequence.tensors()
        written = np.flatnonzero(np.isin(sequence.input_ids, self._written))
        return Encoded(
            input_ids=sequence.input_ids,
            position_ids=self._positions(tokens, sequence.media),
            token_inputs=sequence.token_inputs,
            media=media,
            media_ids=media_ids,
            trained=sequence.trained,
            written_end=int(written[-1]) + 1 if len(written) else 0,
        )

    def _media(self, sequence: ProcessedSequence, kinds: Sequence[str]) -> tuple[MediaItem, ...]:
        """The media of a conversation with their keys. Those of the same images and videos are digested once."""
        read = sequence.input_ids.tobytes() if self._reads_text else b""
        known = tuple(
            (name, repr(value.tolist()) if name in POSITION_INPUTS else id(value))
            for name, value in sequence.media.items()
        )
        again = not read and self._only_images(sequence)
        if again and known in self._items:
            return self._items[known]
        media = tuple(MediaItem(content_key(part, read), part) for part in split_media(sequence.media, kinds))
        if again:
            self._items = {ids: items for ids, items in self._items.items() if self._made(ids)}
            self._items[known] = media
        return media

    def _only_images(self, sequence: ProcessedSequence) -> bool:
        """Whether the media inputs are what image and video processor made of media, and no text is in them."""
        return self._made((name, id(value)) for name, value in sequence.media.items())

    def _made(self, inputs: Iterable[tuple[str, object]]) -> bool:
        made = [(name, number) for name, number in inputs if name not in POSITION_INPUTS]
        return all(any(store.made([each]) for store in self._stores) for each in made)

    @property
    def _stores(self) -> list[PreprocessOnce]:
        return [self._images] if self._clips is None else [self._images, self._clips.once]

    def _asked_media(
        self, name: str, messages: Messages, shown: Sequence[Media], sequence: ProcessedSequence
    ) -> dict[str, Tensor]:
        """The media inputs of a conversation that is taught: where text is read with the images, up to the answer.

        What is made of text and images by the processor (the question for a Q-Former) must not know the answer, which
        the model is not given when it is asked.
        """
        if not sequence.media or self._only_images(sequence):
            return sequence.media
        first = next(n for n, message in enumerate(messages) if message["role"] == "assistant")
        replaced = self._replaced.last
        asked = self._apply(name, self._filled(name, messages[:first], shown), add_generation_prompt=True)
        self._replaced.last = replaced
        media = ProcessedSequence.of(asked, True).media
        # Which token looks at which image is no text that vision reads.
        media |= {name: sequence.media[name] for name in TOKEN_MASKS if name in sequence.media}
        if content_key(media) == content_key(sequence.media) or (self._arranges and begins(sequence.media, media)):
            return sequence.media
        if sum(message["role"] == "assistant" for message in messages) > 1:
            raise InputError(
                f"{name}: the model reads its images together with the text up to each answer, so that a sample of "
                "several rounds shows them differently in each; give each round as a sample of its own"
            )
        return media

    def _apply(self, name: str, messages: Messages, **kwargs: Any) -> Any:
        """What the processor gives for a conversation, as tensors of a batch of one."""
        for _ in range(2):
            self._replaced.last = []
            try:
                encoded = self.processor.apply_chat_template(
                    list(messages), tokenize=True, return_dict=True, return_tensors="pt", **copy.deepcopy(kwargs)
                )
            except REFUSALS as error:
                who = "chat template" if isinstance(error, TemplateError) else "processor"
                raise InputError(f"{name}: the {who} refuses this conversation: {error}") from error
            reused = any(store.reused for store in self._stores)
            intact = [store.intact() for store in self._stores]
            if all(intact) or not reused:
                return encoded
            # The processor writes into the pixels that it is given, which were those of an earlier conversation.
        raise AssertionError("images are preprocessed anew where those that were known are forgotten")

    def _render(self, name: str, messages: Messages, **kwargs: Any) -> str:
        try:
            text: str = self.processor.apply_chat_template(list(messages), tokenize=False, **kwargs)
        except REFUSALS as error:
            raise InputError(f"{name}: the chat template refuses this conversation: {error}") from error
        return text


def _reads_nothing(item: MediaItem) -> bool:
    """Whether an item of a model whose vision path reads text is one that does not."""
    return "image_parts" in item.inputs and bool((item.inputs["image_parts"] == CONTENT).all())


def with_media(name: str, messages: Messages, media: Sequence[object]) -> list[SampleMessage]:
    """Messages whose image and video blocks hold the media themselves. Raises InputError where the numbers differ."""
    blocks = media_blocks(messages)
    if len(blocks) != len(media):
        raise InputError(f"{name}: has {len(blocks)} image blocks and {len(media)} images")
    remaining = iter(media)
    return [
        {
            **message,
            "content": [
                cast(MessageBlock, {"type": block["type"], block["type"]: next(remaining)})
                if block["type"] in MEDIA_BLOCKS
                else block
                for block in message["content"]
            ],
        }
        for message in messages
    ]


def placeholders_of(model: PreTrainedModel) -> list[int]:
    """The ids of the tokens that stand for images and, where a family has another one for them, for videos."""
    ids = [model.config.image_token_id, getattr(model.config, "video_token_id", None)]
    return [number for number in dict.fromkeys(ids) if number is not None]


def _has_clips(media: Sequence[Media]) -> bool:
    return any(isinstance(item, Clip) for item in media)
