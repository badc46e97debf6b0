"""Which number type a model computes in."""

from __future__ import annotations

from typing import Literal

import torch

ROUNDING_FLOAT32, ROUNDING_BF16 = 1e-4, 5e-2
"""How far the logits of two ways to compute the same may differ, as a share of the largest, in a model of float32
weights and in one with smaller ones. A wrong mask or position makes a difference of the size of the logits themselves.
"""


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
