"""Frames through the tower in blocks and straight into the decoder's cache, and an answer from there.

    stream = Stream(model, processor, layout)
    for numbers, images in blocks:
        stream.show(numbers, images)
    token_ids, weights = stream.answer(max_tokens=128)

Memory does not grow with the length of the video but for the cache, which has a place for each token of the layout: a
block of frames, and a chunk of tokens on their way into the decoder, are all there is besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from cityscribe.ask.layout import Layout
from cityscribe.models.attention import decoder_attention
from cityscribe.models.vlm.features import distinct_rows
from cityscribe.models.vlm.guides import CONTENT, CONTEXT
from cityscribe.models.vlm.parts import reads_ids

CHUNK, FEWEST = 256, 16
"""Tokens that the decoder takes at once, at most and at least."""

SCORES = 2**20
"""A chunk has a score for each of its tokens and each token before it: the longer the past, the smaller the chunk."""


class Stream:
    """One question about one video, for a model from parts. Frames are shown in the order of their numbers; one that is
    never shown is left out, with its places."""

    def __init__(self, model: PreTrainedModel, processor: Any, layout: Layout) -> None:
        self.model: Any = model.eval()
        self.processor = processor
        self.layout = layout
        self.cache = DynamicCache()
        self.kept = np.empty(layout.tokens, dtype=np.int64)  # tokens that were fed, or are about to be
        self.frames = np.empty(layout.tokens, dtype=np.int64)  # of each of them the number of its frame, -1 of text
        self.count = 0  # of them
        self.contexts: dict[int, Tensor] = {}  # of frames whose context tokens stand behind all content tokens
        self._waiting: list[Tensor] = []
        self._fed = self._place = self._read = 0
        if reads_ids(self.model.model.connector):
            ids, mask = processor.read_questions([layout.guide])
            length = max(int(mask.sum()), 1)
            self._question = ids[:, :length].to(model.device), mask[:, :length].to(model.device)

    @torch.inference_mode()
    def show(self, numbers: Sequence[int], images: Sequence[Image.Image]) -> None:
        """The next frames by their numbers. Frames between them and those before are left out."""
        pixels = self.processor.image_processor(list(images), return_tensors="pt")["pixel_values"]
        whole, context = self._tokens(pixels.to(self.model.device, self.model.dtype))
        parts = self.layout.parts
        for row, number in enumerate(numbers):
            while self.layout.frames[self._place] != number:
                self._leave_out()
            if parts[self._place] == CONTENT:
                self.contexts[number] = context[row]
            self._put(whole[row])

    @torch.inference_mode()
    def answer(self, max_tokens: int) -> tuple[list[int], np.ndarray]:
        """The answer's tokens, greedily, and how much each frame was attended to while it was said, [frames]."""
        while self._place < len(self.layout.parts):
            number = int(self.layout.frames[self._place])
            if self.layout.parts[self._place] == CONTEXT and number in self.contexts:
                self._put(self.contexts.pop(number))
            else:
                self._leave_out()
        self._text(len(self.layout.input_ids))
        self._feed(keep=1)
        input_ids = torch.from_numpy(self.kept[None, : self.count]).to(self.model.device)
        said = self.model.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            past_key_values=self.cache,
            max_new_tokens=max_tokens,
            do_sample=False,
        )[0]
        length = input_ids.shape[1]
        return said[length:].tolist(), self._attention(said, length)

    def _tokens(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Of each image what stands at its first place, [images, tokens, width], and its context tokens. Equal ones,
        as a fixed camera gives them at night, are computed once."""
        rows, numbers = distinct_rows(pixels)
        first, context = self._tokens_of(pixels[rows])
        return first[numbers], context[numbers]

    def _tokens_of(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        inner = self.model.model
        connector = inner.connector
        features, seen = inner.kept_features(pixels)
        if not connector.reads_text:
            return connector(features), features[:, :0, 0]
        ids, mask = (value.expand(len(pixels), -1) for value in self._question)
        if not reads_ids(connector):
            return connector(features, inner.get_input_embeddings()(ids), mask.bool()), features[:, :0, 0]
        context, _ = connector.context(features, ids, mask, seen)
        content = connector.content(features)
        apart = bool((self.layout.parts == CONTENT).any())
        return (content if apart else torch.cat([context, content], dim=1)), context

    def _put(self, tokens: Tensor) -> None:
        """The tokens of a frame at the next place, behind the text before it."""
        start, end = self.layout.starts[self._place], self.layout.ends[self._place]
        self._text(int(start))
        self._take(tokens, self.layout.input_ids[start:end], int(self.layout.frames[self._place]))
        self._read = int(end)
        self._place += 1
        if sum(map(len, self._waiting)) >= CHUNK:
            self._feed(keep=0)

    def _leave_out(self) -> None:
        self._text(int(self.layout.starts[self._place]))
        self._read = int(self.layout.ends[self._place])
        self._place += 1

    def _text(self, end: int) -> None:
        ids = self.layout.input_ids[self._read : end]
        self._read = max(self._read, end)
        if len(ids):
            embedded = self.model.get_input_embeddings()(torch.from_numpy(ids).to(self.model.device))
            self._take(embedded, ids, -1)

    def _take(self, embedded: Tensor, ids: np.ndarray, frame: int) -> None:
        self._waiting.append(embedded.to(self.model.dtype))
        end = self.count + len(ids)
        self.kept[self.count : end], self.frames[self.count : end] = ids, frame
        self.count = end

    def _feed(self, keep: int) -> None:
        """Give the decoder what waits, in chunks, but for the last `keep` tokens."""
        waiting = torch.cat(self._waiting)
        start, end = 0, len(waiting) - keep
        while start < end:
            size = min(max(SCORES // (self._fed + CHUNK), FEWEST), CHUNK)
            chunk = waiting[start : min(start + size, end)]
            positions = torch.arange(self._fed, self._fed + len(chunk), device=chunk.device)[None]
            self.model.model.language_model(
                inputs_embeds=chunk[None], position_ids=positions, past_key_values=self.cache, use_cache=True
            )
            self._fed += len(chunk)
            start += len(chunk)
        self._waiting = [waiting[end:].clone()]

    def _attention(self, said: Tensor, length: int) -> np.ndarray:
        """The attention of each word of the answer on each frame, its mean over words, layers and heads.

        The words are given to the decoder once more, one by one, by an attention that tells its weights.
        """
        frames = torch.from_numpy(self.frames[: self.count]).to(said.device)
        found = torch.zeros(int(self.layout.frames.max()) + 1, dtype=torch.float64, device=said.device)
        self.cache.crop(length - 1 - self.cache.get_seq_length())
        shown = frames >= 0
        words = said[length - 1 : -1] if len(said) > length else said[length - 1 :]
        with decoder_attention(self.model, "eager"):
            for offset, word in enumerate(words):
                outputs = self.model.model.language_model(
                    input_ids=word.reshape(1, 1),
                    position_ids=torch.tensor([[length - 1 + offset]], device=said.device),
                    past_key_values=self.cache,
                    use_cache=True,
                    output_attentions=True,
                )
                for layer in outputs.attentions:
                    weights = layer[0, :, 0, : len(frames)].mean(dim=0).double()
                    found.index_add_(0, frames[shown], weights[shown])
        return found.cpu().numpy()
