from __future__ import annotations

from importlib import resources

import pytest
import yaml

from cityscribe.files import InputError
from cityscribe.traffic.prompts import ShortQuestions, load_prompts, long_question, short_question
from cityscribe.traffic.scenario import PHASES, ROLES

BOTH = ("pedestrian", "vehicle")
PACKAGED = (resources.files("cityscribe.traffic") / "prompts.yaml").read_text()


def changed(tmp_path, change):
    """The package's prompts with a change, as a file of one's own."""
    content = yaml.safe_load(PACKAGED)
    change(content)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def places(text, *words):
    return [text.index(word) for word in words]


@pytest.mark.parametrize("kind", ["overhead", "vehicle"])
def test_long_questions_ask_for_the_papers_dimensions_in_its_order(kind):
    prompts = load_prompts(None)
    pedestrian = long_question(prompts, kind, 0, BOTH, "pedestrian").split("account")[1]
    order = places(
        pedestrian, "age", "height", "clothing", "line of sight", "position", "movement", "weather", "road environment"
    )
    assert order == sorted(order)
    vehicle = long_question(prompts, kind, 0, BOTH, "vehicle").split("account")[1]
    order = places(vehicle, "position", "driving status", "weather", "road environment", "age", "height", "clothing")
    assert order == sorted(order)


def test_the_vehicle_view_speaks_of_the_ego_vehicle():
    prompts = load_prompts(None)
    for role in ROLES:
        ego = long_question(prompts, "vehicle", 0, ("pedestrian",), role)
        assert "ego-vehicle" in ego
        assert "blue box" not in ego
        assert "ego-vehicle" not in long_question(prompts, "overhead", 0, BOTH, role)


@pytest.mark.parametrize("kind", ["overhead", "vehicle"])
@pytest.mark.parametrize("marked", [(), ("pedestrian",), ("vehicle",), BOTH])
def test_no_question_names_a_box_that_is_not_drawn(kind, marked):
    prompts = load_prompts(None)
    questions = [long_question(prompts, kind, 1, marked, role) for role in ROLES]
    questions += [short_question(prompts, kind, 1, marked, key) or "" for key in ShortQuestions.model_fields]
    text = " ".join(questions)
    assert ("green box" in text) == ("pedestrian" in marked)
    assert ("blue box" in text) == ("vehicle" in marked)


@pytest.mark.parametrize("number", range(5))
def test_every_question_starts_with_the_phase(number):
    prompts = load_prompts(None)
    prefix = f"Phase of the event: {PHASES[number]}. "
    assert long_question(prompts, "overhead", number, BOTH, "vehicle").startswith(prefix)
    assert (short_question(prompts, "vehicle", number, (), "environment") or "").startswith(prefix)


def test_a_file_replaces_the_wording(tmp_path):
    def reword(content):
        content["prefix"] = "[{phase}] "
        content["phases"]["action"] = "acting"
        content["overhead"]["long"]["vehicle"] = "And {vehicle}? {{literally}}"
        content["overhead"]["names"]["vehicle"]["marked"] = "this car"
        content["overhead"]["short"]["environment"] = None

    prompts = load_prompts(changed(tmp_path, reword))
    assert long_question(prompts, "overhead", 3, BOTH, "vehicle") == "[acting] And this car? {literally}"
    assert short_question(prompts, "overhead", 3, BOTH, "environment") is None
    assert short_question(prompts, "vehicle", 3, BOTH, "environment") is not None


def test_the_same_file_of_ones_own_is_the_same_as_none(tmp_path):
    assert load_prompts(changed(tmp_path, lambda content: None)) == load_prompts(None)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda c: c["overhead"]["long"].pop("vehicle"), ["overhead.long.vehicle: Field required"]),
        (lambda c: c["vehicle"]["short"].pop("attributes"), ["vehicle.short.attributes: Field required"]),
        (lambda c: c.pop("phases"), ["phases: Field required"]),
        (lambda c: c["overhead"]["short"].update(colour="?"), ["overhead.short.colour: Extra inputs"]),
        (lambda c: c["overhead"]["long"].update(vehicle=3), ["overhead.long.vehicle: Input should be a valid string"]),
        (
            lambda c: c["vehicle"]["long"].update(pedestrian="Where is {cyclist}?"),
            ["vehicle.long.pedestrian: unknown placeholder {cyclist}; {pedestrian} and {vehicle} can stand here"],
        ),
        (
            lambda c: c.update(prefix="{pedestrian} "),
            ["prefix: unknown placeholder {pedestrian}; {phase} can stand here"],
        ),
        (lambda c: c.update(prefix="{} "), ["prefix: unknown placeholder {}"]),
        (lambda c: c.update(prefix="{phase.__class__}"), ["prefix: unknown placeholder {phase.__class__}"]),
        (lambda c: c.update(prefix="{phase!r}"), ["prefix: unknown placeholder"]),
        (lambda c: c.update(prefix="{phase"), ["prefix: expected '}'"]),
        (
            lambda c: (c["phases"].pop("action"), c["overhead"]["names"].pop("vehicle")),
            ["phases.action: Field required", "overhead.names.vehicle: Field required"],
        ),
    ],
)
def test_everything_wrong_in_a_file_is_named(tmp_path, change, messages):
    path = changed(tmp_path, change)
    with pytest.raises(InputError) as raised:
        load_prompts(path)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    for message in messages:
        assert message in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "the file: Input should be"),
        (b"", "the file: Input should be"),
        (b"a: [1\n", "not YAML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (None, "No such file"),
    ],
)
def test_files_that_are_no_prompts(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_prompts(path)
