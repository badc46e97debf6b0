"""The question-answering sub-task of WTS, scored as its official script does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.files import InputError
from cityscribe.traffic.metrics.wts_vqa import VqaAccuracy, accuracy, combined, evaluate_vqa


def dump(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_what_is_right_wrong_and_missing() -> None:
    found = accuracy({"1": "B", "2": "a", "3": "c", "4": "d"}, {"1": "b", "2": "", "4": "D", "9": "a"})
    assert found == VqaAccuracy(accuracy=0.5, correct=2, wrong=1, missing=1)


def test_a_submission_against_the_layout_of_the_test_file(tmp_path: Path) -> None:
    asked = [
        {"videos": ["a.mp4"], "event_phase": [{"labels": ["0"], "conversations": [{"id": "u1", "correct": "a"}]}]},
        {"videos": ["b.mp4"], "conversations": [{"id": "u2", "correct": "B"}, {"id": "u3", "correct": "c"}]},
    ]
    said = [{"id": "u1", "correct": "A"}, {"id": "u2", "correct": "b"}, {"id": "zz", "correct": "a"}]
    captions = dump(tmp_path / "scores.json", {"score": 33.08})
    scores = evaluate_vqa(dump(tmp_path / "gt.json", asked), dump(tmp_path / "s.json", said), captions)
    assert (scores.total["accuracy"], scores.total["missing"]) == (pytest.approx(2 / 3), 1)
    assert scores.total["s2"] == scores.total["score"] == pytest.approx((33.08 + 200 / 3) / 2)
    assert "1 answers" in scores.warnings[0]
    assert {"captions_sha256", "references_sha256"} <= scores.provenance.keys()


def test_the_combined_score_of_a_published_row() -> None:
    """Captions of 33.08 and an accuracy of 87.09 % are 60.09 on the leader board."""
    assert combined(0.8709, 33.08).s2 == pytest.approx(60.085, abs=0.001)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "holds no answers"),
        ([{"id": "1", "correct": 2}], r"\[0\].correct: is 2"),
        ([{"correct": "a"}], r"\[0\].id: is None"),
        ([{"id": "1", "correct": "a"}, {"id": "1", "correct": "b"}], "1 stands twice"),
    ],
)
def test_a_malformed_submission_is_named_with_its_place(value: Any, says: str, tmp_path: Path) -> None:
    right = dump(tmp_path / "gt.json", [{"id": "1", "correct": "a"}])
    with pytest.raises(InputError, match=says):
        evaluate_vqa(right, dump(tmp_path / "s.json", value))
    with pytest.raises(InputError, match="nothing can be scored"):
        evaluate_vqa(dump(tmp_path / "test.json", [{"id": "1", "correct": ""}]), right)
