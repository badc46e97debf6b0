"""Scores of answered questions: choices, short answers, captions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cityscribe.evaluate.answers import normalised, token_f1
from cityscribe.evaluate.caption_metrics import score_caption
from cityscribe.evaluate.question_scores import evaluate_questions
from cityscribe.files import InputError
from cityscribe.letters import rotated
from tests.evaluate.answered import choice, open_line, sample_of, write_lines

GAITS = ("standing", "walking", "running")


def test_accuracy_recall_and_confusion_by_hand(tmp_path: Path) -> None:
    lines = [
        choice("1", GAITS, "standing", "a"),
        choice("2", GAITS, "standing", "He is walking."),
        choice("3", GAITS, "walking", "b. walking"),
        choice("4", GAITS, "running", "hard to tell"),
        choice("5", GAITS, "running", "c"),
        choice("6", GAITS, "running", "Answer: C"),
    ]
    scores = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines), against="standing")
    part = scores.total["choices"]
    assert (part["questions"], part["correct"], part["unparsed"], part["missing"]) == (6, 4, 1, 0)
    assert part["accuracy"] == pytest.approx(4 / 6)
    assert scores.total["score"] == pytest.approx(400 / 6)
    assert part["read_by"] == {"letter": 4, "text": 1}
    assert [(row["class"], row["questions"], row["recall"]) for row in part["classes"]] == [
        ("running", 3, pytest.approx(2 / 3)),
        ("standing", 2, 0.5),
        ("walking", 1, 1.0),
    ]
    assert part["balanced"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert part["confusion"] == {
        "rows": ["running", "standing", "walking"],
        "columns": ["running", "standing", "walking", "unparsed"],
        "counts": [[2, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 0]],
    }
    assert part["against"]["confusion"]["counts"] == [[3, 0, 1], [1, 1, 0]]
    assert part["against"]["accuracy"] == pytest.approx(4 / 6)
    assert part["chance"] == pytest.approx(1 / 3)
    assert part["majority"] == {"accuracy": 0.5, "from": "references"}
    low, high = part["interval"]
    assert low < part["accuracy"] < high
    assert scores.segments["4"] == {
        "group": "4",
        "kind": "choice",
        "outcome": 0.0,
        "truth": "running",
        "said": "unparsed",
        "right": "c",
        "chosen": "",
        "how": "unparsed",
    }


def test_an_answer_without_option_is_wrong_whatever_the_seed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [choice(str(n), GAITS, "walking", "no idea") for n in range(30)])
    totals = [evaluate_questions(path, seed=seed).total["choices"] for seed in range(3)]
    assert all(total["accuracy"] == 0 and total["unparsed"] == 30 for total in totals)


def test_in_circular_evaluation_all_rotations_have_to_be_right(tmp_path: Path) -> None:
    turns = [rotated(GAITS, by) for by in range(3)]
    always_right = [choice("q1", order, "walking", "It is walking.") for order in turns]
    always_a = [choice("q2", order, "standing", "a") for order in turns]
    incomplete = [choice("q3", order, "running", "running") for order in turns[:2]]
    part = evaluate_questions(write_lines(tmp_path / "p.jsonl", always_right + always_a + incomplete)).total["choices"]
    assert (part["questions"], part["correct"]) == (3, 3)
    circular = part["circular"]
    assert (circular["questions"], circular["asked"], circular["accuracy"]) == (2, 6, 0.5)
    assert circular["accuracy_of_all_asked"] == pytest.approx(4 / 6)
    assert circular["chance"] == pytest.approx(3**-3)


def test_the_same_question_asked_twice_is_two_questions(tmp_path: Path) -> None:
    lines = [choice("q", GAITS, "walking", "b"), choice("q", GAITS, "walking", "c")]
    scores = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines))
    assert scores.total["choices"]["questions"] == 2
    assert sorted(scores.segments) == ["q", "q#2"]


def test_the_majority_comes_from_training_and_from_the_options_that_are_there(tmp_path: Path) -> None:
    taught = [choice(f"t{n}", GAITS, gait, "") for n, gait in enumerate(["running", "running", "walking"])]
    asked = [choice("1", GAITS, "running", "a"), choice("2", ("standing", "walking"), "walking", "a")]
    scores = evaluate_questions(
        write_lines(tmp_path / "p.jsonl", asked),
        [sample_of(line) for line in asked],
        learned=[sample_of(line, "train") for line in taught],
    )
    assert scores.total["choices"]["majority"] == {"accuracy": 1.0, "from": "train"}


def test_references_decide_and_what_is_not_answered_is_wrong(tmp_path: Path) -> None:
    lines = [choice(str(n), GAITS, "walking", "b") for n in range(4)]
    samples = [replace(sample_of(line), images=("x.png",)) for line in lines]
    told = [{**lines[0], "reference": "c"}, lines[1], {**lines[2], "id": "unknown"}]
    scores = evaluate_questions(write_lines(tmp_path / "p.jsonl", told), samples)
    part = scores.total["choices"]
    assert (part["correct"], part["missing"], part["questions"]) == (2, 2, 4)
    assert "1 answers to questions" in scores.warnings[0]
    assert "2 of 4 questions are not answered" in scores.warnings[1]
    other = write_lines(tmp_path / "o.jsonl", [{**lines[0], "id": "else"}])
    with pytest.raises(InputError, match="answers none of the questions"):
        evaluate_questions(other, samples)


def test_breakdowns_by_what_samples_are_about(tmp_path: Path) -> None:
    lines = [choice(str(n), GAITS, "walking", "b" if n < 3 else "a") for n in range(4)]
    samples = [sample_of(line, phase=n % 2, domain="internal") for n, line in enumerate(lines)]
    breakdowns = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines), samples).total["choices"]["breakdowns"]
    assert breakdowns == {
        "phase": [
            {"value": "prerecognition", "questions": 2, "accuracy": 1.0},
            {"value": "recognition", "questions": 2, "accuracy": 0.5},
        ]
    }


def test_many_classes_are_not_listed(tmp_path: Path) -> None:
    lines = [choice(str(n), (f"at {n} km/h", "parked"), f"at {n} km/h", "a") for n in range(50)]
    part = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines)).total["choices"]
    assert "classes" not in part
    assert part["accuracy"] == 1


@pytest.mark.parametrize(
    ("text", "same"),
    [("The Car.", "car"), (" a  red-car ", "redcar"), ("Yes!", "yes"), ("an anthem", "anthem"), ("...", "")],
)
def test_short_answers_are_normalised_as_squad_does(text: str, same: str) -> None:
    assert normalised(text) == same


def test_token_f1_by_hand() -> None:
    assert token_f1("red car", "red big car") == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert token_f1("car car", "car") == pytest.approx(2 * 0.5 / 1.5)
    assert (token_f1("", ""), token_f1("", "car"), token_f1("car", "")) == (1.0, 0.0, 0.0)


def test_short_answers(tmp_path: Path) -> None:
    lines = [
        open_line("1", "yes", "Yes."),
        open_line("2", "2", "two"),
        open_line("3", "a red car", "the red truck"),
        open_line("4", "yes", "", "Is it day?"),
    ]
    scores = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines))
    part = scores.total["answers"]
    assert (part["questions"], part["exact"], part["empty"]) == (4, 0.25, 1)
    assert part["f1"] == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert {row["type"]: row["questions"] for row in part["types"]} == {"yes/no": 2, "number": 1, "other": 1}
    assert part["majority"] == {"exact": 0.5, "from": "references"}
    assert scores.total["score"] == 25


def test_long_answers_are_captions(tmp_path: Path) -> None:
    long = "The pedestrian stands on the left of the vehicle, far away, and looks at the road ahead of him."
    lines = [open_line("1", long, long), open_line("2", long, "The vehicle stands.")]
    scores = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines))
    part = scores.total["captions"]
    second = score_caption(long, "The vehicle stands.")
    assert part["meteor"] == pytest.approx((score_caption(long, long)["meteor"] + second["meteor"]) / 2)
    assert part["score"] == pytest.approx(scores.total["score"])
    assert ("numpy" in scores.provenance, "nltk" in scores.provenance) == (True, False)
    forced = evaluate_questions(tmp_path / "p.jsonl", profile="answers").total
    assert forced["answers"]["exact"] == 0.5


def test_both_kinds_and_questions_without_reference(tmp_path: Path) -> None:
    lines = [choice("1", GAITS, "walking", "b"), open_line("2", "no", "yes"), open_line("3", "", "yes")]
    total = evaluate_questions(write_lines(tmp_path / "p.jsonl", lines)).total
    assert (total["choices"]["accuracy"], total["answers"]["exact"], total["score"]) == (1, 0, 50)
    assert total["unscored"] == 1
    only = evaluate_questions(tmp_path / "p.jsonl", profile="choices").total
    assert (only["score"], only["unscored"]) == (100, 2)
    none = evaluate_questions(write_lines(tmp_path / "n.jsonl", [open_line("3", "", "yes")])).total
    assert (none["score"], none["interval"], none["unscored"]) == (None, None, 1)


def test_equal_files_give_equal_scores_that_say_what_made_them(tmp_path: Path) -> None:
    lines = [choice(str(n), GAITS, "walking", "abc"[n % 3], f"clip{n // 4}") for n in range(40)]
    path = write_lines(tmp_path / "p.jsonl", lines)
    first, again = (evaluate_questions(path, seed=5) for _ in range(2))
    assert json.dumps(first.total) == json.dumps(again.total)
    assert {"profile", "references_sha256", "predictions_sha256", "seed", "cityscribe"} <= first.provenance.keys()
    changed = write_lines(tmp_path / "q.jsonl", [{**lines[0], "reference": "a"}, *lines[1:]])
    assert evaluate_questions(changed).provenance["references_sha256"] != first.provenance["references_sha256"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no answers"),
        ("{\n", "line 1: "),
        ('{"id": "1", "answer": "a"}\n{"id": 2, "answer": "a"}\n', "line 2: id"),
        ('{"id": "1"}\n', "line 1: answer"),
        ("[]\n", "line 1: the line"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(InputError, match=f"p.jsonl: {says}"):
        evaluate_questions(tmp_path / "p.jsonl")
    with pytest.raises(InputError, match=r"none.jsonl"):
        evaluate_questions(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="profile bleu: there is none of this name"):
        evaluate_questions(tmp_path / "p.jsonl", profile="bleu")
