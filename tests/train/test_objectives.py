"""Objectives on trees: value and gradient are those of the plain formula on sequences computed alone, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import Preference, Sample, SampleMeta, image_block, message, text_block
from cityscribe.tokens.encode import Encoder
from cityscribe.train.collator import Collator
from cityscribe.train.groups import last_run, plan_groups
from cityscribe.train.objectives import OBJECTIVES
from cityscribe.train.objectives.pairs import arrange_pairs
from cityscribe.train.reference import compute
from cityscribe.train.score import summed_loss
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import load_media
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
Gradients = dict[str, Tensor]

PAIRS = (  # question, chosen, rejected
    ("Where is the vehicle?", "On the left side of the pedestrian.", "On the left side, far away."),
    ("Where is the pedestrian?", "On the left side, far away.", "Dry."),
    ("Describe the weather.", "Dry.", "Dry road."),
)


def pairs(city: City) -> list[Sample]:
    """Two pairs about the pictures of each group, and in the first one a pair in a second turn as well."""
    samples = []
    for group, shown in ((number, city.samples[5 * number]) for number in range(3)):
        asked = [([], *pair) for pair in (PAIRS[group], PAIRS[(group + 1) % 3])]
        if group == 0:
            before = [
                message("user", image_block(), image_block(), text_block("Is it dry?")),
                message("assistant", text_block("Dry.")),
            ]
            asked.append((before, *PAIRS[2]))
        for number, (before, question, *answers) in enumerate(asked):
            images = [] if before else [image_block(), image_block()]
            for chosen, answer in zip((True, False), answers, strict=True):
                said = [
                    *before,
                    message("user", *images, text_block(question)),
                    message("assistant", text_block(answer)),
                ]
                preference = Preference(f"{group}/{number}", chosen)
                samples.append(
                    Sample(tuple(said), shown.images, shown.group, SampleMeta(scenario=f"{group}/{number}"), preference)
                )
    return samples


def prepared(load: Load, family: str) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A model in float64 throughout: its norms would compute in float32."""
    model, processor = load(family)
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            vars(module)["forward"] = partial(rms_norm, module)
    return model.double(), processor


def rms_norm(module: Any, hidden: Tensor) -> Tensor:
    return module.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)


