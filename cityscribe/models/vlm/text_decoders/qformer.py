"""InstructBLIP's Q-Former (Dai et al. 2023): learnt queries and the words of the question see each other, and every
other layer the queries look at the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import InstructBlipConfig, InstructBlipQFormerConfig, InstructBlipQFormerModel

from cityscribe.files import InputError
from cityscribe.models.vlm.pieces import config_values, weights_below
from cityscribe.models.vlm.text_decoders import additive


class QFormerText(nn.Module):
    """`width` is that of the features, `queries` how many are learnt, `config` that of InstructBLIP's Q-Former."""

    def __init__(self, width: int, config: Mapping[str, Any], queries: int = 32) -> None:
        super().__init__()
        if queries < 1:
            raise InputError(f"queries: {queries}; expected one or more")
        made = InstructBlipQFormerConfig(**{**config, "encoder_hidden_size": width})
        self.hidden_size = int(made.hidden_size)
        self.vocab_size = int(made.vocab_size)
        self.queries = nn.Parameter(torch.empty(1, queries, self.hidden_size))
        if not self.queries.is_meta:
            nn.init.normal_(self.queries, std=made.initializer_range)
        self.model = InstructBlipQFormerModel(made)
        # Only queries leave the last layer: what the words become in it leads nowhere.
        last: Any = self.model.encoder.layer[-1]
        for unused in (last.intermediate, last.output):
            unused.requires_grad_(False)

    def forward(self, ids: Tensor, mask: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """What queries become of the tokens [views, tokens] of a question, of which the mask says which count, and of
        the image they look at [views, patches, width]: [views, queries, hidden], and which of them count
        [views, queries]."""
        queries = self.queries.expand(len(ids), -1, -1)
        counts = mask.new_ones(queries.shape[:2])
        states = self.model(
            input_ids=ids,
            attention_mask=additive(torch.cat([counts, mask], dim=1)[:, None, None], queries),
            query_embeds=queries,
            encoder_hidden_states=keys,
        ).last_hidden_state
        return states[:, : queries.shape[1]], counts

    @classmethod
    def read_options(cls, base: str) -> Mapping[str, Any]:
        """The options of the Q-Former of an InstructBLIP in a folder or on the hub."""
        whole: Any = InstructBlipConfig.from_pretrained(base)
        return {"queries": int(whole.num_query_tokens), "config": config_values(whole.qformer_config)}

    @classmethod
    def read_weights(cls, base: str) -> Mapping[str, Tensor]:
        """Its weights, under the names that they have here. Raises ValueError where some are missing."""
        config = InstructBlipQFormerConfig(**cls.read_options(base)["config"])
        with torch.device("meta"):
            wanted = InstructBlipQFormerModel(config).state_dict()
        found = {f"model.{name}": value for name, value in weights_below(base, "qformer.", wanted).items()}
        return {**found, "queries": weights_below(base, "", ["query_tokens"])["query_tokens"]}
