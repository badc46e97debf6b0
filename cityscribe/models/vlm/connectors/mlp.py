"""Linear layers with an activation between them, a token a patch. Two of them are the connector of LLaVA-1.5."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from cityscribe.files import InputError


def linear_layers(width: int, text_width: int, layers: int, activation: str, bias: bool) -> nn.Sequential:
    """`layers` linear layers from `width` to `text_width`. Raises InputError for none and an unknown activation."""
    if layers < 1:
        raise InputError(f"layers: {layers}; expected one or more")
    if activation not in ACT2FN:
        raise InputError(f"activation: transformers has no `{activation}`")
    parts: list[nn.Module] = [nn.Linear(width, text_width, bias=bias)]
    for _ in range(layers - 1):
        parts += [ACT2FN[activation], nn.Linear(text_width, text_width, bias=bias)]
    return nn.Sequential(*parts)


class Mlp(nn.Module):
    """`width` of the features, `text_width` of the decoder. With `row_marks` a learnt token stands behind each row of
    patches (SOLO, Fuyu, LLaVA-NeXT), with `class_token` that of the tower before them, projected as they are."""

    reads_text = False

    def __init__(
        self,
        width: int,
        text_width: int,
        layers: int = 2,
        activation: str = "gelu",
        bias: bool = True,
        row_marks: bool = False,
        class_token: bool = False,
    ) -> None:
        super().__init__()
        self.layers = linear_layers(width, text_width, layers, activation, bias)
        self.reads_class_tokens = class_token
        self.row_mark = nn.Parameter(torch.randn(text_width) / text_width**0.5) if row_marks else None

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * (grid[1] + (self.row_mark is not None)) + self.reads_class_tokens

    def forward(self, features: Tensor, seen: Tensor | None = None) -> Tensor:
        """[views, rows, columns, width], and class tokens [views, any, width] -> [views, count, text_width]"""
        tokens = self.layers(features)
        if self.row_mark is not None:
            marks = self.row_mark.to(tokens.dtype).expand(*tokens.shape[:2], 1, -1)
            tokens = torch.cat([tokens, marks], dim=2)
        tokens = tokens.flatten(1, 2)
        if not self.reads_class_tokens:
            return tokens
        if seen is None or not seen.shape[1]:
            raise InputError("class_token: the tower has none")
        return torch.cat([self.layers(seen[:, :1]), tokens], dim=1)
