"""An image that stands at several places of a row is computed once, and all comes out as if each place had its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.models.parts import vision_tower
from cityscribe.models.replaced import replaced_forward
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.tokens.features import feature_owner, handed_out
from cityscribe.train.collator import Collator
from cityscribe.train.groups import plan_groups
from cityscribe.train.kept_vision import KEPT, vision_kept
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.tiny_models import FAMILIES
from tests.train.conftest import City
from tests.train.test_exact import batch_loss, gradient, loss_alone

DIVIDED = ("llava", "llava-next", "qwen2.5-vl", "qwen3-vl")
"""Where the inputs of each image can be told apart. The others take the images of a conversation in one piece."""

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


def repeating(city: City) -> tuple[Sample, ...]:
    """A group whose second image is its first, and another group that shows that image as well."""
    one, other = city.samples[0], city.samples[5]
    twice = (one.images[0], one.images[0])
    mixed = (other.images[0], one.images[0])
    return (replace(one, images=twice), replace(city.samples[1], images=twice), replace(other, images=mixed))


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradient_with_images_at_several_places(family: str, load: Load, city: City) -> None:
    model, processor = load(family)
    samples = repeating(city)
    encoder = Encoder(model, processor)
    total, tokens = torch.zeros(()), 0
    for sample in samples:
        loss, count = loss_alone(model, processor, sample, city)
        loss.backward()
        total += loss.detach()
        tokens += count
    expected = gradient(model) / tokens

    settings = TrainSettings(budget_tokens=4096)
    attention = tree_attention(model, torch.device("cpu"), 10**4)
    groups, _ = plan_groups(samples, city.root, encoder, settings)
    assert not any(outline.repeats_media for outline in groups.outlines)  # each as often as its samples show it
    batch = Collator(groups, city.root, encoder, settings, attention)([0, 1])
    copies = [micro.copies for micro in batch.micro_batches]
    if attention.sparse:  # one row for all
        assert copies == [(0, 0, 1, 0) if family in DIVIDED else ()]
    with attention_backend(model, attention.backend):
        together = batch_loss(model, processor, city, settings, attention, samples)
    assert together.item() == pytest.approx(total.item() / tokens, rel=1e-6)
    assert (gradient(model) - expected).norm() <= 1e-5 * expected.norm()
    assert "get_image_features" not in vars(feature_owner(model) or model)


def test_which_families_compute_an_image_once(load: Load) -> None:
    assert {name for name in FAMILIES if feature_owner(load(name)[0]) is not None} == set(FAMILIES)


def test_another_number_of_images_is_refused(load: Load) -> None:
    model, _ = load("llava")
    pixels = torch.zeros(3, 3, 32, 32)
    with handed_out(model, (0, 1, 0)), pytest.raises(ValueError, match="3 images have features, and 2 were given"):
        feature_owner(model).get_image_features(pixels)  # type: ignore[union-attr]


@pytest.mark.parametrize("family", ["llava", "llava-next", "qwen2.5-vl"])
def test_a_frozen_tower_computes_each_image_once_in_a_training(family: str, load: Load, city: City) -> None:
    """The second pass takes what the first computed, with the loss and gradient of a tower that computes again; where
    rows of pixels are no images, or the tower trains, nothing changes."""
    model, processor = load(family)
    samples, settings = city.samples[:2] + city.samples[5:6], TrainSettings(budget_tokens=4096)
    attention = tree_attention(model, torch.device("cpu"), 10**4, prunes=True)
    tower = vision_tower(model)
    assert tower is not None
    shown: list[int] = []

    def passes() -> list[float]:
        return [float(batch_loss(model, processor, city, settings, attention, samples)) for _ in range(2)]

    with attention_backend(model, attention.backend):
        for trains in (True, False):
            tower.requires_grad_(trains)
            model.zero_grad()
            expected = passes()
            before = gradient(model)
            model.zero_grad()
            compute = tower.forward

            def counted(pixels: torch.Tensor, *more: object, compute=compute, **options: object) -> object:  # type: ignore[no-untyped-def]
                shown.append(len(pixels))
                return compute(pixels, *more, **options)

            with replaced_forward(tower, counted), vision_kept(model):
                assert passes() == pytest.approx(expected, rel=1e-6)
            assert (gradient(model) - before).norm() <= 1e-5 * before.norm()
            if family == "llava":  # two images of each of two groups
                assert shown == ([4, 4] if trains else [1, 1, 1, 1])
            shown.clear()
    assert KEPT not in vars(tower)
