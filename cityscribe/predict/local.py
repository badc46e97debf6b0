"""The local engine: answers conversations about images with any checkpoint through transformers.

    engine = Engine(model, processor, settings.predict)
    answers = engine.answer([Conversation(messages, images), ...])

Greedy unless a temperature is set. Conversations are answered in batches, padded on the left; greedy answers are, token
for token, those of `generate` on each conversation alone (in float32; bf16 rounds differently in batches of another
shape). Every answer depends on its own batch alone, so that the same batches give the same answers in any run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, ProcessorMixin

from cityscribe.records import InputError, text_of
from cityscribe.settings import PredictSettings


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said so far, ending with a question. The n-th image block of the messages shows `images[n]`."""

    messages: tuple[dict[str, Any], ...]
    images: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered. `problem` says why the text may be less than an answer.

    empty: nothing was said; cut: it was still talking after `max_new_tokens`; non-finite: its logits overflowed or were
    not numbers, the text is what it had said until then.
    """

    text: str
    prompt_tokens: int  # image tokens counted
    tokens: int  # the end token counted
    problem: Literal["", "empty", "cut", "non-finite"] = ""


def open_image(path: Path) -> Image.Image:
    """An image as RGB. Raises InputError that names the file where it is missing, torn, too large or no image."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image; run `cityscribe prepare` again") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not an image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable image: {error}") from error


class Engine:
    """A model with its processor, ready to answer. `seed` matters where a temperature is set."""

    def __init__(
        self, model: PreTrainedModel, processor: ProcessorMixin, settings: PredictSettings, seed: int = 0
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.settings = settings
        self.seed = seed
        tokenizer = processor.tokenizer
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token  # what stands in the padding is masked anyway
        ends = model.generation_config.eos_token_id
        if ends is None:
            ends = tokenizer.eos_token_id
        self.ends: list[int] = [ends] if isinstance(ends, int) else list(ends)

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Answers in the order of the conversations, `batch_size` of them at a time.

        Conversations of as many images go together: processors take either all or none of a batch with images. Raises
        InputError for an image that cannot be read and for a question that the model's processor refuses.
        """
        answers: dict[int, Answer] = {}
        by_images: dict[int, list[int]] = {}
        for index, conversation in enumerate(conversations):
            by_images.setdefault(len(conversation.images), []).append(index)
        for members in by_images.values():
            for start in range(0, len(members), self.settings.batch_size):
                batch = members[start : start + self.settings.batch_size]
                said = self._answer_batch([conversations[index] for index in batch])
                answers.update(zip(batch, said, strict=True))
        return [answers[index] for index in range(len(conversations))]

    def _answer_batch(self, batch: list[Conversation]) -> list[Answer]:
        inputs = self._encode(batch).to(self.model.device, self.model.dtype)
        prompt = inputs["input_ids"].shape[1]
        check = _FiniteCheck(len(batch), self.ends[0], self.model.device)
        with torch.inference_mode(), torch.random.fork_rng(enabled=self.settings.temperature > 0):
            if self.settings.temperature > 0:
                torch.manual_seed(self._seed_of(batch))
            ids = self.model.generate(
                **inputs,
                **self._sampling(),
                max_new_tokens=self.settings.max_new_tokens,
                pad_token_id=self.processor.tokenizer.pad_token_id,
                eos_token_id=self.ends,
                logits_processor=LogitsProcessorList([check]),
            )
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        rows = zip(ids[:, prompt:].tolist(), lengths, check.bad.tolist(), strict=True)
        return [self._decode(said, length, bad) for said, length, bad in rows]

    def _encode(self, batch: list[Conversation]) -> Any:
        """The model's own inputs for a batch. [batch, longest prompt], padded on the left"""
        try:
            return self.processor.apply_chat_template(
                [_with_images(conversation) for conversation in batch],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True, "padding_side": "left"},
            )
        except ValueError as error:
            raise InputError(f"the model's processor refuses `{text_of(batch[0].messages[-1])}`: {error}") from error

    def _decode(self, said: list[int], prompt_tokens: int, bad: bool) -> Answer:
        length = next((index + 1 for index, token in enumerate(said) if token in self.ends), len(said))
        text = self.processor.tokenizer.decode(said[:length], skip_special_tokens=True)
        for token in self.processor.tokenizer.all_special_tokens:
            # Spelled out of ordinary tokens, it would become a real one when the answer is part of the next prompt.
            text = text.replace(token, "")
        text = text.strip()
        problem: Literal["", "empty", "cut", "non-finite"] = ""
        if bad:
            problem = "non-finite"
        elif said[length - 1] not in self.ends:
            problem = "cut"
        elif not text:
            problem = "empty"
        return Answer(text, prompt_tokens, length, problem)

    def _sampling(self) -> dict[str, Any]:
        """A checkpoint may bring settings for sampling of its own; these take their place."""
        if self.settings.temperature > 0:
            return {"do_sample": True, "temperature": self.settings.temperature, "top_k": 0, "top_p": 1.0}
        return {"do_sample": False, "temperature": None, "top_k": None, "top_p": None, "num_beams": 1}

    def _seed_of(self, batch: list[Conversation]) -> int:
        """Of what is asked, so that a draw does not depend on what was drawn before it."""
        said = [[text_of(entry) for entry in conversation.messages] for conversation in batch]
        return int.from_bytes(hashlib.blake2b(repr((self.seed, said)).encode(), digest_size=8).digest(), "big") >> 1


class _FiniteCheck(LogitsProcessor):
    """Ends the answers whose logits are infinite or not numbers, and remembers which: `argmax` would take any token."""

    def __init__(self, rows: int, end: int, device: torch.device) -> None:
        self.bad = torch.zeros(rows, dtype=torch.bool, device=device)
        self.end = end

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # [batch, tokens], [batch, vocabulary]
        # The comparison is false for NaN as well. Minus infinity is how tokens are forbidden.
        self.bad |= ~(scores < float("inf")).all(dim=1)
        ending = torch.full_like(scores, float("-inf"))
        ending[:, self.end] = 0.0
        return torch.where(self.bad[:, None], ending, scores)


def _with_images(conversation: Conversation) -> list[dict[str, Any]]:
    """Messages whose image blocks hold the images themselves."""
    images = iter(conversation.images)
    return [
        {
            "role": entry["role"],
            "content": [
                {"type": "image", "image": open_image(next(images))} if block["type"] == "image" else block
                for block in entry["content"]
            ],
        }
        for entry in conversation.messages
    ]
