"""Tiny models of the families that transformers maps, by their type, and what is found to work with each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from tests.families.torchvision_ops import declare

Build = Callable[[], tuple[Any, Any]]

MODULES = ("qwen_kin", "llava_kin", "others")
WITH_TORCHVISION = "with_torchvision"

HAS_TORCHVISION = declare()
"""Asked when this package is imported: what transformers imports of torchvision fails before its names are declared."""


def builders() -> dict[str, Build]:
    """Model and processor of each family that can be built here, by the type of the model."""
    from tests.tiny_models import FAMILIES

    known: dict[str, Build] = {name.replace("-", "_").replace(".", "_"): build for name, build in FAMILIES.items()}
    modules = (*MODULES, WITH_TORCHVISION) if HAS_TORCHVISION else MODULES
    for module in modules:
        found: Mapping[str, Build] = importlib.import_module(f"tests.families.{module}").MODELS
        known |= found
    return known
