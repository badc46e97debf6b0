"""What a teacher says at the trained tokens: computed once on the trees of its own tokens, and stored.

    student = Student.of(processor, logits_width(model))
    store_teacher(samples, image_root, student, settings, out / "teacher.parquet")
    outcomes, taught = taught_of(out / "teacher.parquet", collator, settings.objective)

The teacher reads each sample with its own processor, so that its images may take another number of tokens; what it says
is kept sample by sample, and so it does not matter how the student's tokens are laid out. The file names the weights
that it comes from. The tokenizers have to be the same: a token has to mean the same to both. The widths of their logits
need not be, since some families pad them; both are cut to the smaller one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError, remove_folder, whole_file
from cityscribe.models.load import load_config, load_model, load_processor, resolve_base
from cityscribe.models.precision import resolve_dtype
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train import processes
from cityscribe.train.collator import Collator, MicroBatch
from cityscribe.train.computed import Parts, SampleValues, compute_values
from cityscribe.train.events import (
    Outcomes,
    TaughtTokens,
    likeliest,
    outcome_logprobs,
    packed_values,
    side_by_side,
    taught_tokens,
)
from cityscribe.train.groups import Group, plan_groups
from cityscribe.train.objectives.objective import Taught
from cityscribe.train.reference import sample_keys
from cityscribe.train.score import of_targets, token_logprobs
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import TreeAttention, tree_attention, tree_backend

LONGEST = 16_384
"""Tokens of the longest sample of a teacher, and of a row of its trees."""


@dataclass(frozen=True, slots=True)
class Student:
    """What a teacher's outputs have to fit."""

    vocabulary: dict[str, int]  # of its tokenizer, without added tokens
    width: int  # of its logits

    @classmethod
    def of(cls, processor: ProcessorMixin, width: int) -> Student:
        return cls(_vocabulary(processor), width)


def check_teacher(objective: Taught) -> None:
    """Raises InputError where an objective names neither a teacher nor a file of its outputs."""
    if not objective.teacher and objective.outputs is None:
        raise InputError(f"train.objective.teacher: missing; objective {objective.name} needs a model to learn from")


def store_teacher(
    samples: Sequence[Sample],
    image_root: Path,
    student: Student,
    settings: TrainSettings,
    out: Path,
    *,
    on_group: Progress | None = None,
) -> None:
    """Write what the teacher of `settings.objective` says of the samples to the file `out`.

    All processes have to call this. What a killed call had computed is not computed again. Raises InputError for a
    teacher that cannot be loaded, has another tokenizer, or does not say the same twice.
    """
    objective = _taught(settings)
    check_teacher(objective)
    place = resolve_base(objective.teacher)
    processor = load_processor(place)
    if _vocabulary(processor) != student.vocabulary:
        raise InputError(
            f"train.objective.teacher {objective.teacher}: has another tokenizer than the student, so that the shares "
            "of its tokens mean nothing to it; let it answer instead, and train on its answers"
        )
    dtype = resolve_dtype(settings.precision)
    model = load_model(place, dtype=dtype)
    model.to(processes.device())  # type: ignore[arg-type]
    outcomes = outcomes_of(objective, min(student.width, logits_width(model)))
    collator, attention = _collator(samples, image_root, model, processor, settings, on_group)
    keys = sample_keys(collator)
    identity = teacher_identity(place)

    def write(path: Path, names: Sequence[Sequence[str]], values: SampleValues) -> None:
        write_taught(path, names, values, outcomes, identity)

    def read(path: Path) -> dict[str, np.ndarray]:
        return {key: side_by_side(each) for key, each in read_taught(path, outcomes, identity).items()}

    parts = out.with_name(out.name + ".parts")
    with tree_backend(model, attention):
        values = _values(model, collator, outcomes, dtype)
        _check_deterministic(collator, values, model, objective.teacher)
        found = compute_values(collator, model, values, Parts(parts, keys, write, read), on_group)
    if processes.is_first():
        write(out, keys, found)
        remove_folder(parts)
    processes.wait()


