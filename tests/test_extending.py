"""docs/extending.md: every block runs, and what it adds is a member that keeps its contract and works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cityscribe.engine.members import Setup, open_engine
from cityscribe.engine.request import Request
from cityscribe.llm import Client, ReplySampling
from cityscribe.models.settings import ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.pipeline import Plan
from cityscribe.project import resolve
from cityscribe.records import message, text_block
from cityscribe.registry import KINDS, registry
from tests.models.vlm.composed import parts, tiny

DOCS = Path(__file__).parents[1] / "docs" / "extending.md"

ADDED = {
    "objective": "hinge",
    "vision-tower": "patches",
    "connector": "rows",
    "tiling": "halves",
    "tuning": "norms",
    "engine": "echo",
    "language-model": "shouting",
    "source": "notes",
    "stage": "tally",
}


@pytest.fixture(scope="module")
def added() -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    try:
        for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
            exec(compile(block, str(DOCS), "exec", dont_inherit=True), found)
        yield found
    finally:
        for kind, name in ADDED.items():
            if name in registry(kind):
                registry(kind).remove(name)


def test_every_kind_is_shown_or_named() -> None:
    told = DOCS.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if kind not in ADDED and f"`{kind}`" not in told] == []


def test_each_is_a_member_that_settings_take(added: dict[str, Any]) -> None:
    assert all(registry(kind)[name] is not None for kind, name in ADDED.items())
    values = {
        "data": {"path": ".", "source": "notes"},
        "model": {"method": "norms"},
        "train": {"objective": {"kind": "hinge", "margin": 0.5}},
        "predict": {"engine": "echo"},
    }
    assert resolve(values).train.objective.margin == 0.5


def test_the_parts_make_a_model_whose_norms_train(added: dict[str, Any]) -> None:
    chosen = parts({"kind": "patches"}, tiling={"kind": "halves"}, connector={"kind": "rows"})
    model, processor = tiny(chosen)
    report = prepare_tuning(model, ModelSettings(method="norms"))
    assert 0 < report.trainable < report.total
    assert torch.isfinite(next(iter(model.parameters()))).all()
    assert processor is not None


def test_who_answers_answers(added: dict[str, Any], tmp_path: Path) -> None:
    engine = open_engine("echo", "no checkpoint", Setup())
    requests = [Request((message("user", text_block(text)),)) for text in ("Where?", "When?")]
    assert [answers[0].text for answers in engine.answer(requests)] == ["Where?", "When?"]
    client = Client(registry("language-model")["shouting"]())
    found = client.ask([[{"role": "user", "content": "quiet"}]], ReplySampling(), lambda place, text: text)
    assert found.values == ["QUIET"]


def test_what_is_read_is_read(added: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.note").write_text("What colour?")
    (tmp_path / "b.note").write_text("")
    samples, problems = registry("source")["notes"].read(tmp_path)
    assert ([sample.group for sample in samples], [problem.file for problem in problems]) == (["a"], ["b.note"])


def test_the_stage_is_planned_behind_what_it_reads(added: dict[str, Any], tmp_path: Path) -> None:
    plan, other = (Plan.of(resolve({"data": {"path": str(tmp_path), "frames": frames}})) for frames in (4, 9))
    step = plan.steps["tally"]
    assert (step.after, step.writes) == (("prepare",), ("tally.json",))
    assert plan.made_from["tally"] != other.made_from["tally"]
