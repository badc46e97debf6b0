"""The Q-Former of BLIP-2 (Li et al. 2023) without a question: learnt queries see each other, and every other layer the
image; what they become is projected. The classes, and with a `base` the weights, are those of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Blip2Config, Blip2QFormerConfig, Blip2QFormerModel

from cityscribe.files import InputError
from cityscribe.models.vlm.pieces import config_values, weights_below


class QFormer(nn.Module):
    """`config`: of BLIP-2's Q-Former; `queries`: how many tokens."""

    reads_text = False

    def __init__(self, width: int, text_width: int, queries: int = 32, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if queries < 1:
            raise InputError(f"queries: {queries}; expected one or more")
        made = Blip2QFormerConfig(**{**(config or {}), "encoder_hidden_size": width})
        self.queries = nn.Parameter(torch.empty(1, queries, made.hidden_size))
        if not self.queries.is_meta:
            nn.init.normal_(self.queries, std=made.initializer_range)
        self.model = Blip2QFormerModel(made)
        self.output = nn.Linear(made.hidden_size, text_width)

    def count(self, grid: tuple[int, int]) -> int:
        return int(self.queries.shape[1])

    def forward(self, features: Tensor) -> Tensor:
        """[views, rows, columns, width] -> [views, count, text_width]"""
        queries = self.queries.expand(len(features), -1, -1)
        seen = self.model(query_embeds=queries, encoder_hidden_states=features.flatten(1, 2)).last_hidden_state
        return self.output(seen.to(features.dtype))

    @classmethod
    def read_options(cls, base: str) -> Mapping[str, Any]:
        """The options of the Q-Former of a BLIP-2 in a folder or on the hub."""
        whole: Any = Blip2Config.from_pretrained(base)
        return {"queries": int(whole.num_query_tokens), "config": config_values(whole.qformer_config)}

    @classmethod
    def read_weights(cls, base: str) -> Mapping[str, Tensor]:
        """Its weights, under the names that they have here, without the projection, which is made for one decoder.
        Raises ValueError where some are missing."""
        config = Blip2QFormerConfig(**cls.read_options(base)["config"])
        with torch.device("meta"):
            wanted = Blip2QFormerModel(config).state_dict()
        found = {f"model.{name}": value for name, value in weights_below(base, "qformer.", wanted).items()}
        return {**found, "queries": weights_below(base, "", ["query_tokens"])["query_tokens"]}
