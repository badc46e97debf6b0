"""BERT with cross-attention: the words of the question themselves look at the image.

LLaMA-VID's code has it as `bert_type raw`; no weights were published. Words see the words before them, as in a decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from cityscribe.models.vlm.text_decoders import additive


class BertText(nn.Module):
    """`width` is that of the features, `config` that of a BERT."""

    def __init__(self, width: int, config: Mapping[str, Any]) -> None:
        super().__init__()
        made = BertConfig(**{**config, "is_decoder": True, "add_cross_attention": True})
        self.hidden_size = int(made.hidden_size)
        self.vocab_size = int(made.vocab_size)
        self.project = nn.Linear(width, self.hidden_size)
        self.model = BertModel(made, add_pooling_layer=False)

    def forward(self, ids: Tensor, mask: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """As `QFormerText`: the states of the words [views, tokens, hidden], and which of them count."""
        seen = self.project(keys)
        before = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
        states = self.model(
            input_ids=ids,
            attention_mask=additive(before & mask[:, None, None].bool(), seen),
            encoder_hidden_states=seen,
            use_cache=False,
        ).last_hidden_state
        return states, mask
