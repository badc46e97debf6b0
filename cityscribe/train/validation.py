"""Looks at samples that are not trained on, while a training goes on: their loss, the best weights, when to end.

A look takes nothing from the training: no random number, no gradient. What it finds stands in `curve.jsonl` as
`val_loss`, the mean over answer tokens in nats, and what follows from it (which weights are the best, whether the
training ends) is read from there, so that a training that was killed goes on as one that was not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from cityscribe.files import InputError, naming
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train import processes
from cityscribe.train.checkpoints import changing
from cityscribe.train.collator import Collator
from cityscribe.train.groups import plan_groups
from cityscribe.train.objectives.supervised import Supervised
from cityscribe.train.score import summed_loss
from cityscribe.train.settings import TrainSettings, ValidationSettings
from cityscribe.train.tree_attention import TreeAttention, tree_attention, tree_backend

NAME = re.compile(r"(\d+)\.safetensors")


@dataclass(frozen=True, slots=True)
class Look:
    """The loss on samples that are not trained on after a step."""

    step: int
    loss: float


def best_of(looks: Sequence[Look]) -> Look | None:
    """The look with the lowest loss, the first of several."""
    return min(looks, key=lambda look: look.loss, default=None)


def ends_at(looks: Sequence[Look], patience: int) -> int | None:
    """The step after which `patience` looks in a row have not been better than the best before; None if there is none,
    and where `patience` is 0."""
    best = float("inf")
    since = 0
    for look in looks:
        since = 0 if look.loss < best else since + 1
        best = min(best, look.loss)
        if patience and since == patience:
            return look.step
    return None


class Validator:
    """Looks at some image groups of `samples`, spread evenly over them.

    Each process computes a share of the groups, or all of them where processes share the model and have to compute the
    same. Raises InputError where none is left that can be looked at.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        image_root: Path,
        encoder: Encoder,
        settings: TrainSettings,
        model: PreTrainedModel,
        device: torch.device,
        dtype: torch.dtype,
        *,
        shares_model: bool,
    ) -> None:
        # Trained answers of any objective are likely ones; how likely is what a look asks.
        own = settings.model_copy(update={"objective": Supervised(), "too_long": "skip"})
        groups, _ = plan_groups(spread(samples, settings.validation.groups), image_root, encoder, own)
        if not len(groups):
            raise InputError("train.validation: val has no sample that can be looked at; set validation.every to 0")
        self._attention: TreeAttention | None = None
        if settings.share_prefix:
            longest = max(outline.longest for outline in groups.outlines)
            self._attention = tree_attention(model, device, longest)
        self._collator = Collator(groups, image_root, encoder, own, self._attention)
        self._model, self._device, self._dtype = model, device, dtype
        ranks = (0, 1) if shares_model else (processes.rank(), processes.count())
        self._mine = range(ranks[0], len(groups), ranks[1])

    @torch.no_grad()
    def loss(self) -> float:
        """The mean loss of an answer token, in nats. All processes have to call this."""
        model, attention = self._model, self._attention
        total, tokens = 0.0, 0.0
        training = model.training
        model.eval()
        try:
            with tree_backend(model, attention):
                for number in self._mine:
                    batch = self._collator([number])
                    for micro in batch.micro_batches:
                        loss = summed_loss(
                            Supervised(),
                            model,
                            micro.to(self._device),
                            self._collator.groups,
                            attention,
                            self._dtype,
                            bare=model,
                        )
                        total += float(loss)
                    tokens += batch.denominator
        finally:
            model.train(training)
        everywhere = processes.from_all((total, tokens))
        return sum(each for each, _ in everywhere) / sum(each for _, each in everywhere)


class BestWeights:
    """The weights of the best looks, in a folder: as many as a training that goes on from any of its checkpoints can
    come to need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, model: torch.nn.Module) -> None:
        """Store what trains. All processes have to call this."""
        tensors = {name: processes.whole(value).cpu().contiguous() for name, value in changing(model).items()}
        if not processes.is_first():
            return
        partial = self.folder / f"{step}.safetensors.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with naming(self._file(step)):
                save_file(tensors, partial)
                os.replace(partial, self._file(step))
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise InputError(f"{self._file(step)}: cannot be written: {error}") from error

    def prune(self, looks: Sequence[Look], checkpoints: Sequence[int]) -> None:
        """Remove all but the best look, and the best one before each checkpoint. For the first process."""
        needed = {best.step for best in (best_of(looks), *(_best_until(looks, step) for step in checkpoints)) if best}
        for path in self.folder.glob("*.safetensors"):
            if (name := NAME.fullmatch(path.name)) and int(name[1]) not in needed:
                path.unlink()

    def load(self, step: int, model: torch.nn.Module) -> None:
        """Put the weights of a look in the place of those that train. Raises InputError where they cannot be read."""
        file = self._file(step)
        try:
            stored = load_file(file)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{file}: cannot be read: {error}; remove {file.parent.parent} to train anew") from error
        targets = changing(model)
        if stored.keys() != targets.keys():
            raise InputError(f"{file}: holds the weights of another model, or of another choice of what trains")
        for name, value in stored.items():
            targets[name].copy_(value)

    def _file(self, step: int) -> Path:
        return self.folder / f"{step}.safetensors"


def spread(samples: Sequence[Sample], groups: int) -> list[Sample]:
    """The samples of so many groups, spread evenly over all, in their order."""
    names = list(dict.fromkeys(sample.group for sample in samples))
    count = min(groups, len(names))
    chosen = {names[number * len(names) // count] for number in range(count)}
    return [sample for sample in samples if sample.group in chosen]


def check_validation(settings: ValidationSettings, samples: Sequence[Sample]) -> None:
    """Raises InputError where looks are wanted and there is nothing to look at, or needed and there are none."""
    if not settings.every and (settings.keep == "best" or settings.patience):
        raise InputError("train.validation: keep: best and patience go by looks at val; set train.validation.every")
    if settings.every and not samples:
        raise InputError("train.validation.every: there are no samples of val to look at; set it to 0")


def _best_until(looks: Sequence[Look], step: int) -> Look | None:
    return best_of([look for look in looks if look.step <= step])
