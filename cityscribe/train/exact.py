"""One forward pass over trees, and the check that it gives what the samples give alone.

Several ways to get a tree wrong are silent: a position counted differently, an attention that takes its mask for
something else, features that are taken from another sample. So every run compares its own model on its own samples
before it trains: loss and gradient of a few of them, merged, against each encoded and computed alone, as `forward` and
`generate` would get it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.inputs import only_kept
from cityscribe.models.last_layer import last_layer_at
from cityscribe.models.precision import in_float32, without_dropout
from cityscribe.models.recurrent import forking
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.tokens.features import handed_out
from cityscribe.train.collator import Collator, MicroBatch, Single, lay_out_singles
from cityscribe.train.forks import cut_in_two
from cityscribe.train.groups import last_run, plan_groups
from cityscribe.train.kept_vision import showing
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import Teacher
from cityscribe.train.tree_attention import TreeAttention, attention_backend
from cityscribe.tree import Branch, build_forest, target_logprobs, weigh

log = logging.getLogger(__name__)

CHECKED_SAMPLES = 4
"""How many samples of a group are compared."""

LOSS_ROUNDING, GRADIENT_ROUNDING = 1e-6, 1e-5
"""How far loss and gradient of two ways to compute the same may differ in float32, as shares of what they are."""

MOST_ROUNDING = 5e-4
"""What a model that rounds more than that is allowed in float32, by as much as it is seen to round: far less than an
error of one hundredth in one of the compared samples."""

MOST_ROUNDING_BF16 = 5e-2
"""The same where there is no room for the model in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Loss and gradient of some samples."""

    loss: float
    gradient: list[Tensor | None]  # of each parameter that trains

    def difference(self, other: Measured) -> tuple[float, float]:
        """How far another one is from this one, as shares: in its loss, and in its gradient."""
        apart = whole = 0.0
        for mine, its in zip(self.gradient, other.gradient, strict=True):
            apart += _square(its if mine is None else mine if its is None else mine - its)
            whole += _square(mine)
        loss = abs(self.loss - other.loss) / max(abs(self.loss), 1.0)
        return loss, (apart / whole) ** 0.5 if whole else apart**0.5


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A sample that was encoded by itself."""

    encoded: Encoded
    weights: np.ndarray  # [length], of its tokens in the loss

    def loss(self, model: PreTrainedModel, **more: object) -> Tensor:
        """Its summed loss, by the model's own `forward` on what the processor gave for it, unpadded."""
        inputs = {**self.encoded.tensors(), **self.encoded.media_inputs}
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        ids = inputs["input_ids"]
        trained = torch.from_numpy(np.flatnonzero(self.weights)).to(model.device)
        keep = torch.zeros_like(ids, dtype=torch.bool)
        keep[0, trained - 1] = True
        mask = torch.ones_like(ids)
        logits = model(**inputs, attention_mask=mask, logits_to_keep=keep, use_cache=False, **more).logits
        logprobs = only_kept(logits, keep).float().log_softmax(dim=-1).gather(1, ids[0, trained, None])[:, 0]
        weights = torch.from_numpy(self.weights).to(model.device)[trained]
        return -(logprobs.double() * weights).sum()


def kept_logits(model: nn.Module, micro: MicroBatch, attention: TreeAttention | None) -> Tensor:
    """The logits that predict targets, [kept, vocabulary]. `attention` is needed for trees, not for samples alone."""
    inputs: dict[str, object] = {**micro.image_inputs}
    if micro.alone is not None:
        inputs |= micro.alone
    elif attention is not None:
        inputs |= attention.inputs(micro.rows)
    else:
        raise ValueError("a tree cannot be computed without saying who sees whom in it")
    keep = micro.rows.keep
    prunes = attention is not None and attention.prunes and micro.alone is None
    with (
        handed_out(model, micro.copies, micro.video_frames),
        showing(model, micro.keys if prunes else ()),
        last_layer_at(model, keep) if prunes and isinstance(model, PreTrainedModel) else nullcontext(),
    ):
        return only_kept(
            model(input_ids=micro.rows.input_ids, logits_to_keep=keep, use_cache=False, **inputs).logits, keep
        )


def check_tree(
    model: PreTrainedModel,
    attention: TreeAttention,
    groups: Sequence[Sequence[Sample]],
    image_root: Path,
    processor: ProcessorMixin,
    settings: TrainSettings,
) -> float:
    """Compare loss and gradient of a few samples, merged and with another tree in their row, to those of each alone.

    Takes the first group of more than one sample, if there is one, and the first sample of another as its neighbour.
    In training mode without dropout, and in float32 where there is room for the model in it. The model has to be on its
    device. Returns the larger difference as a share; raises InputError with it where it is more than rounding.
    """
    parts = _compared(groups)
    singles = _alone(parts, model, processor, image_root, settings)
    with _named(model, "cannot lay out samples in a tree", "set train.share_prefix to false"):
        row = _merged(model, attention, [sample for part in parts for sample in part], image_root, processor, settings)
    with _named(model, "cannot compute a sample alone", "its weights, its configuration and its processor do not fit"):
        return _sharply(model, lambda most: _compare(model, attention, row, singles, most), "prefix sharing")


