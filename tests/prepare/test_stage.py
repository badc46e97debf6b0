from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path

import pytest
import yaml

from cityscribe.files import InputError
from cityscribe.prepare import stage
from cityscribe.prepare.engines import VIDEOS_A_PROCESS
from cityscribe.prepare.stage import prepare, safe_name
from cityscribe.records import read_samples, text_of
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import PHASES
from tests.prepare.made import CAPTIONS, box, make_video, phases, scenario, settings, view

ALL = dict.fromkeys(range(5), 100.0)


def digest(folder):
    """Every file below a folder and the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def skipped(out):
    return [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("videos") / "v.mp4")


@pytest.fixture
def mixed(video):
    """Three training and two validation scenarios, one of these without any box."""
    return [
        scenario("train1", view("cam1", video, pedestrian=ALL, vehicle=ALL), view("cam2", video, reference=False)),
        scenario("train2", view("veh", video, kind="vehicle", pedestrian={0: 100.0, 1: 10.0})),
        scenario("train3", view("cam", video, vehicle=ALL, of_phases=phases(captions={"vehicle": "It stops."}))),
        scenario("val1", view("cam", video, pedestrian=ALL), view("veh", video, kind="vehicle"), split="val"),
        scenario("val2", view("cam", video), split="val"),
    ]


def test_what_is_written(mixed, tmp_path):
    report = prepare(mixed, settings(), tmp_path / "out")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "train.parquet",
        "val.parquet",
        "images",
        "skipped.jsonl",
        "prepare.json",
    }
    assert not list(out.rglob("*.partial"))
    assert json.loads((out / "prepare.json").read_text()) == json.loads(json.dumps(asdict(report)))
    train, val = read_samples(out / "train.parquet"), read_samples(out / "val.parquet")
    assert {sample.group for sample in train} == {
        *(f"train1/cam1/{n}" for n in range(5)),
        "train2/veh/0",
        *(f"train3/cam/{n}" for n in range(5)),
    }
    assert Counter(sample.group for sample in val) == {
        f"{name}/cam/{n}": 2 for name in ("val1", "val2") for n in range(5)
    }
    on_disk = {str(path.relative_to(out)) for path in (out / "images").rglob("*.jpg")}
    assert {image for sample in train + val for image in sample.images} == on_disk
    assert report.images == len(on_disk) == 2 * (11 + 10)
    assert report.groups == {"train": 11, "val": 10}
    assert report.raw_frames == 5


def test_the_ratio_of_short_to_long_questions(mixed, tmp_path):
    for ratio, expected in ((1.0, 6 * 2 + 5), (0.0, 0), (None, 6 * 6 + 5)):
        report = prepare(mixed, settings(short_per_long=ratio), tmp_path / str(ratio))
        assert report.samples["train"].get("short", 0) == expected
        assert report.samples["train"]["long"] == 6 * 2 + 5
        assert report.samples["val"] == {"long": 20}


def test_everything_left_out_is_named_with_its_reason(mixed, tmp_path):
    prepare(mixed, settings(), tmp_path)
    entries = skipped(tmp_path)
    assert {"what": "view", "why": "not a reference view of its scenario"}.items() <= next(
        entry for entry in entries if entry["view"] == "cam2"
    ).items()
    why = {entry["phase"]: entry["why"] for entry in entries if entry["view"] == "veh" and entry["what"] == "phase"}
    assert why == {1: "pedestrian of 10 px2 is not above 50", 2: "no boxes", 3: "no boxes", 4: "no boxes"}
    questions = [entry for entry in entries if entry["what"] == "question"]
    assert [(entry["scenario"], entry["role"]) for entry in questions] == [("train3", "pedestrian")] * 5


def test_phases_without_boxes_are_evaluated_on_their_raw_frame_and_marked(mixed, tmp_path):
    prepare(mixed, settings(), tmp_path)
    notes = {sample.group: (sample.meta.note, sample.meta.marked) for sample in read_samples(tmp_path / "val.parquet")}
    assert notes["val2/cam/3"] == ("no boxes: raw frame at the start of the phase", ())
    assert notes["val1/cam/3"] == ("", ("pedestrian",))


def test_training_and_evaluation_ask_with_the_same_words(mixed, tmp_path):
    prepare([*mixed, replace(mixed[0], split="val")], settings(), tmp_path)
    asked = {
        file: {
            (sample.meta.phase, sample.meta.target): text_of(sample.messages[0])
            for sample in read_samples(tmp_path / f"{file}.parquet")
            if sample.meta.scenario == "train1" and sample.meta.kind == "long"
        }
        for file in ("train", "val")
    }
    assert asked["train"] == asked["val"]
    assert len(asked["train"]) == 10
    assert all(PHASES[phase] in text for (phase, _), text in asked["train"].items())


def test_test_scenarios_have_empty_answers(video, tmp_path):
    withheld = scenario("t", view("cam", video, pedestrian=ALL, of_phases=phases(captions={})), split="test")
    report = prepare([withheld], settings(), tmp_path)
    samples = read_samples(tmp_path / "test.parquet")
    assert len(samples) == 10
    assert {text_of(sample.messages[1]) for sample in samples} == {""}
    assert read_samples(tmp_path / "train.parquet") == read_samples(tmp_path / "val.parquet") == []
    assert report.labeller["captions"] == 0


def test_the_order_of_scenarios_and_the_number_of_processes_change_no_byte(tmp_path):
    many = []
    for number in range(2 * VIDEOS_A_PROCESS):
        film = make_video(tmp_path / "videos" / f"{number}.mp4", frames=24 + number)
        split = "val" if number % 4 == 3 else "train"
        many.append(scenario(f"s{number}", view("cam", film, pedestrian=ALL, vehicle={1: 100.0}), split=split))
    many[5] = scenario("s5", view("cam", tmp_path / "missing.mp4", pedestrian=ALL))
    prepare(many, settings(workers=1), tmp_path / "one")
    prepare(many[::-1], settings(workers=2), tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert len(digest(tmp_path / "one")) > 100


def test_the_seed_draws_the_short_questions(mixed, tmp_path):
    for folder, seed in (("a", 0), ("b", 1)):
        prepare(mixed, settings().model_copy(update={"seed": seed}), tmp_path / folder)
    first, second = digest(tmp_path / "a"), digest(tmp_path / "b")
    assert {name for name in first if first[name] != second[name]} == {"train.parquet"}


def test_a_draw_does_not_depend_on_other_scenarios(mixed, tmp_path):
    prepare(mixed, settings(), tmp_path / "all")
    prepare(mixed[:1], settings(), tmp_path / "one")
    among = [s for s in read_samples(tmp_path / "all" / "train.parquet") if s.meta.scenario == "train1"]
    assert among == read_samples(tmp_path / "one" / "train.parquet")


def test_a_corrupt_video_costs_only_itself(mixed, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(mixed[0].views[0].video.read_bytes()[:700])
    prepare(mixed, settings(), tmp_path / "whole")
    prepare([*mixed, scenario("bad", view("cam", broken, pedestrian=ALL))], settings(), tmp_path / "out")
    whole, out = digest(tmp_path / "whole"), digest(tmp_path / "out")
    assert {name for name in whole.keys() | out.keys() if whole.get(name) != out.get(name)} == {
        "skipped.jsonl",
        "prepare.json",
    }
    (entry,) = [entry for entry in skipped(tmp_path / "out") if entry["what"] == "video"]
    assert entry["scenario"] == "bad"
    assert str(broken) in entry["why"]


def test_evaluation_turns_to_the_next_view_where_a_video_is_broken(video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    good = view("good", video, pedestrian={0: 100.0})
    prepare([scenario("s", view("best", broken, pedestrian=ALL), good, split="val")], settings(), tmp_path / "out")
    samples = read_samples(tmp_path / "out" / "val.parquet")
    assert Counter(sample.group for sample in samples) == {f"s/good/{n}": 2 for n in range(5)}


def test_a_scenario_without_any_readable_video_is_named_phase_by_phase(tmp_path):
    report = prepare([scenario("s", view("cam", tmp_path / "no.mp4"), split="val")], settings(), tmp_path / "out")
    assert report.groups == {}
    entries = skipped(tmp_path / "out")
    assert [entry["phase"] for entry in entries if entry["what"] == "phase"] == [0, 1, 2, 3, 4]
    assert sum(entry["what"] == "video" for entry in entries) == 1


def test_generated_boxes_without_phases(video, tmp_path):
    tracked = tuple(box(number, None, 100.0, generated=True) for number in range(12, 20))
    both = replace(view("cam", video, pedestrian={0: 100.0}), boxes={"pedestrian": (box(2, 0, 100.0), *tracked)})
    for source, expected in (("annotated", {0}), ("generated", {2, 3, 4}), ("both", {0, 2, 3, 4})):
        chosen = settings()
        chosen = chosen.model_copy(update={"data": chosen.data.model_copy(update={"boxes": source})})
        prepare([scenario("s", both)], chosen, tmp_path / source)
        assert {sample.meta.phase for sample in read_samples(tmp_path / source / "train.parquet")} == expected


def test_a_prompt_file_changes_all_questions(mixed, tmp_path):
    content = yaml.safe_load((resources.files("cityscribe.traffic") / "prompts.yaml").read_text())
    content["prefix"] = "Stage {phase}: "
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(content))
    prepare(mixed, settings(prompts=mine), tmp_path / "out")
    for name in ("train", "val"):
        for sample in read_samples(tmp_path / "out" / f"{name}.parquet"):
            assert text_of(sample.messages[0]).startswith(f"Stage {PHASES[sample.meta.phase]}: ")


def test_progress_ends_at_its_total(mixed, tmp_path):
    seen = []
    prepare(mixed, settings(), tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    captions = len(set(CAPTIONS.items())) + 1
    assert seen[-1][1] == captions + 5  # videos: train1, train2, train3, val1, val2


@pytest.mark.parametrize(
    "scenarios",
    [
        [],
        [scenario("same", view("a")), scenario("same", view("b"))],
        [scenario("s", view("same"), view("same", kind="vehicle"))],
    ],
)
def test_scenarios_that_cannot_be_told_apart_are_an_error(scenarios, tmp_path):
    with pytest.raises(InputError):
        prepare(scenarios, settings(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_an_error(mixed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        prepare(mixed, settings(), tmp_path / "file" / "out")
    with pytest.raises(InputError, match="file"):
        prepare(mixed, settings(), tmp_path / "file")


def test_a_full_disk_is_an_error_that_names_the_file(mixed, tmp_path, monkeypatch):
    def full(path, samples, meta, **kinds):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(stage, "write_samples", full)
    with pytest.raises(InputError, match=r"train\.parquet: cannot be written: No space left on device"):
        prepare(mixed, settings(), tmp_path)


@pytest.mark.parametrize("name", ["a/../b", "..", "é", "a b", "", "x" * 300, ".hidden", "con:1", "a\\b", "\n"])
def test_unsafe_names_become_safe_and_stay_distinct(name):
    safe = safe_name(name)
    assert safe != safe_name(name + " ")
    assert safe.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
    assert 0 < len(safe) <= 120
    assert not safe.startswith(".")


@pytest.mark.parametrize("name", ["20230707_8_SN46_T1", "20231013_105827_normal_192.168.0.14_1_event_2", "video1004"])
def test_names_of_data_sets_stay_as_they_are(name):
    assert safe_name(name) == name


def test_real_videos_with_annotations_by_hand(tmp_path):
    data = Path(__file__).parents[1] / "data" / "real_sample"
    scenarios, _ = read_wts(data)
    chosen = settings(pedestrian_threshold=1000, vehicle_threshold=1000, line_width=4)
    report = prepare(scenarios, chosen, tmp_path / "out")
    assert report.groups == {"train": 5, "val": 5}
    train = read_samples(tmp_path / "out" / "train.parquet")
    highway = [text_of(sample.messages[0]) for sample in train if sample.meta.view_kind == "vehicle"]
    assert any("ego-vehicle" in question for question in highway)
    assert {entry["why"] for entry in skipped(tmp_path / "out") if entry["what"] == "phase"} == {
        "pedestrian of 480 px2 is not above 1000",
        "pedestrian of 660 px2 is not above 1000",
    }
