"""What made a score: the rules, the versions and the data that it stands on."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def provenance(
    profile: str, split: str | None, references: Mapping[Any, Any], predictions: Path, libraries: tuple[str, ...]
) -> dict[str, str]:
    """The entries that all profiles share. `references` are hashed as they were read, `predictions` byte by byte."""
    return {
        "profile": profile,
        "split": split or "all",
        "python": platform.python_version(),
        **{library: version(library) for library in ("cityscribe", "numpy", *libraries)},
        "references_sha256": hashlib.sha256(json.dumps(references, sort_keys=True).encode("ascii")).hexdigest(),
        "predictions_sha256": hashlib.sha256(predictions.read_bytes()).hexdigest(),
    }
