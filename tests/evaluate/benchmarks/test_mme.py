"""MME's reading of answers and its two accuracies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks.mme import MME, parsed
from cityscribe.evaluate.benchmarks.score import score_benchmark
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import dump_lines, mme


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes", "yes"),
        ("NO.", "no"),
        ("yes\n", "yes"),
        (" no", "no"),
        ("know", "no"),  # within the first four characters
        ("not sure, yes", "no"),
        ("nyes", "yes"),  # `yes` is looked for first
        ("It is, yes", "other"),
        ("y", "other"),
        ("", "other"),
    ],
)
def test_the_first_four_characters_decide(answer: str, expected: str) -> None:
    assert parsed(answer) == expected


def test_a_subtask_is_worth_accuracy_and_accuracy_plus(tmp_path: Path) -> None:
    answers = mme(tmp_path / "data") | {"artwork/A/1": "Yes"}
    total = MME.score(MME.read(tmp_path / "data", ""), answers).total
    assert total["tasks"]["existence"] == {"score": 200, "accuracy": 100, "accuracy_plus": 100, "other": 0}
    assert total["tasks"]["artwork"] == {"score": 50, "accuracy": 50, "accuracy_plus": 0, "other": 0}
    assert (total["score"], total["perception"], total["cognition"]) == (250, 250, 0)
    assert len(total["tasks_missing"]) == 12


def test_the_official_folder_of_results(tmp_path: Path) -> None:
    mme(tmp_path / "data")
    (tmp_path / "results").mkdir()
    first = "Is there a car? Please answer yes or no."
    lines = [("{}", first, "Yes", "Yes"), ("{}", "Is there a bus?", "No", "no.")]
    for task, image in (("existence", "0001.png"), ("artwork", "A.jpg")):
        text = "".join("\t".join(line).format(image) + "\n" for line in lines)
        (tmp_path / "results" / f"{task}.txt").write_text(text)
    questions = MME.read(tmp_path / "data", "")
    assert score_benchmark("mme", questions, tmp_path / "results").total["score"] == 400
    (tmp_path / "results" / "artwork.txt").write_text("A.jpg\tx\n")
    with pytest.raises(InputError, match=r"artwork\.txt: line 1: expected image"):
        score_benchmark("mme", questions, tmp_path / "results")


def test_half_of_an_image_cannot_be_scored(tmp_path: Path) -> None:
    mme(tmp_path / "data")
    answers = dump_lines(tmp_path / "a.jsonl", [{"id": "artwork/A/0", "answer": "Yes"}])
    with pytest.raises(InputError, match="artwork/A: MME counts both questions"):
        score_benchmark("mme", MME.read(tmp_path / "data", ""), answers, partial=True)


def test_a_file_of_questions_of_another_shape_is_named(tmp_path: Path) -> None:
    mme(tmp_path)
    (tmp_path / "existence" / "0001.txt").write_text("Is there a car?\tPerhaps\nIs there?\tNo\n")
    with pytest.raises(InputError, match=r"0001\.txt: line 1"):
        MME.read(tmp_path, "")
