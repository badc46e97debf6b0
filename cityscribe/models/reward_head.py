"""A head that gives one number for an answer, on any model that writes: what a reward model is.

    add_reward_head(model)      # zeros: all answers are worth the same before the training
    with scoring(model): ...    # the head stands where that of the vocabulary does

It reads what the head of the vocabulary reads, at the last token of an answer. It lies beside the weights of a
checkpoint, in `reward_head.safetensors`, so that these load in plain transformers as they did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from cityscribe.files import InputError, whole_file
from cityscribe.models.replaced import replaced_forward

NAME = "reward_head"
FILE = f"{NAME}.safetensors"

CHANGING = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings of decoders that change logits behind the head."""


def add_reward_head(model: PreTrainedModel) -> None:
    """Give a model a head of zeros, [1, hidden] in float32 or wider, unless it has one. Raises InputError where it has
    no head of the vocabulary to stand beside."""
    if hasattr(model, NAME):
        return
    vocabulary = model.get_output_embeddings()
    if vocabulary is None or changes_logits(model):
        why = "has no head of a vocabulary" if vocabulary is None else "changes what its head gives"
        raise InputError(f"{type(model).__name__}: {why}; it takes no reward head")
    weight = vocabulary.weight
    head = nn.Linear(model.config.get_text_config().hidden_size, 1, bias=False, device=weight.device)
    head.to(torch.promote_types(weight.dtype, torch.float32) if weight.is_floating_point() else torch.float32)
    nn.init.zeros_(head.weight)
    setattr(model, NAME, head)


def reward_head(model: PreTrainedModel) -> nn.Linear | None:
    """The head of a model, None where it has none."""
    found: nn.Linear | None = getattr(model, NAME, None)
    return found


def take_reward_head(model: PreTrainedModel) -> nn.Linear:
    """Take its head from a model that has one, which then is what it was without."""
    head: nn.Linear = getattr(model, NAME)
    delattr(model, NAME)
    return head


def save_reward_head(head: nn.Linear, folder: Path) -> None:
    """Write the file of a head into the folder of a checkpoint."""
    with whole_file(folder / FILE) as partial:
        save_file({"weight": head.weight.detach().cpu().contiguous()}, partial)


def load_reward_head(model: PreTrainedModel, folder: Path) -> None:
    """Give a model the head in the folder of its checkpoint. Raises InputError where there is none that fits."""
    file = folder / FILE
    if not file.is_file():
        raise InputError(
            f"{file}: is not there; a reward model is the model of a run with `train.objective: {{kind: reward}}`"
        )
    try:
        stored = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    add_reward_head(model)
    head = reward_head(model)
    if head is None or stored.keys() != {"weight"} or stored["weight"].shape != head.weight.shape:
        raise InputError(f"{file}: is of another model")
    if not torch.isfinite(stored["weight"]).all():
        raise InputError(f"{file}: holds weights that are not finite")
    with torch.no_grad():
        head.weight.copy_(stored["weight"])


@contextmanager
def scoring(model: PreTrainedModel) -> Iterator[None]:
    """Within it the logits of a model are those of its reward head, [..., 1], in float32 or wider."""
    vocabulary, head = model.get_output_embeddings(), reward_head(model)
    if head is None:
        raise ValueError("the model has no reward head")

    def forward(hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return head(hidden.to(head.weight.dtype))

    with replaced_forward(vocabulary, forward):
        yield


def changes_logits(model: PreTrainedModel) -> bool:
    """Whether a decoder changes logits behind its head."""
    text = vars(model.config.get_text_config())  # `to_dict` copies all of it, for each micro-batch
    return any(text.get(name) for name in CHANGING)
