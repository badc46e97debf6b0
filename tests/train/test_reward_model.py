"""A reward model is trained by the plain formula, and gives an answer what it gave it in the training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.load import save_model
from cityscribe.models.reward_head import add_reward_head, reward_head, save_reward_head, take_reward_head
from cityscribe.records import Sample, text_of
from cityscribe.rewards import REWARDS
from cityscribe.rewards.reward import FACTS, answered, with_facts
from cityscribe.tokens.encode import Encoder
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import load_media
from tests.train.conftest import City
from tests.train.test_objectives import Load, assert_equal, on_trees, pairs, plain_dpo, prepared


def with_head(load: Load) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A model in float64 with a head that is not all zeros."""
    model, processor = prepared(load, "llava")
    add_reward_head(model)
    head = reward_head(model)
    assert head is not None
    assert not head.weight.any()  # all answers are worth the same before the training
    with torch.no_grad():
        head.weight.copy_(torch.linspace(-1, 1, head.weight.numel(), dtype=head.weight.dtype)[None])
    return model, processor


def worth_alone(model: PreTrainedModel, processor: ProcessorMixin, sample: Sample, root: Path) -> Tensor:
    """What the head gives at the last token of an answer, the sample computed alone."""
    media = load_media(sample, root, TrainSettings())
    conversation = Encoder(model, processor).teach(sample.name, sample.messages, media)
    inputs = {**conversation.tensors(), **conversation.media_inputs}
    hidden = model.model(**inputs, use_cache=False).last_hidden_state[0]
    last = int(conversation.trained.nonzero()[0][-1])  # what closes the answer; the head reads what stands before it
    head = reward_head(model)
    assert head is not None
    return hidden[last - 1] @ head.weight[0]


def test_value_and_gradient_are_those_of_the_plain_formula(load: Load, city: City) -> None:
    samples = pairs(city)
    model, processor = with_head(load)
    worth = torch.stack([worth_alone(model, processor, sample, city.root) for sample in samples])
    chosen, rejected = worth[::2], worth[1::2]
    loss = (plain_dpo(chosen - rejected) + 0.1 * (chosen + rejected) ** 2).mean()
    loss.backward()
    expected = float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert "reward_head.weight" in expected[1]
    for change, given in (({}, samples[::-1]), ({"share_prefix": False}, samples)):
        settings = TrainSettings(objective={"kind": "reward", "center": 0.1}, **change)
        assert_equal(expected, on_trees(*with_head(load), given, city.root, settings, [2, 0, 1]))


def test_the_reward_of_an_answer_is_that_of_the_training(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = with_head(load)
    model = model.float()
    samples = pairs(city)[:2]
    folder = tmp_path / "model"
    told = [with_facts(sample, "It is dry.") for sample in samples]
    with torch.no_grad():
        plain = [float(worth_alone(model, processor, sample, city.root)) for sample in samples]
        facts = [float(worth_alone(model, processor, sample, city.root)) for sample in told]
    head = take_reward_head(model)
    save_model(model, processor, folder)  # without the head, as plain transformers loads it
    with pytest.raises(
        InputError, match=r"reward_head.safetensors: is not there; a reward model is the model of a run"
    ):
        REWARDS["model"](model=str(folder)).score(samples[0], ["Dry."])
    save_reward_head(head, folder)
    answers = [text_of(sample.messages[-1]) for sample in samples]
    found = REWARDS["model"](model=str(folder), images=city.root).score(samples[0], [*answers, " "])
    assert found == pytest.approx([*plain, min(plain)], rel=1e-4)
    knowing = REWARDS["model-with-facts"](model=str(folder), images=city.root)
    assert knowing.score(answered(samples[0], "It is dry."), answers) == pytest.approx(facts, rel=1e-4)
    assert text_of(told[0].messages[-2]).endswith(FACTS.format("It is dry."))
    assert facts != pytest.approx(plain, rel=1e-3)
