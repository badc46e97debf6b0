from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.prepare.short_questions import ShortQuestion, draw, short_questions
from cityscribe.traffic.prompts import load_prompts

PROMPTS = load_prompts(None)
BOTH = ("pedestrian", "vehicle")
PEDESTRIAN = (
    ("He is tall.", "attributes"),
    ("He is near.", "position"),
    ("It rains.", "environment"),
    ("He wears a hat.", "attributes"),
    ("He is at risk.", "summary"),
)
VEHICLE = (("It stops.", "motion"), ("He is small.", "attributes"), ("It snows.", "environment"), ("Bad.", "summary"))


def asked(labelled):
    return {(q.target, q.dimension): q.answer for q in short_questions(labelled, PROMPTS, "overhead", 2, BOTH)}


def test_sentences_of_one_dimension_answer_one_question():
    assert asked({"pedestrian": PEDESTRIAN, "vehicle": VEHICLE}) == {
        ("pedestrian", "attributes"): "He is tall. He wears a hat.",
        ("pedestrian", "position"): "He is near.",
        ("vehicle", "motion"): "It stops.",
        ("", "environment"): "It rains.",
    }


def test_the_vehicles_caption_answers_what_the_pedestrians_leaves_open():
    assert asked({"vehicle": VEHICLE}) == {
        ("pedestrian", "attributes"): "He is small.",
        ("vehicle", "motion"): "It stops.",
        ("", "environment"): "It snows.",
    }


def test_no_question_is_asked_twice_and_none_runs_into_another():
    questions = [
        q.question
        for q in short_questions({"pedestrian": PEDESTRIAN, "vehicle": VEHICLE}, PROMPTS, "overhead", 2, BOTH)
    ]
    assert len(set(questions)) == len(questions)
    for question in questions:
        assert question.startswith("Phase of the event: judgement. ")
        assert question.count("?") == 1
        assert question.endswith("?")


def test_the_summary_is_never_asked_about():
    assert asked({"pedestrian": (("He is at risk.", "summary"),), "vehicle": (("Bad.", "summary"),)}) == {}


QUESTIONS = [ShortQuestion("pedestrian", f"d{n}", f"q{n}", f"a{n}") for n in range(6)]


@settings(deadline=None)
@given(st.integers(0, 2), st.floats(0, 5), st.text(max_size=5))
def test_a_draw_keeps_the_order_and_the_ratio(long, ratio, key):
    drawn = draw(QUESTIONS, long, ratio, key)
    assert drawn == [question for question in QUESTIONS if question in drawn]
    assert abs(len(drawn) - min(ratio * long, 6)) < 1
    assert drawn == draw(QUESTIONS, long, ratio, key)


def test_fractions_hold_on_average():
    drawn = [draw(QUESTIONS, 2, 0.7, f"0/{group}") for group in range(2000)]
    assert abs(sum(map(len, drawn)) / 2000 - 1.4) < 0.05
    counts = Counter(question.dimension for questions in drawn for question in questions)
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_none_keeps_all_and_zero_none():
    assert draw(QUESTIONS, 2, None, "k") == QUESTIONS
    assert draw(QUESTIONS, 2, 0, "k") == []
