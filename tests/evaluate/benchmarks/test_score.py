"""Every benchmark is read from its own layout, and right answers get all points in whatever form they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.score import BenchmarkScores, score_benchmark
from cityscribe.evaluate.benchmarks.verdicts import read_verdicts
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import SMALL, dump, dump_lines

POINTS = {
    "gqa": ("accuracy_llava", 100),
    "pope": ("f1", 100),
    "mme": ("score", 400),  # two of fourteen subtasks
    "science-qa": ("accuracy_image", 100),
    "mm-vet": ("score", 100),
    "video-chatgpt": ("mean", 5),
    "fetv": ("categorical_mean", 1),
    "lingoqa": ("exact", 100),
    "maplm-qa": ("QNS", 100),
    "tumtraffic-videoqa": ("mean", 1),
    "roadsocial": ("Grounding", 100),
}


def scored(name: str, root: Path, answers: Path, **options: Any) -> BenchmarkScores:
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(root, benchmark.split)
    if benchmark.judged == "always" and "verdicts" not in options:
        names = benchmark.to_judge.ids(questions)
        options["verdicts"] = dict.fromkeys(names, Verdict(True, 5.0 if name == "video-chatgpt" else 1.0))
    return score_benchmark(name, questions, answers, **options)


def test_every_benchmark_has_a_small_one() -> None:
    assert SMALL.keys() == set(BENCHMARKS)


@pytest.mark.parametrize("name", list(SMALL))
def test_right_answers_get_all_points(name: str, tmp_path: Path) -> None:
    right = SMALL[name](tmp_path / "data")
    answers = dump_lines(tmp_path / "a.jsonl", [{"id": key, "answer": text} for key, text in right.items()])
    found = scored(name, tmp_path / "data", answers)
    measure, points = POINTS.get(name, ("exact" if name in ("msvd-qa", "activitynet-qa") else "accuracy", 100))
    assert found.total[measure] == points
    assert found.warnings == ()
    assert found.provenance["rule"] == BENCHMARKS[name].rule
    assert len(found.provenance["references_sha256"]) == 64
    if name != "video-chatgpt":
        assert {row["id"] for row in found.rows} == right.keys()


@pytest.mark.parametrize("name", list(SMALL))
def test_images_of_questions_lie_where_they_are_looked_for(name: str, tmp_path: Path) -> None:
    SMALL[name](tmp_path)
    for question in BENCHMARKS[name].read(tmp_path, BENCHMARKS[name].split):
        assert bool(question.images) + bool(question.video) + bool(question.encoded_image) == (question.id != "6")
        assert all((tmp_path / image).is_file() for image in question.images)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_missing_answer_is_refused_or_wrong_as_the_rule_has_it(name: str, tmp_path: Path) -> None:
    right = SMALL[name](tmp_path / "data")
    kept = dict(list(right.items())[:-1])
    answers = dump(tmp_path / "a.json", kept)
    if not kept or BENCHMARKS[name].missing == "refused":
        with pytest.raises(InputError, match=r"a\.json: 1 of \d+ questions have no answer"):
            scored(name, tmp_path / "data", answers)
    else:
        found = scored(name, tmp_path / "data", answers)
        assert found.total["accuracy"] == 100 * len(kept) / len(right)
        assert "counted as wrong" in found.warnings[0]


def test_partial_scores_only_what_is_answered(tmp_path: Path) -> None:
    SMALL["textvqa"](tmp_path / "data")
    answers = dump_lines(tmp_path / "a.jsonl", [{"question_id": 34603, "text": "10"}, {"question_id": 1, "text": "x"}])
    found = scored("textvqa", tmp_path / "data", answers, partial=True)
    assert (found.total["questions"], found.total["accuracy"]) == (1, 100)
    assert ["answers to no question" in found.warnings[0], "passed over" in found.warnings[1]] == [True, True]


@pytest.mark.parametrize(
    "rows",
    [
        [{"question_id": 34602, "text": "joe's"}, {"question_id": 34603, "text": "10"}],
        [{"questionId": "34602", "prediction": "joe's"}, {"questionId": "34603", "prediction": "10"}],
        [{"id": "34603", "answer": "10"}, {"id": "34602", "answer": "joe's"}],
        [{"id": "34602", "answer": "the right one", "pred": "joe's"}, {"id": "34603", "answer": "x", "pred": "10"}],
        [{"question": "?", "answer": "joe's"}, {"question": "?", "answer": "10"}],
        [
            {"question_id": "a1", "prompt": "What number?\nIn a word.", "text": "10"},
            {"question_id": "a1", "prompt": "what brand is it?\nIn a word.", "text": "joe's"},
        ],
    ],
    ids=["llava", "gqa", "predict", "video-chatgpt", "in-order", "llava-by-image"],
)
@pytest.mark.parametrize("form", ["lines", "list", "object"])
def test_all_forms_of_answers_are_the_same(rows: list[dict[str, Any]], form: str, tmp_path: Path) -> None:
    SMALL["textvqa"](tmp_path / "data")
    if form == "lines":
        path = dump_lines(tmp_path / "answers.json", rows)  # LLaVA calls such files .json, too
    elif form == "list":
        path = dump(tmp_path / "answers.json", rows)
    else:
        path = dump(tmp_path / "answers.json", {"34602": "joe's", "34603": "10"})
    assert scored("textvqa", tmp_path / "data", path).total["accuracy"] == 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no answers"),
        ("{", "line 1: not JSON"),
        ("3", "holds int, expected answers"),
        ('[{"id": "34602"}]', r"\[0\]: expected an object with the answer"),
        ('[{"id": "34602", "answer": 3}]', r"\[0\]: expected an object with the answer"),
        ('[{"id": "34602", "answer": "a"}, {"answer": "b"}]', r"\[1\]: has none of question_id"),
        ('[{"id": 34602, "answer": "a"}, {"id": "34602", "answer": "b"}]', r"\[1\]: question 34602 has another answer"),
        ('[{"answer": "a"}]', "1 answers without ids to 2 questions"),
        ('[{"id": "1", "answer": "a"}]', "2 of 2 questions have no answer"),
    ],
)
def test_what_is_wrong_with_answers_is_named(content: str, message: str, tmp_path: Path) -> None:
    SMALL["textvqa"](tmp_path / "data")
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        scored("textvqa", tmp_path / "data", path)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_folder_without_its_files_says_what_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no(ne)? "):
        BENCHMARKS[name].read(tmp_path, BENCHMARKS[name].split)


def test_a_file_of_another_shape_is_named_with_the_place(tmp_path: Path) -> None:
    SMALL["gqa"](tmp_path)
    path = tmp_path / "testdev_balanced_questions.json"
    value = json.loads(path.read_text())
    del value["2"]["answer"]
    dump(path, value)
    with pytest.raises(InputError, match=r"testdev_balanced_questions\.json: 2\.answer: field required"):
        BENCHMARKS["gqa"].read(tmp_path, "testdev")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"1": [{"pred": "yes", "score": 4}, {"q": "?"}]}, Verdict(True, 4.0)),
        ({"1": [{"pred": "No, it is not", "score": "2"}, {}]}, Verdict(False, 2.0)),
        ({"1": [{"pred": "maybe", "score": "high"}, {}]}, Verdict(None, None)),
        ([{"id": 1, "correct": False, "score": None}], Verdict(False, None)),
        ({"1": {"model": ["gpt-4"], "content": ["0.5", "1.0"], "score": [0.5, 1.0]}}, Verdict(None, 0.75)),
    ],
)
def test_verdicts_are_read_in_their_forms(content: Any, expected: Verdict, tmp_path: Path) -> None:
    assert read_verdicts(dump(tmp_path / "v.json", content)) == {"1": expected}


def test_an_answer_without_a_verdict_is_refused(tmp_path: Path) -> None:
    right = SMALL["mm-vet"](tmp_path / "data")
    answers = dump(tmp_path / "a.json", right)
    with pytest.raises(InputError, match="1 of 2 answers have no verdict: v1_1"):
        scored("mm-vet", tmp_path / "data", answers, verdicts={"v1_0": Verdict(None, 0.5)})
    questions = BENCHMARKS["mm-vet"].read(tmp_path / "data", "")
    with pytest.raises(InputError, match="is scored by a judge"):
        score_benchmark("mm-vet", questions, answers)
