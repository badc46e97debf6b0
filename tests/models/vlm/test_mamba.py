"""A decoder of state spaces in a model from parts (ML-Mamba): exact on trees and on shared prefixes."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Mamba2Config

from cityscribe.models.vlm.compose import VlmParts
from tests.models.vlm.composed import CLIP, TOKENIZER, tiny
from tests.models.vlm.test_trees import assert_trains_and_answers_exactly

SIZES = {"hidden_size": 32, "num_heads": 4, "head_dim": 16, "expand": 2, "state_size": 8, "n_groups": 1}


def test_a_decoder_of_state_spaces_trains_on_trees_and_answers_exactly(tmp_path: Path) -> None:
    text = Mamba2Config(
        **SIZES,
        num_hidden_layers=2,
        chunk_size=16,
        vocab_size=len(TOKENIZER),
        bos_token_id=None,
        eos_token_id=TOKENIZER.eos_token_id,
        pad_token_id=TOKENIZER.pad_token_id,
        initializer_range=0.3,
    )
    connector = {"kind": "scan", "heads": 4, "states": 8}
    model, processor = tiny(VlmParts((CLIP,), text, {"kind": "whole"}, connector))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("out_proj.weight", "embeddings.weight")):
                parameter.mul_(3)  # what was read weighs as much as the last token
    assert_trains_and_answers_exactly(model, processor, tmp_path)
