"""Ablations: what is run, what is compared, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cityscribe.ablate import (
    METRICS,
    Arm,
    ablate,
    compare_arms,
    csv_table,
    load_ablation,
    markdown_table,
    plan,
    text_table,
)
from cityscribe.ablations import ABLATIONS
from cityscribe.ablations.gauges import Gauged, gauges, plot_gauges
from cityscribe.ablations.measures import ArmMeasure, ArmMeasures
from cityscribe.ablations.plot import PlotRow, near_rows, plot
from cityscribe.files import InputError, spreadsheet_cell, write_json
from cityscribe.records import read_samples
from cityscribe.report.run_files import read_run
from cityscribe.rewards import REWARDS
from cityscribe.world.dataset import WorldSettings, write_dataset
from cityscribe.world.sets import SetSettings, write_set


def _write(path: Path, **values: object) -> Path:
    path.write_text(yaml.safe_dump({"name": "test", "project": {"data": {"path": "city"}}, **values}))
    return path


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_shipped_ablation_is_a_valid_plan(name: str, tmp_path: Path) -> None:
    ablation = load_ablation(Path(name))
    planned = plan(ablation, tmp_path)
    assert ablation.name == name
    assert len(planned) == len(ablation.arms) >= 2
    first, *others = [settings[0].model_dump(exclude={"name"}) for settings in planned.values()]
    assert all(other != first for other in others)
    assert {settings.seed for settings in planned[next(iter(planned))]} == set(ablation.seeds)


def test_an_arm_differs_in_its_settings_alone(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "a.yaml", arms={"one": {}, "two": {"train.lr": 0.5, "predict.order": "independent"}}, seeds=[3]
    )
    (one,), (two,) = plan(load_ablation(file), tmp_path).values()
    assert (two.train.lr, two.predict.order, two.seed, two.name) == (0.5, "independent", 3, "two-3")
    changed = {"train": one.train.model_copy(update={"lr": 0.5})}
    changed["predict"] = one.predict.model_copy(update={"order": "independent"})
    assert one.model_copy(update={**changed, "name": "two-3"}) == two


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"arms": {"one": {"train.rl": 1}}}, r"arms\.one\.train\.rl: train\.rl: no such setting; did you mean `lr`"),
        ({"arms": {}}, r"a\.yaml: arms: "),
        ({"arms": {"one": {}}, "seed": [1]}, r"a\.yaml: seed: "),
        ({"arms": {"one": {"train.lr.x": 1}}}, r"test: arms\.one: train\.lr: "),
        ({"arms": {"a/b": {}}}, r"name: "),
    ],
)
def test_a_mistake_is_named_with_its_place(values: dict[str, object], message: str, tmp_path: Path) -> None:
    file = _write(tmp_path / "a.yaml", **values)
    with pytest.raises(InputError, match=message):
        plan(load_ablation(file), tmp_path)


def test_an_arm_begins_with_what_another_of_its_seed_has_made(tmp_path: Path) -> None:
    file = _write(
        tmp_path / "a.yaml",
        arms={"tuned": {"model.base": "cityscribe-tiny"}, "more": {"model.base": "{folder}/tuned-{seed}/model"}},
        seeds=[1, 2],
        against="more",
    )
    planned = plan(load_ablation(file), tmp_path / "runs")
    folder = tmp_path / "runs" / "test"
    assert [settings.model.base for settings in planned["more"]] == [f"{folder}/tuned-{n}/model" for n in (1, 2)]
    assert [settings.model.base for settings in planned["tuned"]] == ["cityscribe-tiny"] * 2
    with pytest.raises(InputError, match=r"test: against: there is no arm mroe: one, two"):
        plan(load_ablation(_write(tmp_path / "b.yaml", arms={"one": {}, "two": {}}, against="mroe")), tmp_path)


def test_a_gauge_is_set_against_what_was_gained(tmp_path: Path) -> None:
    def measured(right: float, contradicted: float) -> dict[str, ArmMeasure]:
        values = {"right": right, "contradicted": contradicted}
        return {name: ArmMeasure(value, (value, value + 1), None, None, None) for name, value in values.items()}

    found = ArmMeasures({"control": measured(60, 30), "dpo": measured(50, 35)})
    folders = {arm: [tmp_path / f"{arm}-{seed}" for seed in (0, 1)] for arm in ("control", "dpo")}
    (folders["dpo"][1] / "training").mkdir(parents=True)
    write_json(folders["dpo"][1] / "training" / "gauge.json", {"log_ratio": -7.5})
    rows = gauges(folders, found)
    assert rows == [Gauged("dpo", -7.5, -15.0)]
    plot_gauges("About", rows, "control", tmp_path / "gauge.png")
    assert (tmp_path / "gauge.png").stat().st_size > 5000


def test_no_such_file_names_what_is_shipped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tuning-methods"):
        load_ablation(tmp_path / "none.yaml")


def test_runs_are_made_once_and_compared(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    city = tmp_path / "city"
    write_dataset(city, WorldSettings(train=1, val=2, external=0.0, seed=1, fps=5), workers=1)
    project = {
        "data": {"path": str(city)},
        "prepare": {"pedestrian_threshold": 64, "vehicle_threshold": 64, "workers": 1, "image_size": 64},
        "model": {"base": str(tiny("llava")), "block_expansion": {"blocks": 1}},
        "train": {"max_steps": 1, "precision": "fp32"},
        "predict": {"max_new_tokens": 4, "precision": "fp32"},
    }
    arms = {"long": {}, "short": {"predict.max_new_tokens": 2}}
    file = _write(tmp_path / "a.yaml", project=project, arms=arms, seeds=[0, 1])
    made: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        made.append(name)
        yield lambda *_: None

    folder = ablate(load_ablation(file), tmp_path / "runs", watch, lambda _: None)
    assert folder == tmp_path / "runs" / "test"
    planned = plan(load_ablation(file), tmp_path / "runs")
    results = compare_arms({arm: [read_run(one.run_dir, one) for one in seeds] for arm, seeds in planned.items()})
    assert (made.count("train"), made.count("predict")) == (2, 4)  # the arms differ in prediction alone
    for name in ("model/model.safetensors", "prepared/train.parquet"):
        one, other = (tmp_path / "runs" / "test" / arm / name for arm in ("long-1", "short-1"))
        assert one.samefile(other)
    curves = [tmp_path / "runs" / "test" / arm / "training" / "curve.jsonl" for arm in ("long-1", "short-1")]
    assert curves[0].read_bytes() == curves[1].read_bytes()
    assert not curves[0].samefile(curves[1]), "a training that goes on writes into it"
    assert one.read_bytes() != (tmp_path / "runs/test/long-0/prepared/train.parquet").read_bytes()  # another seed
    long, short = results
    assert long.against is None
    assert short.against == pytest.approx(short.mean - long.mean)
    assert short.interval is not None
    assert short.interval.low <= short.against <= short.interval.high
    assert short.by_seed == tuple(own - other for own, other in zip(short.scores, long.scores, strict=True))
    assert long.p_value is None
    assert short.p_value is not None
    assert 0 < short.p_value <= 1
    assert f"| {short.by_seed[0]:+.1f}, {short.by_seed[1]:+.1f} |" in markdown_table(results)
    for arm in results:
        for seed, score in enumerate(arm.scores):
            scores = json.loads((tmp_path / "runs" / "test" / f"{arm.name}-{seed}" / "scores.json").read_text())
            assert score == pytest.approx(scores["score"])
    assert (tmp_path / "runs/test/scores.png").stat().st_size > 5000
    with (tmp_path / "runs/test/table.csv").open() as table:
        assert [float(row["score"]) for row in csv.DictReader(table)] == [arm.mean for arm in results]
    assert text_table(results).count("\n") == markdown_table(results).count("\n") - 1 == 3
    rows = (tmp_path / "runs/test/measures.md").read_text().splitlines()
    assert [row.split(" | ")[0] for row in rows] == ["| arm", "| ---", "| long", "| short"]
    told = json.loads((tmp_path / "runs/test/results.json").read_text())["measures"]
    assert [round(told[arm]["words"]["mean"], 1) for arm in ("long", "short")] == [
        float(row.split(" | ")[5].split()[0].strip(" |")) for row in rows[2:]
    ]
    before = (tmp_path / "runs/test/table.md").read_bytes()
    made.clear()
    ablate(load_ablation(file), tmp_path / "runs", watch, lambda _: None)
    assert made == []
    assert (tmp_path / "runs/test/table.md").read_bytes() == before


def test_arms_on_questions_are_compared_by_what_their_answers_are_worth(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    data = tmp_path / "asked"
    write_set(data, SetSettings("questions", train=3, val=3, test=0, seed=1, asked=4), workers=1)
    project = {
        "data": {"path": str(data), "source": "messages"},
        "prepare": {"image_size": 64, "workers": 1},
        "model": {"base": str(tiny("llava")), "method": "connector"},
        "train": {"max_steps": 1, "precision": "fp32"},
        "predict": {"max_new_tokens": 4, "precision": "fp32"},
    }
    arms = {"all": {}, "half": {"data.train_share": 0.5}}
    file = _write(tmp_path / "a.yaml", project=project, arms=arms, seeds=[0, 1], score={"kind": "overlap"})

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        yield lambda *_: None

    folder = ablate(load_ablation(file), tmp_path / "runs", watch, lambda _: None)
    samples = {arm: read_samples(folder / f"{arm}-0" / "prepared" / "train.parquet") for arm in arms}
    groups = {arm: {sample.group for sample in found} for arm, found in samples.items()}
    assert (len(groups["all"]), len(groups["half"])) == (3, 2)
    assert groups["half"] < groups["all"]
    assert len(samples["all"]) == 12
    asked = read_samples(folder / "all-0" / "prepared" / "val.parquet")
    assert len(asked) == 12
    reward = REWARDS["overlap"]()
    rows = {row["arm"]["name"]: row for row in json.loads((folder / "results.json").read_text())["arms"]}
    known = {sample.meta.dimension for sample in samples["all"]} >= {sample.meta.dimension for sample in asked}
    assert list(rows) == ["all", "half", *(["the commonest answer"] if known else [])]
    for arm in arms:
        for seed in (0, 1):
            lines = (folder / f"{arm}-{seed}" / "predictions.jsonl").read_text().splitlines()
            worth = [reward.score(s, [json.loads(line)["answer"]])[0] for s, line in zip(asked, lines, strict=True)]
            tasks = {sample.meta.dimension for sample in asked}
            of_task = [[w for w, s in zip(worth, asked, strict=True) if s.meta.dimension == task] for task in tasks]
            assert rows[arm]["by_seed"][seed] == pytest.approx(sum(sum(own) / len(own) for own in of_task) / len(tasks))
    assert (folder / "table.md").read_text().count("\n") == 2 + len(rows)
    assert (folder / "scores.png").stat().st_size > 5000


def test_captions_and_questions_are_not_compared(tmp_path: Path) -> None:
    arms = {"captions": {"data.source": "wts"}, "questions": {"data.source": "messages"}}
    file = _write(tmp_path / "a.yaml", arms=arms)
    with pytest.raises(InputError, match="test: some arms are on captions and others on questions"):
        ablate(load_ablation(file), tmp_path / "runs", None, lambda _: None)  # type: ignore[arg-type]


def test_an_arm_that_is_far_off_does_not_own_the_axis(tmp_path: Path) -> None:
    rows = [PlotRow(f"arm {n}", (mean, mean + 0.2), mean + 0.1, None) for n, mean in enumerate((80.0, 81.0, 79.5, 3.0))]
    assert near_rows(rows) == sorted(rows[:3], key=lambda row: row.mean)
    assert near_rows(rows[:2]) == sorted(rows[:2], key=lambda row: row.mean)
    plot("what is drawn", rows, tmp_path / "far.png")
    plot("what is drawn", [rows[0], replace(rows[1], interval=(-2.0, 6.0))], tmp_path / "near.png")
    assert (tmp_path / "far.png").stat().st_size > 5000


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1"])
def test_no_cell_of_a_table_is_a_formula(text: str) -> None:
    arm = Arm(text, (1.5,), dict.fromkeys(METRICS, 0.5), None, (), None, None)
    name, score, *_ = list(csv.reader(io.StringIO(csv_table([arm]), newline="")))[1]
    assert (name, score) == (f"'{text}".replace("\r", " "), "1.5")
    assert spreadsheet_cell("a car") == "a car"
    assert spreadsheet_cell(-1.5) == -1.5
