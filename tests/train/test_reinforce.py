"""Reinforcement on trees: the loss is its formula, it learns, and a killed training ends as if nothing had been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.rewards import REWARDS
from cityscribe.rewards.reward import Reward, asked_of
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.train.collator import Collator
from cityscribe.train.objectives import OBJECTIVES
from cityscribe.train.reinforce.loop import reinforce
from cityscribe.train.reinforce.rollouts import Rollout, Rollouts
from cityscribe.train.reinforce.trees import SampledGroups, with_advantages
from cityscribe.train.reinforce.update import Updates
from cityscribe.train.score import score, summed_loss
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import TrainReport
from cityscribe.train.tokenised import load_media
from cityscribe.train.trainer import read_curve
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.train.conftest import City
from tests.train.test_objectives import Gradients, assert_equal, moved, prepared
from tests.train.test_supervised import assert_equal as assert_same_weights
from tests.train.test_supervised import stop_at

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


class Vowels(Reward):
    """The share of vowels: something that any model can learn to say."""

    kind: Literal["vowels"] = "vowels"

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return [sum(sign in "aeiou" for sign in answer) / max(len(answer), 1) for answer in answers]


class Nothing(Vowels):
    kind: Literal["nothing"] = "nothing"  # type: ignore[assignment]

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return [float("nan")] * len(answers)


@pytest.fixture(autouse=True)
def rewards() -> Iterator[None]:
    REWARDS.add("vowels", Vowels, "the share of vowels")
    REWARDS.add("nothing", Nothing, "no number")
    yield
    REWARDS.remove("vowels")
    REWARDS.remove("nothing")


def settings_of(objective: dict[str, Any], **changes: Any) -> TrainSettings:
    values = {"max_steps": 3, "lr": 3e-3, "batch_groups": 2, "precision": "fp32", "save_steps": 1, "warmup": 0.0}
    sampled = {"rewards": [{"kind": "vowels"}], "num_generations": 4, "max_completion_length": 6}
    return TrainSettings(objective={**sampled, **objective}, **{**values, **changes})


def trained(
    load: Load, city: City, out: Path, settings: TrainSettings, **arguments: Any
) -> tuple[dict[str, Tensor], TrainReport]:
    model, processor = load("llava")
    report = reinforce(list(city.samples[::5]), city.root, model, processor, settings, out, **arguments)
    return model.state_dict(), report


ANSWERS = ((5, 9, 30), (5, 9, 31, 7), (40,), (41, 42))


def sampled(model: PreTrainedModel, processor: ProcessorMixin, city: City) -> list[list[Rollout]]:
    """Made-up answers to two questions about the first pictures, and to one about the second."""
    found = []
    for samples in (city.samples[:2], city.samples[5:6]):
        group = []
        for sample in samples:
            media = load_media(sample, city.root, TrainSettings())
            prompt = Encoder(model, processor).ask(sample.name, asked_of(sample), media)
            rewards = tuple(0.3 * n + len(sample.name) % 3 for n in (0, 2, 1, 5))
            group.append(
                Rollout(sample, prompt, ("",) * 4, ANSWERS, tuple((0.0,) * len(a) for a in ANSWERS), (), (), rewards)
            )
        found.append(group)
    return found


def tokens_alone(model: PreTrainedModel, conversation: Encoded) -> Tensor:
    logits = model(**conversation.tensors(), **conversation.media_inputs, use_cache=False).logits[0, :-1]
    ids = torch.from_numpy(conversation.input_ids)[1:]
    return log_softmax(logits, dim=-1)[torch.arange(len(ids)), ids][torch.from_numpy(conversation.trained)[1:]]


def plainly(load: Load, city: City, kind: str, **fields: Any) -> tuple[float, Gradients]:
    """By the formulas, each answer through the model alone."""
    model, processor = prepared(load, "llava")
    rollouts = [one for group in sampled(model, processor, city) for one in group]
    conversations = [[one.prompt.answered(ids) for ids in one.token_ids] for one in rollouts]
    with torch.no_grad():
        before = [[tokens_alone(model, each) for each in own] for own in conversations]
    moved(model)
    losses, lengths = [], []
    for rollout, own, old in zip(rollouts, conversations, before, strict=True):
        rewards = torch.tensor(rollout.rewards, dtype=torch.float64)
        for n, (conversation, sampled_as) in enumerate(zip(own, old, strict=True)):
            now = tokens_alone(model, conversation)
            distance = (sampled_as - now).exp() - (sampled_as - now) - 1
            if kind == "rloo":
                advantage = rewards[n] - (rewards.sum() - rewards[n]) / 3
                ratio = (now - sampled_as).sum().exp()
            else:
                advantage = (rewards[n] - rewards.mean()) / (rewards.std() + 1e-4)
                ratio = (now - sampled_as).exp()
            clipped = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.3) * advantage)
            losses.append(-clipped.sum() + 0.1 * distance.sum())
            lengths.append(len(now))
    total, count = torch.stack(losses), torch.tensor(lengths)
    by = {"grpo": (total / count).mean(), "dapo": total.sum() / count.sum(), "dr_grpo": total.mean() / 6}
    loss = total.mean() if kind == "rloo" else by[fields["loss_type"]]
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "objective",
    [{"kind": "rloo"}, *({"kind": "grpo", "loss_type": kind} for kind in ("grpo", "dapo", "dr_grpo"))],
    ids=lambda value: value.get("loss_type", "rloo"),
)
def test_value_and_gradient_are_those_of_the_plain_formula(objective: dict[str, Any], load: Load, city: City) -> None:
    """With a model that has moved since it sampled, which is the base as well, some ratios clipped."""
    expected = plainly(load, city, **objective)
    cuts: tuple[dict[str, Any], ...] = ({"budget_tokens": 90}, {"share_prefix": False})
    for change in cuts if objective.get("loss_type") == "grpo" else cuts[:1]:
        model, processor = prepared(load, "llava")
        settings = settings_of({**objective, "beta": 0.1, "epsilon_high": 0.3}, **change)
        own: Any = settings.objective
        rollouts = sampled(model, processor, city)
        groups = SampledGroups(rollouts, settings)
        attention = tree_attention(model, torch.device("cpu"), 4096) if settings.share_prefix else None
        batch = Collator(groups, city.root, Encoder(model, processor), settings, attention)(range(len(groups)))
        left = iter(own.advantages([one.rewards for group in rollouts for one in group]))
        advantages = [[value for _ in group for value in next(left)] for group in rollouts]
        with attention_backend(model, attention.backend if attention else "sdpa"):
            micros = [with_advantages(micro, advantages) for micro in batch.micro_batches]
            with torch.no_grad():
                before = [summed_edges(model, micro, groups, attention) for micro in micros]
            moved(model)
            total = 0.0
            for micro, old in zip(micros, before, strict=True):
                whole = replace(micro, old=old, reference=old)
                loss = summed_loss(own, model, whole, groups, attention, torch.float64, bare=model) / batch.denominator
                loss.backward()
                total += float(loss.detach())
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert_equal(expected, (total, gradients))


def summed_edges(model: PreTrainedModel, micro: Any, groups: Any, attention: Any) -> Tensor:
    return score(model, micro, groups, attention, torch.float64, bare=model).edges()


def test_it_learns_what_is_rewarded_and_tells_of_it(load: Load, city: City, tmp_path: Path) -> None:
    settings = settings_of({"kind": "grpo", "num_generations": 8, "beta": 0.01}, max_steps=12, batch_groups=3, lr=1e-2)
    _, report = trained(load, city, tmp_path, settings)
    curve = read_curve(tmp_path / "curve.jsonl")
    assert curve[-1]["reward"] > curve[0]["reward"] + 0.1
    assert curve[-1]["reward"] == curve[-1]["reward/vowels"]
    assert curve[0]["distance"] == pytest.approx(0.0, abs=1e-6)  # it is its own base
    assert curve[-1]["distance"] > 1e-3
    assert all(line["sampling_gap"] < 1e-4 for line in curve)  # sampled and trained are the same model
    assert all(0 < line["kept"] <= 1 and line["length"] <= 6 for line in curve)
    assert report.steps == 12
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 36
    assert answers[0]["answers"][0].keys() == {"text", "reward", "vowels"}


def test_killed_at_any_moment_it_ends_the_same(
    load: Load, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of({"kind": "grpo", "num_iterations": 2, "beta": 0.1}, save_steps=2)
    expected, _ = trained(load, city, tmp_path / "whole", settings)

    def killed(place: Any, name: str, call: int) -> None:
        original, calls = getattr(place, name), 0

        def stopping(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(place, name, stopping)
            with pytest.raises(KeyboardInterrupt):
                trained(load, city, tmp_path / "killed", settings)

    killed(Rollouts, "_of_group", 2)  # while it samples for the first update: one group is there
    kept = tmp_path / "killed" / "rollouts" / "1"
    first = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(first) == 1
    killed(Updates, "_iterate", 2)  # while it learns
    assert {name: (kept / name).stat().st_mtime_ns for name in first} == first
    with pytest.raises(KeyboardInterrupt):
        trained(load, city, tmp_path / "killed", settings, progress=stop_at(3))
    found, report = trained(load, city, tmp_path / "killed", settings)
    assert report.resumed_from == 2
    assert_same_weights(expected, found)
    for name in ("curve.jsonl", "answers.jsonl"):
        whole, again = ((tmp_path / run / name).read_text().splitlines() for run in ("whole", "killed"))
        assert list(map(timeless, whole)) == list(map(timeless, again))


def timeless(line: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if not name.endswith("_per_s")}


def test_what_cannot_be_learned_from_is_said(load: Load, city: City, tmp_path: Path) -> None:
    grpo = OBJECTIVES["grpo"]
    with pytest.raises(InputError, match=r"train.objective grpo: rewards: name at least one"):
        grpo().arrange(city.samples)
    with pytest.raises(InputError, match=r"rewards: the reward length stands there twice"):
        grpo(rewards=[{"kind": "length"}, {"kind": "length"}]).arrange(city.samples)
    with pytest.raises(InputError, match=r"none of 15 samples is a question of the kinds long"):
        grpo(rewards=[{"kind": "length"}], kinds=["long"]).arrange(city.samples)
    with pytest.raises(InputError, match=r"reward nothing: gives nan for `.*` of event_\d/"):
        trained(load, city, tmp_path / "nan", settings_of({"kind": "grpo", "rewards": [{"kind": "nothing"}]}))
    alike = settings_of({"kind": "grpo", "rewards": [{"kind": "length"}]}, max_steps=1)
    model, _ = load("llava")
    weights, report = trained(load, city, tmp_path / "alike", alike)
    assert_same_weights(model.state_dict(), weights)
    assert report.notes[-1] == "100% of the questions had answers that are all worth the same, and taught nothing"
    with pytest.raises(InputError, match=r"train.accumulate: not for reinforcement"):
        trained(load, city, tmp_path, settings_of({"kind": "grpo"}, accumulate=2))
