"""Packages that can be called: `cityscribe.prepare` is a room of the house and a call of a notebook."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    """A module that, called, does what its `_call` names: "module:function"."""

    _call: str

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        module, _, function = self._call.partition(":")
        return getattr(importlib.import_module(module), function)(*arguments, **named)


def make_callable(package: str, call: str) -> None:
    """Let a package that is being imported be called."""
    module: Any = sys.modules[package]
    module.__class__ = _Called
    module._call = call
