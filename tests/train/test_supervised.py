"""Training as a whole: it learns, it goes on after a kill as if nothing had happened, it says why it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import BlockExpansionSettings, LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.records import message, read_samples, text_block, write_samples
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import TrainReport, count_steps, train
from cityscribe.train.trainer import read_curve
from tests.decoders import RECURRENT, llava_of
from tests.preloaded import preloaded_python
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

SETTINGS = TrainSettings(epochs=3, lr=1e-2, batch_groups=1, precision="fp32", save_steps=1)


def stop_at(last: int) -> Callable[[int, int, float], None]:
    def interrupt(step: int, total: int, loss: float, *speeds: float) -> None:
        if step == last:
            raise KeyboardInterrupt

    return interrupt


def trained(
    load: Load, city: City, out: Path, settings: TrainSettings, **arguments: Any
) -> tuple[dict[str, Tensor], TrainReport]:
    model, processor = load("llava")
    report = train(city.samples, city.root, model, processor, settings, out, **arguments)
    return model.state_dict(), report


def changed(settings: TrainSettings, **values: Any) -> TrainSettings:
    return TrainSettings.model_validate({**settings.model_dump(), **values})


@pytest.mark.parametrize("kind", ["gated delta rule", "state space"])
def test_layers_with_states_go_on_to_the_same_bytes(kind: str, city: City, tmp_path: Path) -> None:
    def model_file(out: Path, *stops: int) -> bytes:
        model, processor = llava_of(RECURRENT[kind])
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                train(samples, city.root, model, processor, settings, out, progress=stop_at(stop))
            model, processor = llava_of(RECURRENT[kind])
        report = train(samples, city.root, model, processor, settings, out)
        assert bool(report.resumed_from) == bool(stops)
        save_model(model, processor, out / "model")
        return (out / "model" / "model.safetensors").read_bytes()

    samples, settings = [city.samples[0], city.samples[1], city.samples[5]], changed(SETTINGS, epochs=1)
    assert model_file(tmp_path / "stopped", 2) == model_file(tmp_path / "whole")


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_it_learns_and_reports(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = load("llava")
    config = model.config.to_dict()
    steps: list[tuple[int, int]] = []
    report = train(
        city.samples,
        city.root,
        model,
        processor,
        changed(SETTINGS, epochs=10, save_steps=100),
        tmp_path,
        progress=lambda step, total, *_: steps.append((step, total)),
    )
    assert steps == [(step, 30) for step in range(1, 31)]
    assert report.steps == 30
    assert (report.groups, report.samples, report.skipped, report.notes) == (3, 15, (), ())
    assert report.effective_tokens > 2 * report.distinct_tokens
    assert report.last_loss < report.first_loss / 2
    assert report.tree_error is not None
    assert report.tree_error < 1e-5
    assert not model.training
    assert model.config.to_dict() == config
    assert model.config.get_text_config()._attn_implementation == "sdpa"
    curve = read_curve(tmp_path / "curve.jsonl")
    assert [line["step"] for line in curve] == list(range(1, 31))
    assert curve[0]["lr"] == 0
    assert curve[1]["lr"] == pytest.approx(1e-2)
    for line in curve:
        assert line["effective_tokens_per_s"] > 2 * line["distinct_tokens_per_s"] > 0


@pytest.mark.parametrize(("accumulate", "stops"), [(1, (1, 4, 6, 9)), (2, (2, 3, 5))])
def test_stopped_at_any_step_it_ends_with_the_same_weights(
    accumulate: int, stops: tuple[int, ...], load: Load, city: City, tmp_path: Path
) -> None:
    """Before the first checkpoint, between two, at the end of an epoch, at the last step."""
    settings = changed(SETTINGS, accumulate=accumulate, save_steps=2)
    expected, _ = trained(load, city, tmp_path / "whole", settings)
    losses = [(line["step"], line["loss"]) for line in read_curve(tmp_path / "whole" / "curve.jsonl")]
    for stop in stops:
        out = tmp_path / f"stopped-{stop}"
        with pytest.raises(KeyboardInterrupt):
            trained(load, city, out, settings, progress=stop_at(stop))
        found, report = trained(load, city, out, settings)
        # The checkpoint of a step is written after its progress is told.
        assert report.resumed_from == (stop - 1) // 2 * 2
        assert_equal(expected, found)
        assert [(line["step"], line["loss"]) for line in read_curve(out / "curve.jsonl")] == losses


CHILD = """
import sys
from pathlib import Path
import torch
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.records import read_samples
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train
base, data, out = map(Path, sys.argv[1:4])
torch.set_num_threads(int(sys.argv[5]))
settings = TrainSettings.model_validate_json(sys.argv[4])
train(read_samples(data), data.parent, load_model(base, dtype=torch.float32), load_processor(base), settings, out)
"""


def test_killed_it_ends_with_the_same_weights(city: City, tmp_path: Path) -> None:
    """With a decoder of which most layers carry a state."""
    base, data = tmp_path / "base", city.root / "train.parquet"
    save_model(*llava_of(RECURRENT["convolution"]), base)
    write_samples(data, city.samples)
    settings = changed(SETTINGS, epochs=4)

    def here(out: Path) -> dict[str, Tensor]:
        model = load_model(base, dtype=torch.float32)
        train(read_samples(data), city.root, model, load_processor(base), settings, out)
        return model.state_dict()

    out = tmp_path / "killed"
    arguments = [str(base), str(data), str(out), settings.model_dump_json(), str(torch.get_num_threads())]
    child = subprocess.Popen([preloaded_python(), "-c", CHILD, *arguments], stderr=subprocess.PIPE)
    curve = out / "curve.jsonl"
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if curve.exists() and curve.read_bytes().count(b"\n") >= 3:
            os.kill(child.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    _, errors = child.communicate()
    assert child.returncode == -signal.SIGKILL, errors.decode()
    assert len(curve.read_bytes().splitlines()) < 12
    found = here(out)
    assert_equal(here(tmp_path / "whole"), found)
    assert [line["step"] for line in read_curve(curve)] == list(range(1, 13))


def test_a_finished_training_is_not_begun_again(load: Load, city: City, tmp_path: Path) -> None:
    expected, _ = trained(load, city, tmp_path, SETTINGS)
    found, report = trained(load, city, tmp_path, SETTINGS)
    assert (report.resumed_from, report.steps) == (9, 9)
    assert_equal(expected, found)


def test_checkpoints_of_another_training_are_refused(load: Load, city: City, tmp_path: Path) -> None:
    trained(load, city, tmp_path, SETTINGS)
    with pytest.raises(InputError, match=r"checkpoints of another training \(train\.lr differ\)"):
        trained(load, city, tmp_path, changed(SETTINGS, lr=1e-3))
    with pytest.raises(InputError, match=r"checkpoints of another training \(samples differ\)"):
        trained(load, replace(city, samples=city.samples[1:]), tmp_path, SETTINGS)
    trained(load, city, tmp_path, changed(SETTINGS, save_steps=3, keep_checkpoints=1))


def test_sharing_or_not_and_how_the_work_is_cut_up_change_nothing(load: Load, city: City, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=2, lr=1e-3, warmup=0, batch_groups=3, precision="fp32")
    expected, whole = trained(load, city, tmp_path / "whole", settings)
    for name, change in {
        "rows": {"share_prefix": False},
        "budget": {"budget_tokens": 150},
        "accumulated": {"batch_groups": 1, "accumulate": 3},
        "checkpointed": {"gradient_checkpointing": True},
        "workers": {"workers": 1},
    }.items():
        found, report = trained(load, city, tmp_path / name, changed(settings, **change))
        assert report.steps == whole.steps == 2, name
        assert report.first_loss == pytest.approx(whole.first_loss, rel=1e-6), name
        assert report.last_loss == pytest.approx(whole.last_loss, rel=1e-4), name
        for part, value in expected.items():
            assert (value - found[part]).norm() <= 1e-2 * value.norm() + 1e-5, (name, part)


def test_the_order_of_samples_within_groups_does_not_matter(load: Load, city: City, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=2, lr=1e-3, batch_groups=2, precision="fp32")
    turned = tuple(city.samples[5 * group + number] for group in range(3) for number in (3, 0, 4, 2, 1))
    expected, _ = trained(load, city, tmp_path / "one", settings)
    found, _ = trained(load, replace(city, samples=turned), tmp_path / "other", settings)
    assert_equal(expected, found)


@pytest.mark.parametrize("weighting", ["sequence", "sqrt-branches"])
def test_weightings_are_the_same_with_and_without_sharing(
    weighting: str, load: Load, city: City, tmp_path: Path
) -> None:
    settings = changed(SETTINGS, max_steps=2, batch_groups=2, weighting=weighting)
    uneven = replace(city, samples=city.samples[:7])
    _, shared = trained(load, uneven, tmp_path / "shared", settings)
    _, alone = trained(load, uneven, tmp_path / "alone", changed(settings, share_prefix=False))
    _, tokens = trained(load, uneven, tmp_path / "token", changed(settings, weighting="token"))
    assert shared.first_loss == pytest.approx(alone.first_loss, rel=1e-6)
    assert shared.first_loss != pytest.approx(tokens.first_loss, rel=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        ModelSettings(method="block-expansion", block_expansion=BlockExpansionSettings(blocks=2)),
        ModelSettings(method="lora", lora=LoraSettings(rank=2, dropout=0.1)),
        ModelSettings(method="connector"),
    ],
    ids=lambda settings: settings.method,
)
def test_only_what_trains_changes_and_is_stored(method: ModelSettings, load: Load, city: City, tmp_path: Path) -> None:
    def tuned(out: Path, **arguments: Any) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model, processor = load("llava")
        prepare_tuning(model, method)
        before = {name: parameter.clone() for name, parameter in model.named_parameters()}
        train(city.samples, city.root, model, processor, SETTINGS, out, **arguments)
        after = dict(model.named_parameters())
        trains = {name for name, parameter in after.items() if parameter.requires_grad}
        assert all(torch.equal(before[name], after[name]) for name in after.keys() - trains)
        assert any(not torch.equal(before[name], after[name]) for name in trains)
        stored = (out / "checkpoints" / "checkpoint-9" / "optimizer.safetensors").stat().st_size
        assert stored < 2 * 4 * sum(after[name].numel() for name in trains) + 500 * len(trains)
        return {name: parameter.detach() for name, parameter in after.items()}

    expected = tuned(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "stopped", progress=stop_at(4))
    assert_equal(expected, tuned(tmp_path / "stopped"))


def test_bf16_trains_weights_of_float32(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = load("llava")
    model.to(torch.bfloat16).requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    settings = changed(SETTINGS, precision="bf16", max_steps=3)
    report = train(city.samples, city.root, model, processor, settings, tmp_path)
    assert report.tree_error is not None
    dtypes = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}


def test_a_blind_model_trains_on_the_same_answers(load: Load, city: City, tmp_path: Path) -> None:
    blind = changed(SETTINGS, images=False, max_steps=2)
    weights, report = trained(load, replace(city, root=tmp_path / "nowhere"), tmp_path, blind)
    before, _ = load("llava")
    assert report.samples == 15
    for name, value in before.state_dict().items():
        if "vision_tower" in name or "projector" in name:
            assert torch.equal(value, weights[name])


def test_a_loss_that_is_not_finite_stops_with_the_samples(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = load("llava")
    with torch.no_grad():
        model.model.multi_modal_projector.linear_1.weight[0, 0] = torch.inf
    rows = changed(SETTINGS, share_prefix=False)
    with pytest.raises(
        InputError, match=r"the loss of step 1 is not finite; its samples: event_\d/overhead/\w+/short/0, "
    ):
        train(city.samples, city.root, model, processor, rows, tmp_path)
    with pytest.raises(InputError, match="changes its loss by nan"):
        train(city.samples, city.root, model, processor, SETTINGS, tmp_path)


def test_nothing_to_train_is_an_error(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = load("llava")
    with pytest.raises(InputError, match="nothing in it trains"):
        train(city.samples, city.root, model.requires_grad_(False), processor, SETTINGS, tmp_path)


def test_a_group_from_which_nothing_learns_is_an_error(load: Load, city: City, tmp_path: Path) -> None:
    model, processor = load("llava")
    prepare_tuning(model, ModelSettings(method="connector"))
    words = city.samples[0].messages[1:]
    bare = replace(
        city.samples[0], messages=(message("user", text_block("Where?")), *words[:1]), images=(), group="bare"
    )
    with pytest.raises(InputError, match=r"shows no image, and what trains \(connector\) learns"):
        train((*city.samples, bare), city.root, model, processor, SETTINGS, tmp_path)


def test_where_nothing_can_be_shared_it_says_so_once(
    load: Load, city: City, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbered = tuple(
        replace(
            sample,
            messages=(message("user", text_block(str(n)), *sample.messages[0]["content"]), *sample.messages[1:]),
        )
        for n, sample in enumerate(city.samples)
    )
    _, report = trained(load, replace(city, samples=numbered), tmp_path, SETTINGS)
    (note,) = report.notes
    assert "share nothing" in note
    assert [record.message for record in caplog.records if record.name.startswith("cityscribe")] == [note]


def test_steps() -> None:
    assert count_steps(10, TrainSettings(batch_groups=3, epochs=1)) == 4
    assert count_steps(10, TrainSettings(batch_groups=3, epochs=2.5, accumulate=2)) == 5
    assert count_steps(10, TrainSettings(batch_groups=3, epochs=2, max_steps=3)) == 3
