"""Each official rule gives the numbers of its public scorer, which was run beside ours on the same answers.

The numbers below are what these printed for the folders and mixed answers of `small_driving`:

    nuscenes-qa         qiantianwen/NuScenes-QA @ff1961b5 src/execution/result_eval.py
    vru-accident        Kimyounggun99/VRU-Accident @c5d84f6 utils/evaluation.py VQA_eval; and all 17 published tables
    tar                 evaluate.py in VNPT-AI-Official/AICITY2026_track3 @ac848afb, BERTScore 0.5 put in
    fetv                MoyoG/FETV @07c8ec73 evaluate.py, BERTScore 0.5 put in
    drivelm             OpenDriveLab/DriveLM @1de72a7 challenge/evaluation.py with pycocoevalcap 1.2, every grade 50
    drivelmm-o1         ayesha-ishaq/DriveLMM-o1 @338d6b3 evaluation/evaluation_script.py, its two functions of answers
    stsbench            LRP-IVC/STSBench @38c5174 eval/eval.py, is_correct and its means
    maplm-qa            LLVM-AD/MAPLM @b4a8897 baseline/evaluation/run_eval.py
    tumtraffic-videoqa  TraffiX-VideoQA/TraffiX-Qwen @5fbb8c8 eval_tumtraf.py
    roadsocial          roadsocial/roadsocial @6814978 temporal_gnd.py; and 782 published answers, 7.847 % both
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.answers import match_answers
from cityscribe.evaluate.benchmarks.driving.drivelm import grade_of_hundred
from cityscribe.evaluate.benchmarks.driving.drivelmm_o1 import overall_grade
from cityscribe.evaluate.benchmarks.driving.tar import span_of, yes_or_no
from cityscribe.evaluate.benchmarks.lines import lines_of
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion, RuleScores
from cityscribe.evaluate.judge import Rubric
from cityscribe.evaluate.verdict import Verdict
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_benchmarks import dump
from tests.evaluate.benchmarks.small_driving import DRIVING, MIXED

THIRD = 100 / 3

PUBLIC: dict[str, Mapping[str, Any]] = {
    "nuscenes-qa": {
        "accuracy": 40,
        "accuracy by type": {"comparison": 0, "count": 100, "exist": 0, "object": 0, "status": 100},
        "accuracy by type and hops": {"comparison_0": 0, "count_0": 100, "exist_0": 0, "object_1": 0, "status_1": 100},
    },
    "vru-accident": {
        "accuracy by category": {"weather and light": 2 * THIRD, "location": THIRD, "accident reason": THIRD}
    },
    "tar": {
        "bcq_accuracy": 0.6666666666666666,
        "mcq_accuracy": 0.5,
        "temporal_localization_miou": 0.25,
        "open_qa_bertscore_f1": 0.5,
        "causal_linkage_bertscore_f1": 0.5,
        "mean": 0.4833333333333333,
    },
    "fetv": {
        "field_scores": {
            "answer_date": 0.4,
            "answer_violation_type": 0.5555555555555555,
            "answer_violator_type": 0.5,
            "answer_weather": 0.16666666666666666,
            "answer_time": 0.6666666666666666,
        },
        "answer_description": 0.5483163430810363,
        "categorical_mean": 0.45777777777777773,
        "final_score": 0.5030470604294071,
    },
    "drivelm": {
        "accuracy": 50,
        "chatgpt": 50,
        "language": {
            "Bleu_1": 0.40745002133419983,
            "Bleu_2": 0.28956212142439625,
            "Bleu_3": 0.1980166562392595,
            "Bleu_4": 0.14237121682285656,
            "ROUGE_L": 0.4341650671785029,
            "CIDEr": 2.0798887286930756,
        },
        "match": 44.99999968,
        "counted": 6,
        "final": 0.4501002622935326,
    },
    "drivelmm-o1": {"accuracy": THIRD},
    "stsbench": {
        "accuracy": 56.25,
        "accuracy by group": {"ego": 25, "ego_agent": 100, "agent": 100, "agent_agent": 0},
    },
    "maplm-qa": {
        "QNS": 75,
        "FRM": 50,
        "by wording": {
            "Describe the lanes.": 32.17294420803808,
            "How many lanes in current road?": 100,
            "What kind of road scene is it?": 50,
        },
    },
    "tumtraffic-videoqa": {
        "accuracy": 0.75,
        "match": 0.5,
        "by type": {"Class Q1": 0.5, "Count Q1": 1, "Motion Q1": 0.3333333333333333},
        "language": {
            "BLEU-1": 0.11080315831801267,
            "BLEU-2": 0.07834966462159464,
            "BLEU-3": 0.06097732794857886,
            "BLEU-4": 1.0586607895563241e-05,
            "ROUGE_L": 0.33964365256124723,
            "CIDEr": 1.4139810861403788,
        },
        "spatial_temporal": {"temporal_error": 0.525, "spatial_error": 0.575, "spatial_temporal_error": 0.6},
    },
    "roadsocial": {"Grounding": 51.11111111111112},
}


def scored(name: str, root: Path, answers: Mapping[str, str] | None = None) -> RuleScores:
    """The answers, by default the mixed ones, by the rule; where it takes verdicts, all of 50 or 0.5."""
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(root, benchmark.split)
    given = MIXED[name] if answers is None else answers
    if benchmark.judged == "never":
        return benchmark.score(questions, given)
    grade = 50.0 if benchmark.judged_by == "chat" else 0.5
    return benchmark.score(questions, given, {name: Verdict(True, grade) for name in benchmark.to_judge.ids(questions)})


@pytest.mark.parametrize("name", list(PUBLIC))
def test_it_is_the_number_of_the_public_scorer(name: str, tmp_path: Path) -> None:
    DRIVING[name](tmp_path)
    total = scored(name, tmp_path).total
    for measure, value in PUBLIC[name].items():
        assert total[measure] == pytest.approx(value, rel=1e-12, abs=1e-12), measure


@pytest.mark.parametrize("name", list(DRIVING))
def test_answers_that_are_empty_are_no_failure_and_get_no_point(name: str, tmp_path: Path) -> None:
    right = DRIVING[name](tmp_path)
    rows = {row["id"]: row["score"] for row in scored(name, tmp_path, dict.fromkeys(right, "")).rows}
    graded = [key for key in rows if name == "lingoqa" or rows[key] in (50.0, 0.5)]
    assert all(rows[key] == 0 for key in rows if key not in graded), rows


@pytest.mark.parametrize("name", list(DRIVING))
def test_the_usual_answer_and_chance_have_a_line(name: str, tmp_path: Path) -> None:
    DRIVING[name](tmp_path)
    benchmark = BENCHMARKS[name]
    questions = benchmark.read(tmp_path, benchmark.split)
    lines = lines_of(benchmark, questions)
    assert lines.majority is not None
    assert lines.chance is not None
    assert 0 <= lines.chance <= 100
    assert lines == lines_of(benchmark, questions), "the same draws"


def test_chance_is_the_share_of_options() -> None:
    options = ("a", "b", "c", "d")
    facts = {"category": "x"}
    asked = [BenchmarkQuestion(str(n), "?", ("ABCD"[n % 4],), options, facts=facts) for n in range(400)]
    lines = lines_of(BENCHMARKS["vru-accident"], asked)
    assert lines.majority == 25
    assert lines.chance == pytest.approx(25, abs=2)


def test_official_forms_of_answers_are_read(tmp_path: Path) -> None:
    """A folder of VRU-Accident's responses, TAR's CSV, FETV's rows, SUTD's CSV and MAPLM's conversations."""
    for name in ("vru-accident", "tar", "fetv", "sutd-trafficqa", "maplm-qa"):
        DRIVING[name](tmp_path / name)
    said = tmp_path / "said"
    video = "./VRU_videos/{}.mp4"
    responses: dict[str, dict[str, Any]] = {}
    for key, text in MIXED["vru-accident"].items():
        place, _, category = key.rpartition("/")
        responses.setdefault(video.format(place), {})[category] = {"pred": text or None, "GT": "B"}
    dump(said / "vru" / "all.json", responses)
    (said / "tar.csv").write_text(
        "item_index,prediction\n"
        + "".join(f'{key},"{text.replace(chr(34), 2 * chr(34))}"\n' for key, text in MIXED["tar"].items())
    )
    rows: dict[str, dict[str, str]] = {}
    for key, text in MIXED["fetv"].items():
        clip, _, field = key.partition("/")
        rows.setdefault(clip, {"clip_name": clip})[f"answer_{field}"] = text
    dump(said / "fetv.json", list(rows.values()))
    (said / "sutd.csv").write_text("record_id, predicted_answer\n7, 1\n8, 3\n9, 0\n")
    turns = [
        ("<image>\nWhat are these?", "Images."),
        ("What kind of road scene is it? Choose.", MIXED["maplm-qa"]["FR2/0"]),
        ("How many lanes on the current road?", MIXED["maplm-qa"]["FR2/1"]),
        ("Describe the lanes.", MIXED["maplm-qa"]["FR2/2"]),
    ]
    frame = [{"from": "x", "value": text} for turn in turns for text in turn]
    dump(said / "maplm.json", [{"id": name, "conversations": frame} for name in ("FR2", "FR3")])
    for name, file in (("vru-accident", "vru"), ("tar", "tar.csv"), ("fetv", "fetv.json"), ("maplm-qa", "maplm.json")):
        benchmark = BENCHMARKS[name]
        questions = benchmark.read(tmp_path / name, benchmark.split)
        assert benchmark.read_answers is not None
        found, warnings = match_answers(said / file, benchmark.read_answers(said / file), questions, rule=benchmark)
        expected = MIXED[name]
        if name == "maplm-qa":
            expected = expected | {f"FR3/{n}": expected[f"FR2/{n}"] for n in range(3)}
        assert (found, warnings) == (expected, [])
    benchmark = BENCHMARKS["sutd-trafficqa"]
    questions = benchmark.read(tmp_path / "sutd-trafficqa", "test")
    assert benchmark.read_answers is not None
    numbers = {answer.id: answer.text for answer in benchmark.read_answers(said / "sutd.csv")}
    assert benchmark.score(questions, numbers).total["accuracy"] == 100


