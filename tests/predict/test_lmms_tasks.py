"""The tasks that are written for lmms-eval ask what we ask and score as we score.

lmms-eval is not needed: its YAML names functions of a file beside it (`!function utils.NAME`), which is read here as
`load_yaml_config` of lmms-eval 0.7.3 reads it.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.lines import headline
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_driving import DRIVING, MIXED, mm_au


def loaded(path: Path) -> Any:
    """A task with its functions."""

    class Loader(yaml.SafeLoader):
        pass

    def function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        module_name, _, name = str(loader.construct_scalar(node)).rpartition(".")
        spec = importlib.util.spec_from_file_location(module_name, path.with_name(f"{module_name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, name)

    Loader.add_constructor("!function", function)
    return yaml.load(path.read_text(), Loader)


def test_every_benchmark_of_a_folder_is_a_task_that_scores_as_we_do(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "tasks"
    for name, write in DRIVING.items():
        write(data / name)
    told = CliRunner().invoke(app, ["benchmark", "export", str(data), str(out)])
    assert told.exit_code == 0, told.output
    for name in DRIVING:
        benchmark = BENCHMARKS[name]
        task = loaded(out / name / f"cityscribe_{name.replace('-', '_')}.yaml")
        assert task["task"] in told.output.replace("\n", "")
        rows = [json.loads(line) for line in (out / name / "questions.jsonl").read_text().splitlines()]
        assert task["dataset_kwargs"]["data_files"]["test"] == str(out / name / "questions.jsonl")
        questions = benchmark.read(data / name, benchmark.split)
        assert [row["id"] for row in rows] == [question.id for question in questions]
        assert all(question.text in task["doc_to_text"](row) for row, question in zip(rows, questions, strict=True))
        assert all(task["doc_to_visual"](row) for row in rows)
        (metric,) = task["metric_list"]
        results = [task["process_results"](row, [MIXED[name][row["id"]]])[metric["metric"]] for row in rows]
        assert metric["aggregation"](results) == pytest.approx(headline(benchmark, questions, MIXED[name]))
        assert isinstance(metric["aggregation"](results[:1]), float), "--limit 1"


def test_frames_that_are_not_there_are_named(tmp_path: Path) -> None:
    mm_au(tmp_path / "data" / "mm-au")
    for picture in (tmp_path / "data").rglob("*.png"):
        picture.unlink()
    (tmp_path / "data" / "mm-au" / "DADA-DATA" / "5" / "006450" / "images").rmdir()
    result = CliRunner().invoke(app, ["benchmark", "export", str(tmp_path / "data"), str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)
    assert "does not exist, and question 7818/0 shows it" in str(result.exception)
