"""Trainings by comparison: they learn, go on after a stop, store their reference, and say why they cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe import pipeline
from cityscribe.files import InputError
from cityscribe.models.settings import LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.project import load_settings, resolve
from cityscribe.records import Sample, read_samples
from cityscribe.registry import registry
from cityscribe.train.objectives import OBJECTIVES
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored
from cityscribe.train.reference import weights_digest
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import TrainReport, train
from cityscribe.train.trainer import read_curve
from tests.train.conftest import City
from tests.train.test_objectives import pairs
from tests.train.test_supervised import assert_equal, stop_at

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]
DPO = {"kind": "dpo", "beta": 0.5}
SETTINGS = TrainSettings(objective=DPO, epochs=2, lr=1e-2, batch_groups=1, precision="fp32", save_steps=1)


def trained(
    load: Load, samples: Sequence[Sample], root: Path, out: Path, settings: TrainSettings = SETTINGS, **arguments: Any
) -> tuple[dict[str, Tensor], TrainReport]:
    model, processor = load("llava")
    report = train(samples, root, model, processor, settings, out, **arguments)
    return model.state_dict(), report


def test_it_learns_and_stopped_and_gone_on_it_ends_the_same(load: Load, city: City, tmp_path: Path) -> None:
    samples = pairs(city)
    expected, report = trained(load, samples, city.root, tmp_path / "whole")
    assert report.first_loss == pytest.approx(torch.log(torch.tensor(2.0)).item(), rel=1e-5)  # it is its own reference
    assert report.last_loss < report.first_loss * 0.8
    for stop in (1, 4):
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(KeyboardInterrupt):
            trained(load, samples, city.root, out, progress=stop_at(stop))
        before = (out / "reference.parquet").read_bytes()
        found, again = trained(load, samples, city.root, out)
        assert again.resumed_from == stop - 1
        assert (out / "reference.parquet").read_bytes() == before
        assert_equal(expected, found)
    with pytest.raises(InputError, match=r"checkpoints of another training \(train.objective differ\)"):
        trained(load, samples, city.root, out, SETTINGS.model_copy(update={"objective": OBJECTIVES["dpo"](beta=0.1)}))


def test_what_no_pair_can_be_made_of(load: Load, city: City, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train.objective dpo: none of 15 samples is of a pair"):
        trained(load, city.samples, city.root, tmp_path)
    samples = pairs(city)
    samples[1] = replace(samples[1], messages=samples[0].messages)
    _, report = trained(load, samples, city.root, tmp_path, SETTINGS.model_copy(update={"max_steps": 1}))
    assert [skip.why for skip in report.skipped] == ["its pair says the same twice"] * 2
    assert report.samples == len(samples) - 2


def test_a_reference_of_another_training_is_taken_or_refused_by_name(load: Load, city: City, tmp_path: Path) -> None:
    samples = pairs(city)
    short = SETTINGS.model_copy(update={"max_steps": 2})
    expected, _ = trained(load, samples, city.root, tmp_path / "own", short)
    file = tmp_path / "own" / "reference.parquet"
    named = TrainSettings(**{**short.model_dump(), "objective": {**DPO, "reference": str(file)}})
    found, _ = trained(load, samples, city.root, tmp_path / "taken", named)
    assert not (tmp_path / "taken" / "reference.parquet").exists()
    assert_equal(expected, found)

    root = tmp_path / "root"
    shutil.copytree(city.root, root)
    Image.new("RGB", (40, 40)).save(root / samples[0].images[0])
    with pytest.raises(InputError, match=r"reference.parquet: has no log-probabilities of 0/0/long as it is now"):
        trained(load, samples, root, tmp_path / "images", named)
    model, processor = load("llava")
    with torch.no_grad():
        model.lm_head.weight[3, 3] += 1e-3
    model.name_or_path = "another-base"
    with pytest.raises(
        InputError, match=r"reference.parquet: was computed with other weights \(.+\) than .*another-base"
    ):
        train(samples, city.root, model, processor, named, tmp_path / "other")


def test_tuning_methods_leave_the_digest_of_the_weights(load: Load) -> None:
    model, _ = load("llava")
    expected = weights_digest(model)
    for settings in (
        ModelSettings(method="lora", lora=LoraSettings(rank=2)),
        ModelSettings(method="dora", lora=LoraSettings(rank=2)),
        ModelSettings(method="block-expansion", block_expansion={"blocks": 2}),
    ):
        tuned, _ = load("llava")
        prepare_tuning(tuned, settings)
        assert weights_digest(tuned) == expected, settings.method
        with torch.no_grad():
            tuned.model.multi_modal_projector.linear_1.weight[0, 0] += 1e-3
        assert weights_digest(tuned) != expected


def rows_of(samples: Sequence[Sample], root: Path) -> Iterator[str]:
    """Pairs as TRL has them, and one whose answers are equal."""
    for chosen, rejected in zip(samples[::2], samples[1::2], strict=True):
        row = {"prompt": chosen.messages[:-1], "chosen": chosen.messages[-1:], "rejected": rejected.messages[-1:]}
        yield json.dumps({**row, "images": [str(root / name) for name in chosen.images]})
    yield json.dumps({**row, "rejected": chosen.messages[-1:], "images": [str(root / name) for name in chosen.images]})


def test_a_run_goes_from_rows_with_rejected_answers_to_scores_and_can_be_stopped(
    tiny: Callable[[str], Path], city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(city.root, data)
    (data / "rows.jsonl").write_text("\n".join(rows_of(pairs(city), Path())) + "\n")

    def settings(name: str) -> Any:
        return resolve(
            {
                "name": name,
                "runs": str(tmp_path / "runs"),
                "data": {"source": "messages", "path": str(data), "val_share": 0.3},
                "model": {"base": str(tiny("llava")), "method": "lora", "lora": {"rank": 2}},
                "train": {**SETTINGS.model_dump(mode="json"), "max_steps": 4},
                "predict": {"max_new_tokens": 3, "precision": "fp32"},
            }
        )

    monkeypatch.setattr("cityscribe.train.computed.PART", 1)
    made: list[str] = []

    @contextmanager
    def watch(name: str, stop: int = 0, parts: Path | None = None) -> Iterator[Callable[..., None]]:
        made.append(name)

        def progress(step: int, steps: int, *loss: float) -> None:
            if name == "train" and loss and step == stop:
                raise KeyboardInterrupt
            if parts is not None and parts.is_dir():
                raise KeyboardInterrupt

        yield progress

    stages = ("prepare", "train", "predict", "evaluate")
    pipeline.run(settings("whole"), watch, lambda _: None, stages)
    assert made == ["prepare", "reference", "train", "predict", "evaluate"]
    whole, stopped = (tmp_path / "runs" / name for name in ("whole", "stopped"))
    parts = stopped / "reference.partial" / "reference.parquet.parts"
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings("stopped"), partial(watch, parts=parts), lambda _: None, stages)
    first = {path: path.stat().st_ino for path in parts.iterdir()}
    assert first, "stopped after a part of the reference"
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(settings("stopped"), partial(watch, stop=3), lambda _: None, stages)
    pipeline.run(settings("stopped"), watch, lambda _: None, stages)

    made.clear()
    reference = stopped / "reference" / "reference.parquet"
    reference.unlink()
    said: list[str] = []
    pipeline.run(settings("stopped"), watch, said.append, ("train",))
    assert made == ["reference"]
    assert said[0] == f"reference: {reference} is missing; made again"
    for file in ("model/model.safetensors", "reference/reference.parquet", "predictions.jsonl"):
        assert (whole / file).read_bytes() == (stopped / file).read_bytes(), file
    report = json.loads((stopped / "training" / "report.json").read_text())
    assert report["resumed_from"] == 2
    assert [skip["why"] for skip in report["skipped"]] in ([], ["its pair says the same twice"] * 2)
    asked = read_samples(stopped / "prepared" / "val.parquet", rejected=True)
    assert asked
    assert not any(sample.rejected for sample in asked)


class Listwise(Objective):
    """As much probability for each chosen answer as for all answers of a group: a member in ten lines."""

    kind: Literal["listwise"] = "listwise"
    scale: float = 1.0

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        units: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            units.setdefault(sample.group, []).append(number)
        return Arrangement(tuple(tuple(unit) for unit in units.values()))

    def denominator(self, forests: Sequence[Any], units: int) -> float:
        return float(units)

    def loss(self, scored: Scored) -> Tensor:
        sums = scored.sums()
        losses = []
        for unit in scored.units:
            chosen = torch.tensor([not scored.samples[branch].rejected for branch in unit])
            each = self.scale * sums[list(unit)]
            losses.append(torch.logsumexp(each, 0) - torch.logsumexp(each[chosen], 0))
        return torch.stack(losses).sum()


class Averaged(Listwise):
    kind: Literal["averaged"] = "averaged"  # type: ignore[assignment]

    def loss(self, scored: Scored) -> Tensor:
        return super().loss(scored) / len(scored.units)


@pytest.fixture
def listwise() -> Iterator[None]:
    OBJECTIVES.add("listwise", "tests.train.test_preference:Listwise", "the chosen ones of a group above all others")
    yield
    OBJECTIVES.remove("listwise")


@pytest.mark.usefixtures("listwise")
def test_an_objective_from_outside(load: Load, city: City, tmp_path: Path) -> None:
    assert "listwise" in registry("objective").names()
    project = tmp_path / "project.yaml"
    project.write_text("data: {path: .}\ntrain: {objective: {kind: listwise, scale: 0.5}, lr: 0.01}\n")
    settings = load_settings(project).train
    assert settings.objective == Listwise(scale=0.5)
    assert settings.model_dump(mode="json")["objective"] == {"kind": "listwise", "scale": 0.5}
    changes = {"objective": settings.objective, "batch_groups": 3, "epochs": 5, "lr": 1e-3, "warmup": 0.0}
    settings = SETTINGS.model_copy(update=changes)
    samples = pairs(city)
    _, report = trained(load, samples, city.root, tmp_path / "whole", settings)
    assert report.last_loss < report.first_loss
    _, rows = trained(
        load, samples, city.root, tmp_path / "rows", settings.model_copy(update={"share_prefix": False, "max_steps": 2})
    )
    curve = read_curve(tmp_path / "whole" / "curve.jsonl")
    assert rows.last_loss == pytest.approx(curve[1]["loss"], rel=1e-4)


def test_what_is_no_objective_is_refused(load: Load, city: City, tmp_path: Path) -> None:
    class Nothing(Objective):
        kind: Literal["nothing"] = "nothing"

    class Misnamed(Listwise):
        pass

    for name, target, why in (
        ("nothing", Nothing, "objective nothing: has no arrange, denominator, loss"),
        ("misnamed", Misnamed, "objective misnamed: its setting `kind` has to have the default 'misnamed'"),
        ("number", 3, "objective number: is no class derived from Objective"),
    ):
        OBJECTIVES.add(name, target, "a test")
        try:
            with pytest.raises(InputError, match=why):
                OBJECTIVES[name]
        finally:
            OBJECTIVES.remove(name)
    averaged = SETTINGS.model_copy(update={"objective": Averaged(), "batch_groups": 2})
    with pytest.raises(InputError, match=r"objective averaged: its loss of two units is not the sum of their losses"):
        trained(load, pairs(city), city.root, tmp_path, averaged)