def taught_of(path: Path, collator: Collator, objective: Taught) -> tuple[Outcomes, list[list[TaughtTokens]]]:
    """What a file of outputs says of the samples of a training, group by group.

    Raises InputError where it is no such file, was computed by another teacher than the objective names or in another
    way, or lacks a sample as it is now.
    """
    width, identity = _metadata(path)
    if objective.teacher and teacher_identity(resolve_base(objective.teacher)) != identity:
        raise InputError(f"{path}: was computed by another teacher than {objective.teacher} as it is now")
    outcomes = outcomes_of(objective, width)
    stored = read_taught(path, outcomes, identity)
    found = []
    for keys, group in zip(sample_keys(collator), collator.groups, strict=True):
        part = []
        for key, sample, own in zip(keys, group.samples, trained_tokens(group), strict=True):
            if key not in stored:
                raise InputError(
                    f"{path}: has no outputs for {sample.name} as it is now (its words or images have changed, it was "
                    "not among the samples, or it was too long for the teacher)"
                )
            taught = stored[key]
            if not np.array_equal(taught.tokens, own):
                raise InputError(
                    f"{path}: {sample.name}: the teacher was asked for other tokens than the student learns; their "
                    "tokenizers or chat templates end answers in different ways"
                )
            part.append(taught)
        found.append(part)
    return outcomes, found


def outcomes_of(objective: Taught, width: int) -> Outcomes:
    return Outcomes(objective.likeliest, objective.temperature, width)


def trained_tokens(group: Group) -> list[np.ndarray]:
    """The trained tokens of each sample of a group, [tokens]."""
    found: dict[int, np.ndarray] = {}
    for forest, members in zip(group.forests, group.members, strict=True):
        ids = forest.input_ids[forest.edge_token]
        found |= {member: ids[forest.edge_branch == branch] for branch, member in enumerate(members)}
    return [found[place] for place in range(len(group.samples))]


def teacher_identity(place: str) -> str:
    """What tells a teacher: the digest of the files of its folder, or its hub id."""
    folder = Path(place)
    if not folder.is_dir():
        return f"hub {place}"
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".safetensors", ".json", ".jinja", ".model"):
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _collator(
    samples: Sequence[Sample],
    image_root: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: TrainSettings,
    on_group: Progress | None,
) -> tuple[Collator, TreeAttention | None]:
    """The samples of a training as the teacher reads them."""
    own = settings.model_copy(update={"max_tokens": LONGEST, "budget_tokens": LONGEST, "too_long": "skip"})
    encoder = Encoder(model, processor)
    units = settings.objective.arrange(samples).units
    groups, _ = plan_groups(samples, image_root, encoder, own, on_group, units)
    attention: TreeAttention | None = None
    if own.share_prefix:
        attention = tree_attention(model, model.device, max(outline.longest for outline in groups.outlines))
    return Collator(groups, image_root, encoder, own, attention), attention


def _values(model: PreTrainedModel, collator: Collator, outcomes: Outcomes, dtype: torch.dtype) -> Any:
    """What is computed of each micro-batch: `packed_values` of its trained tokens."""

    def values(micro: MicroBatch) -> Tensor:
        def said(logits: Tensor, targets: slice) -> Tensor:
            ids, tokens = likeliest(logits, outcomes), micro.rows.target[targets]
            own = token_logprobs(logits, tokens)[:, 0]
            return packed_values(tokens, own, ids, outcome_logprobs(logits, ids, outcomes))

        found = of_targets(model, micro, collator.attention, dtype, said, bare=model)
        return found.index_select(0, micro.rows.edge_target)

    return values


@torch.no_grad()
def _check_deterministic(collator: Collator, values: Any, model: PreTrainedModel, name: str) -> None:
    """Raises InputError for a teacher that says something else when it is asked again: what is stored would depend on
    chance."""
    training = model.training
    model.eval()
    micro = collator([0]).micro_batches[0].to(model.device)
    first, second = values(micro), values(micro)
    model.train(training)
    if not torch.equal(first, second):
        raise InputError(f"train.objective.teacher {name}: says something else when it is asked the same again")
    if not bool(torch.isfinite(first).all()):
        raise InputError(f"train.objective.teacher {name}: its logits are not finite numbers")


