"""A folder of a benchmark is read as questions with their right answers, and no test set is trained on unawares."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.files import InputError
from cityscribe.records import text_of
from cityscribe.sources import SOURCES
from cityscribe.sources.recognise import recognise
from tests.evaluate.benchmarks.small_driving import DRIVING


@pytest.mark.parametrize("name", list(DRIVING))
def test_its_samples_are_its_questions_and_right_answers(name: str, tmp_path: Path) -> None:
    root = tmp_path / name.replace("-", "_").upper()
    DRIVING[name](root)
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(root, benchmark.split)
    samples, problems = SOURCES["benchmark"].read(root, files=(benchmark.split,), frames=2)
    assert [str(problem) for problem in problems] == []
    assert [sample.meta.question for sample in samples] == [question.id for question in questions]
    assert {sample.meta.split for sample in samples} <= {"test", "val"}
    for sample, question in zip(samples, questions, strict=True):
        asked, answer = sample.messages
        assert question.text in text_of(asked)
        assert text_of(answer) == (question.truth[0].lower() if sample.meta.kind == "choice" else question.truth[0])
        assert sample.images
        assert all((root / image.partition("#")[0]).is_file() for image in sample.images)


def test_a_training_split_is_trained_on_and_a_test_set_is_not(tmp_path: Path) -> None:
    root = tmp_path / "tar"
    DRIVING["tar"](root)
    assert [problem.place for problem in SOURCES["benchmark"].read(root)[1]] == ["train"], "there is none"
    (root / "test").rename(root / "train")
    samples, problems = SOURCES["benchmark"].read(root)
    assert ({sample.meta.split for sample in samples}, problems) == ({"train"}, [])


def test_what_cannot_be_read_is_a_problem_with_its_place(tmp_path: Path) -> None:
    root = tmp_path / "vru-accident"
    DRIVING["vru-accident"](root)
    assert recognise(root) == "benchmark"
    (root / "VRU_videos" / "DoTA" / "VRU_2.mp4").unlink()
    (root / "VRU_videos" / "CAP_DATA" / "VRU_1.mp4").unlink()
    (root / "VRU_videos" / "DoTA" / "VRU_1.mp4").rename(root / "VRU_videos" / "DoTA" / "x.mp4")
    samples, problems = SOURCES["benchmark"].read(root)
    assert (len(samples), len(problems)) == (0, 9)
    assert "is no video below the data folder" in problems[0].message
    (root / "MetaData" / "DoTA" / "DoTA_VQA_annotation.json").write_text('{"v": {"c": {"question": 3}}}')
    samples, problems = SOURCES["benchmark"].read(root)
    assert samples == []
    assert "DoTA_VQA_annotation.json: v.c.question" in problems[0].message
    with pytest.raises(InputError, match="has not the name of a benchmark"):
        SOURCES["benchmark"].read(tmp_path)
