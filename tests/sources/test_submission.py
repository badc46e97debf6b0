"""A submission is found complete only if nothing is missing, and every fault is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.files import InputError
from cityscribe.sources.submission import check_submission
from tests.sources.small_sets import UUID, wts_vqa
from tests.sources.tree import add_external, add_overhead, withheld

SCENARIO = "20231115_0_XX00_T1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    empty = [withheld(label) for label in "43210"]
    add_overhead(root, SCENARIO, "test/public_challenge", phases=empty, videos=False)
    add_external(
        root / "external" / "BDD_PC_5K", "video7", "test/public_challenge", phases=[withheld("0"), withheld("1")]
    )
    wts_vqa(root)
    return root


def whole() -> dict[str, Any]:
    def phases(labels: str) -> list[dict[str, Any]]:
        return [{"labels": [n], "caption_pedestrian": "A man.", "caption_vehicle": "A car."} for n in labels]

    return {SCENARIO: phases("01234"), "video7": phases("01")}


def found(data: Path, folder: Path, value: Any) -> list[str]:
    file = folder / "submission.json"
    file.write_text(json.dumps(value))
    problems = check_submission(file, data)
    assert all(problem.file == str(file) for problem in problems)
    return [f"{problem.level}: {problem.place}: {problem.message}" for problem in problems]


def test_a_whole_submission_has_no_problem(data: Path, tmp_path: Path) -> None:
    assert found(data, tmp_path, whole()) == []
    assert found(data, tmp_path, [{"id": UUID, "correct": "c"}, {"id": "0" * 8, "correct": "A"}]) == []


def test_what_is_wrong_with_captions_is_named(data: Path, tmp_path: Path) -> None:
    value = whole()
    del value["video7"]
    value["other"] = []
    value[SCENARIO][0]["labels"] = ["recognition"]
    value[SCENARIO][2] = {"labels": "2", "caption_pedestrian": 3, "caption_vehicle": " "}
    value[SCENARIO][3]["labels"] = ["4"]
    assert found(data, tmp_path, value) == [
        "error: : 1 scenarios are missing: video7",
        f"warning: {SCENARIO}[0].labels: is ['recognition']; the official form is [\"1\"]",
        f"error: {SCENARIO}[1].labels: phase 1 (recognition) again",
        f"error: {SCENARIO}[2].caption_pedestrian: is 3, expected text",
        f"warning: {SCENARIO}[2].caption_vehicle: is empty, which scores nothing",
        f'error: {SCENARIO}[2].labels: is \'2\', expected a list of one of "0" to "4"',
        f"error: {SCENARIO}[4].labels: phase 4 (avoidance) again",
        f"error: {SCENARIO}: has no captions of the phases 0 (prerecognition), 2 (judgement), 3 (action)",
        "warning: other: is no scenario that is asked for; not scored",
    ]


def test_what_is_wrong_with_answers_is_named(data: Path, tmp_path: Path) -> None:
    given = [{"id": UUID, "correct": "d"}, {"id": UUID, "correct": ""}, {"id": "x", "correct": "a"}, {"correct": "a"}]
    assert found(data, tmp_path, given) == [
        "error: [0].correct: is 'd', expected one of a, b, c",
        f"error: [1].id: answers '{UUID}' again",
        "warning: [1].correct: is empty, which counts as wrong",
        "warning: [2].id: 'x' is no question that is asked; not scored",
        "error: [3]: is an object, expected an id and correct",
        "error: : 1 questions are not answered: 00000000",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from([SCENARIO, "labels", UUID]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([SCENARIO, "id", "labels"]), inner),
    max_leaves=12,
)


@given(value=json_values)
def test_nothing_but_a_whole_one_passes(data: Path, tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    assert found(data, tmp_path_factory.mktemp("any"), value)


def test_the_command(data: Path, tmp_path: Path) -> None:
    def call(*words: object) -> Any:
        return CliRunner().invoke(app, ["check", *map(str, words)], terminal_width=400)

    file = tmp_path / "s.json"
    file.write_text(json.dumps(whole()))
    assert (call("--submission", file, "--against", data).exit_code) == 0
    file.write_text(json.dumps({"video7": whole()["video7"]}))
    short = call("--submission", file, "--against", data)
    assert (short.exit_code, f"1 scenarios are missing: {SCENARIO}" in short.output) == (2, True)
    for words, why in (
        (("--submission", file), "--against"),
        ((), "--submission"),
        (("--submission", file, "--against", tmp_path / "no"), "no such folder"),
        (("--submission", file, "--against", data, "--split", "tset"), "expected one of train"),
    ):
        assert why in str(call(*words).exception)
    with pytest.raises(InputError, match="asks for no captions of the split train"):
        check_submission(file, data / "external", "train")
