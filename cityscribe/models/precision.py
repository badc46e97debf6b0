"""Which number type a model computes in, and how it is made to compute without rounding much or drawing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

ROUNDING_FLOAT32, ROUNDING_BF16 = 1e-4, 5e-2
"""How far the logits of two ways to compute the same may differ, as a share of the largest, in a model of float32
weights and in one with smaller ones. A wrong mask or position makes a difference of the size of the logits themselves.
"""

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def has_bf16() -> bool:
    """Whether bf16 arithmetic is in the hardware: a GPU that has it, or a CPU with AVX512-BF16, AMX or Arm BF16.

    Every CPU computes bf16 in emulation, several times slower than float32, so that an answer from the hardware is
    needed and not one from the library.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_dtype(precision: Literal["auto", "bf16", "fp32"]) -> torch.dtype:
    """The type that a setting of precision means on this machine; `auto` takes bf16 where the hardware has it."""
    if precision == "auto":
        return torch.bfloat16 if has_bf16() else torch.float32
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]


@contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """Within it weights of smaller floating-point types stand in float32, and packed ones are computed with in it.

    What comes out is as it was. Raises torch.OutOfMemoryError where there is no room for both.
    """
    before: list[tuple[Tensor, Tensor]] = []
    types = [(module, vars(module)["compute_dtype"]) for module in model.modules() if "compute_dtype" in vars(module)]
    try:
        for tensor in chain(model.parameters(), model.buffers()):
            if tensor.dtype in (torch.bfloat16, torch.float16):
                before.append((tensor, tensor.data))
                tensor.data = tensor.data.float()
        for module, _ in types:
            vars(module)["compute_dtype"] = torch.float32
        yield
    finally:
        for tensor, data in before:
            tensor.data = data
        for module, dtype in types:
            vars(module)["compute_dtype"] = dtype


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Within it a model is in training mode, and drops nothing out. What comes out is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    shares: list[tuple[dict[str, object], str, float]] = []
    for module in model.modules():
        for name, value in vars(module).items():
            # Modules for dropout call their share `p`; attention and dropped paths have attributes of their own.
            if isinstance(value, float) and ("drop" in name or (name == "p" and isinstance(module, DROPOUTS))):
                shares.append((vars(module), name, value))
    try:
        model.train()
        for attributes, name, _ in shares:
            attributes[name] = 0.0
        yield
    finally:
        for attributes, name, value in shares:
            attributes[name] = value
        for module, mode in modes:
            module.training = mode
