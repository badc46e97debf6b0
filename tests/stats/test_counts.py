"""Counting."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.stats import counts
from cityscribe.traffic.scenario import PHASES, ROLES
from cityscribe.traffic.sentences import split_sentences
from tests.prepare.made import CAPTIONS, phases, scenario, view

SCENARIOS = [
    scenario("a", view("a1", pedestrian={0: 100, 1: 400}, vehicle={0: 900}), view("a2", kind="vehicle")),
    scenario("b", view("b1", of_phases=phases([2, 3])), split="val"),
]


def test_a_caption_counts_once_however_many_views_repeat_it() -> None:
    captions = counts.captions_of(SCENARIOS)
    assert len(captions) == 2 * len(PHASES) + 2 * 2
    found = counts.split_counts(SCENARIOS)
    assert [found[split]["captions"] for split in ("train", "val")] == [10, 4]
    assert [found[split]["views"] for split in ("train", "val")] == [2, 1]
    assert [found[split]["phases of views"] for split in ("train", "val")] == [10, 2]
    assert [found[split]["annotated boxes"] for split in ("train", "val")] == [3, 0]
    assert [found[split]["scenarios without a box"] for split in ("train", "val")] == [0, 1]


def test_the_side_of_a_box_is_the_root_of_its_area() -> None:
    found = counts.box_sizes(SCENARIOS)
    assert (found["pedestrian"]["least"], found["pedestrian"]["greatest"]) == (10.0, 20.0)
    assert found["vehicle"]["mean"] == 30.0
    assert sum(found["pedestrian"]["bins"]) == 2


def test_phases_that_views_share_count_once() -> None:
    found = counts.phase_lengths(SCENARIOS)
    assert [found[name]["count"] for name in PHASES] == [1, 1, 2, 2, 1]
    assert found["judgement"]["median"] == 0.4


def test_words_stand_under_the_dimension_of_their_sentence_and_all_sentences_count() -> None:
    captions = counts.captions_of(SCENARIOS)
    found = counts.words_by_dimension(captions)
    assert found["pedestrian"]["motion"]["words"]["walking"] == 7
    assert found["pedestrian"]["environment"]["words"]["clear"] == 7
    assert not set(found["pedestrian"]["attributes"]["words"]) & counts.FUNCTION_WORDS
    for role in ROLES:
        total = sum(found[role][dimension]["sentences"] for dimension in found[role])
        assert total == 7 * len(split_sentences(CAPTIONS[role]))


@given(st.lists(st.floats(0, 1e4, allow_nan=False), max_size=50))
def test_a_histogram_holds_every_value_once(values: list[float]) -> None:
    edges = [0, 1, 10, 100]
    found = counts.histogram(values, edges)
    expected = Counter(sum(edge <= value for edge in (1, 10)) for value in values)
    assert found == [expected[0], expected[1], expected[2]]
