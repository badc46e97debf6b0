"""Prepared samples as calibration of a quantiser: forward passes on trees, so that each image is computed once.

with calibrated(model, processor, samples, image_root, groups=32) as calibration:
    search(model, quantiser, scheme, calibration)
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.quantise.block import Calibration
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train.collator import Collator
from cityscribe.train.exact import check_tree, kept_logits
from cityscribe.train.groups import plan_groups
from cityscribe.train.reference import sample_keys
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import TreeAttention, tree_attention, tree_backend
from cityscribe.train.validation import spread

log = logging.getLogger(__name__)

LONGEST = 16_384
"""Tokens of the longest sample that is calibrated with, and of a row of trees."""


@contextmanager
def calibrated(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    samples: Sequence[Sample],
    image_root: Path,
    *,
    groups: int = 32,
    on_group: Progress | None = None,
) -> Iterator[Calibration]:
    """Within it the model can be run on the samples of so many image groups, spread evenly over all.

    Rejected answers are left out. Samples share what they have in common, or each is a row of its own where the decoder
    cannot be told who sees whom. Raises InputError for less than two samples: what one shows is not what others show.
    """
    chosen = spread([sample for sample in samples if not sample.rejected], groups)
    if len(chosen) < 2:
        raise InputError(f"calibration: {len(chosen)} samples; at least two are needed, a hundred are usual")
    settings = TrainSettings(max_tokens=LONGEST, budget_tokens=LONGEST, too_long="skip")
    encoder = Encoder(model, processor)
    attention: TreeAttention | None
    try:
        planned, skipped = plan_groups(chosen, image_root, encoder, settings, on_group)
        attention = tree_attention(model, model.device, max(outline.longest for outline in planned.outlines))
        parts = [planned.samples_of(number) for number in range(len(planned))]
        check_tree(model, attention, parts, image_root, processor, settings)
    except InputError as reason:
        log.warning("calibration: each sample is computed by itself: %s", reason)
        settings = settings.model_copy(update={"share_prefix": False, "budget_tokens": LONGEST})
        planned, skipped = plan_groups(chosen, image_root, encoder, settings, on_group)
        attention = None
    if skipped:
        log.warning("calibration: %d of %d samples are longer than %d tokens", len(skipped), len(chosen), LONGEST)
    collator = Collator(planned, image_root, encoder, settings, attention)
    batches = [collator([number]) for number in range(len(planned))]
    digest = hashlib.sha256()
    for key in chain(*sample_keys(collator)):
        digest.update(key.encode())
    micro_batches = [micro.to(model.device) for batch in batches for micro in batch.micro_batches]
    with tree_backend(model, attention):
        yield Calibration(
            passes=[partial(kept_logits, model, micro, attention) for micro in micro_batches],
            samples=sum(len(batch.samples) for batch in batches),
            tokens=sum(batch.distinct for batch in batches),
            digest=digest.hexdigest(),
        )
