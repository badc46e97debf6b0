"""Near-duplicates and leaks: what is planted is found, what differs is not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityscribe.media.video import write_video
from cityscribe.stats.counts import WORD, Caption
from cityscribe.stats.duplicates import (
    NEAR_BITS,
    equal_files,
    equal_names,
    frame_hash,
    leaks,
    near_captions,
    near_frames,
)
from cityscribe.traffic.scenario import Scenario, Split, View

VOCABULARY = [f"word{n}" for n in range(500)]


def caption(rng: random.Random, name: str, split: str = "train", text: str = "", role: str = "pedestrian") -> Caption:
    return Caption(split, name, 0, role, text or " ".join(rng.choices(VOCABULARY, k=120)))


def changed(text: str, places: list[int]) -> str:
    words = text.split()
    for place in places:
        words[place] = f"other{place}"
    return " ".join(words)


@pytest.mark.parametrize("seed", range(3))
def test_planted_near_captions_are_found_and_others_are_not(seed: int) -> None:
    rng = random.Random(seed)
    originals = [caption(rng, f"s{n}") for n in range(60)]
    # One changed word of 120 takes 5 of 116 runs of five words: a Jaccard of 0.92.
    near = [caption(rng, f"n{n}", "val", changed(originals[n].text, [50])) for n in range(20)]
    # Six changed words, far apart: 86 of 146, 0.59.
    far = [caption(rng, f"f{n}", "val", changed(originals[n].text, [5, 25, 45, 65, 85, 105])) for n in range(20)]
    groups = near_captions([*originals, *near, *far])
    found = {frozenset(what.partition(",")[0] for _, what in group.members) for group in groups}
    assert found == {frozenset({f"s{n}", f"n{n}"}) for n in range(20)}
    assert leaks(groups) == groups


def test_captions_of_one_scenario_or_of_two_road_users_are_no_duplicates() -> None:
    rng = random.Random(0)
    text = caption(rng, "a").text
    repeated = [Caption("train", "a", phase, "pedestrian", text) for phase in range(5)]
    assert near_captions(repeated) == []
    assert near_captions([repeated[0], Caption("train", "b", 0, "vehicle", text)]) == []
    (group,) = near_captions([*repeated, Caption("train", "b", 0, "pedestrian", text)])
    assert len(group.members) == 6
    assert leaks([group]) == []


@given(st.lists(st.text("ab ", max_size=40), min_size=2, max_size=8))
def test_equal_texts_are_always_found_and_groups_are_apart(texts: list[str]) -> None:
    captions = [Caption("train", f"s{n}", 0, "pedestrian", text) for n, text in enumerate(texts)]
    groups = near_captions(captions)
    members = [what for group in groups for _, what in group.members]
    assert len(members) == len(set(members))
    together = {what.partition(",")[0]: place for place, group in enumerate(groups) for _, what in group.members}
    for first in captions:
        for second in captions:
            same = WORD.findall(first.text.casefold()) == WORD.findall(second.text.casefold()) != []
            if same and first.scenario != second.scenario:
                assert together[first.scenario] == together[second.scenario]


def picture(seed: int, noise: float = 0.0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3))
    frame = np.kron(coarse, np.ones((12, 12, 1)))
    return np.clip(frame + np.random.default_rng(seed + 99).normal(0, noise, frame.shape), 0, 255).astype(np.uint8)


def clip(folder: Path, name: str, frame: np.ndarray, split: Split = "train") -> tuple[Scenario, View]:
    path = folder / f"{name}.mp4"
    write_video(path, [frame] * 3, 10)
    found = View(name, "vehicle", path)
    return Scenario(name, "external", split, (found,), "wts"), found


def test_a_frame_that_was_coded_again_or_is_a_little_brighter_is_near() -> None:
    for seed in range(5):
        original, near = frame_hash(picture(seed)), frame_hash(picture(seed, noise=3))
        brighter = frame_hash(np.clip(picture(seed).astype(int) * 9 // 10 + 5, 0, 255).astype(np.uint8))
        other = frame_hash(picture(seed + 50))
        assert original is not None
        assert near is not None
        assert brighter is not None
        assert other is not None
        assert (original ^ near).bit_count() <= NEAR_BITS
        assert (original ^ brighter).bit_count() <= NEAR_BITS
        assert (original ^ other).bit_count() > 3 * NEAR_BITS


def test_near_frames_equal_files_and_names_are_found(tmp_path: Path) -> None:
    views = [clip(tmp_path, f"v{n}", picture(n)) for n in range(4)]
    views.append(clip(tmp_path, "again", picture(2, noise=2), "val"))
    views.append(clip(tmp_path, "black", np.zeros((72, 96, 3), np.uint8)))
    views.append(clip(tmp_path, "dark", np.full((72, 96, 3), 2, np.uint8), "val"))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = View("broken", "vehicle", tmp_path / "broken.mp4")
    views.append((Scenario("broken", "external", "train", (broken,), "wts"), broken))
    copy = tmp_path / "copy.mp4"
    shutil.copy(tmp_path / "v0.mp4", copy)
    views.append(
        (Scenario("v1", "external", "test", (View("copy", "vehicle", copy),), "wts"), View("copy", "vehicle", copy))
    )

    frames, plain, unread = near_frames(views)
    assert {frozenset(what.partition(",")[0] for _, what in group.members) for group in frames} == {
        frozenset({"v0", "v1"}),  # the copy is a view of a second scenario v1
        frozenset({"v2", "again"}),
    }
    assert (plain, unread) == (2, 1)
    assert [group.members for group in equal_files(views)] == [(("train", "v0, v0"), ("test", "v1, copy"))]
    assert [group.splits for group in equal_names([scenario for scenario, _ in views])] == [("test", "train")]
