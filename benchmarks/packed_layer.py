"""How long one linear layer takes with packed weights, against plain ones.

    OMP_NUM_THREADS=1 python -m benchmarks.packed_layer

A layer of 1024 to 2816, the MLP of a small decoder, for different numbers of tokens at once: one when a single answer
is decoded, some when several are, a thousand when images are read. Milliseconds of processor time, the best of several
calls. `kernel` and `unpacked` are the two ways of `PackedLinear`; the plain ones compute in float32 and in bf16.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.in_turns import where_it_ran
from cityscribe.models.quantise.linear import PackedLinear
from cityscribe.models.quantise.rounding import Scheme, round_weight
from cityscribe.models.quantise.words import packed

WIDTH, OUTPUTS = 1024, 2816


def layer_of(weight: Tensor, scheme: Scheme, *, kernel: bool) -> PackedLinear:
    rounded = round_weight(weight, scheme)
    layer = PackedLinear(WIDTH, OUTPUTS, False, scheme, torch.float32)
    layer.weight_packed.data, layer.weight_scale.data = packed(rounded.codes, scheme), rounded.scales
    if kernel:
        layer.use_kernel()
    return layer


def best(call: Callable[[], object], times: int) -> float:
    """The least milliseconds of processor time of some calls."""
    call()
    found = []
    for _ in range(times):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found) * 1e3


@torch.inference_mode()
def main(times: Annotated[int, typer.Option(help="calls of each way")] = 5) -> None:
    """Print a line for each number of tokens."""
    torch.manual_seed(0)
    weight = torch.randn(OUTPUTS, WIDTH) * 0.02
    short = weight.bfloat16()
    schemes = (Scheme(4, 128), Scheme(8, None))
    layers = {
        f"int{scheme.bits} {way}": layer_of(weight, scheme, kernel=way == "kernel")
        for scheme in schemes
        for way in ("kernel", "unpacked")
    }
    print(f"{where_it_ran('cpu', 'fp32 and bf16')}, {WIDTH} -> {OUTPUTS}, ms")
    print(f"{'tokens':>7}" + "".join(f"{name:>15}" for name in ("float32", "bf16", *layers)))
    for tokens in (1, 4, 16, 64, 256, 1200):
        hidden = torch.randn(tokens, WIDTH)
        narrow = hidden.bfloat16()
        calls = [partial(linear, hidden, weight), partial(linear, narrow, short)]
        calls += [partial(layer, hidden) for layer in layers.values()]
        row = [best(call, times) for call in calls]
        print(f"{tokens:7}" + "".join(f"{each:15.2f}" for each in row), flush=True)


if __name__ == "__main__":
    typer.run(main)