@pytest.mark.parametrize(
    ("name", "rows"),
    [("tar", "item_index,prediction\nx,Yes\nx,No\n"), ("fetv", '[{"clip_name": "a"}, {"clip_name": "a"}]')],
)
def test_a_submission_that_has_an_item_twice_is_refused(name: str, rows: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.csv" if name == "tar" else "a.json")
    path.write_text(rows)
    read = BENCHMARKS[name].read_answers
    assert read is not None
    with pytest.raises(InputError, match=r"twice|no other row has"):
        read(path)


def test_a_test_set_without_answers_says_so(tmp_path: Path) -> None:
    DRIVING["tar"](tmp_path)
    questions = BENCHMARKS["tar"].read(tmp_path, "test")
    path = tmp_path / "test" / "test.json"
    path.write_text(path.read_text().replace('"answer": "Yes."', '"answer": ""'))
    assert [q.truth for q in BENCHMARKS["tar"].read(tmp_path, "test")][:2] == [(), questions[1].truth]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ('{"start": "1:02", "end": "1:09.5"}', (62.0, 69.5)),
        ('```json\n{"start": 2, "end": 5}\n```', (2.0, 5.0)),
        ('[{"start": 2, "end": 5}]', None),
        ("5", None),
        ('{"start": null, "end": 5}', None),
        ('{"start": "NaN", "end": 5}', None),
        ('{"start": 1}', None),
        ("[" * 100_000, None),
    ],
)
def test_spans_are_read_as_json(text: str, span: tuple[float, float] | None) -> None:
    assert span_of(text) == span


