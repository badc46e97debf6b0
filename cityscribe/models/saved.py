"""Whether a checkpoint that was written is the model that it was written from, and whether its weights are numbers.

Two questions, asked in this order: `check_finite` refuses a model whose weights are not numbers, before anything of it
is written; `check_saved` then compares bits, so that what is read back is what was written, whatever its values mean
(0.0 and -0.0 differ, and a buffer that belongs to the state may hold infinities).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModelForImageTextToText, PreTrainedModel

from cityscribe.files import InputError

SMALL = 2**30
"""Bytes of weights up to which a checkpoint is loaded again whole; a larger one is compared file by file."""


def check_finite(model: PreTrainedModel, place: str) -> None:
    """Raises InputError, naming the checkpoint and the first of them, for weights that are not finite numbers."""
    bad = [name for name, value in model.named_parameters() if not _finite(value)]
    if bad:
        raise InputError(f"{place}: `{bad[0]}` holds values that are not finite numbers (so do {len(bad) - 1} others)")


def check_saved(written: Path, folder: Path, model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Read back what was written for `model`, whose weights are `weights`; `folder` is what it is going to be called.

    The configuration has to make a model of the same class, all of whose weights are in the files: that is seen without
    reading them, on the meta device. The values are compared in memory for a small model, and for a large one by a
    digest of each tensor in the files, so that it never is in memory twice. Raises InputError where something differs.
    """
    small = sum(value.nbytes for value in weights.values()) <= SMALL
    try:
        again, loading = _load(written, "cpu" if small else "meta")
    except Exception as error:  # whatever the reading code runs into
        raise InputError(f"{folder}: what was saved does not load again: {' '.join(str(error).split())}") from error
    problems = [f"`{name}` is missing" for name in loading["missing_keys"]]
    problems += [f"`{name}` is of another shape" for name, *_ in loading["mismatched_keys"]]
    if type(again) is not type(model):
        problems.append(f"it is a {type(again).__name__}, not a {type(model).__name__}")
    elif not problems and small:
        found = again.state_dict()
        problems += [f"`{name}` is missing" for name in sorted(found.keys() ^ weights.keys())]
        same = sorted(found.keys() & weights.keys())
        problems += [f"`{name}` differs" for name in same if not _equal(found[name], weights[name].to(found[name]))]
    elif not problems:
        problems += _differing_files(written, weights)
    if problems:
        raise InputError(f"{folder}: what was saved is not the model: {problems[0]} ({len(problems)} differences)")


def _equal(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one type hold the same bits."""
    parts = [value.detach().cpu().contiguous().flatten().view(torch.uint8) for value in (first, second)]
    return first.shape == second.shape and torch.equal(*parts)


def _load(folder: Path, device: str) -> tuple[PreTrainedModel, dict[str, Any]]:
    return AutoModelForImageTextToText.from_pretrained(  # type: ignore[return-value]
        folder,
        dtype="auto",
        device_map=device if device == "meta" else None,
        use_safetensors=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )


def _differing_files(folder: Path, weights: Mapping[str, Tensor]) -> list[str]:
    """What is in the files of a folder and not among the weights. By value: a checkpoint has names of its own."""
    known = Counter(_digest(value) for value in weights.values())
    problems = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            problems += [f"`{name}` differs" for name in names if not known[_digest(tensors.get_tensor(name))]]
    return problems


def _digest(value: Tensor) -> bytes:
    flat = value.detach().cpu().contiguous().view(-1)
    digest = hashlib.blake2b(f"{list(value.shape)} {value.dtype} ".encode(), digest_size=16)
    if flat.numel():
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.digest()


def _finite(value: Tensor) -> bool:
    """Whether all values are numbers, in one pass and without a mask: a NaN is both the least and the greatest."""
    if not value.is_floating_point() or value.is_meta or not value.numel():
        return True
    return all(bool(end.isfinite()) for end in torch.aminmax(value.detach()))
