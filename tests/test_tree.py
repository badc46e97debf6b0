"""The tree computes what its branches compute one by one: loss, gradient and log-probabilities."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from transformers import LlamaConfig, LlamaForCausalLM

from cityscribe.tree import (
    Branch,
    Forest,
    Rows,
    block_mask,
    branch_logprobs,
    build_forest,
    dense_mask,
    join,
    lay_out,
    pack,
    split_branches,
    target_logprobs,
    weigh,
)

VOCABULARY = 7


@cache
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.5,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).double()  # in float32 a loss near 0 is rounded at the size of the logits


def branch(ids: list[int], weights: list[float] | None = None, media_ids: list[int] | None = None, start: int = 0):
    return Branch(
        input_ids=np.array(ids),
        position_ids=np.arange(start, start + len(ids))[None],
        weights=np.array(weights if weights is not None else [0.0] + [1.0] * (len(ids) - 1)),
        media_ids=None if media_ids is None else np.array(media_ids),
    )


@st.composite
def branches(draw: st.DrawFn) -> list[Branch]:
    """Up to six sequences over three tokens, so that they share much and part anywhere."""
    made = []
    for _ in range(draw(st.integers(1, 6))):
        ids = draw(st.lists(st.integers(0, 2), min_size=2, max_size=9))
        weights = [0.0] + [draw(st.sampled_from([0.0, 0.25, 1.0])) for _ in ids[1:]]
        made.append(branch(ids, weights))
    return made


def tree_logits(rows: Rows) -> Tensor:
    mask = dense_mask(rows.visibility(), *rows.input_ids.shape)
    return (
        llama()
        .forward(
            input_ids=rows.input_ids,
            attention_mask=mask,
            position_ids=rows.position_ids,
            logits_to_keep=rows.keep,
            use_cache=False,
        )
        .logits
    )


def apart_logprobs(sequence: Branch) -> Tensor:
    """The log-probability of each token but the first."""
    ids = torch.from_numpy(sequence.input_ids)[None]
    logits = llama()(input_ids=ids, position_ids=torch.from_numpy(sequence.position_ids), use_cache=False).logits
    return torch.log_softmax(logits[0, :-1], -1).gather(1, ids[0, 1:, None])[:, 0]


def gradient(loss: Tensor) -> Tensor:
    parameters = list(llama().parameters())
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def assert_same_loss(forests: list[Forest], sequences: list[Branch], multiple: int = 1) -> None:
    rows = lay_out(forests, multiple=multiple)
    total = sum(float(sequence.weights.sum()) for sequence in sequences)
    assert float(rows.weights.sum()) == pytest.approx(total)
    if not total:
        return
    together = -(target_logprobs(tree_logits(rows), rows) * rows.weights).sum() / rows.weights.sum()
    apart = torch.stack([-(apart_logprobs(s) * torch.from_numpy(s.weights[1:])).sum() for s in sequences]).sum() / total
    assert together.item() == pytest.approx(apart.item(), rel=1e-6)
    expected = gradient(apart)
    assert (gradient(together) - expected).norm() <= 1e-5 * expected.norm()


@given(branches())
@settings(max_examples=30, deadline=None)
def test_loss_and_gradient_equal_those_of_the_branches_one_by_one(sequences: list[Branch]) -> None:
    assert_same_loss([build_forest(sequences)], sequences)


@given(st.lists(branches(), min_size=1, max_size=3), st.integers(9, 14))
@settings(max_examples=15, deadline=None)
def test_forests_in_a_row_in_rows_and_split_by_a_budget_change_nothing(groups: list[list[Branch]], budget: int) -> None:
    trees = [build_forest([group[n] for n in part]) for group in groups for part in split_branches(group, budget)]
    assert all(tree.length <= budget for tree in trees)
    bins = pack([tree.length for tree in trees], 2 * budget)
    assert_same_loss([join([trees[n] for n in members]) for members in bins], [s for group in groups for s in group], 8)


@given(branches())
@settings(max_examples=20, deadline=None)
def test_log_probabilities_of_branches_come_in_the_order_given(sequences: list[Branch]) -> None:
    rows = lay_out([build_forest(sequences), build_forest(sequences[:1])])
    expected = torch.stack([(apart_logprobs(s) * torch.from_numpy(s.weights[1:] > 0)).sum() for s in sequences])
    if rows.keep.any():
        sums = branch_logprobs(tree_logits(rows), rows)
        torch.testing.assert_close(sums, torch.cat([expected, expected[:1]]), rtol=1e-6, atol=1e-6)


@given(branches(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_branches_does_not_matter(sequences: list[Branch], random) -> None:
    order = list(range(len(sequences)))
    random.shuffle(order)
    one, other = build_forest(sequences), build_forest([sequences[n] for n in order])
    for name in ("input_ids", "parent", "last", "depth", "position_ids"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    first, second = lay_out([one]), lay_out([other])
    assert torch.equal(first.target, second.target)
    assert torch.equal(first.weights, second.weights)


@given(branches())
@settings(max_examples=50, deadline=None)
def test_the_forest_is_the_prefix_tree(sequences: list[Branch]) -> None:
    forest = build_forest(sequences)
    prefixes = {tuple(s.input_ids[:n]) for s in sequences for n in range(1, s.length + 1)}
    paths = []
    for token in range(forest.length):
        path = [token]
        while forest.parent[path[0]] >= 0:
            path.insert(0, forest.parent[path[0]])
        paths.append(path)
    assert sorted(tuple(forest.input_ids[path]) for path in paths) == sorted(prefixes)
    assert forest.effective == sum(s.length for s in sequences)

    rows = lay_out([forest])
    mask = dense_mask(rows.visibility(), 1, forest.length)[0, 0]
    for token, path in enumerate(paths):
        assert mask[token].nonzero().flatten().tolist() == path
        assert forest.position_ids[0, token] == len(path) - 1 == forest.depth[token]
        assert forest.last[token] == max(n for n, other in enumerate(paths) if token in other)


def test_tokens_merge_only_where_position_and_image_agree() -> None:
    assert build_forest([branch([1, 2, 3]), branch([1, 2, 4])]).length == 4
    assert build_forest([branch([1, 2, 3]), branch([1, 2, 4], start=1)]).length == 6
    images = ([-1, 0, -1], [-1, 1, -1])
    assert build_forest([branch([1, 2, 3], media_ids=i) for i in images]).length == 5
    assert build_forest([branch([1, 2, 3], media_ids=images[0])] * 2).length == 3


def test_a_shared_token_counts_for_the_branches_that_train_it() -> None:
    trained, untrained = branch([1, 2, 3], [0, 1, 0.5]), branch([1, 2, 4], [0, 0, 1])
    rows = lay_out([build_forest([trained, trained, untrained])])
    assert rows.target.tolist() == [2, 3, 4]
    assert rows.weights.tolist() == [2, 1, 1]
    assert rows.keep.sum() == 2  # 3 and 4 are predicted by the same logits
    assert rows.source.tolist() == [0, 1, 1]


def test_rules_of_special_layers() -> None:
    image = [-1, 0, 0, -1, -1, -1]
    forest = build_forest([branch([1, 9, 9, 2, 3, 4], media_ids=image), branch([1, 9, 9, 2, 5, 6], media_ids=image)])
    rows = lay_out([join([forest, forest])])
    both_ways = dense_mask(rows.visibility(whole_images=True), 1, 16)[0, 0]
    assert both_ways[1, 2]
    assert both_ways[9, 10]
    assert not both_ways[1, 10]
    assert not both_ways[1, 3]
    near = dense_mask(rows.visibility(window=2), 1, 16)[0, 0]
    assert near[6].nonzero().flatten().tolist() == [3, 6]  # one step back on its own path, not in the row
    assert near[7].nonzero().flatten().tolist() == [6, 7]


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@given(branches())
@settings(max_examples=5, deadline=None)
def test_the_block_mask_attends_as_the_dense_mask_does(sequences: list[Branch]) -> None:
    rows = lay_out([build_forest(sequences), build_forest(sequences[:1])], multiple=128)
    q, k, v = torch.randn(3, 2, 1, rows.input_ids.shape[1], 8, generator=torch.Generator().manual_seed(0))
    dense = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=dense_mask(rows.visibility(), *rows.input_ids.shape)
    )
    sparse = flex_attention(q, k, v, block_mask=block_mask(rows.visibility(), *rows.input_ids.shape, q.device))
    torch.testing.assert_close(sparse, dense, rtol=1e-5, atol=1e-5)


def test_weightings() -> None:
    trained = [np.array([False, True, True, True]), np.array([False, True]), np.array([False, False])]
    assert [w.sum() for w in weigh(trained, "token")] == [3, 1, 0]
    assert [w.sum() for w in weigh(trained, "sequence")] == [1, 1, 0]
    assert [w.sum() for w in weigh(trained, "sqrt-branches")] == pytest.approx([3 / 3**0.5, 1 / 3**0.5, 0])


def test_pack_fills_bins_and_keeps_what_is_too_long() -> None:
    assert pack([4, 9, 3, 3, 12], 10) == [[4], [1], [0, 2, 3]]
    assert pack([], 10) == []


@pytest.mark.parametrize(
    ("sequences", "message"),
    [([], "at least one"), ([branch([])], "no tokens"), ([branch([1, 2], [1, 0])], "first token")],
)
def test_what_cannot_be_a_forest_is_refused(sequences: list[Branch], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_forest(sequences)


def test_a_branch_longer_than_the_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="branch 1 has 3 tokens"):
        split_branches([branch([1, 2]), branch([1, 2, 3])], 2)
