"""A training before its first step: its samples as groups of tokens, its model in place, and the check of both.

ready = get_ready(samples, image_root, model, processor, settings, tokens)
attention, error = ready.checked(model, processor)
store_reference(...)        the same for what an objective needs of the model before the training
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.parts import named_parts
from cityscribe.models.precision import resolve_dtype
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train import processes
from cityscribe.train.collator import Collator
from cityscribe.train.exact import check_rows, check_tree
from cityscribe.train.groups import Groups, plan_groups, sample_name
from cityscribe.train.objectives.contract import check_contract
from cityscribe.train.objectives.objective import SkippedSample
from cityscribe.train.objectives.supervised import Supervised
from cityscribe.train.reference import reference_of
from cityscribe.train.reporters import check_reporter
from cityscribe.train.settings import TrainSettings
from cityscribe.train.sharing import Sharing, resolve_sharing
from cityscribe.train.tree_attention import TreeAttention, tree_attention, tree_backend

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """What a training goes by, resolved."""

    settings: TrainSettings
    image_root: Path
    groups: Groups
    encoder: Encoder
    skipped: tuple[SkippedSample, ...]
    notes: tuple[str, ...]
    tokens: Path
    device: torch.device
    dtype: torch.dtype
    sharing: Sharing

    def checked(self, model: PreTrainedModel, processor: ProcessorMixin) -> tuple[TreeAttention | None, float]:
        """Who sees whom in a tree, None where each sample is a row of its own, and how far the samples as they are
        trained are from each alone. Raises InputError where that is more than rounding."""
        planned = [self.groups.samples_of(number) for number in range(len(self.groups))]
        if not self.settings.share_prefix:
            return None, self._rows_checked(model, planned, processor)
        longest = max(outline.longest for outline in self.groups.outlines)
        # Supervised training stays as it was to the last digit: results hang on it.
        prunes = not isinstance(self.settings.objective, Supervised)
        attention = tree_attention(model, self.device, longest, prunes=prunes)
        return attention, check_tree(model, attention, planned, self.image_root, processor, self.settings)

    def _rows_checked(
        self, model: PreTrainedModel, planned: Sequence[Sequence[Sample]], processor: ProcessorMixin
    ) -> float:
        """How far samples in rows of their own are from each alone. A model that sees the padding gets none."""
        try:
            return check_rows(model, planned, self.image_root, processor, self.settings)
        except InputError as reason:
            if any(len(unit) > 1 for number in range(len(self.groups)) for unit in self.groups[number].units):
                raise  # samples that an objective compares stand in one batch
            error = check_rows(model, planned, self.image_root, processor, self.settings, pads=False)
            log.warning("each sample is a batch of its own: %s", reason)
            self.encoder.pads = False
            return error


def get_ready(
    samples: Sequence[Sample],
    image_root: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: TrainSettings,
    tokens: Path,
    on_group: Progress | None = None,
) -> Ready:
    """Put the model in its place and tokenise the samples into the folder `tokens`.

    Raises InputError where nothing trains, a sample cannot be used, or processes cannot share the model.
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
    groups, too_long = plan_groups(samples, image_root, encoder, settings, on_group, arrangement.units, tokens)
    skipped = [*(SkippedSample(sample_name(samples[n]), 0, why) for n, why in arrangement.left_out), *too_long]
    _refuse_groups_without_a_gradient(groups, model)
    notes = _notes(groups)
    if processes.is_first():
        for note in notes:
            log.warning(note)
    return Ready(
        settings=settings,
        image_root=image_root,
        groups=groups,
        encoder=encoder,
        skipped=tuple(skipped),
        notes=notes,
        tokens=tokens,
        device=device,
        dtype=dtype,
        sharing=sharing,
    )


def store_reference(
    samples: Sequence[Sample],
    image_root: Path,
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: TrainSettings,
    out: Path,
    *,
    tokens: Path,
    on_group: Progress | None = None,
) -> None:
    """Write what the model says before the training to the file `out`, for `train` with the same arguments.

    All processes have to call this. What a killed call had computed is not computed again. Raises InputError as
    `train`.
    """
    ready = get_ready(samples, image_root, model, processor, settings, tokens, on_group)
    attention, _ = ready.checked(model, processor)
    collator = Collator(ready.groups, image_root, ready.encoder, settings, attention)
    with tree_backend(model, attention):
        reference_of(collator, model, ready.dtype, out, on_group=on_group)


def hold_in_float32(model: PreTrainedModel, *, everything: bool) -> None:
    """Turn parameters that train into float32, or all of them: steps of an optimizer are lost in the digits of bf16."""
    for parameter in model.parameters():
        if parameter.is_floating_point() and (everything or parameter.requires_grad):
            parameter.data = parameter.data.float()


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
