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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin, TrainingArguments

from cityscribe.files import InputError, read_json, remove_folder, write_json
from cityscribe.models.reward_head import add_reward_head
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.train import processes
from cityscribe.train.checkpoints import check_run, latest_checkpoint, load_weights, step_of
from cityscribe.train.collator import Collator
from cityscribe.train.gauge import Gauge, gauge_of
from cityscribe.train.kept_vision import vision_kept
from cityscribe.train.objectives.objective import SkippedSample, Taught
from cityscribe.train.objectives.pairs import PairObjective
from cityscribe.train.ready import Ready, get_ready
from cityscribe.train.reference import reference_of
from cityscribe.train.reporters import reporters
from cityscribe.train.sampler import GroupSampler
from cityscribe.train.settings import BEST, UNRELATED_TO_WEIGHTS, TrainSettings
from cityscribe.train.sharing import Sharing, give_back, sharing_arguments, twin
from cityscribe.train.teacher import Student, logits_width, store_teacher, taught_of
from cityscribe.train.trainer import TrainingProgress, TreeTrainer, cut_curve, looks_of, read_curve
from cityscribe.train.tree_attention import tree_backend
from cityscribe.train.validation import (
    BestWeights,
    Look,
    Validator,
    best_of,
    check_validation,
    ends_at,
)

log = logging.getLogger(__name__)

GAUGE = "gauge.json"
"""The file of how far the pairs of a training are from what its model would say."""

SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our names of the schedules and those of transformers."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did."""

    steps: int
    resumed_from: int  # the step of the checkpoint that it went on from, 0 for none
    groups: int
    samples: int
    skipped: tuple[SkippedSample, ...]
    distinct_tokens: int  # in one epoch, as computed
    effective_tokens: int  # in one epoch, of the samples one by one
    first_loss: float
    last_loss: float
    val_loss: float | None  # of the look whose weights the model has; None without looks, or where the last are later
    tree_error: float  # how far loss or gradient of samples, computed as in training, are from those of each alone
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
    progress: TrainingProgress | None = None,
    on_group: Progress | None = None,
    reference: Path | None = None,
    teacher: Path | None = None,
    tokens: Path | None = None,
    validation: Sequence[Sample] = (),
) -> TrainReport:
    """Train `model` on `samples`, whose images lie under `image_root`, and leave it in `eval` mode.

    `progress(step, steps, loss, distinct_per_s, effective_per_s)` is called after each step, with the tokens a second
    of all processes, and `on_group(done, groups)` while the samples are tokenised before the first. `reference` is the
    file of `store_reference` for an objective that needs one; without it, that is computed here and kept in `out`;
    `teacher` is that of `store_teacher` in the same way. `tokens` is the folder of what is tokenised, by default in
    `out`. `validation` are the samples that `settings.validation` looks at; it may end the training early. Parameters
    that train are held in float32, also where the model computes in bf16. Raises InputError where nothing trains, a
    sample cannot be used, the model cannot take trees, the loss is not finite, processes cannot share the model as they
    are to, or `out` holds checkpoints of another training.
    """
    check_validation(settings.validation, validation)
    if settings.objective.head == "reward":
        _prepare_reward_head(model, settings)
    ready = get_ready(samples, image_root, model, processor, settings, tokens or out / "tokens", on_group)
    identity = describe_run(samples, model, settings, seed)
    checkpoint = latest_checkpoint(out / "checkpoints")
    if checkpoint is not None:
        check_run(checkpoint, identity)
    run = _Run(
        settings=settings,
        out=out,
        seed=seed,
        steps=count_steps(len(ready.groups), settings),
        resumed_from=0 if checkpoint is None else step_of(checkpoint),
        identity=identity,
        device=ready.device,
        dtype=ready.dtype,
        sharing=ready.sharing,
        reference=settings.objective.reference_file or reference,
        teacher=teacher,
    )
    if processes.is_first():
        out.mkdir(parents=True, exist_ok=True)
        cut_curve(out / "curve.jsonl", run.resumed_from)

    attention, tree_error = ready.checked(model, processor)
    looks = _looks(out)
    if checkpoint is not None and run.resumed_from in (run.steps, ends_at(looks, settings.validation.patience)):
        load_weights(checkpoint, model)
    else:
        collator = Collator(ready.groups, image_root, ready.encoder, settings, attention)
        _update(run, model, collator, validation, checkpoint, progress, on_group)
    processes.wait()
    if settings.validation.keep == "best" and (best := best_of(_looks(out))):
        BestWeights(out / BEST).load(best.step, model)
    model.eval()
    if processes.is_first():
        remove_folder(ready.tokens)
    return _report(run, ready, tree_error)


def _prepare_reward_head(model: PreTrainedModel, settings: TrainSettings) -> None:
    """Give a model the head that the objective trains. Raises InputError for settings that do not go with one."""
    if settings.validation.every:
        raise InputError("train.validation.every: looks at what answers cost, which a reward model does not learn")
    add_reward_head(model)


