"""The trainer: what checkpointing changes (nothing), which rate a part gets, and what reaches those who watch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.parts import named_parts
from cityscribe.tokens.encode import Encoder
from cityscribe.train import offload, reporters
from cityscribe.train.collator import Collator, weightless
from cityscribe.train.groups import plan_groups
from cityscribe.train.offload import offloaded
from cityscribe.train.score import summed_loss
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
from cityscribe.train.trainer import filled_up, read_curve
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

SETTINGS = TrainSettings(max_steps=2, lr=1e-3, warmup=0, batch_groups=2, precision="fp32", schedule="constant")


def gradients(
    load: Load, city: City, family: str, checkpointing: bool, moves: bool = False
) -> tuple[float, dict[str, Tensor]]:
    model, processor = load(family)
    model.train()
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    groups, _ = plan_groups(city.samples[:5], city.root, Encoder(model, processor), SETTINGS)
    attention = tree_attention(model, torch.device("cpu"), 4096)
    (micro,) = Collator(groups, city.root, Encoder(model, processor), SETTINGS, attention)([0]).micro_batches
    with attention_backend(model, attention.backend):
        with offloaded(model, moves, least=1024):
            loss = summed_loss(SETTINGS.objective, model, micro, groups, attention, torch.float32, bare=model)
        loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["llava", "qwen3-vl", "gemma3"])
def test_gradient_checkpointing_changes_neither_loss_nor_gradients(family: str, load: Load, city: City) -> None:
    expected, plain = gradients(load, city, family, checkpointing=False)
    found, checkpointed = gradients(load, city, family, checkpointing=True)
    assert found == expected
    assert checkpointed.keys() == plain.keys()
    for name, value in plain.items():
        assert torch.allclose(checkpointed[name], value, rtol=1e-5, atol=1e-6 * float(value.abs().max())), name


@pytest.mark.parametrize("family", ["llava", "qwen3-vl"])
def test_activations_in_main_memory_change_no_bit(
    family: str, load: Load, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, plain = gradients(load, city, family, checkpointing=True)
    moved: list[Tensor] = []
    copied = offload.copied

    def noted(saved: Tensor) -> Tensor:
        moved.append(saved)
        return copied(saved)

    monkeypatch.setattr(offload, "copied", noted)
    found, elsewhere = gradients(load, city, family, checkpointing=True, moves=True)
    assert found == expected
    assert all(torch.equal(elsewhere[name], value) for name, value in plain.items())
    model, _ = load(family)
    assert len(moved) >= model.config.get_text_config().num_hidden_layers
    weights = [each for p in model.parameters() if p.ndim == 2 for each in (p, p.t())]
    assert not any(saved.shape == weight.shape and torch.equal(saved, weight) for saved in moved for weight in weights)


def test_each_part_learns_at_its_own_rate(load: Load, city: City, tmp_path: Path) -> None:
    """The first step of AdamW moves every weight that has a gradient by the rate, whatever the gradient."""
    settings = SETTINGS.model_copy(update={"max_steps": 1, "lr_scales": {"connector": 0.1, "vision_tower": 4.0}})
    model, processor = load("llava")
    before = {name: [p.detach().clone() for p in parameters] for name, parameters in named_parts(model)}
    train(city.samples, city.root, model, processor, settings, tmp_path)
    for name, parameters in named_parts(model):
        if parameters:
            moved = max(float((p.detach() - b).abs().max()) for p, b in zip(parameters, before[name], strict=True))
            scale = settings.lr_scales.get(name, 1.0)  # type: ignore[call-overload]
            assert moved == pytest.approx(scale * settings.lr, rel=1e-2), name
    assert read_curve(tmp_path / "curve.jsonl")[0]["lr"] == pytest.approx(settings.lr)
    model, processor = load("llava")
    model.lm_head.requires_grad_(False)
    scaled = settings.model_copy(update={"lr_scales": {"head": 2.0}})
    with pytest.raises(InputError, match="head does not train"):
        train(city.samples, city.root, model, processor, scaled, tmp_path / "other")


def test_those_who_watch_get_loss_and_speed(load: Load, city: City, tmp_path: Path) -> None:
    told: list[tuple[float, ...]] = []
    model, processor = load("llava")
    train(city.samples, city.root, model, processor, SETTINGS, tmp_path, progress=lambda *values: told.append(values))
    curve = read_curve(tmp_path / "curve.jsonl")
    names = ("loss", "distinct_tokens_per_s", "effective_tokens_per_s")
    assert told == [(step + 1, 2, *(line[name] for name in names)) for step, line in enumerate(curve)]
    assert all(effective > distinct > 0 for *_, distinct, effective in told)


def test_a_reporter_that_is_not_installed_is_an_error(
    load: Load, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporters, "find_spec", lambda name: None)
    model, processor = load("llava")
    settings = SETTINGS.model_copy(update={"report_to": "wandb"})
    with pytest.raises(InputError, match=r"wandb is not installed; `pip install 'cityscribe\[wandb\]'`"):
        train(city.samples, city.root, model, processor, settings, tmp_path)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="an extra")
def test_tensorboard_gets_every_step(load: Load, city: City, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, processor = load("llava")
    settings = SETTINGS.model_copy(update={"report_to": "tensorboard"})
    train(city.samples, city.root, model, processor, settings, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert losses == [(line["step"], pytest.approx(line["loss"])) for line in read_curve(tmp_path / "curve.jsonl")]
    assert {"train/distinct_tokens_per_s", "train/effective_tokens_per_s"} <= set(events.Tags()["scalars"])


def test_what_fills_up_a_step_counts_for_nothing(load: Load, city: City) -> None:
    model, processor = load("llava")
    groups, _ = plan_groups(city.samples, city.root, Encoder(model, processor), SETTINGS)
    attention = tree_attention(model, torch.device("cpu"), 4096)
    collator = Collator(groups, city.root, Encoder(model, processor), SETTINGS, attention)
    batch = collator([0])
    filled = filled_up(batch, 3)
    assert [micro.counts for micro in filled.micro_batches] == [True, False, False]
    idle = collator([])
    assert (idle.denominator, idle.distinct, idle.effective, idle.samples) == (0, 0, 0, ())
    with attention_backend(model, attention.backend):
        micro = weightless(batch.micro_batches[0])
        summed_loss(SETTINGS.objective, model, micro, groups, attention, torch.float32, bare=model).backward()
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)
