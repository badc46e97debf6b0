"""Which option an answer names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.letters import LETTERS, Choice, read_choice, rotated
from tests.answers_of_models import ANSWERS

GAITS = ("standing", "walking", "running")


@pytest.mark.parametrize(
    ("answer", "letter", "how"),
    [
        ("b", "b", "letter"),
        ("B.", "b", "letter"),
        (" (c) ", "c", "letter"),
        ("**B**", "b", "letter"),
        ("b. walking", "b", "letter"),
        ("B: he moves on foot", "b", "letter"),
        ("(a) standing", "a", "letter"),
        ("The answer is B.", "b", "letter"),
        ("The correct option is (c), since he runs.", "c", "letter"),
        ("Answer: c", "c", "letter"),
        ("A car is seen, so (b).", "b", "letter"),
        ("He moves slowly, I say B", "b", "letter"),
        ("Standing is excluded.\nb.", "b", "letter"),
        ("He is walking", "b", "text"),
        ("A WALKING man", "b", "text"),
        ("The answer is a walking man.", "b", "text"),
        ("walking or standing", "", ""),
        ("A or B", "", ""),
        ("a, b", "", ""),
        ("a. standing\nb. walking\nc. running", "", ""),
        ("sleepwalking", "", ""),
        ("d", "", ""),
        ("e) none", "", ""),
        ("I am not sure.", "", ""),
        ("i.e. nothing", "", ""),
        ("", "", ""),
        ("abc", "", ""),
    ],
)
def test_the_option_that_is_meant(answer: str, letter: str, how: str) -> None:
    assert read_choice(answer, GAITS) == Choice(letter, how)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("a road accident", "b"),
        ("It shows an explosion and nothing else", "a"),
        ("The answer is a road accident", "b"),
        ("road accident", "b"),
        ("nothing unusual happens", "c"),
        ("There was a minor road accident", "d"),
        ("C", "c"),
    ],
)
def test_articles_and_options_within_options(answer: str, letter: str) -> None:
    options = ("an explosion", "a road accident", "nothing unusual", "a minor road accident")
    assert read_choice(answer, options).letter == letter


def test_without_options_and_with_equal_ones_nothing_is_chosen() -> None:
    assert read_choice("a", []) == Choice("", "")
    assert read_choice("left", ["left", "Left"]) == Choice("", "")


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=6))
def test_whatever_is_said_the_letter_is_one_of_an_option_or_none(answer: str, options: list[str]) -> None:
    choice = read_choice(answer, options)
    assert choice.letter == "" or choice.letter in LETTERS[: len(options)]
    assert (choice.letter == "") == (choice.how == "")


@given(st.lists(st.sampled_from(("red", "green", "blue", "grey")), min_size=2, max_size=4, unique=True), st.data())
def test_an_option_said_in_words_is_found_in_every_rotation(options: list[str], data: st.DataObject) -> None:
    said = data.draw(st.sampled_from(options))
    for by in range(len(options)):
        order = rotated(options, by)
        assert order[0] == options[by]
        assert order[LETTERS.index(read_choice(f"It is {said}.", order).letter)] == said


@pytest.mark.parametrize(("answer", "letter"), ANSWERS)
def test_answers_of_models_are_read_as_they_are_meant(answer: str, letter: str) -> None:
    assert read_choice(answer, GAITS).letter == letter


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        ("a. walking b. standing c. running", ("walking", "standing", "running"), ""),
        ("A. 20-30 km/h (slow)", ("20-30 km/h (slow)", "30-40 km/h (fast)"), "a"),
        ("A. 20-30 km/h (slow) B. 30-40 km/h (fast)", ("20-30 km/h (slow)", "30-40 km/h (fast)"), ""),
        ("The answer is I.", tuple("abcdefghij"), "i"),
        ("It is A.M. now", ("one", "two", "three"), ""),
        ("yes, the driver sees him", ("yes", "no"), "a"),
        ("The U.S. car turns. So B.", ("left", "right"), "b"),
    ],
)
def test_other_options(answer: str, options: tuple[str, ...], letter: str) -> None:
    assert read_choice(answer, options).letter == letter


@pytest.mark.parametrize("piece", ["(", "a ", "option: ", "A. standing ", "\n", "not "])
def test_the_time_to_read_an_answer_grows_with_its_length(piece: str) -> None:
    began = time.process_time()
    read_choice(piece * (40_000 // len(piece)), GAITS)
    assert time.process_time() - began < 8, "were it the square of the length, it would be a minute"
