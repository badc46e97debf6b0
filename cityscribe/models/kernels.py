"""Which fast kernels recurrent layers may compute with.

transformers takes the functions of installed packages (flash-linear-attention, causal-conv1d, mamba-ssm) in the place
of its own, written in torch. It leaves out, without a word, each argument that such a function does not know: one that
does not know the state before the first token would compute every stretch as if it began a sequence. And they run on
GPUs only. So each function is asked what it takes, and where it does not fit, the one written in torch computes.

Speed on a GPU has not been measured by us.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from torch import nn

STATE_ARGUMENTS = ("initial_state", "initial_states", "output_final_state", "return_final_states")
"""What functions call the state before the first token, and whether they are to give the one behind the last."""

GPUS = ("cuda", "xpu")
"""Where kernels run."""


def fits(kernel: Callable[..., Any], in_torch: Callable[..., Any], device: str) -> bool:
    """Whether a kernel computes what the function written in torch does, on a device and from any state."""
    known = inspect.signature(kernel).parameters
    wanted = [name for name in STATE_ARGUMENTS if name in inspect.signature(in_torch).parameters]
    return device in GPUS and all(name in known for name in wanted)


def kernel_of(function: object) -> Callable[..., Any] | None:
    """The function of a package that transformers put in the place of its own; None where it did not."""
    if not isinstance(function, FunctionType) or not hasattr(function, "__wrapped__"):
        return None
    found = inspect.getclosurevars(function).nonlocals.get("implementation")
    return found if callable(found) and found is not inspect.unwrap(function) else None


@contextmanager
def fitting_kernels(layers: Iterable[nn.Module], device: str) -> Iterator[dict[str, str]]:
    """Within it the layers compute with kernels that fit, else in torch. Gives what each function is: `kernel` or
    `torch`, by its name; those that no package has a kernel for are left out."""
    chosen: dict[str, str] = {}
    replaced: list[tuple[dict[str, object], str, Any]] = []
    try:
        for name in {type(layer).__module__ for layer in layers}:
            fields = vars(sys.modules[name])
            for key, function in list(fields.items()):
                kernel = kernel_of(function)
                if kernel is None:
                    continue
                in_torch = inspect.unwrap(function)
                chosen[key] = "kernel" if fits(kernel, in_torch, device) else "torch"
                if chosen[key] == "torch":
                    replaced.append((fields, key, function))
                    fields[key] = in_torch
        yield chosen
    finally:
        for fields, key, function in replaced:
            fields[key] = function
