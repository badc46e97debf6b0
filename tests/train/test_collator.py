"""Micro-batches: within the budget, nothing lost, images in the order of their tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.models.attention import Reach
from cityscribe.records import Sample, message, text_block
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.media import join_media
from cityscribe.train import tokenised
from cityscribe.train.collator import Collator, chunk_rows
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import TreeAttention, tree_attention
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

SPARSE = TreeAttention("cityscribe_tree", {"full_attention": Reach()}, whole_images=False)
DENSE = TreeAttention("sdpa", {"full_attention": Reach()}, whole_images=False)
FLEX = TreeAttention("flex_attention", {"full_attention": Reach()}, whole_images=False)


@pytest.mark.parametrize("attention", [SPARSE, DENSE, FLEX, None])
@pytest.mark.parametrize("budget", [150, 400, 4096])
def test_micro_batches_keep_to_the_budget_and_lose_nothing(
    attention: TreeAttention | None, budget: int, load: Load, city: City
) -> None:
    model, processor = load("llava")
    settings = TrainSettings(budget_tokens=budget, share_prefix=attention is not None)
    groups, _ = plan_groups(city.samples, city.root, Encoder(model, processor), settings)
    batch = Collator(groups, city.root, Encoder(model, processor), settings, attention)([2, 0, 1])
    assert batch.denominator == sum(
        group.forests[n].edge_weight.sum() for group in groups for n in range(len(group.forests))
    )
    assert sum(float(micro.rows.weights.sum()) for micro in batch.micro_batches) == batch.denominator
    tokens = 0
    for micro in batch.micro_batches:
        rows = micro.rows
        padding = rows.last == torch.arange(rows.last.shape[1])
        tokens += int((~padding | (rows.input_ids > 0)).sum())
        images = (rows.input_ids == model.config.image_token_id).sum()
        assert images == 16 * len(micro.image_inputs["pixel_values"])
        if attention is not None and attention.sparse:
            assert len(rows.input_ids) == 1
            assert rows.input_ids.shape[1] % attention.multiple == 0
            assert rows.input_ids.shape[1] < budget + attention.multiple
        else:
            assert rows.input_ids.numel() <= budget
    assert tokens == batch.distinct
    assert len(batch.samples) == 15


def test_images_lie_in_the_order_of_their_tokens(load: Load, city: City) -> None:
    model, processor = load("llava")
    settings = TrainSettings()
    groups, _ = plan_groups(city.samples, city.root, Encoder(model, processor), settings)
    (micro,) = Collator(groups, city.root, Encoder(model, processor), settings, SPARSE)([0, 1, 2]).micro_batches
    lengths = [group.forests[0].length for group in groups]
    order = np.argsort([-length for length in lengths], kind="stable")
    expected = torch.cat(
        [groups[number].inputs[key]["pixel_values"] for number in order for key in groups[number].media[0]]
    )
    assert torch.equal(micro.image_inputs["pixel_values"], expected)


def test_images_preprocessed_again_are_the_same(load: Load, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = load("llava-next")
    settings = TrainSettings()
    kept, _ = plan_groups(city.samples, city.root, Encoder(model, processor), settings)
    monkeypatch.setattr(tokenised, "CACHE_BYTES", 0)
    dropped, _ = plan_groups(city.samples, city.root, Encoder(model, processor), settings)
    encoder = Encoder(model, processor)
    one, other = (Collator(g, city.root, encoder, settings, SPARSE)([0, 2]).micro_batches for g in (kept, dropped))
    for name, value in one[0].image_inputs.items():
        assert torch.equal(value, other[0].image_inputs[name])


@pytest.mark.parametrize("attention", [SPARSE, None])
def test_samples_without_images_stand_beside_others(attention: TreeAttention | None, load: Load, city: City) -> None:
    model, processor = load("llava")
    bare = Sample((message("user", text_block("Hello?")), message("assistant", text_block("Yes."))), (), "bare")
    settings = TrainSettings(share_prefix=attention is not None)
    groups, _ = plan_groups([bare, *city.samples[:5]], city.root, Encoder(model, processor), settings)
    (micro,) = Collator(groups, city.root, Encoder(model, processor), settings, attention)([0, 1]).micro_batches
    assert len(micro.image_inputs["pixel_values"]) == (2 if attention else 10)


def test_a_batch_moves_whole(load: Load, city: City) -> None:
    model, processor = load("qwen2.5-vl")
    settings = TrainSettings(share_prefix=False)
    encoder = Encoder(model, processor)
    groups, _ = plan_groups(city.samples[:5], city.root, encoder, settings)
    moved = Collator(groups, city.root, encoder, settings, None)([0]).to(torch.device("meta"), non_blocking=True)
    (micro,) = moved.micro_batches
    tensors = [micro.rows.input_ids, micro.rows.weights, *micro.image_inputs.values(), *(micro.alone or {}).values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert set(micro.alone or {}) == {"attention_mask", "mm_token_type_ids"}


def test_images_of_different_shapes_are_padded_at_the_end() -> None:
    parts = [{"pixel_values": torch.ones(1, 2, 3)}, {"pixel_values": torch.ones(2, 3, 2)}]
    joined = join_media(parts)["pixel_values"]
    assert joined.shape == (3, 3, 3)
    assert joined[0].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert joined[1].tolist() == [[1, 1, 0]] * 3
    assert join_media([]) == {}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 120))
def testchunk_rows_cover_all_rows_within_the_budget(lengths: list[int], budget: int) -> None:
    lengths.sort(reverse=True)
    chunks = [lengths[part] for part in chunk_rows(lengths, budget)]
    assert sum(chunks, []) == lengths  # noqa: RUF017
    assert all(len(chunk) == 1 or len(chunk) * chunk[0] <= budget for chunk in chunks)


def test_attention_of_this_machine(load: Load) -> None:
    model, _ = load("llava")
    assert tree_attention(model, torch.device("cpu"), 100) == SPARSE
    cuda = torch.device("cuda")
    assert tree_attention(model, cuda, 100).backend == "sdpa"  # its heads are narrower than FlexAttention can
    model.config.get_text_config().head_dim = 16
    assert tree_attention(model, cuda, 100) == FLEX
