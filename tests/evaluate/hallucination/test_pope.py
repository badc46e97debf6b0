"""POPE: which objects are asked about, how answers are read, and the measures."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.evaluate.hallucination.objects import in_truth, read_vocabulary
from cityscribe.evaluate.hallucination.pope import CATEGORIES, Category, build_questions, measures, parsed
from cityscribe.files import InputError
from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS

TRAFFIC = read_vocabulary(TRAFFIC_OBJECTS)
TRUTHS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3).map(lambda name: f"{name}.jpg"),
    st.lists(st.sampled_from(TRAFFIC.names), unique=True, max_size=6).map(tuple),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("no", "no"),
        ("No, there is none.", "no"),
        ("There is not a car", "no"),
        ("Yes. No, wait.", "yes"),  # only what stands before the first period
        ("NO", "yes"),
        ("no!", "yes"),
        ("\nno", "yes"),  # split at spaces alone
        ("nothing", "yes"),
        ("", "yes"),
    ],
)
def test_parsed(answer: str, expected: str) -> None:
    assert parsed(answer) == expected


def test_measures_count_yes_as_positive() -> None:
    found = measures(["yes", "yes", "yes", "no", "no"], ["yes", "yes", "no", "yes", "no"])
    assert (found["tp"], found["fp"], found["tn"], found["fn"]) == (2, 1, 1, 1)
    assert found["accuracy"] == 60
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(200 / 3)
    assert found["yes_ratio"] == 60


@given(st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.sampled_from(["yes", "no"]))))
def test_f1_is_the_harmonic_mean_wherever_it_has_a_value(pairs: list[tuple[str, str]]) -> None:
    found = measures([label for label, _ in pairs], [answer for _, answer in pairs])
    precision, recall = found["precision"], found["recall"]
    if precision and recall:
        assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    else:
        assert found["f1"] is None


@given(TRUTHS, st.sampled_from(CATEGORIES), st.integers(1, 3), st.integers(0, 3))
def test_questions_are_balanced_true_and_the_same_every_time(
    truth: dict[str, tuple[str, ...]], category: Category, per_image: int, seed: int
) -> None:
    if not any(len(objects) >= per_image for objects in truth.values()):
        with pytest.raises(InputError, match="no image has"):
            build_questions(truth, category, TRAFFIC, per_image=per_image, seed=seed)
        return
    questions = build_questions(truth, category, TRAFFIC, per_image=per_image, seed=seed)
    turned = dict(reversed(truth.items()))
    assert build_questions(turned, category, TRAFFIC, per_image=per_image, seed=seed) == questions
    assert [row["question_id"] for row in questions] == list(range(1, len(questions) + 1))
    assert max(Counter((row["image"], row["object"]) for row in questions).values()) == 1
    for row in questions:
        there = in_truth(row["object"], truth[row["image"]], TRAFFIC)
        assert (row["label"] == "yes") == there
    labels = Counter((row["image"], row["label"]) for row in questions)
    assert all(count == per_image for (_, label), count in labels.items() if label == "yes")
    assert all(count <= per_image for count in labels.values())


def test_how_absent_objects_are_chosen() -> None:
    truth = {f"{n}.jpg": ("car", "tree") for n in range(3)}
    truth |= {f"b{n}.jpg": ("dog", "bench") for n in range(2)} | {"x.jpg": ("dog",), "y.jpg": ("dog", "umbrella")}
    absent = {
        category: {
            (row["image"], row["object"])
            for row in build_questions(truth, category, TRAFFIC, per_image=1, seed=1)
            if row["label"] == "no"
        }
        for category in CATEGORIES
    }
    assert {name for image, name in absent["popular"] if image[0] in "012"} == {"dog"}  # the commonest
    assert {name for image, name in absent["adversarial"] if image == "x.jpg"} == {"bench"}  # most often with a dog
    assert absent["random"] != absent["popular"]


def test_no_kind_of_a_true_object_is_asked_about_as_absent() -> None:
    truth = {"a.jpg": ("vehicle", "tree"), "b.jpg": ("car", "bus", "dog")}
    for category in CATEGORIES:
        questions = build_questions(truth, category, TRAFFIC, per_image=2)
        assert not [row for row in questions if row["image"] == "a.jpg" and row["object"] in ("car", "bus")]


def test_the_article_fits_the_word() -> None:
    rows = build_questions({"a.jpg": ("umbrella", "intersection")}, "random", TRAFFIC, per_image=2)
    assert all(" an " in row["text"] for row in rows)
