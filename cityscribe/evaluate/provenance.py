"""What made a score: the rules, the versions and the data that it stands on."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cityscribe import __version__


def provenance(
    profile: str, split: str | None, references: Mapping[Any, Any], predictions: Path, libraries: tuple[str, ...]
) -> dict[str, str]:
    """The entries that all profiles share. `libraries` are those that computed something; `references` are hashed as
    they were read, `predictions` byte by byte.

    Predictions may be a folder (the official form of MME): then its files count in order of their names.
    """
    versions = {"cityscribe": __version__}
    if libraries:
        from importlib.metadata import version  # which takes longer to import than a hundred captions to score

        versions |= {library: version(library) for library in libraries}
    files = sorted(path for path in predictions.iterdir() if path.is_file()) if predictions.is_dir() else [predictions]
    return {
        "profile": profile,
        "split": split or "all",
        "python": platform.python_version(),
        **versions,
        "references_sha256": hashlib.sha256(json.dumps(references, sort_keys=True).encode("ascii")).hexdigest(),
        "predictions_sha256": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
    }
