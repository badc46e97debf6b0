"""A tree through layers that carry a state is each of its branches alone, logits and gradient."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel
from transformers.models.lfm2 import modeling_lfm2
from transformers.models.nemotron_h import modeling_nemotron_h
from transformers.models.qwen3_5 import modeling_qwen3_5

from cityscribe.train.forks import stretches_of, without_padding
from cityscribe.train.segments import tree_segments
from cityscribe.train.tree_attention import attention_backend, tree_attention
from cityscribe.tree import Branch, Forest, build_forest, join, lay_out, target_logprobs
from tests.decoders import RECURRENT
from tests.train.test_segments import SEQUENCES, forest

MODELLING = {
    "gated delta rule": (modeling_qwen3_5, "Qwen3_5ForCausalLM"),
    "convolution": (modeling_lfm2, "Lfm2ForCausalLM"),
    "state space": (modeling_nemotron_h, "NemotronHForCausalLM"),
}


def in_float64(module: ModuleType) -> ModuleType:
    """A copy of a module of transformers that computes in float64 where it casts to float32 whatever comes in."""
    name = f"{module.__name__}_float64"
    if name not in sys.modules:
        source = importlib.util.find_spec(module.__name__).loader.get_source(module.__name__)  # type: ignore[union-attr]
        for narrow, wide in (
            ("torch.float32", "torch.float64"),
            (".float()", ".double()"),
            ("torch.float)", "torch.double)"),
        ):
            source = source.replace(narrow, wide)
        copy = ModuleType(name)
        copy.__package__, copy.__file__ = module.__package__, module.__file__
        sys.modules[name] = copy
        exec(compile(source, name, "exec"), vars(copy))
    return sys.modules[name]


@cache
def decoder_of(kind: str, dtype: torch.dtype) -> PreTrainedModel:
    module, name = MODELLING[kind]
    config: Any = RECURRENT[kind].to_dict() | {"vocab_size": 64, "pad_token_id": 0, "tie_word_embeddings": False}
    if dtype == torch.float64:
        module = in_float64(module)
    torch.manual_seed(0)
    model = getattr(module, name)(type(RECURRENT[kind])(**config)).to(dtype).eval()
    if dtype == torch.float64:
        model.load_state_dict(decoder_of(kind, torch.float32).state_dict())
    return model


def three_levels(prefix: int, question: int, answer: int) -> Forest:
    """Six answers to three questions on one prefix: forks behind the prefix and behind each question."""
    random = np.random.default_rng(0)
    image, branches = random.integers(5, 64, prefix), []
    for _ in range(3):
        asked = np.concatenate([image, random.integers(5, 64, question)])
        for _ in range(2):
            ids = np.concatenate([asked, random.integers(5, 64, answer)])
            branches.append(Branch(ids, np.arange(len(ids))[None], (np.arange(len(ids)) >= len(asked)) * 1.0))
    return build_forest(branches)


def branch_ids(tree: Forest) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each branch's tokens and weights, by its path up from its last trained token."""
    found = []
    for number in range(tree.branches):
        mine = tree.edge_branch == number
        token, path = int(tree.edge_token[mine].max()), []
        while token >= 0:
            path.insert(0, token)
            token = int(tree.parent[token])
        weights = np.zeros(len(path))
        weights[tree.depth[tree.edge_token[mine]]] = tree.edge_weight[mine]
        found.append((tree.input_ids[path], weights))
    return found


def loss_and_gradient(model: PreTrainedModel, losses: list[torch.Tensor]) -> tuple[float, torch.Tensor]:
    total = torch.stack(losses).sum()
    gradient = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)  # type: ignore[arg-type]
    return float(total.detach()), torch.cat([part.flatten() for part in gradient if part is not None])


