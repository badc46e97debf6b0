"""Linear layers with an activation between them, a token a patch. Two of them are the connector of LLaVA-1.5."""

from __future__ import annotations

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
    """`width` of the features, `text_width` of the decoder."""

    reads_text = False

    def __init__(
        self, width: int, text_width: int, layers: int = 2, activation: str = "gelu", bias: bool = True
    ) -> None:
        super().__init__()
        self.layers = linear_layers(width, text_width, layers, activation, bias)

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        return self.layers(features.flatten(1, 2))
