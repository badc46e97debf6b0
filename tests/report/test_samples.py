from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.files import InputError
from cityscribe.report.run_files import read_run
from cityscribe.report.samples import Card, Rank, evenly_spaced, fair_shares, phase_points, sample_cards
from tests.report.run_folder import settings


def cards(run_dir: Path, **sections: dict[str, object]) -> list[Card]:
    made = settings(run_dir, **sections)
    return sample_cards(read_run(run_dir, made), run_dir / "prepared", made)


@given(st.integers(0, 300), st.integers(0, 40))
def test_evenly_spaced_places_are_different_and_reach_both_ends(length: int, count: int) -> None:
    places = evenly_spaced(length, count)
    assert len(places) == len(set(places)) == min(length, count)
    assert places == sorted(places)
    if len(places) > 1:
        assert (places[0], places[-1]) == (0, length - 1)
        gaps = [b - a for a, b in itertools.pairwise(places)]
        assert max(gaps) - min(gaps) <= 1


def test_a_single_place_is_the_middle_one() -> None:
    assert evenly_spaced(5, 1) == [2]


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 20), max_size=4), st.integers(0, 50))
def test_shares_are_as_equal_as_the_sizes_allow(sizes: Mapping[str, int], count: int) -> None:
    shares = fair_shares(sizes, count)
    assert sum(shares.values()) == min(count, sum(sizes.values()))
    assert all(shares[name] <= sizes[name] for name in sizes)
    short = [shares[name] for name in sizes if shares[name] < sizes[name]]
    assert not short or max(shares.values()) <= min(short) + 1


def test_ranks_are_named_where_that_says_something() -> None:
    assert [Rank(place, 5).word for place in range(1, 6)] == ["best", "", "middle", "", "worst"]
    assert [Rank(place, 4).word for place in range(1, 5)] == ["best", "middle", "middle", "worst"]
    assert Rank(1, 2).word == ""


def test_cards_spread_from_best_to_worst_over_both_domains(finished: Path) -> None:
    shown = cards(finished, report={"samples": 6})
    made = settings(finished)
    points = phase_points(read_run(finished, made))
    for domain, places in (("internal", [1, 8, 15]), ("external", [1, 6, 10])):
        of_domain = [card for card in shown if card.phase.domain == domain]
        assert [card.rank.place for card in of_domain if card.rank] == places
        values = [points[card.phase.key] for card in of_domain]
        assert values == sorted(values, reverse=True)
        everything = [points[phase.key] for phase in read_run(finished, made).phases if phase.domain == domain]
        assert (values[0], values[-1]) == (max(everything), min(everything))


def test_images_are_the_files_of_the_prepared_data_byte_for_byte(finished: Path) -> None:
    (card,) = cards(finished, report={"samples": 1})
    assert [image.name for image in card.images] == ["local view", "global view"]
    for image, path in zip(card.images, card.phase.images, strict=True):
        head, _, content = image.url.partition(",")
        assert head == "data:image/jpeg;base64"
        assert base64.b64decode(content) == (finished / "prepared" / path).read_bytes()
    assert (card.images[1].width, card.images[1].height) == (160, 90)


def test_alternative_texts_name_what_is_marked(finished: Path) -> None:
    for card in cards(finished):
        for image in card.images:
            assert card.phase.scenario in image.alt
            assert ("pedestrian (green)" in image.alt) == ("pedestrian" in card.phase.marked)
            assert ("vehicle (blue)" in image.alt) == ("vehicle" in card.phase.marked)


def test_road_users_stand_in_the_order_in_which_they_were_asked_about(finished: Path) -> None:
    def roles(order: str) -> list[str]:
        return [role.role for role in cards(finished, predict={"order": order})[0].roles]

    assert roles("vehicle-pedestrian") == roles("independent") == ["vehicle", "pedestrian"]
    assert roles("pedestrian-vehicle") == ["pedestrian", "vehicle"]


def test_captions_are_compared_with_the_reference_for_every_model(finished: Path) -> None:
    run = read_run(finished, settings(finished))
    for card in cards(finished):
        for role in card.roles:
            assert "".join(span.text for span in role.missed) == card.phase.references[role.role]
            for said, model in zip(role.said, run.models, strict=True):
                assert model.captions is not None
                assert said.caption == model.captions[card.phase.key][role.role]
                assert "".join(span.text for span in said.spans) == said.caption
            assert role.exact == (role.said[0].metrics is not None and role.said[0].metrics.score() > 99.9)


def test_an_image_that_is_gone_is_left_blank_and_one_that_is_none_is_an_error(run_dir: Path) -> None:
    (card,) = cards(run_dir, report={"samples": 1})
    path = run_dir / "prepared" / card.phase.images[0]
    path.unlink()
    (card,) = cards(run_dir, report={"samples": 1})
    assert [bool(image.url) for image in card.images] == [False, True]
    path.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(InputError, match=r"local\.jpg: not a readable image"):
        cards(run_dir, report={"samples": 1})


def test_without_scores_phases_are_spread_in_their_own_order(run_dir: Path) -> None:
    (run_dir / "segments.json").unlink()
    shown = cards(run_dir, report={"samples": 4})
    assert len(shown) == 4
    assert all(card.rank is None and card.points is None for card in shown)