def check_rows(
    model: PreTrainedModel,
    groups: Sequence[Sequence[Sample]],
    image_root: Path,
    processor: ProcessorMixin,
    settings: TrainSettings,
    *,
    pads: bool = True,
) -> float:
    """Compare loss and gradient of the same samples as rows of a padded batch, each a sample, to those of each alone.

    What `check_tree` is where nothing is shared: it finds a model that sees the padding or the row beside; with
    `pads=False` each row is a batch of its own. Returns and raises as `check_tree`.
    """
    parts = _compared(groups)
    singles = _alone(parts, model, processor, image_root, settings)
    samples = [sample for part in parts for sample in part]
    with _named(model, "cannot compute samples as rows", "it cannot be trained with these samples"):
        batches = _rows(samples, model, image_root, processor, settings, pads)
        return _sharply(model, lambda most: _compare_rows(model, batches, singles, most, pads), "rows")


@contextmanager
def _named(model: PreTrainedModel, what: str, instead: str) -> Iterator[None]:
    """Turn whatever foreign code makes of what it is not made for into one line."""
    try:
        yield
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(f"{type(model).__name__}: {what}: {reason}; {instead}") from error


def _sharply(model: PreTrainedModel, compare: Callable[[float], float], what: str) -> float:
    """`compare`, with the most that rounding may explain, in float32 where there is room, else in bf16."""
    try:
        with without_dropout(model), in_float32(model):
            return compare(MOST_ROUNDING)
    except torch.OutOfMemoryError:
        log.warning(f"the check of {what} has no room for the model in float32, and sees errors less sharply")
    with without_dropout(model), torch.autocast(model.device.type, torch.bfloat16):
        return compare(MOST_ROUNDING_BF16)


def _compared(groups: Sequence[Sequence[Sample]]) -> list[Sequence[Sample]]:
    """The samples that are compared: some of the first group of several, and the first of another group."""
    shown = max(groups, key=lambda group: min(len(group), 2))
    beside = next((group for group in groups if group is not shown), shown)
    return [shown[:CHECKED_SAMPLES], *([beside[:1]] if beside is not shown else [])]


def _compare_rows(
    model: PreTrainedModel, batches: Sequence[MicroBatch], singles: Sequence[Alone], most: float, pads: bool
) -> float:
    total = float(sum(single.weights.sum() for single in singles))
    expected = _measure(model, (single.loss(model) / total for single in singles))
    if not math.isfinite(expected.loss):
        return math.nan  # there is nothing to compare with; the first step says so, with its samples
    together = _measure(model, (_loss(model, micro, None) / total for micro in batches))

    def twice() -> Measured:  # another size of the batch, without any padding
        return _measure(model, (_loss(model, _padded([single, single]), None) / (2 * total) for single in singles))

    return _within_rounding(
        expected,
        together,
        twice,
        most,
        f"{type(model).__name__}: {'a batch with padding' if pads else 'a row of its own'}",
        "lower train.budget_tokens until each sample is a batch of its own"
        if pads
        else "it cannot be trained with them",
    )


def _rows(
    samples: Sequence[Sample],
    model: PreTrainedModel,
    image_root: Path,
    processor: ProcessorMixin,
    settings: TrainSettings,
    pads: bool,
) -> list[MicroBatch]:
    """Samples as they will be trained where nothing is shared: as many rows in a batch as the budget allows, or one."""
    rows = settings.model_copy(update={"too_long": "skip"})
    encoder = Encoder(model, processor)
    encoder.pads = pads
    groups, _ = plan_groups(samples, image_root, encoder, rows)
    return Collator(groups, image_root, encoder, rows, None)(range(len(groups))).micro_batches


