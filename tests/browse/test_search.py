"""Finding entries."""

from __future__ import annotations

import random
import string

from hypothesis import given
from hypothesis import strategies as st

from cityscribe.browse.library import Library, LibraryEntry
from cityscribe.browse.search import find, snippet, terms_of
from tests.browse.made import ASKED, BARE, BOXED


def names(entries: list[LibraryEntry]) -> set[str]:
    return {entry.name for entry in entries}


def test_words_are_found_in_captions_whatever_their_case(of_data: Library) -> None:
    assert names(find(of_data.entries, "CLOUDY")) == {ASKED}
    assert {BOXED, BARE} <= names(find(of_data.entries, "rainy"))
    assert find(of_data.entries, "rainy cloudy") == []


def test_a_phrase_stands_together(of_data: Library) -> None:
    assert find(of_data.entries, "slowly walking")
    assert not find(of_data.entries, '"slowly walking"')
    assert find(of_data.entries, '"walking slowly"')


def test_filters_and_orders(of_run: Library) -> None:
    assert names(find(of_run.entries, which="no-boxes")) == {BARE}
    assert BARE in names(find(of_run.entries, which="skipped"))
    assert names(find(of_run.entries, which="scored")) == {ASKED}
    assert find(of_run.entries, order="worst")[0].name == ASKED
    assert find(of_run.entries, split="val")[0].name == ASKED


def test_worst_first_is_best_first_turned_round() -> None:
    rng = random.Random(0)
    entries = [
        LibraryEntry(f"e{n}", f"e{n}", "val", "internal", 1, True, 0, rng.random() if n % 3 else None, "")
        for n in range(30)
    ]
    worst, best = (
        [entry.points for entry in find(entries, order=order) if entry.points is not None]
        for order in ("worst", "best")
    )
    assert worst == sorted(worst) == best[::-1]
    assert all(entry.points is None for entry in find(entries, order="worst")[-10:])


@given(st.text(string.printable, max_size=300), st.text(string.ascii_letters + "ß İ", min_size=1, max_size=5))
def test_a_snippet_is_of_the_text_and_shows_what_was_found(text: str, word: str) -> None:
    shown = snippet(text, terms_of(word))
    assert shown.strip("… ") in text
    assert "\n" not in shown


def test_a_snippet_is_cut_at_words() -> None:
    text = "name\n" + "one two three " * 20 + "the weather is cloudy " + "four five six " * 20
    shown = snippet(text, ["CLOUDY"])
    assert "weather is cloudy four" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) < 140
