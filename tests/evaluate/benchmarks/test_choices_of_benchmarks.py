"""ScienceQA, SEED-Bench and Video-MME: the letter that an answer gives by each one's own rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks import science_qa, video_mme
from cityscribe.evaluate.benchmarks.science_qa import SCIENCE_QA
from cityscribe.evaluate.benchmarks.seed_bench import SEED_BENCH
from cityscribe.evaluate.benchmarks.video_mme import VIDEO_MME
from tests.evaluate.benchmarks import small_benchmarks


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("B", "B"),
        ("b", ""),
        ("B.", ""),  # neither the letter alone nor a letter, a period and a space
        ("B. rock", "B"),
        ("The answer is B.", "B"),
        ("The answer is B", ""),  # no character after the letter
        ("The answer is B. The answer is C.", ""),
        ("the answer is B.", ""),
        ("So The answer is C, I think", "C"),
        ("E", ""),  # out of range
        ("The answer is F.", ""),
        ("", ""),
    ],
)
def test_science_qa(answer: str, expected: str) -> None:
    assert science_qa.parsed(answer, 3) == expected


def test_science_qa_counts_questions_with_an_image_by_themselves(tmp_path: Path) -> None:
    small_benchmarks.science_qa(tmp_path)
    questions = SCIENCE_QA.read(tmp_path, "test")
    assert questions[1].text == "Think.\nWhich one?"
    total = SCIENCE_QA.score(questions, {"5": "B", "6": "none"}).total
    assert (total["accuracy_image"], total["accuracy"], total["questions_image"], total["unparsed"]) == (100, 50, 1, 1)


def test_seed_bench_wants_the_letter_and_nothing_else(tmp_path: Path) -> None:
    small_benchmarks.seed_bench(tmp_path)
    questions = SEED_BENCH.read(tmp_path, "")
    assert SEED_BENCH.score(questions, {"11": "A", "12": "D."}).total == {
        "accuracy": 50,
        "unparsed": 1,
        "accuracy by media": {"image": 100, "video": 0},
        "accuracy by type": {"Action": 0, "Scene": 100},
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("C", "C"),
        ("C. Berries.", "C"),
        ("The best answer is B", "B"),
        ("An apple", "A"),
        ("berries", ""),
        ("The correct option is C", "C"),  # stays in the text, and has no capital A to D
        ("Best answer: D", "B"),  # the missing comma: `Best` is the first capital
        ("Because it is red, D", "B"),
        ("one two three four five six seven eight nine ten eleven", ""),
    ],
)
def test_video_mme(answer: str, expected: str) -> None:
    assert video_mme.parsed(answer) == expected


def test_video_mme_leaves_empty_answers_out_of_the_denominator(tmp_path: Path) -> None:
    small_benchmarks.video_mme(tmp_path)
    questions = VIDEO_MME.read(tmp_path, "")
    assert questions[0].options == ("Apples.", "Candles.", "Berries.", "All.")
    total = VIDEO_MME.score(questions, {"001-1": "C", "001-2": "none"}).total
    assert (total["accuracy"], total["accuracy_of_all"], total["unparsed"]) == (100, 50, 1)
    nothing = VIDEO_MME.score(questions, {"001-1": "x", "001-2": "none"}).total
    assert (nothing["accuracy"], nothing["accuracy by duration"]) == (0, {"short": 0})


def test_video_mme_as_a_table(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "video_id": "001",
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "Law",
        "url": "https://",
        "videoID": "xyz",
        "question_id": "001-1",
        "task_type": "OCR Problems",
        "question": "Which?",
        "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
        "answer": "B",
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test-00000-of-00001.parquet")
    (question,) = VIDEO_MME.read(tmp_path, "")
    assert (question.id, question.video, question.options[1], question.truth) == ("001-1", "xyz", "Two.", ("B",))
