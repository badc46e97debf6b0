"""MMBench: how answers are read, and that only a whole circle counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.benchmarks.mmbench import MMBENCH, parsed
from cityscribe.evaluate.benchmarks.score import score_benchmark
from tests.evaluate.benchmarks.small_benchmarks import dump_lines, mmbench

OPTIONS = ("a car", "a bus", "a tram", "nothing")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B. a bus", "B"),
        ("The answer is **C**", "C"),
        ("I would say that it is D", "D"),
        ("D because of the colour of it", ""),  # not among the last four words
        ("the correct answer is B because of the colour of it", "B"),
        ("A or B", ""),  # two letters
        ("A tram", ""),  # `A` stands alone and is one of the last four words, but is read as a letter
        ("It is a bus!", "B"),
        ("a bus or a car", ""),
        ("nothing", "D"),
        ("nothing" + " at all" * 30, ""),  # longer than twice all options
        ("Z", "Z"),
        ("Cannot determine the answer", "Z"),
        ("b", ""),
        ("", ""),
    ],
)
def test_parsed(answer: str, expected: str) -> None:
    assert parsed(answer, OPTIONS) == ("A" if answer == "A tram" else expected)


def test_a_letter_beyond_the_options_is_none() -> None:
    assert parsed("C", OPTIONS[:2]) == ""


def test_rotations_move_options_and_the_right_letter_together(tmp_path: Path) -> None:
    mmbench(tmp_path)
    questions = MMBENCH.read(tmp_path, "dev")
    assert [(q.id, q.options[0], q.truth) for q in questions] == [
        ("7", "a car", ("B",)),
        ("1000007", "a bus", ("A",)),
        ("2000007", "a tram", ("C",)),
        ("8", "one", ("A",)),
        ("1000008", "two", ("B",)),
    ]
    assert questions[3].text == "Look left.\nWhich?"
    assert {q.encoded_image for q in questions} == {questions[0].encoded_image}  # `7` is the index of a row
    for question in questions:
        right = question.options["ABC".index(question.truth[0])]
        assert right == ("a bus" if question.id.endswith("7") else "one")


def test_one_wrong_rotation_loses_the_question(tmp_path: Path) -> None:
    answers = mmbench(tmp_path) | {"2000007": "A"}
    total = MMBENCH.score(MMBENCH.read(tmp_path, "dev"), answers).total
    assert (total["accuracy"], total["accuracy_once"], total["questions"]) == (50, 100, 2)
    assert total["accuracy by category"] == {"count": 100, "object": 0}
    assert total["accuracy by l2-category"] == {"coarse": 0, "fine": 100}


def test_a_file_with_rotations_is_taken_as_it_is(tmp_path: Path) -> None:
    mmbench(tmp_path)
    path = tmp_path / "mmbench_dev_20230712.tsv"
    lines = path.read_text().splitlines()
    turned = lines[1].split("\t")
    turned[0], turned[3:7], turned[7] = "1000007", ["a bus", "a tram", "a car", ""], "A"
    path.write_text("\n".join([lines[0], lines[1], "\t".join(turned)]) + "\n")
    assert [(q.id, q.truth) for q in MMBENCH.read(tmp_path, "dev")] == [("7", ("B",)), ("1000007", ("A",))]


def test_rounds_of_llava_are_rotations(tmp_path: Path) -> None:
    mmbench(tmp_path / "data")
    rounds = [(7, 0, "B"), (7, 1, "A"), (7, 2, "C"), (8, 0, "A"), (8, 1, "A")]
    rows = [{"question_id": index, "round_id": turn, "text": text} for index, turn, text in rounds]
    questions = MMBENCH.read(tmp_path / "data", "dev")
    total = score_benchmark("mmbench", questions, dump_lines(tmp_path / "a.jsonl", rows)).total
    assert total["accuracy"] == 50
