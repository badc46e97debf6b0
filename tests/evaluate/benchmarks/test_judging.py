"""What is put before a judge, and what becomes of its replies. The judge here is a rule, so that all is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.judging import judge_answers, rubrics_of
from cityscribe.evaluate.benchmarks.mm_vet import first_grade
from cityscribe.evaluate.benchmarks.video_chatgpt import DIMENSIONS
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from tests.evaluate.benchmarks.small_benchmarks import SMALL
from tests.llm.test_client import Rule


def saying(reply: str) -> Rule:
    """Says the same, whatever it is asked."""
    return Rule(lambda asked, sampling: reply)


def judged(name: str, root: Path, reply: str, **answers: str) -> tuple[dict[str, Any], Rule]:
    right = SMALL[name](root) | answers
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(root, benchmark.split)
    judge = saying(reply)
    asked = (benchmark, questions, right)
    verdicts, judged_by, hashes = judge_answers(*asked, Client(judge, cache=root / "c"), rubrics_of(benchmark))
    assert (judged_by["kind"], judged_by["max_tokens"]) == ("rule", "128")
    assert all(len(digest) == 64 for digest in hashes.values())
    again = saying("something else")
    assert judge_answers(*asked, Client(again, cache=root / "c"), rubrics_of(benchmark))[0] == verdicts
    assert again.asked == []
    return benchmark.score(questions, right, verdicts).total, judge


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
    assert first_grade(reply, rubrics_of(BENCHMARKS["mm-vet"])["mm-vet"]).score == grade


def test_a_reply_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    SMALL["msvd-qa"](tmp_path)
    benchmark = BENCHMARKS["msvd-qa"]
    questions = benchmark.read(tmp_path, "test")
    found, *_ = judge_answers(benchmark, questions, {"3": "car"}, Client(saying("I cannot")), rubrics_of(benchmark))
    assert found == {"3": Verdict(None, None, "I cannot")}


def test_prompts_of_ones_own_must_have_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("answer: {verdict: true, system: x, user: '{reference} {answer}'}")
    assert rubrics_of(BENCHMARKS["msvd-qa"], tmp_path / "p.yaml")["answer"].system == "x"
    right = SMALL["mm-vet"](tmp_path)
    benchmark = BENCHMARKS["mm-vet"]
    rubrics = rubrics_of(benchmark, tmp_path / "p.yaml")
    with pytest.raises(InputError, match="have no entry mm-vet"):
        judge_answers(benchmark, benchmark.read(tmp_path, ""), right, Client(saying("1")), rubrics)
    with pytest.raises(InputError, match="has a rule of its own and needs no judge"):
        rubrics_of(BENCHMARKS["pope"])
