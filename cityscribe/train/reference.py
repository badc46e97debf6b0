"""What the model said before the training: log-probabilities that objectives such as DPO count from.

    reference = reference_of(collator, model, dtype, out / "reference.parquet")

They are computed once, before the first step, with the model as it is given: every tuning method leaves what the base
says as it is at step zero, so that no second model is in memory at any time. A sample a row, they lie in
`reference.parquet`, with the digest of the weights that they come from, for the training and for other trainings of the
same base and samples (`train.objective.reference`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cityscribe.files import InputError, remove_folder, whole_file
from cityscribe.models.tuning.lora import is_adapter
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.train import processes
from cityscribe.train.collator import Collator, MicroBatch
from cityscribe.train.computed import Parts, SampleValues, compute_values
from cityscribe.train.groups import Group
from cityscribe.train.score import score
from cityscribe.train.tokenised import shown_files, shown_messages


def reference_of(
    collator: Collator,
    model: PreTrainedModel,
    dtype: torch.dtype,
    own: Path,
    given: Path | None = None,
    on_group: Progress | None = None,
) -> SampleValues:
    """The reference of a training: read from the file `given`, or from `own`, or computed and put there.

    Within `tree_backend`; all processes have to call it. Raises InputError where the file `given` is of other
    weights or lacks a sample.
    """
    digest, name, groups = weights_digest(model), str(model.name_or_path), collator.groups
    keys = sample_keys(collator)
    if given is not None:
        return _picked(given, keys, groups, name, digest)
    parts = own.with_name(own.name + ".parts")
    found: SampleValues | None = None
    if own.is_file():
        with contextlib.suppress(InputError):  # of samples or weights that were others: computed again
            found = _picked(own, keys, groups, name, digest)
    if found is None:
        known = Parts(
            parts,
            keys,
            lambda path, names, values: write_reference(path, names, values, name, digest),
            lambda path: read_reference(path, name, digest),
        )
        found = compute(collator, model, dtype, known, on_group)
        if processes.is_first():
            write_reference(own, keys, found, name, digest)
    processes.wait()
    if processes.is_first():
        remove_folder(parts)
    return found


def compute(
    collator: Collator,
    model: PreTrainedModel,
    dtype: torch.dtype,
    parts: Parts | None = None,
    on_group: Progress | None = None,
) -> SampleValues:
    """The log-probabilities of all trained tokens, [tokens] float64 of each sample. `parts` has some of them, and takes
    the others."""

    def logprobs(micro: MicroBatch) -> Tensor:
        return score(model, micro, collator.groups, collator.attention, dtype, bare=model).edges().double()

    return compute_values(collator, model, logprobs, parts, on_group)


def weights_digest(model: PreTrainedModel) -> str:
    """The digest of the weights that a model begins with, however it is to be tuned.

    It is of the set of its tensors, by shape and values. Adapters, and what is zero, say nothing at step zero, and an
    inserted block is a copy: they leave the digest as it is, and so does the type that the values are held in.
    """
    return hashlib.sha256("".join(sorted(set(_tensor_digests(model)))).encode()).hexdigest()


def _tensor_digests(model: PreTrainedModel) -> Iterator[str]:
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        if is_adapter(name) or not value.any():
            continue
        value = value.float() if value.is_floating_point() else value
        digest = hashlib.sha256(str(list(value.shape)).encode())
        digest.update(value.cpu().contiguous().numpy().data)
        yield digest.hexdigest()


def sample_keys(collator: Collator) -> list[list[str]]:
    """Of each group, of each of its samples: the digest of what is said in it and of the files that it shows."""

    @cache  # samples of a group show the same files
    def of_file(name: str) -> bytes:
        return hashlib.sha256((collator.image_root / name).read_bytes()).digest()

    def key(sample: Sample) -> str:
        said = json.dumps([dict(message) for message in shown_messages(sample, collator.settings)], sort_keys=True)
        digest = hashlib.sha256(said.encode())
        for name in shown_files(sample, collator.settings):
            digest.update(of_file(name))
        return digest.hexdigest()

    groups = collator.groups
    return [[key(sample) for sample in groups.samples_of(number)] for number in range(len(groups))]


def write_reference(path: Path, keys: Sequence[Sequence[str]], found: SampleValues, model: str, digest: str) -> None:
    """Write log-probabilities whole or not at all; equal ones give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {
        key: values for names, group in zip(keys, found, strict=True) for key, values in zip(names, group, strict=True)
    }
    schema = pa.schema(
        [("sample", pa.string()), ("logprobs", pa.list_(pa.float64()))], metadata={"model": model, "weights": digest}
    )
    table = pa.table({"sample": list(rows), "logprobs": list(rows.values())}, schema=schema)
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_reference(path: Path, model: str, digest: str) -> dict[str, np.ndarray]:
    """The log-probabilities in a file by sample. Raises InputError where it cannot be read or is of another model."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        rows = zip(table["sample"].to_pylist(), table["logprobs"].to_pylist(), strict=True)
        found = {key: np.array(values, dtype=np.float64) for key, values in rows}
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: no file of reference log-probabilities: {error}") from error
    metadata = table.schema.metadata or {}
    if metadata.get(b"weights", b"").decode() != digest:
        raise InputError(
            f"{path}: was computed with other weights ({metadata.get(b'model', b'?').decode()}) than the training "
            f"begins with ({model})"
        )
    return found


def _picked(
    path: Path, keys: Sequence[Sequence[str]], groups: Sequence[Group], model: str, digest: str
) -> SampleValues:
    found = read_reference(path, model, digest)
    for names, group in zip(keys, groups, strict=True):
        tokens = np.zeros(len(group.samples), dtype=np.int64)
        for forest, members in zip(group.forests, group.members, strict=True):
            tokens[list(members)] = np.bincount(forest.edge_branch, minlength=forest.branches)
        for key, sample, count in zip(names, group.samples, tokens, strict=True):
            if key not in found or len(found[key]) != count:
                raise InputError(
                    f"{path}: has no log-probabilities of {sample.name} as it is now (its words or images "
                    "have changed, or it was not among the samples)"
                )
    return [[found[key] for key in names] for names in keys]
