"""A set that is killed at any moment goes on, ends with the same bytes, and leaves no process behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from cityscribe.files import InputError
from cityscribe.media.video import write_video
from cityscribe.world import jobs
from cityscribe.world.jobs import write_whole

JOBS = list(range(4))
CALL = "from tests.world.test_jobs import *; write_small(Path(sys.argv[1]), workers=2, pause_s=0.15)"


def write_job(root: Path, job: tuple[int, float]) -> tuple[int, str]:
    number, pause_s = job
    (root / "text").mkdir(exist_ok=True)
    (root / "text" / f"{number}.txt").write_text(f"job {number}\n" * 100)
    time.sleep(pause_s)
    write_video(root / f"{number}.mp4", [np.full((32, 32, 3), 40 * number, np.uint8)] * 3, 10)
    return number, f"{number}.mp4"


def write_list(root: Path, results: list[tuple[int, str]]) -> None:
    assert all((root / name).is_file() for _, name in results)
    (root / "list.txt").write_text("".join(f"{number} {name}\n" for number, name in sorted(results)))


def write_small(root: Path, *, workers: int = 1, pause_s: float = 0.0) -> None:
    write_whole(root, "settings", [(number, pause_s) for number in JOBS], write_job, write_list, workers=workers)


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("whole") / "set"
    write_small(root)
    return tree(root)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_parent_leaves_no_process_and_a_restart_ends_the_same(
    sent: signal.Signals, whole: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "set"
    parent = subprocess.Popen([sys.executable, "-c", CALL, str(root)], stderr=subprocess.DEVNULL)
    notes = tmp_path / "set.partial" / ".jobs"
    while not list(notes.glob("0*.json")):
        assert parent.poll() is None
        time.sleep(0.01)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 2
    parent.send_signal(sent)
    assert parent.wait(timeout=30) != 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not root.exists()
    write_small(root)
    assert tree(root) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_killed_after_every_file_operation(
    whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename, removal and write of a note may be the last thing that a process does."""
    count = 0
    for last in range(60):
        root = tmp_path / f"set{last}"
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                _die_after(last)
                write_small(root)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if os.waitstatus_to_exitcode(status) == 0:
            break
        count += 1
        if not root.exists():
            write_small(root)
        with pytest.raises(InputError, match="already there"):
            write_small(root)
        assert tree(root) == whole
        assert [path.name for path in tmp_path.iterdir()] == [f"set{last}"]
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        root.rmdir()
    assert count > 20


def _die_after(last: int) -> None:
    """Make this process kill itself behind the operation of this number."""
    done = 0

    def dying(operation):
        def call(*args, **named):
            nonlocal done
            result = operation(*args, **named)
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return result

        return call

    os.replace = dying(os.replace)
    jobs.shutil.rmtree = dying(jobs.shutil.rmtree)
    Path.write_text = dying(Path.write_text)
    Path.write_bytes = dying(Path.write_bytes)
    Path.mkdir = dying(Path.mkdir)


def test_what_was_damaged_since_it_was_noted_is_made_again(whole: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "set"
    with pytest.raises(ZeroDivisionError):
        write_whole(root, "settings", [(number, 0.0) for number in JOBS], write_job, lambda root, results: 1 // 0)
    (tmp_path / "set.partial" / "2.mp4").write_bytes(b"")
    (tmp_path / "set.partial" / "text" / "3.txt").unlink()
    write_small(root)
    assert tree(root) == whole
