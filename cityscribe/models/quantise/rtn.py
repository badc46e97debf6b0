"""Each weight to the nearest code: the line that a search has to beat. Needs no calibration."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cityscribe.models.quantise.block import Layer
from cityscribe.models.quantise.rounding import Rounded, Scheme, round_weight


class Rtn:
    """A member of `QUANTISERS`."""

    calibrated = False

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        pass  # it changes nothing that is stored in it

    def blocks(self, layers: Sequence[Layer]) -> list[list[int]]:
        return [[layer.number] for layer in layers]

    def search(self, layers: Sequence[Layer], scheme: Scheme) -> list[dict[str, Rounded]]:
        return [
            {name: round_weight(linear.weight.detach(), scheme) for name, linear in layer.linears().items()}
            for layer in layers
        ]
