"""How rounded weights lie in files: words of 32 bits with several codes each.

`packed` is the form of compressed-tensors (`pack-quantized`), which transformers and vLLM read: rows of words, the
first code in the lowest bits, each stored as `code - lowest`. `awq_words` is the form of AutoAWQ's `gemm`: words along
the outputs, their four-bit codes interleaved, and a zero point for each group, which is 8 here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cityscribe.models.quantise.rounding import Rounded, Scheme

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight neighbouring outputs each four bits of a word of AutoAWQ belong to, from the lowest."""


def packed(codes: Tensor, scheme: Scheme) -> Tensor:
    """Codes [out, in] int8 as words [out, in * bits / 32] int32."""
    per_word = 32 // scheme.bits
    stored = (codes.to(torch.int64) - scheme.lowest).view(len(codes), -1, per_word)
    return _words(stored, scheme.bits)


def unpacked(words: Tensor, scheme: Scheme) -> Tensor:
    """The codes [out, in] int8 of words [out, in * bits / 32] int32."""
    stored = words.view(torch.uint8)  # the lowest byte of a word first, as on all processors that torch runs on
    if scheme.bits == 4:
        stored = torch.stack([stored & 15, stored >> 4], dim=2).view(len(words), -1)
        return stored.view(torch.int8) + scheme.lowest
    return (stored ^ 128).view(torch.int8)


def packed_tensors(rounded: Rounded, scheme: Scheme, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of a linear layer in a `pack-quantized` checkpoint, by the ends of their names."""
    return {
        "weight_packed": packed(rounded.codes, scheme),
        "weight_scale": rounded.scales.to(dtype),
        "weight_shape": torch.tensor(rounded.codes.shape),
    }


def awq_tensors(rounded: Rounded, scheme: Scheme) -> dict[str, Tensor]:
    """The same in the form of AutoAWQ's `gemm`: `qweight` [in, out / 8], `qzeros` [groups, out / 8], `scales` [groups,
    out]."""
    stored = (rounded.codes.to(torch.int64) - scheme.lowest).t().contiguous()  # [in, out]
    zeros = torch.full((rounded.scales.shape[1], stored.shape[1]), -scheme.lowest, dtype=torch.int64)
    order = list(AWQ_ORDER)
    return {
        "qweight": _words(stored.view(len(stored), -1, 8)[:, :, order], 4),
        "qzeros": _words(zeros.view(len(zeros), -1, 8)[:, :, order], 4),
        "scales": rounded.scales.t().contiguous().to(torch.float16),
    }


def _words(stored: Tensor, bits: int) -> Tensor:
    """Numbers of so many bits, [rows, words, numbers of a word] int64, as words [rows, words] int32."""
    shifts = torch.arange(0, 32, bits, device=stored.device)
    whole = (stored << shifts).sum(dim=2)
    return torch.where(whole >= 2**31, whole - 2**32, whole).to(torch.int32)
