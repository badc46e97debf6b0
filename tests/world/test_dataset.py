from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.sources.check import check_wts
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import PHASES
from cityscribe.world import dataset
from cityscribe.world.dataset import WorldSettings, write_dataset

SMALL = WorldSettings(train=2, val=1, external=0.4, seed=3, fps=5)


def _tree(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world") / "city"
    write_dataset(root, SMALL, workers=1)
    return root


def test_it_is_a_flawless_wts_data_set(city: Path) -> None:
    assert check_wts(city) == []
    scenarios, problems = read_wts(city)
    assert not problems
    assert {(s.domain, s.split) for s in scenarios} == {
        ("external", "train"),
        ("internal", "train"),
        ("internal", "val"),
    }
    for scenario in scenarios:
        for view in scenario.views:
            assert [phase.number for phase in view.phases] == list(range(len(PHASES)))
            assert all(phase.captions["pedestrian"] and phase.captions["vehicle"] for phase in view.phases)
            assert not (view.kind == "vehicle" and view.boxes.get("vehicle"))
        if scenario.domain == "internal":
            assert [view.kind for view in scenario.views] == ["overhead", "vehicle"]
            assert scenario.views[0].reference


def test_two_processes_write_the_same_bytes(city: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", SMALL, workers=2)
    assert _tree(tmp_path / "again") == _tree(city)


def test_a_city_that_was_stopped_goes_on_and_ends_the_same(
    city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = dataset._write_scenario
    done: list[str] = []

    def stops_after_one(root: Path, job: dataset._Job) -> tuple[str, list[str]]:
        result = write(root, job)
        if done:  # everything of the second is there, and not noted
            raise KeyboardInterrupt
        done.append(job.name)
        return result

    monkeypatch.setattr(dataset, "_write_scenario", stops_after_one)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "again", SMALL, workers=1)
    monkeypatch.setattr(dataset, "_write_scenario", write)
    write_dataset(tmp_path / "again", SMALL, workers=1)
    assert _tree(tmp_path / "again") == _tree(city)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_folder_that_is_there_is_left_alone(city: Path) -> None:
    with pytest.raises(InputError, match="already there"):
        write_dataset(city, SMALL, workers=1)
