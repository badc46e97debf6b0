"""One forward pass over trees, and the check that it gives what the samples give alone.

Several ways to get a tree wrong are silent: a position counted differently, an attention that takes its mask for
something else. So every run compares its own model on its own samples, merged against one by one, before it trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.precision import ROUNDING_BF16, ROUNDING_FLOAT32
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.media import join_media
from cityscribe.train.collator import Collator, MicroBatch, Single, lay_out_singles
from cityscribe.train.groups import plan_groups
from cityscribe.train.rules import TreeAttention, attention_backend
from cityscribe.train.settings import TrainSettings
from cityscribe.tree import join, lay_out

CHECKED_SAMPLES = 4
"""How many samples of a group are compared."""


def kept_logits(model: nn.Module, micro: MicroBatch, attention: TreeAttention | None) -> Tensor:
    """The logits that predict targets, [kept, vocabulary]. `attention` is needed for trees, not for samples alone."""
    inputs: dict[str, Any] = {**micro.image_inputs}
    if micro.alone is not None:
        inputs |= micro.alone
    elif attention is not None:
        inputs |= attention.inputs(micro.rows)
    else:
        raise ValueError("a tree cannot be computed without saying who sees whom in it")
    return model(input_ids=micro.rows.input_ids, logits_to_keep=micro.rows.keep, use_cache=False, **inputs).logits


@torch.no_grad()
def check_tree(
    model: PreTrainedModel,
    attention: TreeAttention,
    groups: Sequence[Sequence[Sample]],
    image_root: Path,
    processor: ProcessorMixin,
    settings: TrainSettings,
) -> float:
    """Compare the logits of a few samples, merged and with another tree in their row, to those of each sample alone.

    Takes the first group of more than one sample, if there is one, and the first sample of another as its neighbour.
    The model has to be on its device. Returns the largest difference as a share of the largest logit; raises InputError
    with it where it is more than rounding.
    """
    shown = max(groups, key=lambda group: min(len(group), 2))
    beside = next((group for group in groups if group is not shown), shown)
    samples = [*shown[:CHECKED_SAMPLES], *beside[:1]] if beside is not shown else shown[:CHECKED_SAMPLES]
    merged = settings.model_copy(update={"budget_tokens": 2**31, "too_long": "skip", "share_prefix": True})
    apart = merged.model_copy(update={"share_prefix": False})
    exact = all(p.dtype == torch.float32 for p in model.parameters() if p.is_floating_point())  # not packed weights
    encoder = Encoder(model, processor)
    training = model.training
    model.eval()
    try:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=not exact):
            trees, _ = plan_groups(samples, image_root, encoder, merged)
            collator = Collator(trees, image_root, encoder, merged, attention)
            media = [inputs for tree in trees for inputs in collator.media(tree)[0]]
            rows = lay_out([join([tree.forests[0] for tree in trees])], multiple=attention.multiple)
            with attention_backend(model, attention.backend):
                try:
                    together = _edge_logits(model, MicroBatch(rows, join_media(media), None), attention)
                except (TypeError, ValueError) as error:
                    raise InputError(
                        f"{type(model).__name__}: cannot be told who sees whom in a tree: {error}; "
                        "set train.share_prefix to false"
                    ) from error

            singles, _ = plan_groups(samples, image_root, encoder, apart)
            alone = torch.cat(
                [
                    _edge_logits(model, lay_out_singles([Single(forest, token_inputs, media)]), None)
                    for group in singles
                    for forest, token_inputs, media in zip(
                        group.forests, group.token_inputs, collator.media(group), strict=True
                    )
                ]
            )
    finally:
        model.train(training)
    difference, largest = float((together - alone).abs().max()), float(alone.abs().max())
    allowed = largest * (ROUNDING_FLOAT32 if exact else ROUNDING_BF16)
    if not difference <= allowed:
        raise InputError(
            f"{type(model).__name__}: computing what samples share once changes its logits by {difference:.3g} "
            f"(the largest is {largest:.3g}, rounding explains {allowed:.2g}): it would learn something else than from "
            "the samples one by one; set train.share_prefix to false"
        )
    return difference / largest


def _edge_logits(model: PreTrainedModel, micro: MicroBatch, attention: TreeAttention | None) -> Tensor:
    """The logits that predict each trained token of each branch, in the order of the branches, float32."""
    micro = micro.to(model.device)
    logits = kept_logits(model, micro, attention)
    return logits[micro.rows.source[micro.rows.edge_target]].float()
