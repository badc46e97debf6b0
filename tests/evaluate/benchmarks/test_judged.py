"""MM-Vet, MSVD-QA, ActivityNet-QA and Video-ChatGPT: what becomes of verdicts."""

from __future__ import annotations

from pathlib import Path

from cityscribe.evaluate.benchmarks.mm_vet import MM_VET
from cityscribe.evaluate.benchmarks.video_chatgpt import VIDEO_CHATGPT
from cityscribe.evaluate.benchmarks.video_qa import ACTIVITYNET_QA, MSVD_QA
from cityscribe.evaluate.verdict import Verdict
from tests.evaluate.benchmarks import small_benchmarks


def test_mm_vet_counts_a_question_for_each_of_its_capabilities(tmp_path: Path) -> None:
    answers = small_benchmarks.mm_vet(tmp_path)
    questions = MM_VET.read(tmp_path, "")
    assert [question.shared_id for question in questions] == ["0", "1"]
    total = MM_VET.score(questions, answers, {"v1_0": Verdict(None, 0.55), "v1_1": Verdict(None, None)}).total
    assert total == {
        "score": 27.5,
        "ungraded": 1,
        "score by capability": {"math": 55.0, "ocr": 27.5},
        "score by capabilities": {"math+ocr": 55.0, "ocr": 0.0},
    }


def test_activitynet_qa_by_type_and_its_free_questions(tmp_path: Path) -> None:
    right = small_benchmarks.activitynet_qa(tmp_path)
    questions = ACTIVITYNET_QA.read(tmp_path, "test")
    total = ACTIVITYNET_QA.score(questions, right | {"v_xyz_8": "Answer 8"}).total
    assert total["exact by type"] == {"motion": 100, "other": 0, "yes or no": 100}
    assert total["exact_free"] == 50  # types 3 to 8, where the official script prints something else
    assert "accuracy" not in total


def test_verdicts_that_cannot_be_read_leave_the_mean_and_are_counted(tmp_path: Path) -> None:
    right = small_benchmarks.activitynet_qa(tmp_path)
    questions = ACTIVITYNET_QA.read(tmp_path, "test")
    given = [Verdict(True, 5), Verdict(False, 2), Verdict(None, None)]
    verdicts = dict(zip(right, given, strict=True))
    total = ACTIVITYNET_QA.score(questions, right, verdicts).total
    assert (total["accuracy"], total["score"], total["unparsed"]) == (50, 3.5, 1)
    assert round(total["accuracy_of_all"], 2) == 33.33
    assert total["exact"] == 100


def test_msvd_names_videos_as_their_files(tmp_path: Path) -> None:
    small_benchmarks.msvd_qa(tmp_path)
    (question,) = MSVD_QA.read(tmp_path, "test")
    assert (question.video, question.facts) == ("abc_1_2", {"begins with": "what"})


def test_video_chatgpt_cuts_grades_to_whole_numbers(tmp_path: Path) -> None:
    answers = small_benchmarks.video_chatgpt(tmp_path)
    questions = VIDEO_CHATGPT.read(tmp_path, "")
    names = VIDEO_CHATGPT.to_judge.ids(questions)
    assert names == ["correctness/0", "detail/0", "context/0", "temporal/0", "consistency/0"]
    grades = dict(zip(names, (4.8, 3, 2, None, 1), strict=True))
    verdicts = {name: Verdict(None, grade) for name, grade in grades.items()}
    total = VIDEO_CHATGPT.score(questions, answers, verdicts).total
    assert [total[name.partition("/")[0]] for name in names] == [4, 3, 2, 0, 1]
    assert (total["mean"], total["unparsed"]["temporal"]) == (2, 1)
