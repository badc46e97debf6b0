"""A ladder goes up step by step and back with one left out, and its table says what each step is worth."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.files import InputError
from cityscribe.ladder.arms import LadderArm, arms_of
from cityscribe.ladder.results import (
    Cost,
    commonest_outcomes,
    csv_table,
    markdown_table,
    outcomes_of,
    rows_of,
    text_table,
)
from cityscribe.ladder.settings import LadderSettings
from cityscribe.project import Settings, dump_settings, load_settings, resolve
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block
from cityscribe.rewards import REWARDS

STEPS: dict[str, Any] = {
    "more data": {"data.path": "more"},
    "LoRA": {"model.method": "lora", "train.lr": 1e-3},
    "INT4": {"quantise.bits": 4, "train.lr": 2e-3},
}


def test_arms_up_back_and_beside() -> None:
    ladder = LadderSettings(steps=STEPS, beside={"INT8": {"at": "LoRA", "change": {"quantise.bits": 8}}})
    data, lora, int4 = STEPS.values()
    assert arms_of(ladder) == [
        LadderArm("as it is", "up", {}),
        LadderArm("more data", "up", data, "as it is"),
        LadderArm("LoRA", "up", {**data, **lora}, "more data"),
        LadderArm("INT4", "up", {**data, **lora, **int4}, "LoRA"),
        LadderArm("without more data", "back", {**lora, **int4}, "INT4"),
        LadderArm("without LoRA", "back", {**data, **int4}, "INT4"),
        LadderArm("INT8", "beside", {**data, **lora, "quantise.bits": 8}, "LoRA"),
    ]


@pytest.mark.parametrize(
    ("ladder", "why"),
    [
        ({"steps": STEPS, "first": "LoRA"}, "a step has the name LoRA"),
        ({"steps": STEPS, "beside": {"x": {"at": "DoRA"}}}, "DoRA is no step"),
        ({"steps": STEPS, "beside": {"INT4": {}}}, "a step has this name"),
    ],
)
def test_names_that_mean_nothing_or_two_things_are_refused(ladder: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        resolve({"data": {"path": "."}, "ladder": ladder})
    with pytest.raises(InputError, match="would lie in one folder, a-b"):
        arms_of(LadderSettings(steps={"a b": {}, "a-b": {}}))


def test_a_project_with_a_ladder_is_written_and_read_as_it_is(tmp_path: Path) -> None:
    values = {"steps": STEPS, "seeds": [0, 4], "beside": {"INT8": {"at": "LoRA", "change": {"quantise.bits": 8}}}}
    settings: Settings = resolve({"data": {"path": "d", "source": "messages"}, "ladder": values})
    (tmp_path / "project.yaml").write_text(dump_settings(settings))
    assert load_settings(tmp_path / "project.yaml") == settings


ARMS = [LadderArm("first", "up", {}), LadderArm("second", "up", {}, "first"), LadderArm("same", "back", {}, "second")]
FIRST = {("a", "cones", "0"): 1.0, ("b", "cones", "0"): 0.0, ("a", "speed", "0"): 0.0, ("b", "speed", "0"): 0.0}
SECOND = {**FIRST, ("b", "cones", "0"): 1.0}


def test_the_table_is_the_mean_over_tasks_seeds_and_images() -> None:
    outcomes = {"first": [FIRST, FIRST], "second": [SECOND, FIRST], "same": [SECOND, FIRST]}
    first, second, same = rows = rows_of(ARMS, outcomes, {"second": Cost(2.5, 10.0, 5.0)})
    assert (first.tasks, first.mean, first.by_seed) == ({"cones": 0.5, "speed": 0.0}, 0.25, (0.25, 0.25))
    assert (second.tasks, second.mean, second.by_seed) == ({"cones": 0.75, "speed": 0.0}, 0.375, (0.5, 0.25))
    assert (first.change, second.change, same.change) == (None, 0.125, 0.0)
    assert same.change_interval is not None
    assert (same.change_interval.low, same.change_interval.high) == (0.0, 0.0)
    assert second.change_interval is not None
    assert (second.change_interval.low, second.change_interval.high) == (0.0, 0.25)  # image b or not
    read = list(csv.DictReader(io.StringIO(csv_table(rows))))
    assert [row["arm"] for row in read] == ["first", "second", "same"]
    assert float(read[1]["change"]) == 0.125
    assert [row["answers/s"] for row in read] == ["", "2.5", ""]
    assert "+12.5" in text_table(rows)
    assert markdown_table(rows).count("\n") == 5
    with pytest.raises(InputError, match="second was asked other questions than first"):
        rows_of(ARMS[:2], {"first": [FIRST], "second": [{("a", "cones", "0"): 1.0}]}, {})


def test_outcomes_are_what_the_answers_are_worth(tmp_path: Path) -> None:
    def asked(task: str, answer: str) -> Sample:
        messages = (message("user", image_block(), text_block("?")), message("assistant", text_block(answer)))
        return Sample(messages, ("a.jpg",), "a", SampleMeta(scenario="a", dimension=task))

    samples = [asked("cones", "yes"), asked("speed", "30"), asked("speed", "40")]
    lines = [json.dumps({"answer": answer}) + "\n" for answer in ("Yes, there are.", "About 30 km/h.", "30")]
    (tmp_path / "predictions.jsonl").write_text("".join(lines))
    found = outcomes_of(samples, tmp_path / "predictions.jsonl", REWARDS["driving"]())
    assert found == {("a", "cones", "0"): 1.0, ("a", "speed", "0"): 1.0, ("a", "speed", "1"): 0.0}
    usual = commonest_outcomes(samples, [*samples, asked("speed", "40")], REWARDS["driving"]())
    assert usual == {("a", "cones", "0"): 1.0, ("a", "speed", "0"): 0.0, ("a", "speed", "1"): 1.0}
    assert commonest_outcomes(samples, samples[:1], REWARDS["driving"]()) is None
    with pytest.raises(InputError, match="3 answers for 2 questions"):
        outcomes_of(samples[:2], tmp_path / "predictions.jsonl", REWARDS["driving"]())
