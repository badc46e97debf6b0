"""Looks at samples that are not trained on change nothing of a training but what they are asked to change."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import TrainReport, train
from cityscribe.train.trainer import looks_of, read_curve
from cityscribe.train.validation import Look, best_of, ends_at, spread
from tests.train.conftest import City
from tests.train.test_exact import loss_alone
from tests.train.test_supervised import SETTINGS, assert_equal, changed, stop_at

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
State = dict[str, torch.Tensor]


def trained(load: Load, city: City, out: Path, settings: TrainSettings, **more: object) -> tuple[State, TrainReport]:
    """Trains on two groups and looks at the third."""
    model, processor = load("llava")
    arguments = {"validation": city.samples[10:], **more}
    report = train(city.samples[:10], city.root, model, processor, settings, out, **arguments)  # type: ignore[arg-type]
    return model.state_dict(), report


def looking(**values: object) -> TrainSettings:
    return changed(SETTINGS, epochs=4, validation={"every": 2, **values})


def mean_loss(load: Load, city: City, weights: State) -> float:
    """The loss of an answer token of the third group, each sample by itself, without this package."""
    model, processor = load("llava")
    model.load_state_dict(weights)
    model.eval()
    with torch.no_grad():
        losses = [loss_alone(model, processor, sample, city) for sample in city.samples[10:]]
    return float(sum(loss for loss, _ in losses)) / sum(tokens for _, tokens in losses)


def test_a_look_changes_nothing_and_tells_the_loss(load: Load, city: City, tmp_path: Path) -> None:
    plain, _ = trained(load, city, tmp_path / "plain", changed(SETTINGS, epochs=4))
    weights, report = trained(load, city, tmp_path / "looked", looking())
    assert_equal(weights, plain)
    looks = looks_of(read_curve(tmp_path / "looked" / "curve.jsonl"))
    assert [look.step for look in looks] == [2, 4, 6, 8]
    assert report.val_loss == looks[-1].loss == pytest.approx(mean_loss(load, city, weights), rel=1e-5)
    assert not (tmp_path / "looked" / "best").exists()


def test_the_best_weights_are_kept_and_a_killed_training_goes_on_to_the_same(
    load: Load, city: City, tmp_path: Path
) -> None:
    settings = changed(looking(every=1, keep="best", patience=3), lr=0.1, epochs=15, schedule="constant", save_steps=4)
    weights, report = trained(load, city, tmp_path / "whole", settings)
    looks = looks_of(read_curve(tmp_path / "whole" / "curve.jsonl"))
    best = best_of(looks)
    assert best is not None
    assert best.step < looks[-1].step == report.steps == best.step + 3 < 30, looks
    assert report.val_loss == best.loss == pytest.approx(mean_loss(load, city, weights), rel=1e-5)

    with pytest.raises(KeyboardInterrupt):
        trained(load, city, tmp_path / "killed", settings, progress=stop_at(report.steps - 1))
    again, second = trained(load, city, tmp_path / "killed", settings)
    assert second.resumed_from
    assert_equal(again, weights)
    # Killed after the last step, before the model was saved.
    once_more, third = trained(load, city, tmp_path / "killed", settings)
    assert third.resumed_from == report.steps
    assert_equal(once_more, weights)


def test_when_looks_end_a_training() -> None:
    looks = [Look(step, loss) for step, loss in enumerate([3.0, 2.0, 2.0, 2.5, 1.9, 1.95, 2.0, 2.1], start=1)]
    assert [ends_at(looks, patience) for patience in (0, 1, 2, 3, 4)] == [None, 3, 4, 8, None]
    assert ends_at([Look(1, math.nan), Look(2, math.nan)], 2) == 2
    assert best_of(looks) == Look(5, 1.9)
    assert best_of([]) is None


def test_looks_are_spread_over_all_groups(city: City) -> None:
    assert [sample.group for sample in spread(city.samples, 2)] == ["group_0"] * 5 + ["group_1"] * 5
    assert spread(city.samples, 7) == list(city.samples)


def test_what_cannot_be_looked_at_is_said(load: Load, city: City, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.validation\.every: there are no samples of val"):
        trained(load, city, tmp_path, looking(), validation=())
    for useless in ({"keep": "best"}, {"patience": 1}):
        with pytest.raises(InputError, match=r"set train\.validation\.every"):
            trained(load, city, tmp_path, changed(SETTINGS, validation=useless))