def _compare(
    model: PreTrainedModel,
    attention: TreeAttention,
    row: MicroBatch,
    singles: Sequence[Alone],
    most: float,
) -> float:
    total = float(sum(single.weights.sum() for single in singles))
    expected = _measure(model, (single.loss(model) / total for single in singles))
    with (
        attention_backend(model, attention.backend),
        _named(model, "cannot be told who sees whom in a tree", "set train.share_prefix to false"),
    ):
        together = _measure(model, (_loss(model, micro, attention) / total for micro in [row]))

    def otherwise() -> Measured:
        if not attention.forks:
            return _measure(model, (_loss(model, micro, None) / total for micro in [_padded(singles)]))
        # Layers with a state sum chunk by chunk: cut elsewhere, their chunks begin at other tokens.
        with forking(model):
            cuts = [cut_in_two(single.encoded.length) for single in singles]
            return _measure(
                model, (single.loss(model, forked=cut) / total for single, cut in zip(singles, cuts, strict=True))
            )

    return _within_rounding(
        expected,
        together,
        otherwise,
        most,
        f"{type(model).__name__}: computing what samples share once",
        "set train.share_prefix to false",
    )


def _within_rounding(
    expected: Measured, found: Measured, rounded: Callable[[], Measured], most: float, what: str, instead: str
) -> float:
    """The larger difference of loss and gradient as a share; raises InputError where it is more than rounding.

    How much a model rounds that rounds more than most is what `rounded` finds: the same, computed in another way that
    changes nothing but the order of sums. It explains up to four times its own difference, and `most`.
    """
    loss, gradient = expected.difference(found)
    if loss <= LOSS_ROUNDING and gradient <= GRADIENT_ROUNDING:
        return max(loss, gradient)
    rounds = [min(4 * value, most) for value in expected.difference(rounded())]
    explained = max(LOSS_ROUNDING, rounds[0]), max(GRADIENT_ROUNDING, rounds[1])
    if loss <= explained[0] and gradient <= explained[1]:
        return max(loss, gradient)
    raise InputError(
        f"{what} changes its loss by {loss:.2g} and its gradient by {gradient:.2g} of what they are (rounding explains "
        f"{explained[0]:.2g} and {explained[1]:.2g}): it would learn something else than from the samples one by one; "
        f"{instead}"
    )


def _alone(
    parts: Sequence[Sequence[Sample]],
    model: PreTrainedModel,
    processor: ProcessorMixin,
    root: Path,
    settings: TrainSettings,
) -> list[Alone]:
    """The samples of some groups by themselves, each by an encoder that has seen no other, and their weights."""
    singles = []
    for part in parts:
        encoded = [next(Teacher(Encoder(model, processor), root, settings)([sample])) for sample in part]
        weights = _weights(encoded, settings)
        singles += [Alone(each, share) for each, share in zip(encoded, weights, strict=True)]
    return singles


def _merged(
    model: PreTrainedModel,
    attention: TreeAttention,
    samples: Sequence[Sample],
    image_root: Path,
    processor: ProcessorMixin,
    settings: TrainSettings,
) -> MicroBatch:
    """The same samples as they will be trained: their trees in one row."""
    whole = settings.model_copy(update={"budget_tokens": 2**31, "too_long": "skip", "share_prefix": True})
    encoder = Encoder(model, processor)
    trees, _ = plan_groups(samples, image_root, encoder, whole)
    return Collator(trees, image_root, encoder, whole, attention).in_one_row(range(len(trees)), attention)


def _padded(singles: Sequence[Alone]) -> MicroBatch:
    """The samples as rows of one batch."""
    rows = []
    for single in singles:
        encoded = single.encoded
        forest = build_forest([Branch(encoded.input_ids, encoded.position_ids, single.weights, encoded.media_ids)])
        rows.append(Single(forest, encoded.token_inputs, [item.inputs for item in encoded.media]))
    return lay_out_singles(rows)


def _weights(alone: Sequence[Encoded], settings: TrainSettings) -> list[np.ndarray]:
    """What each token of each sample of a group weighs in the loss, [length] each."""
    trained = [each.trained for each in alone]
    if settings.objective.answers == "last":
        trained = [last_run(places) for places in trained]
    return weigh(trained, settings.weighting)


def _loss(model: PreTrainedModel, micro: MicroBatch, attention: TreeAttention | None) -> Tensor:
    """The summed loss of a micro-batch."""
    micro = micro.to(model.device)
    logprobs = target_logprobs(kept_logits(model, micro, attention), micro.rows)
    return -(logprobs.double() * micro.rows.weights).sum()


def _measure(model: PreTrainedModel, losses: Iterable[Tensor]) -> Measured:
    """The sum of losses and its gradient; one loss is computed at a time."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total = 0.0
    gradient: list[Tensor | None] = [None] * len(parameters)
    for loss in losses:
        total += float(loss.detach())
        if not loss.requires_grad:
            continue
        for n, new in enumerate(torch.autograd.grad(loss, parameters, allow_unused=True)):
            before = gradient[n]
            gradient[n] = new if before is None else before if new is None else before + new
    return Measured(total, gradient)


def _square(value: Tensor | None) -> float:
    return 0.0 if value is None else float(value.double().square().sum())