def _taught(settings: TrainSettings) -> Taught:
    if not isinstance(settings.objective, Taught):
        raise InputError(f"train.objective {settings.objective.name}: learns from no teacher")
    return settings.objective


def _vocabulary(processor: ProcessorMixin) -> dict[str, int]:
    tokenizer = processor.tokenizer
    added = set(tokenizer.get_added_vocab())
    return {token: number for token, number in tokenizer.get_vocab().items() if token not in added}


def logits_width(model: PreTrainedModel) -> int:
    """How many logits a model gives."""
    head: Any = model.get_output_embeddings()
    return int(head.weight.shape[0]) if head is not None else int(model.config.get_text_config().vocab_size)


def configured_width(base: str) -> int:
    """The same of a folder or hub id, by its configuration."""
    return int(load_config(base).get_text_config().vocab_size)


def write_taught(
    path: Path, keys: Sequence[Sequence[str]], found: SampleValues, outcomes: Outcomes, identity: str
) -> None:
    """Write outputs whole or not at all; equal ones give equal bytes. Log-probabilities are kept in float32."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {name: [] for name in ("sample", "tokens", "own", "ids", "logprobs")}
    for names, group in zip(keys, found, strict=True):
        for key, values in zip(names, group, strict=True):
            taught = taught_tokens(values, outcomes)
            rows["sample"].append(key)
            rows["tokens"].append(taught.tokens)
            rows["own"].append(taught.own.astype(np.float32))
            rows["ids"].append(np.empty(0, dtype=np.int64) if taught.ids is None else taught.ids.reshape(-1))
            rows["logprobs"].append(taught.logprobs.astype(np.float32).reshape(-1))
    described = {
        "teacher": identity,
        "outcomes": json.dumps([outcomes.likeliest, outcomes.temperature, outcomes.width]),
    }
    schema = pa.schema(
        [
            ("sample", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("own", pa.list_(pa.float32())),
            ("ids", pa.list_(pa.int32())),
            ("logprobs", pa.list_(pa.float32())),
        ],
        metadata=described,
    )
    with whole_file(path) as partial:
        pq.write_table(pa.table(rows, schema=schema), partial, compression="zstd")


def read_taught(path: Path, outcomes: Outcomes, identity: str) -> dict[str, TaughtTokens]:
    """The outputs in a file by sample. Raises InputError where it cannot be read, or was computed by another teacher or
    in another way."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _, teacher = _metadata(path)
    try:
        table = pq.read_table(path)
        stored = Outcomes(*json.loads(table.schema.metadata[b"outcomes"]))
        keys = table["sample"].to_pylist()
        tokens, own, ids, logprobs = (_lists(table[name]) for name in ("tokens", "own", "ids", "logprobs"))
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no file of a teacher's outputs: {error}") from error
    if teacher != identity:
        raise InputError(f"{path}: was computed by another teacher")
    if stored != outcomes:
        raise InputError(
            f"{path}: was computed with likeliest {stored.likeliest} and temperature {stored.temperature:g}, the "
            f"training has {outcomes.likeliest} and {outcomes.temperature:g}"
        )
    return {
        key: TaughtTokens(
            spoken.astype(np.int64),
            likely,
            None if outcomes.whole else near.reshape(len(spoken), -1).astype(np.int64),
            said.reshape(len(spoken), -1),
        )
        for key, spoken, likely, near, said in zip(keys, tokens, own, ids, logprobs, strict=True)
    }


def _lists(column: Any) -> list[np.ndarray]:
    """The entries of a column of lists, without an object for each number."""
    return [
        values
        for chunk in column.chunks
        for values in np.split(chunk.flatten().to_numpy(), (chunk.offsets.to_numpy() - chunk.offsets[0].as_py())[1:-1])
        if len(chunk)
    ]


def _metadata(path: Path) -> tuple[int, str]:
    """The width and the teacher's identity that a file of outputs names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata
        return int(json.loads(metadata[b"outcomes"])[2]), metadata[b"teacher"].decode()
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path}: no file of a teacher's outputs: {error}") from error
