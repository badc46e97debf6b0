"""Training on prefix trees; what it minimises, `train.objective` says.

    report = train(samples, image_root, model, processor, settings.train, run_dir / "training", seed=settings.seed)

Trains in place what requires a gradient, on the answers of the samples. Writes to its folder `curve.jsonl`, a line a
step, and `checkpoints/`, from which a run that was killed goes on by itself when it is started again. On one process
and a CPU it then ends with the same weights, bit for bit.

On several processes (see `cityscribe.train.processes`) all of them call `train` with the same arguments. They train the
same model as one process would, on the same groups in the same steps; only the rounding of sums differs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin, TrainingArguments

from cityscribe.files import InputError
from cityscribe.models.parts import named_parts
from cityscribe.models.precision import resolve_dtype
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train import processes
from cityscribe.train.checkpoints import check_run, latest_checkpoint, load_weights, step_of
from cityscribe.train.collator import Collator
from cityscribe.train.exact import check_tree
from cityscribe.train.groups import Groups, plan_groups, sample_name
from cityscribe.train.objectives.contract import check_contract
from cityscribe.train.objectives.objective import Skipped
from cityscribe.train.reference import reference_of
from cityscribe.train.reporters import check_reporter, reporters
from cityscribe.train.rules import attention_backend, tree_attention
from cityscribe.train.sampler import GroupSampler
from cityscribe.train.settings import UNRELATED_TO_WEIGHTS, TrainSettings
from cityscribe.train.sharing import Sharing, give_back, resolve_sharing, sharing_arguments, twin
from cityscribe.train.tokenised import remove_tokens
from cityscribe.train.trainer import Progress, TreeTrainer, cut_curve, read_curve

log = logging.getLogger(__name__)

SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our names of the schedules and those of transformers."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did."""

    steps: int
    resumed_from: int  # the step of the checkpoint that it went on from, 0 for none
    groups: int
    samples: int
    skipped: tuple[Skipped, ...]
    distinct_tokens: int  # in one epoch, as computed
    effective_tokens: int  # in one epoch, of the samples one by one
    first_loss: float
    last_loss: float
    tree_error: float | None  # how far loss or gradient of merged samples are from those of each alone, as a share
    notes: tuple[str, ...]


