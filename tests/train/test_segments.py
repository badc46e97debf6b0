"""Attention by stretches equals attention with the dense mask of the same tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from cityscribe.models.last_layer import WANTED
from cityscribe.train.segments import tree_attention_forward, tree_segments
from cityscribe.tree import Branch, Forest, build_forest, dense_mask, join, lay_out


def forest(sequences: list[list[int]]) -> Forest:
    return build_forest(
        [Branch(np.array(ids), np.arange(len(ids))[None], np.r_[0.0, np.ones(len(ids) - 1)]) for ids in sequences]
    )


SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=9), min_size=1, max_size=6)


@given(st.lists(SEQUENCES, min_size=1, max_size=3), st.sampled_from([None, torch.float64, torch.bfloat16]))
@settings(max_examples=40, deadline=None)
def test_output_and_gradient_equal_dense_attention(trees: list[list[list[int]]], precision: torch.dtype | None) -> None:
    rows = lay_out([join([forest(sequences) for sequences in trees])])
    length = rows.input_ids.shape[1]
    generator = torch.Generator().manual_seed(0)
    query, key, value, above = (
        torch.randn(1, heads, length, 8, generator=generator, dtype=torch.float64) for heads in (4, 2, 2, 4)
    )
    for part in (query, key, value):
        part.requires_grad_(True)
    mask = dense_mask(rows.visibility(), 1, length)
    dense = scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    expected = torch.autograd.grad((dense * above).sum(), (query, key, value))
    cast = precision or torch.float32
    found, _ = tree_attention_forward(
        nn.Module(),
        *(part.to(cast) for part in (query, key, value)),
        None,
        tree_segments=tree_segments(rows.last[0].numpy()),
    )
    found = found.transpose(1, 2).double()
    gradients = torch.autograd.grad((found * above).sum(), (query, key, value))
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 0.1}[cast]
    torch.testing.assert_close(found, dense, rtol=tolerance, atol=tolerance)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@given(SEQUENCES)
def test_stretches_cover_the_row_and_know_their_ancestors(sequences: list[list[int]]) -> None:
    tree = join([forest(sequences), forest(sequences[:1])])
    segments = tree_segments(tree.last)
    assert sum(size for size, _ in segments) == tree.length
    ends = np.cumsum([size for size, _ in segments])
    for (size, above), end in zip(segments, ends, strict=True):
        ancestors = [t for n in above for t in range(ends[n] - segments[n][0], ends[n])] + list(range(end - size, end))
        token, path = end - 1, []
        while token >= 0:
            path.insert(0, int(token))
            token = tree.parent[token]
        assert ancestors == path


@pytest.mark.parametrize("extra", [{"softcap": 30.0}, {"s_aux": torch.ones(2)}])
def test_what_it_does_not_know_is_refused(extra: dict) -> None:
    part = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ValueError, match="not known"):
        tree_attention_forward(nn.Module(), part, part, part, None, tree_segments=[(3, ())], **extra)


@given(SEQUENCES, st.integers(0, 2**20 - 1), st.sampled_from([torch.float64, torch.bfloat16]))
@settings(max_examples=20, deadline=None)
def test_what_is_wanted_is_as_if_all_were_computed(
    sequences: list[list[int]], chosen: int, precision: torch.dtype
) -> None:
    """Output and gradient of the tokens whose result somebody reads."""
    rows = lay_out([forest(sequences)])
    length = rows.input_ids.shape[1]
    wanted = torch.tensor([[n == length - 1 or bool(chosen >> n & 1) for n in range(length)]])
    parts = torch.randn(3, 1, 2, length, 8, generator=torch.Generator().manual_seed(0), dtype=precision)
    found = []
    for module in (nn.Module(), nn.Module()):
        if found:
            vars(module)[WANTED] = wanted
        inputs = [part.clone().requires_grad_(True) for part in parts]
        output, _ = tree_attention_forward(module, *inputs, None, tree_segments=tree_segments(rows.last[0].numpy()))
        read = output * wanted[:, :, None, None]
        found.append([read, *torch.autograd.grad(read.sum(), inputs)])
    for one, other in zip(*found, strict=True):
        tolerance = 1e-9 if precision == torch.float64 else 0.1
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
