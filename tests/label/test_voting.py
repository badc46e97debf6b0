"""Votes, impossible orders, and what motion allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cityscribe.files import InputError
from cityscribe.label.motion import read_motion, standing
from cityscribe.label.voting import FrameVote, refuse_orders, runs_of, vote

CYCLE = {"green": ("yellow",), "yellow": ("red",), "red": ("green", "yellow")}


def voted(*values: str, confidence: float = 1.0) -> list[FrameVote]:
    return [FrameVote(value, confidence, (0,)) for value in values]


def test_the_share_of_all_votes_in_the_window_is_the_confidence() -> None:
    times_s = [0.0, 0.2, 0.4, 0.6, 0.8]
    seen = [["red", "red", "green", "red", "red"], ["red", "", "red", "green", "red"]]
    found = vote(times_s, seen, [2, 1], window_s=0.4, stops=range(5))
    # Around 0.4 s: red 2 + 2 of the first, 1 of the second; green 2 and 1; one reader is silent once; 3 frames of 3.
    assert found[2].value == "red"
    assert found[2].confidence == pytest.approx(5 / 9)
    assert found[2].by == (0, 1)
    # At the beginning: red 2, 2, 1 of two frames.
    assert found[0].confidence == pytest.approx(5 / 6)


def test_voting_mends_single_frames_and_leaves_true_changes() -> None:
    rng = np.random.default_rng(0)
    truth = ["red"] * 30 + ["green"] * 30 + ["yellow"] * 8 + ["red"] * 32
    seen = []
    for _ in range(3):
        wrong = rng.random(len(truth)) < 0.2
        seen.append(
            [str(rng.choice(["red", "green", "yellow"])) if w else t for t, w in zip(truth, wrong, strict=True)]
        )
    times_s = [n / 5 for n in range(len(truth))]
    found = [each.value for each in vote(times_s, seen, [1, 1, 1], window_s=0.8, stops=range(len(truth)))]
    alone = max(sum(a == b for a, b in zip(truth, said, strict=True)) for said in seen)
    assert sum(a == b for a, b in zip(truth, found, strict=True)) > max(alone, 97)
    assert [run.value for run in runs_of(voted(*found))] == ["red", "green", "yellow", "red"]


def test_frames_of_one_stop_vote_as_one() -> None:
    times_s = [0.0, 1.0, 2.0, 3.0]
    seen = [["yes", "no", "yes", "no"]]
    moving = vote(times_s, seen, [1], window_s=0.1, stops=[0, 1, 2, 3])
    assert [each.value for each in moving] == ["yes", "no", "yes", "no"]
    stands = vote(times_s, seen, [1], window_s=0.1, stops=[0, 0, 0, 1])
    assert [each.value for each in stands] == ["yes", "yes", "yes", "no"]
    assert stands[0].confidence == pytest.approx(2 / 3)


def test_of_an_impossible_order_the_weaker_part_is_refused() -> None:
    runs = refuse_orders(runs_of(voted(*["green"] * 5, *["red"] * 2, *["green"] * 5)), CYCLE)
    assert [(run.value, bool(run.why)) for run in runs] == [("green", False), ("red", True), ("green", False)]
    assert "green, then red" in runs[1].why


def test_what_is_left_is_possible_again() -> None:
    """Without the refused yellow, green stands before red, and that is impossible as well."""
    runs = refuse_orders(runs_of(voted(*["green"] * 9, "yellow", *["green"] * 3, *["red"] * 4)), CYCLE)
    kept = [run.value for run in runs if not run.why]
    assert kept == ["green"]


def test_a_whole_cycle_and_what_is_out_of_sight_are_possible() -> None:
    for order in (["green", "yellow", "red", "yellow", "red", "green"], ["red", "no", "green", "no", "red"]):
        assert all(not run.why for run in refuse_orders(runs_of(voted(*order)), CYCLE)), order
    unseen = refuse_orders(runs_of([*voted("green"), FrameVote("", 0.0, ()), *voted("red")]), CYCLE)
    assert all(not run.why for run in unseen)


def motion_file(path: Path, rows: list[str], head: str = "time_s,speed_mps,yaw_rate_dps") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_motion_is_the_integral_of_speed_and_yaw(tmp_path: Path) -> None:
    motion = read_motion(motion_file(tmp_path / "a.csv", ["0,0,0", "1,2,10", "2,2,-10", "3,0,0"]))
    assert motion.between(0, 3) == pytest.approx((1 + 2 + 1, 5 + 10 + 5))
    assert motion.between(0.5, 1.5) == pytest.approx((0.5 * (1 + 2) / 2 + 1, 0.5 * (5 + 10) / 2 + 5))
    assert motion.between(2, 3.5) is None
    assert standing(motion, [0, 1, 2, 2.9, 3], 0.05, 90) == [0, 1, 2, 3, 3]
    assert standing(motion, [0, 1, 2, 2.9, 3], 0.05, 0.01) == [0, 1, 2, 3, 4]
    assert standing(None, [0, 1, 2], 0.05, 1) == [0, 1, 2]
    assert standing(motion, [], 0.05, 1) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["0,1,0", "0,1,0"], "row 3: time_s is 0, not behind"),
        (["0,1,0", "1,nan,0"], "row 3: speed_mps is 'nan'"),
        (["0,1,0", "1,1"], "row 3: yaw_rate_dps is None"),
        (["0,1,0", "1,400,0"], "no motion of a road vehicle"),
        (["0,1,0"], "has 1 rows"),
    ],
)
def test_motion_that_is_none_is_refused_with_its_row(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(InputError, match=r"a\.csv") as error:
        read_motion(motion_file(tmp_path / "a.csv", rows))
    assert said in str(error.value)
    with pytest.raises(InputError, match="has no column speed_mps"):
        read_motion(motion_file(tmp_path / "a.csv", rows, head="time_s,v,yaw_rate_dps"))
