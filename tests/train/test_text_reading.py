"""Models whose features depend on the question: content decides what is shared, and the check sees the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.models.parts import connector
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.tokens import encode
from cityscribe.tokens.encode import Encoder, with_media
from cityscribe.train import exact
from cityscribe.train.collator import Collator, MicroBatch
from cityscribe.train.exact import check_tree, kept_logits
from cityscribe.train.groups import plan_groups
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import load_media
from cityscribe.train.tree_attention import attention_backend, tree_attention
from cityscribe.tree import target_logprobs
from tests.text_reading import guided_llava, instructblip
from tests.train.conftest import ASKED, City

Make = Callable[[], tuple[PreTrainedModel, ProcessorMixin]]
CPU = torch.device("cpu")
MODELS = pytest.mark.parametrize("make", [guided_llava, instructblip])


@pytest.fixture
def samples(city: City) -> tuple[Sample, ...]:
    """Four questions about one image, and one about another."""
    return tuple(
        Sample(
            (message("user", image_block(), text_block(question)), message("assistant", text_block(answer))),
            (f"{group}-0.png",),
            f"group_{group}",
        )
        for group, (question, answer) in [*((0, asked) for asked in ASKED), (1, ASKED[0])]
    )


def loss_alone(model: PreTrainedModel, processor: ProcessorMixin, sample: Sample, city: City) -> tuple[Tensor, int]:
    """The summed loss on the answer of one sample, and its tokens, with the features of its prompt."""
    filled = with_media("one", sample.messages, load_media(sample, city.root, TrainSettings()))
    asked = processor.apply_chat_template(
        filled[:1], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    ids = processor.apply_chat_template(filled, tokenize=True, return_dict=True, return_tensors="pt")["input_ids"]
    end = 1 + int(torch.nonzero(ids[0] == processor.tokenizer.eos_token_id)[-1])
    start = asked["input_ids"].shape[1]
    whole = {**asked, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    logits = model(**whole, use_cache=False).logits[0, start - 1 : end - 1]
    return torch.nn.functional.cross_entropy(logits, ids[0, start:end], reduction="sum"), end - start


def gradient(model: PreTrainedModel) -> Tensor:
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return found


@MODELS
def test_training_equals_the_samples_alone(make: Make, samples: tuple[Sample, ...], city: City) -> None:
    model, processor = make()
    total, tokens = torch.zeros(()), 0
    for sample in samples:
        loss, count = loss_alone(model, processor, sample, city)
        loss.backward()
        total, tokens = total + loss.detach(), tokens + count
    expected, expected_gradient = total / tokens, gradient(model) / tokens

    encoder = Encoder(model, processor)
    for share in (True, False):
        settings = TrainSettings(share_prefix=share)
        attention = tree_attention(model, CPU, 10**4) if share else None
        groups, _ = plan_groups(samples, city.root, encoder, settings)
        batch = Collator(groups, city.root, encoder, settings, attention)(range(len(groups)))
        with attention_backend(model, attention.backend if attention else "sdpa"):
            loss = torch.zeros(())
            for micro in batch.micro_batches:
                logprobs = target_logprobs(kept_logits(model, micro, attention), micro.rows)
                part = -(logprobs * micro.rows.weights).sum() / batch.denominator
                part.backward()
                loss += part.detach()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        assert (gradient(model) - expected_gradient).norm() <= 1e-5 * expected_gradient.norm()
    assert (
        check_tree(model, tree_attention(model, CPU, 100), [samples[:4], samples[4:]], city.root, processor, settings)
        < 1e-5
    )


@MODELS
def test_the_check_refuses_features_shared_by_pixels_alone(
    make: Make, samples: tuple[Sample, ...], city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = make()
    content_key = encode.content_key
    pixels = lambda inputs, text=b"": content_key({"pixel_values": inputs["pixel_values"]})  # noqa: E731
    monkeypatch.setattr(encode, "content_key", pixels)
    attention = tree_attention(model, CPU, 10**4)
    with pytest.raises(InputError, match="changes its loss by"):
        check_tree(model, attention, [samples[:4], samples[4:]], city.root, processor, TrainSettings())


def features_off(micro: MicroBatch) -> MicroBatch:
    """The pixels of one branch are one hundredth brighter."""
    pixels = micro.image_inputs["pixel_values"].clone()
    pixels[0] *= 1.01
    return replace(micro, image_inputs={**micro.image_inputs, "pixel_values": pixels})


def weights_off(micro: MicroBatch) -> MicroBatch:
    rows = micro.rows
    first = rows.edge_target[rows.edge_branch == 0]
    weights = rows.weights.clone()
    weights[first] *= 1.01
    return replace(micro, rows=replace(rows, weights=weights))


@pytest.mark.parametrize("plant", [features_off, weights_off])
def test_an_error_of_one_hundredth_is_seen_in_a_bf16_model(
    plant: Callable[[MicroBatch], MicroBatch],
    samples: tuple[Sample, ...],
    city: City,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, processor = guided_llava()
    model.to(torch.bfloat16).requires_grad_(False)
    for part in connector(model):
        part.float().requires_grad_(True)
    groups = [samples[:4], samples[4:]]
    attention = tree_attention(model, CPU, 10**4)
    assert check_tree(model, attention, groups, city.root, processor, TrainSettings()) < 1e-4
    assert model.lm_head.weight.dtype == torch.bfloat16
    assert not model.training
    merged = exact._merged
    monkeypatch.setattr(exact, "_merged", lambda *args: plant(merged(*args)))
    with pytest.raises(InputError, match="changes its loss by"):
        check_tree(model, attention, groups, city.root, processor, TrainSettings())


@MODELS
def test_answers_equal_plain_generate(make: Make, samples: tuple[Sample, ...], city: City) -> None:
    model, processor = make()
    engine = LocalEngine(model, processor)
    asked = [
        Request(sample.messages[:1], tuple(city.root / name for name in sample.images), max_tokens=12)
        for sample in samples
    ]
    answers = [answer for (answer,) in engine.answer(asked)]
    for sample, answer in zip(samples, answers, strict=True):
        filled = with_media("one", sample.messages[:1], load_media(sample, city.root, TrainSettings()))
        inputs = processor.apply_chat_template(
            filled, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        said = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert answer.text == engine.text(said.tolist()).strip()
    assert len({answer.text for answer in answers[:4]}) > 1


def test_several_rounds_cannot_be_read_with_one_set_of_features(samples: tuple[Sample, ...], city: City) -> None:
    model, processor = instructblip()
    images = load_media(samples[0], city.root, TrainSettings())
    rounds = (*samples[0].messages, message("user", text_block("And then?")), samples[1].messages[1])
    with pytest.raises(InputError, match="one: the model reads its images together with the text up to each answer"):
        Encoder(model, processor).teach("one", rounds, images)
    model, processor = guided_llava()
    assert len(Encoder(model, processor).teach("one", rounds, images).media) == 1
