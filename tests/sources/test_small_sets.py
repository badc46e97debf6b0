"""Each source reads a data set of its format as its authors meant it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cityscribe.records import Problem, Sample, text_of
from cityscribe.sources import SOURCES
from cityscribe.sources.choices import drawn_options, in_all_rotations, write_submission
from cityscribe.sources.reading import check_data
from tests.sources import small_sets
from tests.sources.conversations import dump, dump_lines, picture
from tests.sources.small_sets import SMALL_SETS, UUID


def read(name: str, root: Path, **options: Any) -> tuple[list[Sample], list[Problem]]:
    source, write = SMALL_SETS[name]
    write(root, True)
    return SOURCES[source].read(root, **options)


def said(sample: Sample) -> list[tuple[str, str]]:
    """Roles and texts, an image as [i]."""
    return [
        (entry["role"], "".join("[i]" if b["type"] == "image" else b["text"] for b in entry["content"]))
        for entry in sample.messages
    ]


@pytest.mark.parametrize("name", list(SMALL_SETS))
def test_it_is_read_without_problems_and_every_image_block_has_its_image(name: str, tmp_path: Path) -> None:
    samples, problems = read(name, tmp_path)
    wrong = [problem for problem in problems if problem.level != "note"]
    assert [str(problem) for problem in wrong if "names no file here" not in problem.message] == []
    assert samples
    for sample in samples:
        blocks = sum(block["type"] == "image" for entry in sample.messages for block in entry["content"])
        assert blocks == len(sample.images)
        for image in sample.images:
            assert (tmp_path / image.partition("#")[0]).is_file()


def test_llava(tmp_path: Path) -> None:
    one, two, text, clip, val = read("llava", tmp_path)[0]
    assert said(one) == [("user", "[i]What is this?"), ("assistant", "A crossing.")]
    assert said(two) == [("user", "First [i] then [i]?"), ("assistant", "A car leaves.")]
    assert two.images == ("coco/1.png", "coco/2.png")
    assert (text.images, text.group) == ((), "text")
    assert clip.images == tuple(f"clips/v.mp4#t={share}%" for share in (12.5, 37.5, 62.5, 87.5))
    assert [s.meta.split for s in (one, val)] == ["train", "val"]
    assert (one.meta.scenario, two.meta.scenario, one.meta.kind) == ("000", "1", "chat")


def test_a_video_is_refused_where_no_frames_are_asked_for(tmp_path: Path) -> None:
    samples, problems = read("llava", tmp_path, frames=0)
    assert len(samples) == 4
    assert [(p.file, p.place, "data.frames" in p.message) for p in problems] == [("llava_train.json", "[3]", True)]


@pytest.mark.parametrize(
    ("strategy", "ids"),
    [
        ("all", "0 1 2 3 4"),
        ("first:2", "0 1"),
        ("end:2", "3 4"),
        ("first:30%", "0 1"),
        ("end:0", ""),
        ("first:900", "0 1 2 3 4"),
    ],
)
def test_a_mixture_samples_as_it_says(tmp_path: Path, strategy: str, ids: str) -> None:
    talk = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    dump(tmp_path / "all.json", [{"id": str(n), "conversations": talk} for n in range(5)])
    (tmp_path / "m.yaml").write_text(f"datasets: [{{json_path: all.json, sampling_strategy: '{strategy}'}}]")
    samples, problems = SOURCES["llava"].read(tmp_path)
    assert problems == []
    assert " ".join(sample.meta.scenario for sample in samples) == ids


def test_a_random_part_of_a_mixture_is_the_same_every_time(tmp_path: Path) -> None:
    talk = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    dump(tmp_path / "all.json", [{"id": str(n), "conversations": talk} for n in range(50)])
    (tmp_path / "m.yaml").write_text("datasets: [{json_path: all.json, sampling_strategy: 'random:7'}]")
    first, again = (SOURCES["llava"].read(tmp_path)[0] for _ in range(2))
    assert first == again
    assert len(first) == 7


@pytest.mark.parametrize(
    "name", ["../outside.png", "/etc/hostname", "a/../../outside.png", "http://h/a.png", "", "no.png", "."]
)
def test_a_path_never_leaves_the_data_folder(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "outside.png")
    talk = [{"from": "human", "value": "<image>q"}, {"from": "gpt", "value": "a"}]
    dump(tmp_path / "data" / "x.json", [{"image": [name], "conversations": talk}])
    samples, problems = SOURCES["llava"].read(tmp_path / "data")
    assert samples == []
    assert [(p.level, p.file, p.place) for p in problems] == [("error", "x.json", "[0].image[0]")]


def test_an_absolute_path_below_the_data_folder_is_taken(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    talk = [{"from": "human", "value": "<image>q"}, {"from": "gpt", "value": "a"}]
    dump(tmp_path / "x.json", [{"image": str(tmp_path / "in" / "a.png"), "conversations": talk}])
    assert SOURCES["llava"].read(tmp_path)[0][0].images == ("in/a.png",)


def test_sharegpt_and_alpaca(tmp_path: Path) -> None:
    samples, problems = read("sharegpt", tmp_path)
    assert [said(sample) for sample in samples] == [
        [("user", "[i]Who?"), ("assistant", "Two people.")],
        [
            ("system", "Be short."),
            ("user", "[i]Hello"),
            ("assistant", "Hi."),
            ("user", "Describe\nthe street"),
            ("assistant", "It is wet."),
        ],
        [("system", "Count."), ("user", "One"), ("assistant", "Two")],
    ]
    assert [sample.meta.split for sample in samples] == ["train", "", ""]
    assert [(p.level, p.place) for p in problems] == [("warning", "hub")]


def test_messages_with_boxes_and_prompts(tmp_path: Path) -> None:
    samples, _ = read("messages", tmp_path)
    assert [said(sample) for sample in samples] == [
        [("system", "You see a street."), ("user", "[i]What?"), ("assistant", "A bus.")],
        [("user", "[i]Find the bus"), ("assistant", "It is at [100, 100, 500, 500]")],
        [("user", "[i]Where?"), ("assistant", "Left.")],
    ]
    assert {sample.group for sample in samples} == {"a.png"}


def test_a_video_in_a_block_is_refused_where_no_frames_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"")
    content = [{"type": "video", "video": "v.mp4"}, {"type": "text", "text": "q\ud800"}]
    dump_lines(tmp_path / "x.jsonl", [{"messages": [{"role": "user", "content": content}]}])
    samples, problems = SOURCES["messages"].read(tmp_path, frames=2)
    assert samples[0].images == ("v.mp4#t=25%", "v.mp4#t=75%")
    assert [(p.level, p.place) for p in problems] == [("warning", "line 1.messages[0].content[1]")]
    samples, problems = SOURCES["messages"].read(tmp_path, frames=0)
    assert (samples, "data.frames" in problems[-1].message) == ([], True)


def test_a_file_in_a_block_is_taken(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    content = [{"type": "image", "image": "a.png"}, {"type": "text", "text": "q"}]
    dump_lines(tmp_path / "x.jsonl", [{"messages": [{"role": "user", "content": content}]}])
    assert SOURCES["messages"].read(tmp_path)[0][0].images == ("a.png",)


@pytest.mark.parametrize(("marks", "images"), [("<image><image>", 1), ("<image>", 2), ("<image>", 0), ("<video>", 1)])
def test_marks_and_images_must_agree(tmp_path: Path, marks: str, images: int) -> None:
    picture(tmp_path / "a.png")
    row = {"messages": [{"role": "user", "content": marks}], "images": ["a.png"] * images}
    dump_lines(tmp_path / "x.jsonl", [row])
    samples, problems = SOURCES["messages"].read(tmp_path)
    assert (samples, [p.place for p in problems]) == ([], ["line 1"])


def test_tables(tmp_path: Path) -> None:
    samples, _ = read("datasets", tmp_path)
    assert [s.meta.split for s in samples] == ["val", "train", "train"]
    assert samples[2].images == ("train/data-00000-of-00001.arrow#images/1/0",)
    assert said(samples[0]) == [("user", "Hello"), ("assistant", "Hi.")]


def test_what_the_datasets_library_saves_is_read(tmp_path: Path) -> None:
    library = pytest.importorskip("datasets")
    content = [{"type": "image", "text": None}, {"type": "text", "text": "q"}]
    row = {"messages": [{"role": "user", "content": content}], "images": [str(picture(tmp_path / "a.png"))]}
    table = library.Dataset.from_list([row] * 3).cast_column("images", library.List(library.Image()))
    library.DatasetDict({"train": table.select([2, 0]), "test": table}).save_to_disk(tmp_path / "saved")
    samples, problems = SOURCES["datasets"].read(tmp_path / "saved")
    assert problems == []
    assert [s.meta.split for s in samples] == ["test"] * 3 + ["train"] * 2
    assert samples[1].images == ("test/data-00000-of-00001.arrow#images/1/0",)


def test_wts_questions(tmp_path: Path) -> None:
    phase, place, weather, speed = read("wts-vqa", tmp_path)[0]
    assert said(speed)[0][1].endswith(
        "'avoidance' phase. How fast?\na. 5\nb. 10\nc. 20\nd. 30\nAnswer with the letter of the right option."
    )
    assert said(speed)[1] == ("assistant", "c")
    assert [image.partition("#")[2] for image in speed.images] == [
        "image_id=6&pedestrian=20,28,10,16&vehicle=60,26,30,14",
        *("t=0.750", "t=1.250", "t=1.750"),
    ]
    assert speed.meta.marked == ("pedestrian", "vehicle")
    assert (speed.meta.phase, speed.meta.options, speed.meta.view_kind) == (4, ("5", "10", "20", "30"), "overhead")
    assert (weather.meta.phase, weather.meta.kind, weather.meta.split) == (-1, "choice", "train")
    assert weather.images[0].endswith("#t=12.5%")
    assert (phase.meta.question, phase.meta.phase, phase.meta.split, phase.meta.domain) == (UUID, 1, "test", "external")
    assert len(phase.messages) == len(place.messages) == 1


def test_answers_are_handed_in(tmp_path: Path) -> None:
    lines = [{"id": "1", "chosen": "b"}, {"id": "2", "chosen": ""}]
    dump_lines(tmp_path / "predictions.jsonl", lines)
    assert write_submission(tmp_path / "predictions.jsonl", tmp_path / "submission.json") == 2
    assert json.loads((tmp_path / "submission.json").read_text()) == [
        {"id": "1", "correct": "b"},
        {"id": "2", "correct": ""},
    ]


def test_a_question_is_asked_in_every_rotation_of_its_options(tmp_path: Path) -> None:
    found = read("wts-vqa", tmp_path)[0]
    assert in_all_rotations([replace(sample, meta=replace(sample.meta, split="train")) for sample in found]) == [
        replace(sample, meta=replace(sample.meta, split="train")) for sample in found
    ]
    asked = [replace(sample, meta=replace(sample.meta, split="val")) for sample in found]
    everything = in_all_rotations(asked)
    assert len(everything) == sum(len(sample.meta.options) for sample in asked)
    speed = [sample for sample in everything if sample.meta.options[:1] and "How fast?" in said(sample)[0][1]]
    for by, sample in enumerate(speed):
        assert sample.meta.options == ("5", "10", "20", "30", "5", "10", "20", "30")[by : by + 4]
        words, (_, letter) = said(sample)[0][1], said(sample)[1]
        assert words.splitlines()[1:5] == [f"{x}. {o}" for x, o in zip("abcd", sample.meta.options, strict=True)]
        assert sample.meta.options["abcd".index(letter)] == "20"
        assert (sample.images, sample.group, sample.meta.question) == (
            speed[0].images,
            speed[0].group,
            speed[0].meta.question,
        )
    lines = [{"id": sample.meta.question, "chosen": "ab"[n % 2]} for n, sample in enumerate(speed)]
    dump_lines(tmp_path / "predictions.jsonl", lines)
    assert write_submission(tmp_path / "predictions.jsonl", tmp_path / "submission.json") == 1
    assert json.loads((tmp_path / "submission.json").read_text())[0]["correct"] == "a"


def test_drivelm(tmp_path: Path) -> None:
    first, second = read("drivelm", tmp_path)[0]
    assert said(first)[0][1] == "CAM_FRONT: [i]\nCAM_BACK: [i]\nWhat is <c1,CAM_BACK,1088.3,497.5>?"
    assert (first.meta.question, second.meta.question) == ("scene1_f1_0", "scene1_f1_1")
    assert (first.meta.dimension, second.meta.dimension, first.group == second.group) == (
        "perception",
        "planning",
        True,
    )


def test_bddx_asks_what_and_why(tmp_path: Path) -> None:
    (sample,) = read("bdd-x", tmp_path)[0]
    assert said(sample) == [
        ("user", "[i][i][i][i]What is the vehicle doing?"),
        ("assistant", "The car stops"),
        ("user", "Why?"),
        ("assistant", "because the light is red"),
    ]
    assert sample.meta.split == "train"


def test_jaad_asks_about_the_frame_in_which_the_pedestrian_is_largest(tmp_path: Path) -> None:
    look, action, cross = read("jaad", tmp_path)[0]
    assert said(look)[0][1].startswith("[i]A pedestrian is at [89, 417, 268, 1000]. Is the pedestrian looking")
    assert [said(s)[1][1] for s in (look, action, cross)] == ["a", "a", "b"]
    assert look.images == ("clips/video_0001.mp4#t=0.000",)
    assert look.group == action.group


def test_videos_on_another_disk_are_found_and_loops_of_links_end(tmp_path: Path) -> None:
    small_sets.ucf_crime(tmp_path / "data", True)
    (tmp_path / "data" / "Videos").rename(tmp_path / "disk")
    (tmp_path / "data" / "Videos").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk")
    samples, problems = SOURCES["ucf-crime"].read(tmp_path / "data")
    assert (len(samples), problems) == (2, [])


def test_video_questions(tmp_path: Path) -> None:
    msr, net = read("video-qa", tmp_path)[0]
    assert (msr.meta.scenario, said(msr)[1][1], msr.meta.split) == ("video7", "car", "train")
    assert (net.meta.scenario, said(net)[1][1], net.meta.split) == ("v_abc", "yes", "val")


def test_ucf_crime_has_the_right_class_among_four(tmp_path: Path) -> None:
    abuse, normal = read("ucf-crime", tmp_path)[0]
    for sample, right in ((abuse, "abuse"), (normal, "nothing unusual")):
        assert len(set(sample.meta.options)) == 4
        assert sample.meta.options["abcd".index(text_of(sample.messages[1]))] == right


def test_drawn_options_are_spread_over_the_letters() -> None:
    places = {drawn_options("x", list("abcdefx"), 4, str(key)).index("x") for key in range(40)}
    assert places == {0, 1, 2, 3}


def test_a_check_opens_what_the_files_name(tmp_path: Path) -> None:
    small_sets.llava(tmp_path, True)
    (tmp_path / "coco" / "1.png").write_bytes(b"no picture")
    problems = check_data("llava", tmp_path)
    assert (problems[0].file, problems[0].message) == ("coco/1.png", "not an image")
    assert [p.file for p in problems] == ["coco/1.png", "clips/v.mp4"]
    assert check_data("llava", tmp_path, open_videos=False) == []


def test_animals_are_asked_for_by_species_class_and_action(tmp_path: Path) -> None:
    found = read("animal-kingdom", tmp_path)[0]
    asked = {(sample.meta.scenario, sample.meta.dimension or "all"): sample for sample in found}
    assert said(asked["AANNQNXN", "all"])[1] == (
        "assistant",
        "The bird dips its face into the water. The jellyfish is swimming.",
    )
    # Two classes, and a sentence that tells no species apart: only what is certain is asked.
    assert {dimension for clip, dimension in asked if clip == "AANNQNXN"} == {"all", "action"}
    assert {dimension for clip, dimension in asked if clip == "BJVSVGCS"} == {"all", "species", "class", "action"}
    assert asked["BJVSVGCS", "species"].meta.split == "test"
    for clip, dimension, right in (
        ("AANNQNXN", "action", "swimming"),
        ("BJVSVGCS", "species", "lion"),
        ("BJVSVGCS", "class", "mammal"),
        ("ABASTCVX", "class", "bird"),
    ):
        sample = asked[clip, dimension]
        assert sample.meta.options["abcd".index(said(sample)[1][1])] == right
        assert len(set(sample.meta.options)) == len(sample.meta.options) >= 2
    truths = {"walking", "keeping still"}
    for sample in (sample for sample in found if sample.meta.question.startswith("BJVSVGCS/action")):
        right = sample.meta.options["abcd".index(said(sample)[1][1])]
        assert set(sample.meta.options) & truths == {right}  # what it does later is no wrong answer
    assert asked["BJVSVGCS", "all"].group == asked["BJVSVGCS", "class"].group != asked["BJVSVGCS", "action"].group
    assert asked["BJVSVGCS", "action"].images[0].endswith("#t=1.125")
