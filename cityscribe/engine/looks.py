"""Where a model looks while it says something: its attention on the images that a conversation shows.

The mean over layers, heads and the tokens of the last answer, by the model's plain attention; one conversation at a
time, since all weights of a pass are in memory at once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from transformers import PreTrainedModel

from cityscribe.engine.request import WHOLE, MediaRegion
from cityscribe.models.attention import decoder_attention
from cityscribe.tokens.encode import Encoded


@torch.no_grad()
def attention_on_media(model: PreTrainedModel, said: Encoded) -> np.ndarray:
    """How much the tokens of the answers of a conversation look at each of its tokens, [length]; 0 at those that belong
    to no image. Raises ValueError where the model gives no attention."""
    inputs = {**said.tensors(), **said.media_inputs}
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    with decoder_attention(model, "eager"):
        outputs = model(**inputs, use_cache=False, output_attentions=True, logits_to_keep=1)
    layers = [layer for layer in outputs.attentions or () if layer is not None]
    if not layers:
        raise ValueError(f"{type(model).__name__} gives no attention")
    answers = np.flatnonzero(said.trained) - 1  # a token is said by the one before it
    found = np.mean([layer[0, :, answers].float().mean(dim=(0, 1)).cpu().numpy() for layer in layers], axis=0)
    return np.where(said.media_ids >= 0, found, 0.0)


def share_on(looks: np.ndarray, media_ids: np.ndarray, region: MediaRegion) -> float | None:
    """The share of `looks` [length] on images that lies on a region; None where nothing looks at images, or a
    part of an image is asked for whose tokens are no square grid."""
    number, (left, top, right, bottom) = region
    own = np.flatnonzero(media_ids == number)
    inside = looks[own]
    if (left, top, right, bottom) != WHOLE:
        side = math.isqrt(len(own))
        if side * side != len(own):
            return None
        across, down = (np.arange(len(own)) % side + 0.5) / side, (np.arange(len(own)) // side + 0.5) / side
        inside = inside[(left <= across) & (across < right) & (top <= down) & (down < bottom)]
    total = float(looks.sum())
    return float(inside.sum()) / total if total > 0 else None
