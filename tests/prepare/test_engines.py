"""The same bytes from one process, several, and a Ray cluster that loses a worker; a killed call goes on from there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cityscribe.files import InputError
from cityscribe.prepare import stage
from cityscribe.prepare.engines import VIDEOS_A_PROCESS, run_local
from cityscribe.prepare.pictures import picture_video
from cityscribe.prepare.stage import prepare
from cityscribe.traffic.scenario import Scenario
from tests.prepare.made import make_video, scenario, settings, view
from tests.prepare.test_stage import digest

ALL = dict.fromkeys(range(5), 100.0)


def made(folder: Path, count: int) -> list[Scenario]:
    """Scenarios of one video each; the second has a video that is none."""
    films = [make_video(folder / f"{number}.mp4", frames=24 + number) for number in range(count)]
    films[1].write_bytes(b"not a video")
    return [
        scenario(f"s{number}", view("cam", film, pedestrian=ALL), split="val" if number % 3 == 2 else "train")
        for number, film in enumerate(films)
    ]


def test_a_corrupt_clip_costs_only_itself(tmp_path: Path) -> None:
    scenarios = made(tmp_path / "videos", 4)
    prepare(scenarios, settings(), tmp_path / "with")
    prepare([scenarios[0], *scenarios[2:]], settings(), tmp_path / "without")
    both = digest(tmp_path / "with"), digest(tmp_path / "without")
    images = [{name: content for name, content in found.items() if name.startswith("images")} for found in both]
    assert images[0] == images[1] != {}
    assert both[0]["train.parquet"] == both[1]["train.parquet"]
    assert str(scenarios[1].views[0].video) in (tmp_path / "with" / "skipped.jsonl").read_text()


def killed(scenarios: list[Scenario], out: Path, images: int) -> None:
    """Prepare in a process of its own, and kill that once so many images are there."""
    child = multiprocessing.get_context("spawn").Process(target=prepare, args=(scenarios, settings(), out))
    child.start()
    while child.is_alive() and sum(1 for _ in out.rglob("*.jpg")) < images:
        time.sleep(0.002)
    child.kill()
    child.join()


def test_a_killed_prepare_goes_on_and_ends_as_if_never_killed(tmp_path: Path) -> None:
    scenarios = made(tmp_path / "videos", 12)
    prepare(scenarios, settings(), tmp_path / "whole")
    out = tmp_path / "out"
    killed(scenarios, out, 20)
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert len(kept) >= 20
    prepare(scenarios, settings(), out, resume=True)
    assert digest(out) == digest(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items()), "what was whole is not made again"


def test_the_processes_of_a_killed_prepare_end_with_it(tmp_path: Path) -> None:
    scenarios = made(tmp_path / "videos", 2 * VIDEOS_A_PROCESS)
    chosen = settings(workers=2)
    prepare(scenarios, chosen, tmp_path / "whole")
    out = tmp_path / "out"
    parent = multiprocessing.get_context("spawn").Process(target=prepare, args=(scenarios, chosen, out))
    parent.start()
    while sum(1 for _ in out.rglob("*.jpg")) < 3:
        assert parent.is_alive()
        time.sleep(0.002)
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.join()
    assert len(family) >= 2
    assert not psutil.wait_procs(family, timeout=20)[1]
    prepare(scenarios, chosen, out, resume=True)
    assert digest(out) == digest(tmp_path / "whole")


def test_images_of_other_settings_are_not_kept(tmp_path: Path) -> None:
    scenarios = made(tmp_path / "videos", 2)
    prepare(scenarios, settings(draw_boxes=False), tmp_path / "out")
    prepare(scenarios, settings(), tmp_path / "out")
    prepare(scenarios, settings(), tmp_path / "fresh")
    assert digest(tmp_path / "out") == digest(tmp_path / "fresh")


def end_process(job: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a worker process died"):
        list(run_local([None] * (2 * VIDEOS_A_PROCESS), end_process, 2))  # type: ignore[list-item]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two machines of one core each, as processes of this one."""
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    made_up = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    made_up.add_node(**node)
    ray.init(address=made_up.address, log_to_driver=False)
    yield made_up
    ray.shutdown()
    made_up.shutdown()


def test_a_ray_cluster_that_loses_a_worker_gives_the_same_bytes(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenarios = made(tmp_path / "videos", 9)
    monkeypatch.chdir(tmp_path)  # the workers start elsewhere
    relative = [
        scenario(s.name, view("cam", Path("videos") / s.views[0].video.name, pedestrian=ALL), split=s.split)
        for s in scenarios
    ]
    prepare(relative, settings(), Path("one"))
    mark = tmp_path / "killed"

    def dies_once(job: Any, **given: Any) -> Any:
        if job.scenario == "s5" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return picture_video(job, **given)

    monkeypatch.setattr(stage, "picture_video", dies_once)
    prepare(relative, settings(engine="ray", workers=0), Path("ray"))
    assert mark.exists()
    assert digest(tmp_path / "ray") == digest(tmp_path / "one")
