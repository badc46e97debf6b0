"""Objects in texts: synonyms, plurals, the longest phrase first, and what names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityscribe.evaluate.hallucination.objects import in_truth, mentions, read_objects, read_vocabulary
from cityscribe.files import InputError
from cityscribe.traffic.metrics.named_objects import TRAFFIC_OBJECTS
from tests.evaluate.benchmarks.small_benchmarks import dump

TRAFFIC = read_vocabulary(TRAFFIC_OBJECTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A taxi waits.", "car"),
        ("Two sedans and three LORRIES", "car truck"),
        ("a car, a car and cars", "car car car"),  # repeats count
        ("The bus passes the bus stop.", "bus"),
        ("The traffic lights are red; a stop-light, too", "traffic light,traffic light"),
        ("He is crossing at the zebra crossing.", "crosswalk"),
        ("A male pedestrian in his 30s", "person"),  # one mention, not two
        ("Children and people", "person person"),
        ("A cyclist", "person bicycle"),  # names both
        ("buses, minibuses, benches, houses", "bus bus bench building"),
        ("a carpet in the busy street", ""),
        ("A road with no sidewalks and without any crosswalk, no bus", ""),
        ("No. A car", "car"),
        ("", ""),
    ],
)
def test_mentions(text: str, expected: str) -> None:
    assert mentions(text, TRAFFIC) == (expected.split(",") if "," in expected else expected.split())


@pytest.mark.parametrize("name", TRAFFIC.names)
def test_every_object_is_found_under_its_own_name_and_its_plural(name: str) -> None:
    plural = f"{name}es" if name.endswith(("s", "ch", "x")) else f"{name}s"
    for word in (name, plural) if name != "person" else (name, "people"):
        assert mentions(f"Here, {word.title()}!", TRAFFIC) == [name]


def test_a_general_object_is_true_where_a_kind_of_it_is() -> None:
    assert in_truth("vehicle", ["car"], TRAFFIC)
    assert in_truth("car", ["vehicle"], TRAFFIC)
    assert not in_truth("bus", ["car"], TRAFFIC)


def test_the_truth_is_read_by_synonyms_and_strangers_are_told(tmp_path: Path) -> None:
    path = dump(tmp_path / "o.json", {"a.jpg": ["pedestrian", "man", "taxi", "unicorn"]})
    objects, warnings = read_objects(path, TRAFFIC)
    assert objects == {"a.jpg": ("person", "car")}
    assert "1 objects are not in the vocabulary: unicorn" in warnings[0]


@pytest.mark.parametrize("content", [["a"], {"a.jpg": "car"}, {"a.jpg": [1]}])
def test_a_truth_of_another_shape_is_named(content: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"o\.json: .*expected \{image: \[objects\]\}"):
        read_objects(dump(tmp_path / "o.json", content), TRAFFIC)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("objects: {car: [taxi]}\nkinds: {vehicle: [car]}", "kinds: vehicle is not among the objects"),
        ("objects: {car: taxi}", r"objects\.car"),
        ("objects: {}\nthings: {}", "things"),
        ("objects: [", "line 1: not YAML"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_says_why(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_vocabulary(tmp_path / "v.yaml")
