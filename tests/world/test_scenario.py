from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.files import InputError
from cityscribe.world.event import sample_event
from cityscribe.world.scenario import read_scenario


def test_a_file_says_what_matters_and_the_seed_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "seed: 7\nkind: crossing\nperson: {age: child, upper_colour: red}\nstreet: {weather: rainy, bend: 0.02}\n"
        "speeds: [8, 8, 7, 4, 0, 0]\n"
    )
    event, drawn = read_scenario(path), sample_event(7, only="crossing")
    assert (event.person.age, event.person.upper_colour, event.street.weather) == ("child", "red", "rainy")
    assert event.person.height <= 1.3 < drawn.person.height or drawn.person.age == "child"
    assert event.speeds == (8, 8, 7, 4, 0, 0)
    assert (event.vehicle, event.person.lower, event.boundaries_s) == (
        drawn.vehicle,
        drawn.person.lower,
        drawn.boundaries_s,
    )
    assert event.scene_at(1.0).people[0].person.age == "child"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: flying", "kind"),
        ("seed: -1", "seed"),
        ("person: {age: ancient}", "person.age"),
        ("person: {wings: 2}", "person.wings"),
        ("person: tall", "person"),
        ("person: {height: tall}", "height"),
        ("street: {bend: 0.5}", "street.bend"),
        ("street: {lanes: 9}", "street.lanes"),
        ("motions: [walking]", "motions"),
        ("gazes: [ahead, ahead, ahead, ahead, sky]", "gazes"),
        ("speeds: [1, 1, 1, 1, 1, 900]", "speeds"),
        ("boundaries_s: [1, 2, 3, 3, 4, 5]", "boundaries_s"),
        ("lane: 7", "lane"),
        ("colour: red", "colour"),
        ("[1", "YAML"),
        ("- 1", "fields"),
    ],
)
def test_mistakes_are_named_with_file_and_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=place) as caught:
        read_scenario(path)
    assert str(path) in str(caught.value)
