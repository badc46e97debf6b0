"""The table of families in docs/models.md is what the tiny models of the tests say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from cityscribe.engine.plain import reason_against
from cityscribe.models.load import load_model
from cityscribe.train.tree_attention import tree_attention
from tests.tiny_models import FAMILIES

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = "| family | `model_type` | training on trees | answers on shared prefixes |\n|---|---|---|---|\n"


def families_table(tiny: Callable[[str], Path]) -> str:
    rows = []
    for family in FAMILIES:
        model = load_model(tiny(family), dtype=torch.float32)
        tree_attention(model, torch.device("cpu"), 64)  # raises where it is not exact
        one_by_one = reason_against(model)
        shared = f"one by one: {one_by_one}" if one_by_one else "exact"
        rows.append(f"| {type(model).__name__} | `{model.config.model_type}` | exact | {shared} |")
    return HEAD + "\n".join(rows) + "\n"


def test_the_docs_have_the_table_of_families(tiny: Callable[[str], Path]) -> None:
    table = families_table(tiny)
    text = DOCS.read_text(encoding="utf-8")
    assert table in text, f"put this into {DOCS.name}:\n{table}"
