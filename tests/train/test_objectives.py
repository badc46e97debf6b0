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
    prunes: bool = True,
) -> tuple[float, Gradients]:
    """Loss and gradients of all samples in one update, with the reference computed before the model is moved."""
    units = settings.objective.arrange(samples).units
    encoder = Encoder(model, processor)
    groups, _ = plan_groups(samples, root, encoder, settings, units=units)
    attention = tree_attention(model, torch.device("cpu"), 4096, prunes=prunes) if settings.share_prefix else None
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


def with_other_images(city: City) -> list[Sample]:
    """The pairs, and each chosen answer rejected behind the pictures of another group."""
    samples = pairs(city)
    shown = {sample.group: sample.images for sample in city.samples}
    groups = list(shown)
    found = []
    for chosen, rejected in zip(samples[::2], samples[1::2], strict=True):
        other = shown[groups[(groups.index(chosen.group) + 1) % len(groups)]]
        found += [chosen, rejected, replace(chosen, images=other, preference=rejected.preference)]
    return found


def stretches(city: City) -> list[Sample]:
    """Answers of three stretches: right, neither, wrong; and one of one stretch."""
    found = []
    for number, sample in enumerate(city.samples[::5]):
        said = ["On the left side,", "On the left side, far away,", "On the left side, far away, moving straight."]
        labels: list[bool | None] = [True, None, False]
        for text, label in [*zip(said, labels, strict=True)][: 1 if number == 2 else 3]:
            messages = (*sample.messages[:1], message("assistant", text_block(text)))
            found.append(replace(sample, messages=messages, preference=Preference(str(number), label)))
    return found


def plain_dpo(margin: Tensor, smoothing: float = 0.0) -> Tensor:
    right, wrong = torch.sigmoid(margin), torch.sigmoid(-margin)
    return -(1 - smoothing) * torch.log(right) - smoothing * torch.log(wrong)


def plain_loss(objective: dict[str, Any], samples: Sequence[Sample], now: list[Tensor], before: list[Tensor]) -> Tensor:
    """The loss by the formula of each paper, of the log-probabilities of the trained tokens of each sample."""
    kind, beta = objective["kind"], objective.get("beta", 0.1)
    sums = [each.sum() for each in now]
    means = [each.mean() for each in now]
    raised = [(each - old).sum() for each, old in zip(now, before, strict=True)]
    if kind == "kto":
        losses = []
        for group in {sample.group: None for sample in samples}:
            own = [n for n, sample in enumerate(samples) if sample.group == group]
            point = max(float(sum(raised[n].detach() for n in own) / len(own)), 0.0)
            for n in own:
                value = torch.sigmoid(beta * (raised[n] - point) * (-1 if samples[n].rejected else 1))
                losses.append((objective["undesirable_weight"] if samples[n].rejected else 1.0) * (1 - value))
        return torch.stack(losses).mean()
    if kind == "fdpo":
        change = [each - old for each, old in zip(now, before, strict=True)]
        one, three = len(now[0]) - 1, len(now[2]) - 1  # without the end token
        two = len(now[1]) - 1
        stretch = [change[n][:one].sum() for n in (0, 3)], [change[n][two:three].sum() for n in (2, 5)]
        last = change[6][:one].sum()
        losses = [plain_dpo(beta * good) + plain_dpo(-beta * bad) for good, bad in zip(*stretch, strict=True)]
        return torch.stack([*losses, plain_dpo(beta * last)]).mean()
    if kind == "image-preference":
        chosen, rejected, other = (torch.stack(raised[n::3]) for n in range(3))
        anchored = plain_dpo(beta * chosen - 0.2)
        return (plain_dpo(beta * (chosen - rejected)) + 0.5 * plain_dpo(beta * (chosen - other)) + anchored).mean()
    chosen, rejected = torch.stack(raised[::2]), torch.stack(raised[1::2])
    if kind == "dpo":
        return plain_dpo(beta * (chosen - rejected), objective.get("label_smoothing", 0.0)).mean()
    if kind == "ipo":
        return ((chosen - rejected - 1 / (2 * beta)) ** 2).mean()
    if kind == "simpo":
        return plain_dpo(beta * (torch.stack(means[::2]) - torch.stack(means[1::2])) - objective["gamma"]).mean()
    if kind == "dpo-sft":
        likelihood = torch.stack(sums[::2]) / torch.tensor([len(each) for each in now[::2]])
        return (plain_dpo(beta * (chosen - rejected)) - objective["sft_weight"] * likelihood).mean()
    assert kind == "length-normalised-dpo"
    lengths = torch.tensor([len(each) for each in now])
    return plain_dpo(beta * (chosen / lengths[::2] - rejected / lengths[1::2])).mean()


