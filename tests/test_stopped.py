"""What asks for long and goes on where it was ends as if it had never been stopped: by a kill after any operation on
files, and by a disk that is full at any of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cityscribe.benchmark import answer_benchmark
from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.asking import read_prompts
from cityscribe.evaluate.judge import VIDEO_CHATGPT, judge_items, load_rubrics
from cityscribe.evaluate.verdict import JudgeItem
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.server import ServerModel
from cityscribe.project import settings_without_project
from tests.evaluate.benchmarks.small_benchmarks import SMALL
from tests.llm.chat_server import chat_server

OPERATIONS = ("replace", "fsync")
FAULTS: dict[str, Callable[[], BaseException]] = {
    "killed": KeyboardInterrupt,
    "disk full": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
}
ITEMS = [JudgeItem(f"What drives {n}?", "a car", "a red car" if n % 2 else "a bus") for n in range(6)]

Work = Callable[[Path], Any]


@pytest.fixture
def benchmark(tiny: Callable[[str], Path], tmp_path: Path) -> Work:
    """Answers two questions about a picture."""
    SMALL["pope"](tmp_path / "data")
    asked = BENCHMARKS["pope"].read(tmp_path / "data", "")
    settings = settings_without_project(["predict.max_new_tokens=3", "predict.precision=fp32", "predict.batch_size=1"])

    def work(out: Path) -> bytes:
        prompts = read_prompts()
        return answer_benchmark(
            BENCHMARKS["pope"], asked, tmp_path / "data", tiny("llava"), settings, out, prompts=prompts
        ).read_bytes()

    return work


@pytest.fixture
def judge() -> Iterator[Work]:
    """Judges six answers, remembering what the server said."""
    with chat_server(lambda asked: '{"pred": "yes", "score": 4}') as server:
        model = ServerModel(server.url, "m", concurrency=1, tries=1)
        rubric = load_rubrics()["answer"]
        yield lambda out: judge_items(ITEMS, Client(model, cache=out), VIDEO_CHATGPT, rubric)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["benchmark", "judge"])
def test_stopped_at_any_operation_on_files_it_ends_the_same(
    command: str, fault: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: Work = request.getfixturevalue(command)
    whole = work(tmp_path / "whole")
    left = 0
    real = {name: getattr(os, name) for name in OPERATIONS}

    def dying(name: str) -> Callable[..., None]:
        def call(*given: Any, **options: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0 and fault == "disk full":
                raise FAULTS[fault]()
            real[name](*given, **options)
            if left < 0:
                raise FAULTS[fault]()

        return call

    for name in OPERATIONS:
        monkeypatch.setattr(os, name, dying(name))
    stopped = 0
    for last in range(30):
        out, left, said = tmp_path / f"out{last}", last, ""
        try:
            assert work(out) == whole
        except (KeyboardInterrupt, OSError, InputError) as error:
            said = str(error)
        else:
            break
        stopped += 1
        assert fault == "killed" or str(tmp_path) in said, "a full disk names the file"
        left = 1000
        assert work(out) == whole
        assert files_of(out) == files_of(tmp_path / "whole")
    assert stopped >= 2


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
