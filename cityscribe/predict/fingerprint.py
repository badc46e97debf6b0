"""A hash of everything that decides the answers of a prediction, so that a journal of another one is not continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from cityscribe.digest_store import DigestStore
from cityscribe.models.card_files import deciding_files
from cityscribe.models.load import resolve_base
from cityscribe.models.precision import resolve_dtype
from cityscribe.predict.answers import KEPT
from cityscribe.predict.settings import Predicting
from cityscribe.records import Sample, video_files
from cityscribe.train import processes

UNDECIDING: Any = {"split": True, "baselines": True, "over_time": True, "remote": {"concurrency", "tries", "timeout_s"}}
"""Settings of the section that change nothing that a journal holds."""

TRAINED = "train.parquet"
"""Beside the images, the samples whose answers drafts are taken from."""


def fingerprint(
    samples: Sequence[Sample], image_root: Path, model_dir: Path | str, settings: Predicting, images: bool
) -> str:
    """The same on all processes, which is the first's: it reads all files once.

    Of the questions in their order, images, weights, settings and versions. Raises InputError for a missing file.

    Digests of files are remembered in the run folder, so that weights are read once and not for each prediction.
    """
    if not processes.is_first():
        return processes.from_all("")[0]
    return processes.from_all(_fingerprint(samples, image_root, model_dir, settings, images))[0]


def _fingerprint(
    samples: Sequence[Sample], image_root: Path, model_dir: Path | str, settings: Predicting, images: bool
) -> str:
    digest = hashlib.blake2b(digest_size=16)
    corpus = image_root / TRAINED
    known = DigestStore(settings.run_dir / "state" / "digests.json")

    def add(value: Any) -> None:
        digest.update(json.dumps(value, sort_keys=True).encode() + b"\n")

    add(["numbered", *KEPT])
    add([torch.__version__, transformers.__version__, str(resolve_dtype(settings.predict.precision))])
    add([settings.seed, images, settings.predict.model_dump(mode="json", exclude=UNDECIDING)])
    if settings.predict.drafts and corpus.is_file():
        add(known.of(corpus))  # in bf16, steps of another length may round to another token
    folder = Path(resolve_base(str(model_dir)))
    if settings.predict.engine == "remote":
        add("the weights are on the server")
    elif folder.is_dir():
        for path in deciding_files(folder):
            add([path.relative_to(folder).as_posix(), known.of(path)])
    else:
        add(str(model_dir))
    add([asdict(sample) for sample in samples])
    if images:
        shown = dict.fromkeys(file for sample in samples for file in (*sample.images, *video_files(sample)))
        add([known.of(image_root / image) for image in shown])
    if settings.run_dir.is_dir():
        known.save()
    return digest.hexdigest()
