"""From samples to trees: what is shared, what is left out, and what ends a run before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.tokens.encode import Encoder
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.train import tokenised
from cityscribe.train.groups import plan_groups, sample_name
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import load_media
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


def test_every_image_occurs_once_for_all_samples_of_its_group(load: Load, city: City) -> None:
    model, processor = load("llava")
    seen: list[tuple[int, int]] = []
    groups, skipped = plan_groups(
        city.samples,
        city.root,
        Encoder(model, processor),
        TrainSettings(),
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert not skipped
    for group in groups:
        (forest,) = group.forests
        assert [len(keys) for keys in group.media] == [2]
        assert (forest.input_ids == model.config.image_token_id).sum() == 2 * 16
        assert forest.branches == len(group.samples) == 5
        assert forest.length < forest.effective / 2


def test_groups_need_not_be_contiguous(load: Load, city: City) -> None:
    model, processor = load("llava")
    mixed = city.samples[::2] + city.samples[1::2]
    groups, _ = plan_groups(mixed, city.root, Encoder(model, processor), TrainSettings())
    expected, _ = plan_groups(city.samples, city.root, Encoder(model, processor), TrainSettings())
    lengths = {group.samples[0].group: group.forests[0].length for group in groups}
    assert lengths == {group.samples[0].group: group.forests[0].length for group in expected}


def test_what_exceeds_the_budget_is_split_by_branches(load: Load, city: City) -> None:
    model, processor = load("llava")
    whole, _ = plan_groups(city.samples, city.root, Encoder(model, processor), TrainSettings())
    groups, _ = plan_groups(city.samples, city.root, Encoder(model, processor), TrainSettings(budget_tokens=125))
    for one, other in zip(whole, groups, strict=True):
        assert len(other.forests) > 1
        assert all(forest.length <= 125 for forest in other.forests)
        assert other.media == one.media * len(other.forests)
        assert sum(forest.effective for forest in other.forests) == one.forests[0].effective
        assert sum(forest.edge_weight.sum() for forest in other.forests) == one.forests[0].edge_weight.sum()


@pytest.mark.parametrize(("before", "between"), [(True, False), (False, True), (True, True)])
def test_text_before_an_image_leaves_it_to_each_sample(before: bool, between: bool, load: Load, city: City) -> None:
    model, processor = load("llava")
    samples = [
        replace(
            city.samples[number],
            messages=(
                message(
                    "user",
                    *([text_block(question)] if before else []),
                    image_block(),
                    *([text_block(question)] if between else []),
                    image_block(),
                ),
                message("assistant", text_block("Yes.")),
            ),
        )
        for number, question in enumerate(("Near?", "Far?", "Far!"))
    ]
    encoder = Encoder(model, processor)
    (group,), _ = plan_groups(samples, city.root, encoder, TrainSettings())
    (forest,), (keys,) = group.forests, group.media
    first, second = encoder.teach("one", samples[0].messages, load_media(samples[0], city.root, TrainSettings())).media
    # Text between the images leaves the first one shared.
    assert keys == ((first.key, second.key) * 3 if before else (first.key, *[second.key] * 3))
    image = np.flatnonzero(forest.input_ids == model.config.image_token_id)
    assert len(image) == len(keys) * 16
    for item in np.split(image, len(keys)):  # each on one path, so that features come in the order of their tokens
        assert all(a <= b <= forest.last[a] for a, b in pairwise(item))


def test_a_sample_that_is_too_long_is_an_error_or_skipped_and_counted(load: Load, city: City) -> None:
    model, processor = load("llava")
    long = replace(
        city.samples[0],
        messages=(*city.samples[0].messages[:1], message("assistant", text_block("far " * 100))),
        meta=TrafficMeta("event_9", view="vehicle", phase=3, kind="long", target="pedestrian"),
    )
    samples = [*city.samples, long]
    name = "event_9/vehicle/action/pedestrian/long"
    assert sample_name(long) == name
    with pytest.raises(InputError, match=rf"^{name}: has \d+ tokens .* allows 150 \(1 of 16 samples"):
        plan_groups(samples, city.root, Encoder(model, processor), TrainSettings(max_tokens=150))
    groups, skipped = plan_groups(
        samples,
        city.root,
        Encoder(model, processor),
        TrainSettings(max_tokens=150, too_long="skip", weighting="sequence"),
    )
    assert [one.sample for one in skipped] == [name]
    assert sum(len(group.samples) for group in groups) == 15
    assert sum(group.forests[0].edge_weight.sum() for group in groups) == pytest.approx(15)
    with pytest.raises(InputError, match="none of 16 samples is left"):
        plan_groups(samples, city.root, Encoder(model, processor), TrainSettings(max_tokens=10, too_long="skip"))
    with pytest.raises(InputError, match=rf"{name}: .* train.budget_tokens allows 150"):
        plan_groups(samples, city.root, Encoder(model, processor), TrainSettings(budget_tokens=150))


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl"])
def test_a_blind_model_gets_the_same_questions_without_images(family: str, load: Load, city: City) -> None:
    model, processor = load(family)
    missing = city.root / "nowhere"
    groups, _ = plan_groups(city.samples, missing, Encoder(model, processor), TrainSettings(images=False))
    for group in groups:
        assert group.inputs == {}
        assert group.media == ((),)
        assert not (group.forests[0].input_ids == model.config.image_token_id).any()
        assert group.forests[0].branches == 5


def test_bad_images_are_errors_that_name_the_file(load: Load, city: City, tmp_path) -> None:
    model, processor = load("llava")
    for name in {name for sample in city.samples for name in sample.images}:
        (tmp_path / name).write_bytes((city.root / name).read_bytes())
    (tmp_path / "1-1.png").write_bytes((city.root / "1-1.png").read_bytes()[:200])
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"1-1\.png: not a readable image: .*event_1/overhead") as error:
            plan_groups(city.samples, tmp_path, Encoder(model, processor), TrainSettings(workers=workers))
        assert "\n" not in str(error.value)


def test_images_beyond_the_cache_are_preprocessed_again(
    load: Load, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = load("llava")
    (first, *_), _ = plan_groups(city.samples, city.root, Encoder(model, processor), TrainSettings())
    assert first.inputs is not None
    size = sum(value["pixel_values"].nbytes for value in first.inputs.values())
    monkeypatch.setattr(tokenised, "CACHE_BYTES", size)
    groups, _ = plan_groups(city.samples, city.root, Encoder(model, processor), TrainSettings())
    assert [group.inputs is None for group in groups] == [False, True, True]


def test_a_sample_without_images(load: Load, city: City) -> None:
    model, processor = load("llava")
    bare = Sample((message("user", text_block("Hello?")), message("assistant", text_block("Yes."))), (), "bare")
    groups, _ = plan_groups([*city.samples, bare], city.root, Encoder(model, processor), TrainSettings())
    assert groups[-1].media == ((),)
    assert sample_name(bare) == "bare/long"
