from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from cityscribe.media.video import probe
from cityscribe.sources import SOURCES
from cityscribe.sources.check import check_wts
from cityscribe.world import sets
from cityscribe.world.clips import ClipSettings
from cityscribe.world.dataset import WorldSettings, write_dataset
from cityscribe.world.look import held_out
from cityscribe.world.sets import KINDS, SetSettings, write_set
from cityscribe.world.surveillance import write_clips
from cityscribe.world.tasks import recommended_speed
from cityscribe.world.wildlife import write_wildlife


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_set_is_read_back_without_a_complaint(kind: str, tmp_path: Path) -> None:
    root = tmp_path / kind
    write_set(root, SetSettings(kind, train=6, val=2, test=3), workers=1)
    samples, problems = SOURCES["messages"].read(root)
    assert not problems
    assert Counter(sample.meta.split for sample in samples).keys() == {"train", "val", "test"}
    assert all((root / image).is_file() for sample in samples for image in sample.images)
    choices = [sample for sample in samples if sample.meta.kind == "choice"]
    for sample in choices:
        assert sample.messages[-1]["content"][0]["text"] in "abcd"[: len(sample.meta.options)]
    assert bool(choices) == (kind == "questions")
    objects = json.loads((root / "truth" / "objects.json").read_text())
    assert set(objects) == {image for sample in samples for image in sample.images}
    pictures = [json.loads(line) for line in (root / "truth" / "pictures.jsonl").read_text().splitlines()]
    for picture in pictures:
        unseen = held_out(picture["facts"]["upper_colour"], picture["facts"]["lower_colour"])
        assert unseen == ("/test/" in picture["image"])
        assert [thing["depth"] for thing in picture["things"]] == sorted(thing["depth"] for thing in picture["things"])


def test_every_claim_is_made_once_rightly_and_once_wrongly(tmp_path: Path) -> None:
    write_set(tmp_path / "q", SetSettings("questions", train=5, val=0, test=0), workers=1)
    rows = [json.loads(line) for line in (tmp_path / "q" / "train.jsonl").read_text().splitlines()]
    claims = [row for row in rows if row["meta"]["question"].startswith("yes/no")]
    said = Counter((row["group"], row["meta"]["dimension"], row["messages"][1]["content"][0]["text"]) for row in claims)
    assert claims
    assert set(said.values()) == {1}
    assert {answer for *_, answer in said} == {"yes", "no"}


def test_what_was_interrupted_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SetSettings("driving", train=3, val=1, test=1)
    write_set(tmp_path / "whole", settings, workers=2)
    done: list[int] = []

    def stops_after_two(job: sets._Job) -> sets.Made:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job.number)
        return sets._driving(job)

    monkeypatch.setitem(KINDS, "driving", stops_after_two)
    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "again", settings, workers=1)
    assert not (tmp_path / "again").exists()
    seen: list[int] = []
    monkeypatch.setitem(KINDS, "driving", lambda job: (seen.append(job.number), sets._driving(job))[1])
    write_set(tmp_path / "again", settings, workers=1)
    assert seen == [3, 4, 5]
    assert _digests(tmp_path / "again") == _digests(tmp_path / "whole")


def test_clips_are_a_flawless_ucf_crime_set(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    write_clips(root, ClipSettings(train=2, test=2, seconds=4.0, fps=5), workers=1)
    samples, problems = SOURCES["ucf-crime"].read(root)
    assert not problems
    assert len(samples) == 4
    assert Counter(sample.meta.split for sample in samples) == {"train": 2, "test": 2}
    for video in root.rglob("*.mp4"):
        assert probe(video).frames == 20


def test_wildlife_is_a_flawless_animal_kingdom_set(tmp_path: Path) -> None:
    root = tmp_path / "wild"
    write_wildlife(root, ClipSettings(train=4, test=2, seconds=2.0, fps=5), workers=1)
    samples, problems = SOURCES["animal-kingdom"].read(root)
    assert not problems
    assert {sample.meta.dimension for sample in samples if sample.meta.kind == "choice"} >= {"species", "action"}
    said = "".join((root / "annotation" / name).read_text() for name in ("train.txt", "test.txt"))
    assert len(said.splitlines()) >= 12


def test_several_masts_and_a_test_split_are_a_flawless_wts_set(tmp_path: Path) -> None:
    root = tmp_path / "city"
    write_dataset(root, WorldSettings(train=1, val=0, test=1, external=0, fps=4, masts=2, annotators=5), workers=1)
    assert check_wts(root) == []
    assert len(list((root / "videos" / "train").rglob("*Camera*.mp4"))) == 2


def test_the_recommended_speed_heeds_signs_roads_weather_and_people() -> None:
    facts = {
        "speed_limit": "none",
        "road": "urban road",
        "surface": "dry",
        "weather": "clear",
        "light": "bright",
        "distance": "far",
        "position": "front",
    }
    assert recommended_speed(facts) == 50
    assert recommended_speed({**facts, "speed_limit": "30"}) == 30
    assert recommended_speed({**facts, "surface": "wet"}) == 30
    assert recommended_speed({**facts, "light": "dark", "road": "residential road"}) == 20
    assert recommended_speed({**facts, "distance": "near"}) == 10
    assert recommended_speed({**facts, "distance": "near", "position": "left"}) == 50
