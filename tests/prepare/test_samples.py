from __future__ import annotations

from dataclasses import replace

import pytest

from cityscribe.prepare.labeller import label_by_rules
from cityscribe.prepare.pictures import PhasePictures
from cityscribe.prepare.samples import (
    ViewPhase,
    caption_of,
    evaluation_samples,
    possible_short_questions,
    training_samples,
)
from cityscribe.prepare.views import named_by_marks, without_own_box
from cityscribe.records import text_of
from cityscribe.traffic.prompts import load_prompts
from cityscribe.traffic.scenario import ROLES
from cityscribe.traffic.sentences import split_sentences
from tests.prepare.made import CAPTIONS, phases, scenario, settings, view

PROMPTS = load_prompts(None)
PICTURE = PhasePictures(3, ("images/l.jpg", "images/g.jpg"), ("pedestrian", "vehicle"), "")


def group(captions=CAPTIONS, kind="overhead", split="train"):
    shown = view("cam", kind=kind)
    return ViewPhase(scenario("event", shown, split=split), shown, phases([3], captions)[0], PICTURE, PICTURE.marked)


def short(of):
    captions = [(role, caption_of(of.phase, role)) for role in ROLES]
    labelled = {(role, caption): label_by_rules(role, split_sentences(caption)) for role, caption in captions}
    return possible_short_questions(of, labelled, PROMPTS)


def test_single_rounds_are_samples_of_one_group():
    samples = training_samples(group(), short(group()), PROMPTS, "single")
    assert [(s.meta.kind, s.meta.target, s.meta.dimension) for s in samples] == [
        ("long", "vehicle", ""),
        ("long", "pedestrian", ""),
        ("short", "pedestrian", "attributes"),
        ("short", "pedestrian", "position"),
        ("short", "pedestrian", "motion"),
        ("short", "vehicle", "position"),
        ("short", "vehicle", "motion"),
        ("short", "", "environment"),
    ]
    for sample in samples:
        user, assistant = sample.messages
        assert [block["type"] for block in user["content"]] == ["image", "image", "text"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert text_of(assistant)
    assert {(sample.group, sample.images) for sample in samples} == {("event/cam/3", PICTURE.images)}
    assert [text_of(sample.messages[1]) for sample in samples[:2]] == [CAPTIONS["vehicle"], CAPTIONS["pedestrian"]]


def test_multi_rounds_are_one_conversation_of_the_same_texts():
    single = training_samples(group(), short(group()), PROMPTS, "single")
    (multi,) = training_samples(group(), short(group()), PROMPTS, "multi")
    assert [text_of(entry) for entry in multi.messages] == [text_of(e) for sample in single for e in sample.messages]
    images = [sum(block["type"] == "image" for block in entry["content"]) for entry in multi.messages]
    assert images == [2] + [0] * (len(images) - 1)
    assert (multi.meta.kind, multi.meta.target) == ("multi", "")


@pytest.mark.parametrize("rounds", ["single", "multi"])
def test_a_road_user_without_caption_has_no_sample(rounds):
    one = group({"pedestrian": "  ", "vehicle": CAPTIONS["vehicle"]})
    samples = training_samples(one, [], PROMPTS, rounds)
    assert [len(sample.messages) for sample in samples] == [2]
    assert text_of(samples[0].messages[1]) == CAPTIONS["vehicle"]
    assert training_samples(group({}), [], PROMPTS, rounds) == []


@pytest.mark.parametrize("kind", ["overhead", "vehicle"])
def test_prediction_asks_with_the_words_of_training(kind):
    trained = training_samples(group(kind=kind), [], PROMPTS, "single")
    asked = evaluation_samples(group(kind=kind, split="val"), PROMPTS)
    assert [sample.messages[0] for sample in asked] == [sample.messages[0] for sample in trained]


def test_what_a_vehicle_box_in_its_own_view_is() -> None:
    """Asked about by its colour; drawn, and the ego-vehicle asked about; not there."""
    boxed = view("cam", kind="vehicle", pedestrian={3: 100}, vehicle={3: 100})
    said = {}
    for rule in ("ask", "draw", "ignore"):
        chosen = settings(vehicle_view_box=rule).prepare
        kept = without_own_box(boxed, chosen)
        named = named_by_marks([role for role in ROLES if role in kept.boxes], "vehicle", chosen)
        one = replace(group(kind="vehicle"), named=named)
        said[rule] = len(kept.boxes), text_of(evaluation_samples(one, PROMPTS)[0].messages[0])
        assert named_by_marks(ROLES, "overhead", chosen) == ROLES
    assert {rule: count for rule, (count, _) in said.items()} == {"ask": 2, "draw": 2, "ignore": 1}
    assert "the vehicle in the blue box" in said["ask"][1]
    assert said["draw"][1] == said["ignore"][1]
    assert "ego-vehicle in mind" in said["draw"][1]
    assert "blue" not in said["draw"][1]


def test_evaluation_asks_about_both_even_without_references():
    samples = evaluation_samples(group({}, split="test"), PROMPTS)
    assert [sample.meta.target for sample in samples] == ["vehicle", "pedestrian"]
    assert [text_of(sample.messages[1]) for sample in samples] == ["", ""]


def test_the_meta_data_lead_back_to_the_scenario():
    noted = replace(group(kind="vehicle"), picture=replace(PICTURE, marked=("pedestrian",), note="why"))
    meta = evaluation_samples(noted, PROMPTS)[0].meta
    assert (meta.scenario, meta.view, meta.view_kind, meta.phase) == ("event", "cam", "vehicle", 3)
    assert (meta.domain, meta.split, meta.marked, meta.note) == ("internal", "train", ("pedestrian",), "why")
