"""torchvision from the package index, next to a torch that was built without CUDA.

Its image functions are written in Python. Its operators, which no processor uses, are compiled for another torch and do
not load; its import then fails over their names, which are declared here.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch

_declared: list[torch.library.Library] = []


def declare() -> bool:
    """Make `import torchvision` work, where it is there. Returns whether it is."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    if not _declared and not torch.cuda.is_available():
        text = (Path(found.origin).parent / "_meta_registrations.py").read_text(encoding="utf-8")
        library = torch.library.Library("torchvision", "DEF")
        for name in sorted(set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', text))):
            library.define(f"{name}() -> Tensor")
        _declared.append(library)
    return True