def moved(model: PreTrainedModel) -> None:
    """Change what trains, so that the model is no longer its own reference."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (
                0.02 * parameter.std() * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            )


def on_trees(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    samples: Sequence[Sample],
    root: Path,
    settings: TrainSettings,
    order: list[int] | None = None,
) -> tuple[float, Gradients]:
    """Loss and gradients of all samples in one update, with the reference computed before the model is moved."""
    units = settings.objective.arrange(samples).units
    encoder = Encoder(model, processor)
    groups, _ = plan_groups(samples, root, encoder, settings, units=units)
    attention = tree_attention(model, torch.device("cpu"), 4096) if settings.share_prefix else None
    collator = Collator(groups, root, encoder, settings, attention)
    backend = attention_backend(model, attention.backend if attention else "sdpa")
    with backend:
        if settings.objective.needs_reference:
            collator.reference = compute(collator, model, torch.float64)
            moved(model)
        batch = collator(order or range(len(groups)))
        total = 0.0
        for micro in batch.micro_batches:
            loss = summed_loss(settings.objective, model, micro, groups, attention, torch.float64, bare=model)
            (loss / batch.denominator).backward()
            total += float(loss.detach()) / batch.denominator
    return total, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def alone(model: PreTrainedModel, processor: ProcessorMixin, sample: Sample, root: Path, answers: str) -> Tensor:
    """The log-probabilities of the trained tokens of one sample: the whole of it through the model, nothing shared."""
    media = load_media(sample, root, TrainSettings())
    conversation = Encoder(model, processor).teach(sample.name, sample.messages, media)
    inputs = {**conversation.tensors(), **conversation.media_inputs}
    logits = model(**inputs, use_cache=False).logits[0, :-1]
    trained = torch.from_numpy(last_run(conversation.trained) if answers == "last" else conversation.trained)[1:]
    ids = torch.from_numpy(conversation.input_ids)[1:]
    return log_softmax(logits, dim=-1)[torch.arange(len(ids)), ids][trained]


def plain_dpo(chosen: Tensor, rejected: Tensor, beta: float, smoothing: float) -> Tensor:
    margin = beta * (chosen - rejected)
    right, wrong = torch.sigmoid(margin), torch.sigmoid(-margin)
    return -(1 - smoothing) * torch.log(right) - smoothing * torch.log(wrong)


def plainly(
    load: Load, family: str, city: City, samples: Sequence[Sample], objective: dict[str, Any]
) -> tuple[float, Gradients]:
    model, processor = prepared(load, family)
    if objective["kind"] == "supervised":
        logprobs = torch.cat([alone(model, processor, sample, city.root, "all") for sample in samples])
        loss = -logprobs.mean()
    else:
        with torch.no_grad():
            before = [alone(model, processor, sample, city.root, "last").sum() for sample in samples]
        moved(model)
        raised = [alone(model, processor, s, city.root, "last").sum() - b for s, b in zip(samples, before, strict=True)]
        each = zip(raised[::2], raised[1::2], strict=True)
        loss = torch.stack(
            [plain_dpo(*pair, objective["beta"], objective.get("label_smoothing", 0.0)) for pair in each]
        ).mean()
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_equal(expected: tuple[float, Gradients], found: tuple[float, Gradients]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-9)
    scale = max(float(gradient.norm()) for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        assert float((gradient - found[1][name]).norm()) <= 1e-9 * scale, name


@pytest.mark.parametrize(
    ("family", "objective"),
    [
        ("llava", {"kind": "supervised"}),
        ("llava", {"kind": "dpo", "beta": 0.1, "label_smoothing": 0.2}),
        ("qwen2.5-vl", {"kind": "dpo", "beta": 0.5}),
    ],
    ids=["supervised", "smoothed", "dpo"],
)
def test_value_and_gradient_are_those_of_the_plain_formula(
    family: str, objective: dict[str, Any], load: Load, city: City
) -> None:
    samples = pairs(city) if objective["kind"] == "dpo" else list(city.samples)
    expected = plainly(load, family, city, samples, objective)
    assert expected[0] > 0.1
    changes: dict[str, dict[str, Any]] = {
        "trees": {},
        "rows": {"share_prefix": False},
        "small rows": {"budget_tokens": 150},
    }
    for change in changes.values():
        settings = TrainSettings(objective=objective, **change)
        assert_equal(expected, on_trees(*prepared(load, family), samples, city.root, settings))
    turned = [samples[n] for unit in reversed(range(0, len(samples), 2)) for n in (unit + 1, unit) if n < len(samples)]
    settings = TrainSettings(objective=objective)
    assert_equal(expected, on_trees(*prepared(load, family), turned, city.root, settings, [2, 0, 1]))


def test_samples_of_a_unit_come_into_one_row_or_are_refused(load: Load, city: City) -> None:
    model, processor = load("llava")
    samples = pairs(city)[:4]
    settings = TrainSettings(objective={"kind": "dpo"}, budget_tokens=80)
    units = settings.objective.arrange(samples).units
    with pytest.raises(
        InputError, match=r"0/\d/long: samples that train.objective takes together do not fit into one row"
    ):
        plan_groups(samples, city.root, Encoder(model, processor), settings, units=units)
    groups, _ = plan_groups(samples, city.root, Encoder(model, processor), settings)
    assert [len(members) for members in groups[0].members] == [1] * 4


def test_a_sample_that_is_too_long_takes_its_pair_with_it(load: Load, city: City) -> None:
    model, processor = load("llava")
    samples = pairs(city)
    long = message("assistant", text_block("far away " * 200))
    samples[1] = replace(samples[1], messages=(*samples[1].messages[:-1], long))
    settings = TrainSettings(objective={"kind": "dpo"}, max_tokens=200, too_long="skip")
    groups, skipped = plan_groups(
        samples, city.root, Encoder(model, processor), settings, units=settings.objective.arrange(samples).units
    )
    assert [(skip.sample, skip.why) for skip in skipped] == [
        ("0/0/long", "too long"),
        ("0/0/long", "what it is compared with is too long"),
    ]
    assert sum(len(group.units) for group in groups) == len(samples) // 2 - 1


def test_pairs(city: City) -> None:
    samples = pairs(city)
    same = [
        replace(sample, messages=samples[0].messages, preference=Preference("same", chosen))
        for sample, chosen in zip(samples[:2], (True, False), strict=True)
    ]
    arrangement = arrange_pairs([city.samples[0], *same, samples[3], samples[2]], "dpo")
    assert arrangement.units == ((4, 3),)
    assert arrangement.left_out == (
        (0, "of no pair"),
        (1, "its pair says the same twice"),
        (2, "its pair says the same twice"),
    )
    with pytest.raises(InputError, match=r"train.objective dpo: none of 15 samples is of a pair"):
        arrange_pairs(city.samples, "dpo")
    with pytest.raises(InputError, match=r"each of the 1 pairs says the same twice"):
        arrange_pairs(same, "dpo")
    with pytest.raises(InputError, match=r"pair 0/0: has 1 chosen and 0 rejected answers"):
        arrange_pairs(samples[:1], "dpo")
    with pytest.raises(InputError, match=r"pair 0/0: has 2 chosen and 1 rejected answers"):
        arrange_pairs([samples[0], *samples[:2]], "dpo")
    supervised = OBJECTIVES["supervised"]().arrange(samples)
    assert supervised.units == tuple((n,) for n in range(0, len(samples), 2))
    assert supervised.left_out == tuple((n, "a rejected answer") for n in range(1, len(samples), 2))