def plainly(
    load: Load, family: str, city: City, samples: Sequence[Sample], objective: dict[str, Any]
) -> tuple[float, Gradients]:
    model, processor = prepared(load, family)
    if objective["kind"] == "supervised":
        logprobs = torch.cat([alone(model, processor, sample, city.root, "all") for sample in samples])
        loss = -logprobs.mean()
    else:
        before = [torch.zeros(())] * len(samples)
        if OBJECTIVES[objective["kind"]].needs_reference:
            with torch.no_grad():
                before = [alone(model, processor, sample, city.root, "last") for sample in samples]
            moved(model)
        now = [alone(model, processor, sample, city.root, "last") for sample in samples]
        loss = plain_loss(objective, samples, now, before)
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_equal(expected: tuple[float, Gradients], found: tuple[float, Gradients]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-9)
    scale = max(float(gradient.norm()) for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        assert float((gradient - found[1][name]).norm()) <= 1e-9 * scale, name


@pytest.mark.parametrize(
    ("family", "objective", "make"),
    [
        ("llava", {"kind": "supervised"}, lambda city: list(city.samples)),
        ("llava", {"kind": "dpo", "beta": 0.1, "label_smoothing": 0.2}, pairs),
        ("qwen2.5-vl", {"kind": "dpo", "beta": 0.5}, pairs),
        ("llava", {"kind": "ipo", "beta": 0.3}, pairs),
        ("llava", {"kind": "simpo", "beta": 2.0, "gamma": 0.5}, pairs),
        ("llava", {"kind": "length-normalised-dpo", "beta": 3.0}, pairs),
        ("llava", {"kind": "dpo-sft", "beta": 0.2, "sft_weight": 0.3}, pairs),
        ("llava", {"kind": "kto", "beta": 0.3, "undesirable_weight": 1.5}, lambda c: [*pairs(c), *c.samples[::4]]),
        ("llava", {"kind": "fdpo", "beta": 0.4}, stretches),
        ("llava", {"kind": "image-preference", "beta": 0.3, "image_weight": 0.5, "anchor": 0.2}, with_other_images),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_value_and_gradient_are_those_of_the_plain_formula(
    family: str, objective: dict[str, Any], make: Callable[[City], list[Sample]], load: Load, city: City
) -> None:
    samples = make(city)
    expected = plainly(load, family, city, samples, objective)
    assert expected[0] > 0.1
    turned = samples[::-1]
    budget = 400 if objective["kind"] in ("kto", "image-preference") else 150
    if objective["kind"] in ("supervised", "dpo"):  # how the work is cut up is no affair of an objective
        for change in ({}, {"share_prefix": False}, {"budget_tokens": budget}):
            settings = TrainSettings(objective=objective, **change)
            assert_equal(expected, on_trees(*prepared(load, family), samples, city.root, settings))
        budget = 4096
    settings = TrainSettings(objective=objective, budget_tokens=budget)
    whole = on_trees(*prepared(load, family), turned, city.root, settings, [2, 0, 1], prunes=objective["kind"] != "dpo")
    assert_equal(expected, whole)


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


def test_what_no_unit_can_be_made_of_is_said(city: City) -> None:
    samples = pairs(city)
    with pytest.raises(InputError, match=r"train.objective kto: none of 15 samples has a rejected answer"):
        OBJECTIVES["kto"]().arrange(city.samples)
    with pytest.raises(InputError, match=r"pair 0/0: `.*pedestrian.` does not go on from `.*far away.`"):
        OBJECTIVES["fdpo"]().arrange([samples[1], samples[0]])
    with pytest.raises(InputError, match=r"pair 0/0: has 0 chosen and 1 rejected answers; .* one with one or more"):
        OBJECTIVES["image-preference"]().arrange(samples[1:2])
    same = replace(samples[0], preference=samples[1].preference)
    arrangement = OBJECTIVES["image-preference"]().arrange([*samples[:2], same])
    assert (arrangement.units, arrangement.left_out) == (((0, 1),), ((2, "its pair says the same twice"),))