def test_yes_is_found_first_at_the_beginning() -> None:
    assert [yes_or_no(text) for text in ("NO, yes", "I think yes", "nothing", "")] == ["no", "yes", "", ""]


@pytest.mark.parametrize(
    ("reply", "grade"),
    [("87", 87), ("Grade: 62.5.", 62.5), ("100", 100), ("about 250", None), ("none", None), ("", None)],
)
def test_a_grade_of_a_hundred_is_read(reply: str, grade: float | None) -> None:
    assert grade_of_hundred(reply, Rubric(verdict=False, system="", user="")).score == grade


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ('{"Faithfulness": 6, "Overall Score": 7.5}', 7.5),
        ('Here: {"Faithfulness": 6, "Relevance": 8}', 7),
        ('{"Overall Score": 70}', None),
        ("{", None),
        ("7", None),
    ],
)
def test_the_overall_grade_of_reasoning_is_read(reply: str, grade: float | None) -> None:
    assert overall_grade(reply, Rubric(verdict=False, system="", user="")).score == grade


def test_the_other_questions_of_a_frame_wait_for_the_first_of_drivelm(tmp_path: Path) -> None:
    """Nothing found by the first answer: what names an object does not count, what names none does."""
    right = DRIVING["drivelm"](tmp_path)
    blind = right | {"s1_f1_0": "Nothing.", "s1_f2_0": "Nothing."}
    counted = {row["id"] for row in scored("drivelm", tmp_path, blind).rows}
    assert counted == {"s1_f1_0", "s1_f1_3", "s1_f1_5", "s1_f1_6", "s1_f2_0"}


@pytest.mark.parametrize("name", list(DRIVING))
def test_many_answers_take_a_moment(name: str, tmp_path: Path) -> None:
    """So many that a rule is caught whose time grows faster than their number; `benchmarks.answers` asks 100,000."""
    DRIVING[name](tmp_path)
    benchmark = BENCHMARKS[name]
    few = benchmark.read(tmp_path, benchmark.split)
    times = 2_000 // len(few)
    many = [
        replace(question, id=f"{n}:{question.id}", facts={**question.facts, **_of_its_own(question, n)})
        for n in range(times)
        for question in few
    ]
    answers = {question.id: MIXED[name][question.id.partition(":")[2]] for question in many}
    began = time.process_time()
    assert len(benchmark.score(many, answers).rows) <= len(many)
    assert time.process_time() - began < 2


def _of_its_own(question: BenchmarkQuestion, number: int) -> dict[str, str]:
    return {key: f"{number}:{question.facts[key]}" for key in ("frame", "file", "clip") if key in question.facts}