def count_steps(groups: int, settings: TrainSettings) -> int:
    """How many updates a training has: `max_steps` where it is set, else as many as its epochs take."""
    if settings.max_steps:
        return settings.max_steps
    batches = math.ceil(groups / settings.batch_groups)
    return math.ceil(settings.epochs * math.ceil(batches / settings.accumulate))


def describe_run(
    samples: Sequence[Sample], model: PreTrainedModel, settings: TrainSettings, seed: int
) -> dict[str, object]:
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


@dataclass(frozen=True, slots=True)
class _Run:
    """What the updates of a training go by, resolved."""

    settings: TrainSettings
    out: Path
    seed: int
    steps: int
    resumed_from: int  # the step of a checkpoint, 0 for none
    identity: dict[str, object]  # see `describe_run`
    device: torch.device
    dtype: torch.dtype
    sharing: Sharing
    reference: Path | None  # a file of log-probabilities before the training; None computes them where they are needed
    teacher: Path | None  # a file of a teacher's outputs, likewise


def _update(
    run: _Run,
    model: PreTrainedModel,
    collator: Collator,
    validation: Sequence[Sample],
    checkpoint: Path | None,
    progress: TrainingProgress | None,
    on_group: Progress | None,
) -> None:
    """All updates of a training that are still to be done, those after `checkpoint`."""
    settings = run.settings
    if isinstance(settings.objective, Taught):
        _teach(run, settings.objective, model, collator, on_group)
    if checkpoint is not None and run.sharing == "deepspeed":
        raise InputError(
            f"{checkpoint}: DeepSpeed cannot go on from it; set train.distributed to fsdp2, or remove the folder"
        )
    kept = vision_kept(model) if run.sharing in ("alone", "ddp") else nullcontext()
    with tree_backend(model, collator.attention), _config_restored(model), kept:
        if settings.objective.needs_reference:
            collator.reference = reference_of(
                collator, model, run.dtype, run.out / "reference.parquet", run.reference, on_group
            )
            compares = isinstance(settings.objective, PairObjective)
            gauge = gauge_of(collator.groups, collator.reference) if compares else None
            if gauge is not None and processes.is_first():
                write_json(run.out / GAUGE, gauge.to_json())
                log.info(str(gauge))
        # Parameters that are shared out do not become whole again in the same model.
        working = twin(model) if run.sharing in ("fsdp2", "deepspeed") else model
        trainer = _trainer(run, working, collator, validation, progress)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if working is not model:
            give_back(working, model, run.sharing)
        trainer.accelerator.free_memory()  # it holds the optimizer, and lives in a cycle of references


def _teach(run: _Run, objective: Taught, model: PreTrainedModel, collator: Collator, on_group: Progress | None) -> None:
    """Give a collator what the teacher says of its samples, which is computed here where no file has it."""
    file = objective.outputs or run.teacher
    if file is None:
        file = run.out / "teacher.parquet"
        if objective.teacher and file.is_file():
            with suppress(InputError):  # of samples or a teacher that were others: computed again
                collator.outcomes, collator.taught = taught_of(file, collator, objective)
                return
        samples = [sample for number in range(len(collator.groups)) for sample in collator.groups.samples_of(number)]
        student = Student.of(collator.encoder.processor, logits_width(model))
        store_teacher(samples, collator.image_root, student, run.settings, file, on_group=on_group)
    collator.outcomes, collator.taught = taught_of(file, collator, objective)


def _trainer(
    run: _Run,
    model: PreTrainedModel,
    collator: Collator,
    validation: Sequence[Sample],
    progress: TrainingProgress | None,
) -> TreeTrainer:
    settings = run.settings
    validator = None
    if settings.validation.every:
        validator = Validator(
            validation,
            collator.image_root,
            collator.encoder,
            settings,
            model,
            run.device,
            run.dtype,
            shares_model=run.sharing in ("fsdp2", "deepspeed"),
        )
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
        validator=validator,
        looks=_looks(run.out),
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


def _looks(out: Path) -> list[Look]:
    """The looks of a training so far, as the first process has them."""
    curve = out / "curve.jsonl"
    return processes.from_all(looks_of(read_curve(curve)) if processes.is_first() and curve.is_file() else [])[0]


def _report(run: _Run, ready: Ready, tree_error: float) -> TrainReport:
    curve, groups = read_curve(run.out / "curve.jsonl"), ready.groups
    best = best_of(looks_of(curve)) if run.settings.validation.keep == "best" else None
    gauge = (str(Gauge(**read_json(run.out / GAUGE))),) if (run.out / GAUGE).is_file() else ()
    return TrainReport(
        steps=int(curve[-1]["step"]),
        resumed_from=run.resumed_from,
        groups=len(groups),
        samples=sum(len(outline.samples) for outline in groups.outlines),
        skipped=ready.skipped,
        distinct_tokens=sum(outline.length for outline in groups.outlines),
        effective_tokens=sum(outline.effective for outline in groups.outlines),
        first_loss=curve[0]["loss"],
        last_loss=curve[-1]["loss"],
        val_loss=best.loss if best is not None else curve[-1].get("val_loss"),
        tree_error=tree_error,
        notes=(*ready.notes, *gauge),
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


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
