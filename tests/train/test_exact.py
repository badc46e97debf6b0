"""Every family: what is computed on trees is what plain transformers computes for each sample alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.attention import Reach
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train.collator import Collator
from cityscribe.train.exact import check_rows, check_tree, kept_logits
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import load_media
from cityscribe.train.tree_attention import TreeAttention, attention_backend, tree_attention
from cityscribe.tree import target_logprobs
from tests.tiny_models import FAMILIES
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
CPU = torch.device("cpu")


def loss_alone(model: PreTrainedModel, processor: ProcessorMixin, sample: Sample, city: City) -> tuple[Tensor, int]:
    """The summed loss on the answers of one sample, and their tokens, by what transformers offers itself."""
    images = iter(load_media(sample, city.root, TrainSettings()))
    messages = [
        {
            **message,
            "content": [
                {"type": "image", "image": next(images)} if block["type"] == "image" else block
                for block in message["content"]
            ],
        }
        for message in sample.messages
    ]
    inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    marked = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )["assistant_masks"]
    labels = inputs["input_ids"].masked_fill(torch.tensor(marked) == 0, -100)[0, 1:]
    logits = model(**inputs, use_cache=False).logits[0, :-1]
    loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    return loss, int((labels >= 0).sum())


def gradient(model: PreTrainedModel) -> Tensor:
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return found


def batch_loss(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    city: City,
    settings: TrainSettings,
    attention: TreeAttention | None,
    samples: tuple[Sample, ...],
) -> Tensor:
    """The loss of all samples as one step computes it, its gradient left in the model."""
    groups, _ = plan_groups(samples, city.root, Encoder(model, processor), settings)
    batch = Collator(groups, city.root, Encoder(model, processor), settings, attention)(range(len(groups)))
    total = torch.zeros(())
    for micro in batch.micro_batches:
        rows = micro.rows
        loss = -(target_logprobs(kept_logits(model, micro, attention), rows) * rows.weights).sum() / batch.denominator
        loss.backward()
        total += loss.detach()
    return total


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_equal_those_of_the_samples_one_by_one(family: str, load: Load, city: City) -> None:
    model, processor = load(family)
    total, tokens = torch.zeros(()), 0
    for sample in city.samples:
        loss, count = loss_alone(model, processor, sample, city)
        loss.backward()
        total += loss.detach()
        tokens += count
    expected, expected_gradient = total / tokens, gradient(model) / tokens
    assert expected_gradient.norm() > 0

    settings = TrainSettings(budget_tokens=700)
    backends = {"sdpa", tree_attention(model, CPU, 10**4).backend}
    for backend in backends:
        attention = replace(tree_attention(model, CPU, 10**4), backend=backend)
        with attention_backend(model, backend):
            together = batch_loss(model, processor, city, settings, attention, city.samples)
        assert together.item() == pytest.approx(expected.item(), rel=1e-6), backend
        assert (gradient(model) - expected_gradient).norm() <= 1e-5 * expected_gradient.norm(), backend

    alone = settings.model_copy(update={"share_prefix": False})
    assert batch_loss(model, processor, city, alone, None, city.samples).item() == pytest.approx(
        expected.item(), rel=1e-6
    )
    assert (gradient(model) - expected_gradient).norm() <= 1e-5 * expected_gradient.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_check_passes_for_every_family(family: str, load: Load, city: City) -> None:
    model, processor = load(family)
    attention = tree_attention(model, CPU, 10**4)
    error = check_tree(model, attention, [city.samples[:5], city.samples[5:]], city.root, processor, TrainSettings())
    assert error < 1e-5


@pytest.mark.parametrize(
    ("family", "break_it"),
    [
        ("gemma3", lambda attention: replace(attention, whole_images=False)),
        ("gemma3", lambda attention: replace(attention, reaches=dict.fromkeys(attention.reaches, Reach()))),
        ("llava", lambda attention: replace(attention, reaches={"full_attention": Reach(window=16)}, backend="sdpa")),
    ],
)
def test_the_check_finds_a_wrong_mask(
    family: str, break_it: Callable[[TreeAttention], TreeAttention], load: Load, city: City
) -> None:
    model, processor = load(family)
    attention = break_it(tree_attention(model, CPU, 10**4))
    with pytest.raises(InputError, match="changes its loss by"):
        check_tree(model, attention, [city.samples[:5]], city.root, processor, TrainSettings())


def test_the_check_finds_wrong_positions(load: Load, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = load("qwen2.5-vl")
    count = lambda tokens, images: np.arange(tokens["input_ids"].shape[1])[None]  # noqa: E731
    monkeypatch.setattr("cityscribe.tokens.encode.position_rule", lambda model: count)
    with pytest.raises(InputError, match="changes its loss by"):
        check_tree(
            model,
            tree_attention(model, CPU, 10**4),
            [city.samples[:5]],
            city.root,
            processor,
            TrainSettings(),
        )


def test_without_sharing_the_check_finds_a_model_that_sees_the_padding(
    load: Load, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = load("llava")
    settings = TrainSettings(share_prefix=False)
    assert check_rows(model, [city.samples[:5]], city.root, processor, settings) < 1e-5
    forward = model.forward

    def stretched(**inputs: Any) -> Any:
        length = inputs["input_ids"].shape[1]  # of the row, its padding counted
        return forward(**inputs, position_ids=torch.arange(length).mul(length).expand_as(inputs["input_ids"]))

    monkeypatch.setattr(model, "forward", stretched)
    with pytest.raises(InputError, match=r"a batch with padding changes its loss by .*train\.budget_tokens"):
        check_rows(model, [city.samples[:5]], city.root, processor, settings)
