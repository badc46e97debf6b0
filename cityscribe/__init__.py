"""From annotated city video to a vision-language model that describes the traffic in it.

`load`, `prepare`, `train`, `ask` and `score` are the calls of a notebook (`cityscribe.notebook`, docs/python-api.md).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cityscribe.notebook import load, score

__version__ = "0.1.0"

__all__ = ["__version__", "ask", "load", "prepare", "score", "train"]


def __getattr__(name: str) -> Any:
    """The calls of a notebook, when they are first asked for: importing the package imports nothing else."""
    if name in ("ask", "prepare", "train"):  # packages as well, that can be called
        return importlib.import_module(f"cityscribe.{name}")
    if name in __all__:
        return getattr(importlib.import_module("cityscribe.notebook"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
