"""A scenario that is forgotten: nothing that a run holds tells of it, later runs never see it, and every model that has
learned from it is named."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError, read_json
from cityscribe.pipeline import forget as forgetting
from cityscribe.pipeline.forget import forget
from cityscribe.pipeline.lineage import learned_from
from cityscribe.prepare.exclusions import FILE, read_exclusions
from cityscribe.project import Settings, dump_settings, resolve
from cityscribe.records import read_samples, text_of
from tests.pipeline.running import as_it_is, run_stages

PIXELS = 99
"""Bytes by which an image is known."""


@pytest.fixture
def copy(finished: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(finished.run_dir, tmp_path / "runs" / finished.name)
    settings = resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path / "runs")})
    (settings.run_dir / "project.yaml").write_text(dump_settings(settings))
    return settings


def scenario_of(settings: Settings, split: str) -> str:
    return read_samples(settings.run_dir / "prepared" / f"{split}.parquet")[0].meta.scenario


def traces(settings: Settings, scenario: str) -> list[bytes]:
    """What could give a scenario away: its texts, and its images, also as a page holds them."""
    prepared, found = settings.run_dir / "prepared", set[bytes]()
    samples = [one for split in ("train", "val") for one in read_samples(prepared / f"{split}.parquet")]
    others = "\n".join(text_of(entry) for one in samples if one.meta.scenario != scenario for entry in one.messages)
    for one in (one for one in samples if one.meta.scenario == scenario):
        found |= {text.encode() for entry in one.messages if (text := text_of(entry)) not in others}
        found |= {_middle((prepared / image).read_bytes()) for image in one.images}
    predicted = read_json(settings.run_dir / "predictions.json").get(scenario, [])
    found |= {entry[f"caption_{role}"].encode() for entry in predicted for role in ("pedestrian", "vehicle")} - {b""}
    return [*found, *(base64.b64encode(trace) for trace in found if len(trace) == PIXELS)]


def _middle(image: bytes) -> bytes:
    """Bytes of its pixels, from where base64 can begin too; the head of a JPEG is like that of any other."""
    start = len(image) // 6 * 3
    return image[start : start + PIXELS]


def everything_in(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All bytes of a run, and those that its Parquet files hold packed."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            yield path, repr(read_samples(path, rejected=True)).encode()
        yield path, path.read_bytes()


def found_in(folder: Path, wanted: list[bytes]) -> list[str]:
    return [str(path) for path, content in everything_in(folder) if any(trace in content for trace in wanted)]


@pytest.mark.parametrize("split", ["train", "val"])
def test_nothing_is_found_of_a_forgotten_scenario(split: str, copy: Settings, finished: Settings) -> None:
    scenario = scenario_of(copy, split)
    wanted = traces(copy, scenario)
    for name in ("pairs", "own-stage"):  # what other stages make of samples
        (copy.run_dir / name).mkdir()
        shutil.copy(copy.run_dir / "prepared" / f"{split}.parquet", copy.run_dir / name / "made.parquet")
    assert found_in(copy.run_dir, wanted)
    done = CliRunner().invoke(app, ["data", "forget", scenario, "--run", str(copy.run_dir)])
    assert done.exit_code == 0, done.output
    assert found_in(copy.run_dir, wanted) == []
    assert not list(copy.run_dir.rglob(f"*{scenario}*"))
    assert ("has learned from it, and is not changed" in done.output) == (split == "train")
    assert str(copy.run_dir / "model") in done.output or split == "val"
    # The others are as they were.
    kept = read_samples(copy.run_dir / "prepared" / f"{split}.parquet")
    before = read_samples(finished.run_dir / "prepared" / f"{split}.parquet")
    assert kept == [sample for sample in before if sample.meta.scenario != scenario]
    assert all((copy.run_dir / "prepared" / image).is_file() for sample in kept for image in sample.images)


def test_a_later_run_neither_asks_about_it_nor_scores_it(copy: Settings) -> None:
    """The model is asked as it is: what is prepared is to the byte what was left."""
    scenarios = {split: scenario_of(copy, split) for split in ("train", "val")}
    wanted = [trace for scenario in scenarios.values() for trace in traces(copy, scenario) if len(trace) == PIXELS]
    for scenario in scenarios.values():
        forget(copy, scenario)
    files = [copy.run_dir / "prepared" / f"{split}.parquet" for split in scenarios]
    left = [file.read_bytes() for file in files]
    later = as_it_is(copy)
    assert run_stages(later, "prepare", "predict", "evaluate") == ["prepare", "predict", "evaluate"]
    assert [file.read_bytes() for file in files] == left
    assert found_in(later.run_dir, wanted) == []
    assert "2 scenarios left out, to be forgotten" in (later.run_dir / "prepared" / "problems.jsonl").read_text()
    scenario = scenarios["val"]
    assert scenario not in read_json(later.run_dir / "predictions.json")
    assert scenario not in read_json(later.run_dir / "baselines" / "majority" / "predictions.json")
    assert not any(key.startswith(scenario) for key in read_json(later.run_dir / "attributes.json")["segments"])
    assert not any("without" in one for one in read_json(later.run_dir / "scores.provenance.json")["warnings"])


def test_killed_after_any_removal_it_goes_on(copy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = scenario_of(copy, "train")
    wanted = traces(copy, scenario)
    expected = tmp_path / "expected" / copy.name
    shutil.copytree(copy.runs, expected.parent)
    forget(resolve({**copy.model_dump(mode="json"), "runs": str(expected.parent)}), scenario)

    class Killed(BaseException):
        pass

    for number in (1, 2, 3, 7, 12):
        left = number
        runs = tmp_path / str(number)
        shutil.copytree(copy.runs, runs)
        settings = resolve({**copy.model_dump(mode="json"), "runs": str(runs)})

        def counted(work: object) -> object:
            def call(*given: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return work(*given, **options)  # type: ignore[operator]

            return call

        with monkeypatch.context() as patch:
            for name in ("unlink", "replace", "rmdir"):
                patch.setattr(os, name, counted(getattr(os, name)))
            with pytest.raises(Killed):
                forget(settings, scenario)
        assert scenario in read_exclusions(runs)["wts"], "from the first moment no run learns from it"
        found = forget(settings, scenario)
        assert found.checkpoints
        assert found_in(settings.run_dir, wanted) == []
        names = {str(path.relative_to(settings.run_dir)) for path in settings.run_dir.rglob("*")}
        assert names == {str(path.relative_to(expected)) for path in expected.rglob("*")}


def test_models_that_began_with_one_that_learned_from_it_are_named(copy: Settings, tmp_path: Path) -> None:
    scenario = scenario_of(copy, "train")
    values = copy.model_dump(mode="json")
    later = {
        "of-its-model": {**values["model"], "base": str(copy.run_dir / "model")},
        "of-that": {**values["model"], "base": str(copy.runs / "of-its-model" / "model")},
        "moved": {**values["model"], "base": str(tmp_path / "gone")},
        "stranger": values["model"],
    }
    for name, model in later.items():
        folder = copy.runs / name
        (folder / "model").mkdir(parents=True)
        (folder / "project.yaml").write_text(dump_settings(resolve({**values, "name": name, "model": model})))
    weights = read_json(copy.run_dir / "model" / "bom.json")["metadata"]["component"]["components"]
    bill = {"components": [{"type": "machine-learning-model", "components": weights}]}
    (copy.runs / "moved" / "model" / "bom.json").write_text(json.dumps(bill))
    found = learned_from(copy.runs, "wts", scenario)
    assert {one.folder.parent.name: one.how.split(" ")[0] for one in found.checkpoints} == {
        "small": "trained",
        "of-its-model": "its",
        "of-that": "its",
        "moved": "its",
    }
    assert found.holding == (copy.run_dir,)
    told = forget(copy, scenario).checkpoints
    assert len(told) == 4
    assert forget(copy, scenario).checkpoints == told, "asked again, it knows them still"


def test_files_that_do_not_tell_of_it_stay_as_they_are(copy: Settings) -> None:
    scenario = scenario_of(copy, "train")
    for name, content in (("own.json", '{"a": [1, {"b": 2}]}'), ("own.jsonl", '{"a": 1}\n{"b": [2]}\n')):
        (copy.run_dir / name).write_text(content)
    before = {name: (copy.run_dir / name).read_bytes() for name in ("own.json", "own.jsonl", "training/curve.jsonl")}
    forget(copy, scenario)
    assert {name: (copy.run_dir / name).read_bytes() for name in before} == before


def test_lines_about_others_of_a_longer_name_stay(copy: Settings) -> None:
    scenario = scenario_of(copy, "train")
    others = [{"why": f"{place}: cannot be read"} for place in (f"{scenario}0/v.mp4", f"x{scenario}.mp4")]
    own = [{"why": f"{place}: cannot be read"} for place in (f"a/{scenario}/v.mp4", f"a/{scenario}_v.mp4", scenario)]
    lines = [json.dumps(line) + "\n" for line in (*others, *own)]
    file = copy.run_dir / "own.jsonl"
    file.write_text("".join([*lines, f"torn {scenario}\n", f"torn {scenario}0\n"]))
    forget(copy, scenario)
    assert file.read_text() == "".join([*lines[:2], f"torn {scenario}0\n"])


def test_a_misspelt_name_forgets_nothing(copy: Settings) -> None:
    scenario = scenario_of(copy, "train")
    with pytest.raises(InputError, match=f"did you mean {scenario}"):
        forget(copy, scenario[:-1])
    assert not (copy.runs / FILE).exists()


def test_a_damaged_list_of_what_is_forgotten_lets_nothing_in(copy: Settings) -> None:
    (copy.runs / FILE).write_text('{"wts": ["a"]}')
    with pytest.raises(InputError, match=rf"{FILE}: wts: "):
        run_stages(copy)


def test_it_keeps_out_of_a_run_that_is_under_way(copy: Settings) -> None:
    with forgetting.locked(copy.run_dir), pytest.raises(InputError, match="another cityscribe"):
        forget(copy, scenario_of(copy, "train"))
