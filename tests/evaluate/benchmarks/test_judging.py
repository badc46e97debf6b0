"""What is put before a judge, and what becomes of its replies. The judge here is a rule, so that all is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS, Verdict
from cityscribe.evaluate.benchmarks.judging import first_grade, judge_answers, read_rubrics
from cityscribe.evaluate.benchmarks.video_chatgpt import DIMENSIONS
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import SMALL


class Rule:
    """Says what it is told to for each rubric, by a word of its system prompt, and keeps what it was asked."""

    def __init__(self, reply: str) -> None:
        self.identity = {"kind": "rule", "reply": reply}
        self.seen: dict[str, str] = {}
        self.asked: list[str] = []

    def replies(self, conversations: Sequence[list[dict[str, str]]]) -> Iterator[str]:
        for system, user in conversations:
            self.asked.append(system["content"] + "\n" + user["content"])
            yield self.identity["reply"]


def judged(name: str, root: Path, reply: str, **answers: str) -> tuple[dict[str, Any], Rule]:
    right = SMALL[name](root) | answers
    questions = BENCHMARKS[name].read(root, BENCHMARKS[name].split)
    judge = Rule(reply)
    verdicts = judge_answers(name, questions, right, judge, read_rubrics(name), cache=root / "cache.jsonl")
    total = BENCHMARKS[name].score(questions, right, verdicts).total
    again = judge_answers(name, questions, right, Rule(reply), read_rubrics(name), cache=root / "cache.jsonl")
    assert again == verdicts
    return total, judge


def test_video_questions_ask_for_right_or_wrong(tmp_path: Path) -> None:
    total, judge = judged("activitynet-qa", tmp_path, '{"pred": "yes", "score": 4}')
    assert (total["accuracy"], total["score"], len(judge.asked)) == (100, 4, 3)
    assert "question 0" in judge.asked[0]


def test_the_five_dimensions_of_video_chatgpt_have_a_rubric_each(tmp_path: Path) -> None:
    total, judge = judged("video-chatgpt", tmp_path, '{"score": 3.9}')
    assert {name: total[name] for name in DIMENSIONS} == dict.fromkeys(DIMENSIONS, 3)
    assert len({asked.partition("\n")[0] for asked in judge.asked}) == 5
    assert "Who?" in judge.asked[-1]
    assert "Which one?" in judge.asked[-1]


def test_mm_vet_reads_a_grade_and_shows_parts_apart(tmp_path: Path) -> None:
    total, judge = judged("mm-vet", tmp_path, "0.5")
    assert total["score"] == 50
    assert "-1 <AND> -5" in judge.asked[0]


@pytest.mark.parametrize(
    ("reply", "grade"),
    [("0.5", 0.5), ("1.0 because", 1.0), (" 0\n", 0.0), ("1.5", None), ("-0.1", None), ("half", None), ("", None)],
)
def test_the_first_number_is_the_grade(reply: str, grade: float | None) -> None:
    assert first_grade(reply) == grade


def test_a_reply_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    SMALL["msvd-qa"](tmp_path)
    questions = BENCHMARKS["msvd-qa"].read(tmp_path, "test")
    found = judge_answers("msvd-qa", questions, {"3": "car"}, Rule("I cannot"), read_rubrics("msvd-qa"))
    assert found == {"3": Verdict(None, None)}


def test_prompts_of_ones_own_must_have_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("answer: {verdict: true, system: x, user: '{reference} {answer}'}")
    assert read_rubrics("msvd-qa", tmp_path / "p.yaml")["answer"].system == "x"
    with pytest.raises(InputError, match="has no entry mm-vet"):
        read_rubrics("mm-vet", tmp_path / "p.yaml")
