"""A tiny LLaMA-VID of real classes, and its two kinds of tokens by the published formulas, written plainly."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from tests.models.vlm.composed import parts, tiny

EVA = {
    "kind": "eva",
    "config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    | {"image_size": 32, "patch_size": 8, "initializer_range": 0.2},
}
QFORMER = {
    "kind": "qformer",
    "queries": 4,
    "config": {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
    | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2},
}
BERT = {
    "kind": "bert",
    "config": {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2},
}
CONNECTOR = {"kind": "llama-vid", "text_decoder": QFORMER}


MADE: dict[str, tuple[PreTrainedModel, ProcessorMixin]] = {}


def llama_vid(
    *, guide: str = "each-turn", order: str = "interleaved", **options: Any
) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A tiny LLaMA-VID of one's own; `options` are those of its connector."""
    asked = repr((guide, order, options))
    if asked not in MADE:
        MADE[asked] = tiny(parts(EVA, connector={**CONNECTOR, **options}, guide=guide, order=order))
    return copy.deepcopy(MADE[asked])


def plain_tokens(
    weights: dict[str, Tensor], seen: Tensor, ids: Tensor, mask: Tensor, cells: int, *, layers: int = 3, heads: int = 2
) -> Tensor:
    """The tokens of one image by the formulas of section 1 of the published code, in plain tensor algebra.

    `weights` are those of the connector, `seen` [1 + patches, width] what the tower gives, class token first, `ids` and
    `mask` [tokens] the question. Returns [1 + cells * cells, text width], the context token first.
    """
    w, patches = weights, seen[1:]

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: Tensor, eps: float) -> Tensor:
        spread = ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
        return (x - x.mean(-1, keepdim=True)) / (spread + eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    def gelu(x: Tensor) -> Tensor:
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))

    def attention(name: str, queries: Tensor, keys: Tensor, counts: Tensor, heads: int) -> Tensor:
        q, k, v = (
            linear(f"{name}.attention.{part}", x) for part, x in (("query", queries), ("key", keys), ("value", keys))
        )
        outs = []
        for head in range(heads):
            size = q.shape[-1] // heads
            own = slice(head * size, (head + 1) * size)
            scores = q[:, own] @ k[:, own].T / size**0.5
            outs.append(scores.masked_fill(counts == 0, -torch.inf).softmax(-1) @ v[:, own])
        return norm(f"{name}.output.LayerNorm", linear(f"{name}.output.dense", torch.cat(outs, -1)) + queries, 1e-12)

    def forward(name: str, kind: str, x: Tensor) -> Tensor:
        inner = linear(f"{name}.output{kind}.dense", gelu(linear(f"{name}.intermediate{kind}.dense", x)))
        return norm(f"{name}.output{kind}.LayerNorm", inner + x, 1e-12)

    decoder = "text_decoder.model"
    keys = norm("norm", seen, 1e-5)  # the class token included
    words = w[f"{decoder}.embeddings.word_embeddings.weight"][ids]
    words = words + w[f"{decoder}.embeddings.position_embeddings.weight"][: len(ids)]  # positions begin at 0
    queries = w["text_decoder.queries"][0]  # which have none
    count = len(queries)
    x = norm(f"{decoder}.embeddings.layernorm", torch.cat([queries, words]), 1e-12)
    counts = torch.cat([torch.ones(count, dtype=mask.dtype), mask])
    for number in range(layers):
        layer = f"{decoder}.encoder.layer.{number}"
        x = attention(f"{layer}.attention", x, x, counts, heads)
        asking, text = x[:count], x[count:]
        if number % 2 == 0:
            asking = attention(f"{layer}.crossattention", asking, keys, torch.ones(len(keys)), heads)
        x = torch.cat([forward(layer, "_query", asking), forward(layer, "", text)])
    q = linear("projector", x[:count])
    look = (q @ linear("key_projector", patches).T / patches.shape[-1] ** 0.5).softmax(-1)
    context = linear("value_projector", (look @ patches).mean(0))[None]
    side = round(len(patches) ** 0.5)
    size = side // cells
    grid = patches.reshape(side, side, -1)
    pooled = torch.stack(
        [
            grid[row * size : (row + 1) * size, column * size : (column + 1) * size].mean((0, 1))
            for row in range(cells)
            for column in range(cells)
        ]
    )
    content = linear("layers.2", gelu(linear("layers.0", pooled)))
    return torch.cat([context, content])
