"""LLaMA-VID (Li et al. 2023): an image is one token of what the question asks for and few tokens of pooled patches.

The context token: queries that have read the question look at the image, and what they look at is averaged. The content
tokens: patches are averaged over a grid of squares and projected as LLaVA does it.

Equation 1 of the paper has neither the projection of the keys nor the scale of the attention; the published code and
weights have both, and so has this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cityscribe.files import InputError
from cityscribe.models.seams import TEXT_DECODERS
from cityscribe.models.vlm.connectors.mlp import linear_layers

NORM_EPS = 1e-5
"""Of the norm before the text decoder, in the published code."""


class LlamaVid(nn.Module):
    """`width` of the features, `text_width` of the decoder.

    `text_decoder` are the `kind` and the options of a text decoder. `pooling`: `mean` makes one content token, `grid:N`
    N rows of N, `none` one of each patch. Without `class_tokens` the text decoder does not see those of the tower, as
    in the published mode for long videos. Without `context` there is no context token, and nothing reads the question.
    """

    reads_class_tokens = True

    def __init__(
        self,
        width: int,
        text_width: int,
        text_decoder: Mapping[str, Any] | None = None,
        pooling: str = "mean",
        class_tokens: bool = True,
        context: bool = True,
        layers: int = 2,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.cells = _cells(pooling)
        self.class_tokens = class_tokens
        self.reads_text = context
        self.reads_ids = context
        self.context_count = int(context)
        self.layers = linear_layers(width, text_width, layers, activation, bias=True)
        if not context:
            return
        if not text_decoder:
            raise InputError("text_decoder: missing; expected its `kind` and its `config`")
        options = dict(text_decoder)
        kind = str(options.pop("kind", "qformer"))
        self.text_decoder = TEXT_DECODERS[kind](width, **options)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.projector = nn.Linear(self.text_decoder.hidden_size, width)
        self.key_projector = nn.Linear(width, width)
        self.value_projector = nn.Linear(width, text_width)

    def parts(self) -> dict[str, list[nn.Module]]:
        """What trains apart from the rest in one of the published stages (`settings.ModelPart`)."""
        if not self.context_count:
            return {}
        return {
            "text_decoder": [self.text_decoder, self.norm],
            "context": [self.projector, self.key_projector, self.value_projector],
        }

    def content_count(self, grid: tuple[int, int]) -> int:
        """How many content tokens a grid becomes."""
        if self.cells is None:
            return grid[0] * grid[1]
        for side in grid:
            if side < self.cells:
                raise InputError(f"pooling: {self.cells} cells across a grid of {grid[0]} x {grid[1]}")
        rows, columns = (_pooled(side, side // self.cells) for side in grid)
        return rows * columns

    def count(self, grid: tuple[int, int]) -> int:
        return self.context_count + self.content_count(grid)

    def forward(
        self, features: Tensor, ids: Tensor | None = None, mask: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """[views, rows, columns, width], and as `context` -> [views, count, text_width], the context token first"""
        content = self.content(features)
        if not self.context_count:
            return content
        if ids is None or mask is None:
            raise ValueError("the context token needs the question")
        return torch.cat([self.context(features, ids, mask, seen)[0], content], dim=1)

    def content(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, content_count, text_width], row by row"""
        pooled = features.permute(0, 3, 1, 2)
        if self.cells is not None:
            size = (features.shape[1] // self.cells, features.shape[2] // self.cells)
            pooled = functional.avg_pool2d(pooled, size, stride=size)
        return self.layers(pooled.flatten(2).transpose(1, 2))

    def context(self, features: Tensor, ids: Tensor, mask: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the question asks for in each image: [views, 1, text_width], and where it looks [views, rows * columns].

        Of the question the tokens [views, tokens] in the vocabulary of the text decoder, and which of them count; of
        the tower its class tokens [views, any, width].
        """
        patches = features.flatten(1, 2)
        keys = patches if seen is None or not self.class_tokens else torch.cat([seen, patches], dim=1)
        states, counts = self.text_decoder(ids, mask, self.norm(keys))
        queries = self.projector(states)  # [views, queries, width]
        scores = queries @ self.key_projector(patches).transpose(1, 2) / patches.shape[-1] ** 0.5
        weights = scores.softmax(dim=-1)  # [views, queries, patches]
        shares = counts.to(weights.dtype) / counts.sum(dim=1, keepdim=True).clamp(min=1).to(weights.dtype)
        weights = (weights * shares[..., None]).sum(dim=1)  # [views, patches], the mean over the queries
        return self.value_projector(weights[:, None] @ patches), weights


def _cells(pooling: str) -> int | None:
    """How many cells a side of the grid is pooled to; None: it is not."""
    if pooling == "none":
        return None
    if pooling == "mean":
        return 1
    if (found := re.fullmatch(r"grid:([1-9]\d*)", pooling)) is None:
        raise InputError(f"pooling: {pooling}; expected mean, grid:N or none")
    return int(found[1])


def _pooled(side: int, size: int) -> int:
    """How many windows of a size stand side by side; what is left over at the end is not looked at."""
    return side // size
