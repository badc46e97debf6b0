"""Spans, boxes and labels against their plain definitions, and the odd cases."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.label_scores import score_labels
from cityscribe.evaluate.spans import box_iou, score_spans, span_iou

TENTHS = st.integers(0, 40)


@given(TENTHS, TENTHS, TENTHS, TENTHS)
def test_iou_of_spans_is_that_of_the_tenths_that_they_hold(a: int, b: int, c: int, d: int) -> None:
    first, second = sorted((a, b)), sorted((c, d))
    held, other = set(range(*first)), set(range(*second))
    expected = len(held & other) / len(held | other) if held | other else float(first == second)
    assert span_iou((first[0] / 10, first[1] / 10), (second[0] / 10, second[1] / 10)) == pytest.approx(expected)


@given(st.tuples(*[st.integers(0, 8)] * 4), st.tuples(*[st.integers(0, 8)] * 4))
def test_iou_of_boxes_is_that_of_the_pixels_that_they_hold(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    held = [{(x, y) for x in range(b[0], b[0] + b[2]) for y in range(b[1], b[1] + b[3])} for b in (one, other)]
    expected = len(held[0] & held[1]) / len(held[0] | held[1]) if all(held) else 0.0
    assert box_iou(one, other) == pytest.approx(expected)
    assert box_iou(one, other) == box_iou(other, one)


def test_missing_and_malformed_answers_stay_in_the_denominator() -> None:
    references = [(0.0, 4.0), (0.0, 4.0), (0.0, 4.0), (0.0, 4.0)]
    scores = score_spans(references, [(0.0, 4.0), (0.0, 2.0), None, (3.0, 1.0)], groups=list("aabb"))
    assert scores.each == (1.0, 0.5, 0.0, 0.0)
    assert scores.mean_iou == 0.375
    assert scores.recall == {0.3: 0.5, 0.5: 0.5, 0.7: 0.25}
    assert (scores.missing, scores.malformed) == (1, 1)
    assert scores.interval is not None
    assert scores.interval.low == 0 < scores.interval.high == 0.75
    assert score_spans(references[:1], [(math.nan, 1.0)]).malformed == 1
    with pytest.raises(ValueError, match="no spans"):
        score_spans([], [])
    with pytest.raises(ValueError, match="reference 0"):
        score_spans([(5.0, 1.0)], [None])


@given(st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), st.frozensets(st.sampled_from("abcd"))), min_size=1))
def test_macro_f1_is_the_mean_over_labels_of_their_own_f1(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    scores = score_labels([reference for reference, _ in pairs], [answer for _, answer in pairs])
    named = sorted({label for pair in pairs for one in pair for label in one})
    expected = []
    for label in named:
        outcomes = [(label in reference, label in answer) for reference, answer in pairs]
        true, missed = outcomes.count((True, True)), outcomes.count((True, False))
        expected.append(2 * true / (2 * true + missed + outcomes.count((False, True))))
    assert [score.label for score in scores.labels] == named
    assert [score.f1 for score in scores.labels] == pytest.approx(expected)
    assert scores.macro_f1 == (pytest.approx(sum(expected) / len(expected)) if named else None)
    assert (scores.micro_f1 is None) == (not named)


def test_labels_that_are_only_said_count_and_a_text_is_no_collection() -> None:
    scores = score_labels([("a",), ("b",)], [("a",), ("new",)])
    assert scores.macro_f1 == pytest.approx(1 / 3)
    assert scores.exact == 0.5
    assert score_labels([("a",), ("b",)], [("a",), ("new",)], labels=["a", "b"]).macro_f1 == 0.5
    with pytest.raises(ValueError, match="no collection"):
        score_labels(["ab"], [("a",)])  # type: ignore[list-item]