def weighed_logprobs_on_tree(model: PreTrainedModel, tree: Forest) -> torch.Tensor:
    """Of each target of the tree, times its weight."""
    attention = tree_attention(model, torch.device("cpu"), 10**4)
    rows = lay_out([tree])
    with attention_backend(model, attention.backend):
        logits = model(rows.input_ids, logits_to_keep=rows.keep, use_cache=False, **attention.inputs(rows)).logits  # type: ignore[operator]
    return target_logprobs(logits.flatten(0, -2), rows) * rows.weights


def weighed_logprobs_alone(model: PreTrainedModel, tree: Forest) -> Iterator[torch.Tensor]:
    """The same of each branch, one by one."""
    for ids, weights in branch_ids(tree):
        logits = model(torch.from_numpy(ids)[None], use_cache=False).logits[0, :-1]  # type: ignore[operator]
        logprobs = logits.log_softmax(dim=1)[torch.arange(len(ids) - 1), torch.from_numpy(ids[1:])]
        yield logprobs * torch.from_numpy(weights[1:])


def on_tree(model: PreTrainedModel, tree: Forest) -> tuple[float, torch.Tensor]:
    return loss_and_gradient(model, [-weighed_logprobs_on_tree(model, tree).sum()])


def alone(model: PreTrainedModel, tree: Forest) -> tuple[float, torch.Tensor]:
    return loss_and_gradient(model, [-each.sum() for each in weighed_logprobs_alone(model, tree)])


@cache
def exact_of_three_levels(kind: str) -> tuple[Forest, float, torch.Tensor]:
    """A row of two trees, and loss and gradient of their branches one by one in float64."""
    tree = join([three_levels(70, 9, 5), three_levels(3, 1, 1)])
    return tree, *alone(decoder_of(kind, torch.float64), tree)


@pytest.mark.parametrize("kind", RECURRENT)
def test_three_levels_in_float64(kind: str) -> None:
    tree, expected, expected_gradient = exact_of_three_levels(kind)
    loss, gradient = on_tree(decoder_of(kind, torch.float64), tree)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert (gradient - expected_gradient).norm() <= 1e-12 * expected_gradient.norm()


@pytest.mark.parametrize("kind", RECURRENT)
def test_float32_stays_within_the_rounding_of_the_model_itself(kind: str) -> None:
    """Against the same weights in float64: the tree is about as far off as its branches one by one are."""
    model = decoder_of(kind, torch.float32)
    tree, _, exact = exact_of_three_levels(kind)
    (_, plain), (_, merged) = alone(model, tree), on_tree(model, tree)
    own = (plain - exact).norm()
    assert 0 < own < 1e-4 * exact.norm()
    assert (merged - exact).norm() <= 2 * own


@given(sequences=SEQUENCES, kind=st.sampled_from(sorted(RECURRENT)))
@settings(max_examples=8)
def test_trees_of_any_form(sequences: list[list[int]], kind: str) -> None:
    model = decoder_of(kind, torch.float64)
    tree = forest(sequences)
    loss, gradient = on_tree(model, tree)
    expected, expected_gradient = alone(model, tree)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert (gradient - expected_gradient).norm() <= 1e-12 * expected_gradient.norm()


@given(SEQUENCES)
def test_no_token_meets_a_state_by_itself_and_each_stretch_starts_where_what_it_repeats_begins(
    sequences: list[list[int]],
) -> None:
    tree = join([forest(sequences), forest(sequences[:1])])
    padded = np.concatenate([tree.last, np.arange(tree.length, tree.length + 3)])
    stretches = stretches_of(without_padding(tree_segments(padded)))
    assert sum(stretch.size for stretch in stretches) == tree.length + 3
    starts = np.cumsum([0, *(stretch.size for stretch in stretches)])
    for number, stretch in enumerate(stretches):
        tokens = [t for n in (*stretch.lead, number) for t in range(starts[n], starts[n + 1])]
        assert len(tokens) > 1 or stretch.start < 0
        if tokens[-1] >= tree.length:
            continue
        before = int(starts[stretch.start + 1]) - 1 if stretch.start >= 0 else -1
        assert [int(tree.parent[token]) for token in tokens] == [before, *tokens[:-1]]
