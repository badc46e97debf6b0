"""The page about answered questions, of one run and of several."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.evaluate.question_files import from_sample
from cityscribe.evaluate.question_results import Confusion
from cityscribe.evaluate.question_scores import evaluate_questions
from cityscribe.files import InputError, write_json
from cityscribe.letters import LETTERS
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, image_block, message, text_block, write_samples
from cityscribe.report.question_charts import confusion_chart, recall_chart
from cityscribe.report.question_page import class_rows, write_question_comparison, write_question_report
from cityscribe.report.question_runs import join_question_runs, read_question_run
from cityscribe.traffic.meta import TrafficMeta
from tests.inert import EVIL, assert_inert

CLASSES = ("arson", "fighting", "nothing <unusual>", "robbery")


def asked(root: Path) -> list[Sample]:
    """Three questions about each of eight clips, in two classes each."""
    (root / "images").mkdir(parents=True)
    samples = []
    for clip in range(8):
        Image.new("RGB", (32, 24), (20 * clip, 80, 120)).save(root / "images" / f"{clip}.png")
        for number in range(3):
            right = CLASSES[(clip + number) % 4]
            options = tuple(np.roll(CLASSES, number))
            listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
            turns = (
                message("user", image_block(), text_block(f"What happens?\n{listed}\nSay a letter.")),
                message("assistant", text_block(LETTERS[options.index(right)])),
            )
            about = TrafficMeta(
                scenario=f"clip{clip}",
                kind="choice",
                question=f"q{clip}_{number}",
                options=options,
                split="val",
                domain=("internal", "external")[clip % 2],
            )
            samples.append(Sample(turns, (f"images/{clip}.png",), f"clip{clip}", about))
    return samples


def answer(home: Path, samples: list[Sample], says: Callable[[int, str], str]) -> None:
    """Write what a model answers, and its scores."""
    home.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, sample in enumerate(samples):
        question = from_sample(sample, "", None)
        line = {"id": question.name, "scenario": sample.meta.scenario, "answer": says(number, question.reference)}
        lines.append(json.dumps(line) + "\n")
    (home / "predictions.jsonl").write_text("".join(lines))
    scores = evaluate_questions(home / "predictions.jsonl", samples, against="arson")
    write_json(home / "scores.json", scores.total)
    write_json(home / "segments.json", scores.segments)
    write_json(home / "scores.provenance.json", {**scores.provenance, "warnings": list(scores.warnings)})


@pytest.fixture
def run(tmp_path: Path) -> Settings:
    settings = resolve(
        {
            "runs": str(tmp_path / "runs"),
            "name": "crimes",
            "data": {"source": "ucf-crime", "path": str(tmp_path)},
            "report": {"samples": 4},
        }
    )
    prepared = settings.run_dir / "prepared"
    samples = asked(prepared)
    write_samples(prepared / "val.parquet", samples)
    answer(settings.run_dir, samples, lambda n, right: f"({right})" if n % 4 else "<b>hard to say</b>")
    answer(settings.run_dir / "baselines" / "blind", samples, lambda n, right: "a")
    return settings


def test_the_page_shows_scores_classes_confusion_and_answers(run: Settings, tmp_path: Path) -> None:
    page = write_question_report(run.run_dir, run, tmp_path / "page").read_text()
    assert "75.0 % of 24 questions right" in page
    for words in (
        "majority",
        "chance",
        "Unparsed",
        "Mean of classes",
        "Arson against the rest",
        "By domain",
        "unparsed",
    ):
        assert words in page
    assert page.count('class="chart matrix"') == 4
    assert page.count("<article") == 4
    assert page.count('src="data:image/png;base64,') == 4
    assert "nothing &lt;unusual&gt;" in page
    assert "&lt;b&gt;hard to say&lt;/b&gt;" in page
    assert "<unusual>" not in page
    assert "<b>hard" not in page
    assert not re.search(r"<script|src=\"http|href=\"http", page)


def test_what_models_say_and_what_things_are_called_is_text(tmp_path: Path) -> None:
    """Of answers, options, parts of the data and names of runs nothing becomes markup, on any page."""
    settings = resolve(
        {"runs": str(tmp_path), "data": {"source": "ucf-crime", "path": str(tmp_path)}, "report": {"samples": 24}}
    )
    samples = [
        replace(sample, meta=replace(sample.meta, domain=EVIL, options=(*sample.meta.options[:3], EVIL)))
        for sample in asked(settings.run_dir / "prepared")
    ]
    write_samples(settings.run_dir / "prepared" / "val.parquet", samples)
    answer(settings.run_dir, samples, lambda n, right: f"{EVIL} {right}" if n % 2 else f"({right})")
    assert_inert(write_question_report(settings.run_dir, settings, tmp_path / "page").read_text(), shown=12)
    write_question_comparison({EVIL: settings, f"{EVIL} 2": settings}, tmp_path / "both")
    assert_inert((tmp_path / "both" / "index.html").read_text(), shown=12)


def test_the_headline_says_what_needs_no_model(run: Settings, tmp_path: Path) -> None:
    page = write_question_report(run.run_dir, run, tmp_path / "page").read_text()
    usual = json.loads((run.run_dir / "scores.json").read_text())["choices"]["majority"]["accuracy"]
    assert (
        f"<h1>75.0 % of 24 questions right; the commonest answers alone are right in {100 * usual:.1f} %</h1>" in page
    )


def test_all_answers_stand_in_a_table_that_no_spreadsheet_takes_for_formulas(tmp_path: Path) -> None:
    settings = resolve({"runs": str(tmp_path), "data": {"source": "ucf-crime", "path": str(tmp_path)}})
    samples = asked(settings.run_dir / "prepared")
    write_samples(settings.run_dir / "prepared" / "val.parquet", samples)
    answer(settings.run_dir, samples, lambda n, right: f"({right})" if n % 4 else "=HYPERLINK(1)")
    answer(settings.run_dir / "baselines" / "blind", samples, lambda n, right: "a")
    page = write_question_report(settings.run_dir, settings, tmp_path / "page")
    assert 'href="answers.csv"' in page.read_text()
    with (tmp_path / "page" / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(samples) == 24
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert [row["tuned: answer"] for row in rows[:2]] == ["'=HYPERLINK(1)", "(c)"]
    assert {row["blind: answer"] for row in rows} == {"a"}
    scores = json.loads((settings.run_dir / "scores.json").read_text())
    assert 100 * sum(float(row["tuned: right"]) for row in rows) / 24 == pytest.approx(scores["score"])
    assert rows[0]["asked"] == "What happens?"


def test_equal_runs_give_equal_pages(run: Settings, tmp_path: Path) -> None:
    first, again = (write_question_report(run.run_dir, run, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == again


def test_the_blind_model_is_compared_with_the_tuned_one(run: Settings) -> None:
    found = read_question_run(run.run_dir, run)
    assert [model.name for model in found.models] == ["tuned", "blind"]
    (lead,) = found.leads
    assert lead.points == pytest.approx(found.models[1].scores.score - 75)
    assert lead.interval is not None
    assert lead.interval.low < lead.points < lead.interval.high < 0
    assert lead.p_value is not None
    assert lead.p_value < 0.05
    rows = class_rows(found.models)
    assert [row.name for row in rows] == sorted(CLASSES)
    assert sum(row.questions for row in rows) == 24


def test_runs_are_compared_by_their_tuned_models(run: Settings, tmp_path: Path) -> None:
    other = run.model_copy(update={"name": "other"})
    shutil.copytree(run.run_dir, other.run_dir)
    answer(other.run_dir, asked(tmp_path / "again"), lambda n, right: right)
    joined = write_question_comparison({"crimes": run, "other": other}, tmp_path / "out")
    assert [model.name for model in joined.models] == ["crimes", "other"]
    told = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert told["others"][0]["lead"]["points"] == pytest.approx(25)
    assert {row["class"]: row["recall"] for row in told["others"][0]["scores"]["choices"]["classes"]} == dict.fromkeys(
        sorted(CLASSES), 1.0
    )
    assert "Runs crimes, other" in (tmp_path / "out" / "index.html").read_text()
    with pytest.raises(InputError, match="two runs or more"):
        join_question_runs({"crimes": read_question_run(run.run_dir, run)})
    less = json.loads((other.run_dir / "segments.json").read_text())
    less.popitem()
    write_json(other.run_dir / "segments.json", less)
    with pytest.raises(InputError, match="other: did not answer the same questions as crimes"):
        write_question_comparison({"crimes": run, "other": other}, tmp_path / "out")


def test_answers_without_references_have_a_page_that_says_so(run: Settings, tmp_path: Path) -> None:
    samples = [Sample(s.messages[:1], s.images, s.group, s.meta) for s in asked(tmp_path / "again")]
    write_samples(run.run_dir / "prepared" / "val.parquet", samples)
    shutil.rmtree(run.run_dir / "baselines")
    answer(run.run_dir, samples, lambda n, right: "a")
    page = write_question_report(run.run_dir, run, tmp_path / "page").read_text()
    assert "24 questions answered, none of them with a reference" in page
    assert "There is no baseline" in page


def test_a_run_that_is_missing_or_is_of_captions_is_named(run: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run"):
        write_question_report(tmp_path / "nowhere", run, tmp_path / "page")
    write_json(run.run_dir / "scores.json", {"internal": {}, "score": 1.0})
    with pytest.raises(InputError, match=r"scores.json: is not of questions"):
        write_question_report(run.run_dir, run, tmp_path / "page")


def test_charts_hold_every_count_and_share() -> None:
    matrix = Confusion(rows=["a", "b"], columns=["a", "b", "unparsed"], counts=[[7, 0, 1], [2, 5, 0]])
    chart = str(confusion_chart("Matrix", matrix))
    assert chart.count("<rect") == 6
    assert chart.count("cell right") == 2
    assert [int(number) for number in re.findall(r">(\d+)</text>", chart)] == [7, 1, 2, 5]
    bars = str(recall_chart(["a & b", "c"], [(0.5, None), (1.0, 0.0)]))
    assert bars.count('class="share') == 3
    assert "a &amp; b" in bars
    assert re.findall(r'class="value"[^>]*>(\d+ %)', bars) == ["50 %", "100 %", "0 %"]