def train(
    samples: Sequence[Sample],
    image_root: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: TrainSettings,
    out: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    on_group: Callable[[int, int], None] | None = None,
) -> TrainReport:
    """Train `model` on `samples`, whose images lie under `image_root`, and leave it in `eval` mode.

    `progress(step, steps, loss, distinct_per_s, effective_per_s)` is called after each step, with the tokens a second
    of all processes, and `on_group(done, groups)` while the samples are tokenised before the first. Parameters that
    train are held in float32, also where the model computes in bf16. Raises InputError where nothing trains, a sample
    cannot be used, the model cannot take trees, the loss is not finite, processes cannot share the model as they are
    to, or `out` holds checkpoints of another training.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(f"{type(model).__name__}: nothing in it trains; choose a tuning method in model.method")
    sharing = resolve_sharing(settings)
    check_reporter(settings.report_to)
    dtype = resolve_dtype(settings.precision)
    device = processes.device()
    hold_in_float32(model, everything=dtype == torch.float32)
    model.to(device)  # type: ignore[arg-type]

    arrangement = settings.objective.arrange(samples)
    check_contract(settings.objective, [[samples[number] for number in unit] for unit in arrangement.units[:2]])
    encoder = Encoder(model, processor)
    groups, too_long = plan_groups(samples, image_root, encoder, settings, on_group, arrangement.units, out / "tokens")
    skipped = [*(Skipped(sample_name(samples[n]), 0, why) for n, why in arrangement.left_out), *too_long]
    _refuse_groups_without_a_gradient(groups, model)
    notes = _notes(groups)
    if processes.is_first():
        for note in notes:
            log.warning(note)
    identity = describe_run(samples, model, settings, seed)
    checkpoint = latest_checkpoint(out / "checkpoints")
    if checkpoint is not None:
        check_run(checkpoint, identity)
    run = _Run(
        settings=settings,
        out=out,
        seed=seed,
        steps=count_steps(len(groups), settings),
        resumed_from=0 if checkpoint is None else step_of(checkpoint),
        identity=identity,
        device=device,
        dtype=dtype,
        sharing=sharing,
    )
    if processes.is_first():
        out.mkdir(parents=True, exist_ok=True)
        cut_curve(out / "curve.jsonl", run.resumed_from)

    longest = max(outline.longest for outline in groups.outlines)
    attention = tree_attention(model, device, longest) if settings.share_prefix else None
    tree_error = None
    if attention is not None:
        planned = [groups.samples_of(number) for number in range(len(groups))]
        tree_error = check_tree(model, attention, planned, image_root, processor, settings)
    if checkpoint is not None and run.resumed_from == run.steps:
        load_weights(checkpoint, model)
    else:
        collator = Collator(groups, image_root, encoder, settings, attention)
        _update(run, model, collator, checkpoint, progress, on_group)
    processes.wait()
    model.eval()
    if processes.is_first():
        remove_tokens(out / "tokens")

    return _report(run, groups, skipped, tree_error, notes)


def count_steps(groups: int, settings: TrainSettings) -> int:
    """How many updates a training has: `max_steps` where it is set, else as many as its epochs take."""
    if settings.max_steps:
        return settings.max_steps
    batches = math.ceil(groups / settings.batch_groups)
    return math.ceil(settings.epochs * math.ceil(batches / settings.accumulate))


def describe_run(
    samples: Sequence[Sample], model: PreTrainedModel, settings: TrainSettings, seed: int
) -> dict[str, Any]:
    """What has to be the same for a checkpoint to be gone on from: settings, samples, and what trains."""
    trains = [(name, list(p.shape)) for name, p in model.named_parameters() if p.requires_grad]
    return {
        "seed": seed,
        "samples": _digest([asdict(sample) for sample in samples]),
        "parameters": _digest(trains),
        **{
            f"train.{name}": value
            for name, value in settings.model_dump(mode="json", exclude=set(UNRELATED_TO_WEIGHTS)).items()
        },
    }


def hold_in_float32(model: PreTrainedModel, *, everything: bool) -> None:
    """Turn parameters that train into float32, or all of them: steps of an optimizer are lost in the digits of bf16."""
    for parameter in model.parameters():
        if parameter.is_floating_point() and (everything or parameter.requires_grad):
            parameter.data = parameter.data.float()


@dataclass(frozen=True, slots=True)
class _Run:
    """What the updates of a training go by, resolved."""

    settings: TrainSettings
    out: Path
    seed: int
    steps: int
    resumed_from: int  # the step of a checkpoint, 0 for none
    identity: dict[str, Any]  # see `describe_run`
    device: torch.device
    dtype: torch.dtype
    sharing: Sharing


def _update(
    run: _Run,
    model: PreTrainedModel,
    collator: Collator,
    checkpoint: Path | None,
    progress: Progress | None,
    on_group: Callable[[int, int], None] | None,
) -> None:
    """All updates of a training that are still to be done, those after `checkpoint`."""
    settings, attention = run.settings, collator.attention
    if checkpoint is not None and run.sharing == "deepspeed":
        raise InputError(
            f"{checkpoint}: DeepSpeed cannot go on from it; set train.distributed to fsdp2, or remove the folder"
        )
    backend = attention_backend(model, attention.backend) if attention is not None else nullcontext()
    with backend, _config_restored(model):
        if settings.objective.needs_reference:
            file = run.out / "reference.parquet"
            collator.reference = reference_of(collator.groups, collator, model, attention, run.dtype, file, on_group)
        # Parameters that are shared out do not become whole again in the same model.
        working = twin(model) if run.sharing in ("fsdp2", "deepspeed") else model
        trainer = _trainer(run, working, collator, progress)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if working is not model:
            give_back(working, model, run.sharing)
        trainer.accelerator.free_memory()  # it holds the optimizer, and lives in a cycle of references


def _trainer(run: _Run, model: PreTrainedModel, collator: Collator, progress: Progress | None) -> TreeTrainer:
    settings = run.settings
    arguments = _arguments(run, model)
    sampler = GroupSampler(
        [outline.length for outline in collator.groups.outlines],
        settings.batch_groups,
        run.seed,
        batching=settings.batching,
        rank=processes.rank(),
        processes=processes.count(),
    )
    return TreeTrainer(
        model,
        arguments,
        collator,
        sampler,
        out=run.out,
        attention=collator.attention,
        dtype=run.dtype,
        sharing=run.sharing,
        lr_scales=settings.lr_scales,
        run=run.identity,
        keep=settings.keep_checkpoints,
        progress=progress,
        callbacks=reporters(settings.report_to, run.out, run.resumed_from),
    )


def _arguments(run: _Run, model: PreTrainedModel) -> TrainingArguments:
    settings = run.settings
    return TrainingArguments(
        output_dir=str(run.out),
        max_steps=run.steps,
        per_device_train_batch_size=settings.batch_groups,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.lr,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        warmup_steps=math.ceil(settings.warmup * run.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if settings.gradient_checkpointing else None,
        save_strategy="steps",
        save_steps=settings.save_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not finite is an error here, not something to leave out
        dataloader_num_workers=settings.workers,
        remove_unused_columns=False,
        report_to="none",  # see `reporters`, which are given as callbacks
        run_name=run.out.absolute().parent.name,
        disable_tqdm=True,
        use_cpu=run.device.type == "cpu" and run.sharing != "deepspeed",  # or it would be passed over
        seed=run.seed,
        **sharing_arguments(run.sharing, settings, model, run.dtype),
    )


def _report(
    run: _Run, groups: Groups, skipped: Sequence[Skipped], tree_error: float | None, notes: tuple[str, ...]
) -> TrainReport:
    curve = read_curve(run.out / "curve.jsonl")
    return TrainReport(
        steps=run.steps,
        resumed_from=run.resumed_from,
        groups=len(groups),
        samples=sum(len(outline.samples) for outline in groups.outlines),
        skipped=tuple(skipped),
        distinct_tokens=sum(outline.length for outline in groups.outlines),
        effective_tokens=sum(outline.effective for outline in groups.outlines),
        first_loss=curve[0]["loss"],
        last_loss=curve[-1]["loss"],
        tree_error=tree_error,
        notes=notes,
    )


@contextmanager
def _config_restored(model: PreTrainedModel) -> Iterator[None]:
    """Undo what the Trainer leaves in a model: `use_cache` in its configuration, which would be saved with it."""
    before = vars(model.config).get("use_cache")
    try:
        yield
    finally:
        if before is None:
            vars(model.config).pop("use_cache", None)
        else:
            model.config.use_cache = before
        if model.is_activation_checkpointing:
            model.activation_checkpointing_disable()


def _refuse_groups_without_a_gradient(groups: Groups, model: PreTrainedModel) -> None:
    """Raise InputError for a group that shows no image where only what reads images trains: nothing learns from it."""
    trains = {name for name, parameters in named_parts(model) if any(p.requires_grad for p in parameters)}
    if trains <= {"connector", "vision_tower"}:
        bare = [groups.samples_of(n)[0] for n, outline in enumerate(groups.outlines) if not outline.shows_media]
        if bare:
            raise InputError(
                f"{sample_name(bare[0])}: shows no image, and what trains ({', '.join(sorted(trains))}) learns from "
                f"images only ({len(bare)} of {len(groups)} groups); leave it out or choose another model.method"
            )


def _notes(groups: Groups) -> tuple[str, ...]:
    """What the user should know about the groups, once."""
    if any(outline.repeats_media for outline in groups.outlines):
        return (
            "some samples of the same images share nothing of them: the chat template (or the sample) puts text that "
            "differs before the images, so that each image is computed again for each of these samples",
        )
    return ()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
