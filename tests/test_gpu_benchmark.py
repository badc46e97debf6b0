"""The benchmark for a machine with a GPU, rehearsed: every part gives figures, and one that fails is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import LIMITS_S, measure, measure_all, read_figures, run_part


def here(name: str, device: str, tiny: bool, folder: Path, limit_s: float) -> dict[str, Any]:
    measure(name, device, tiny, folder)
    return {"seconds": 0.0, "figures": read_figures(folder)}


def test_every_part_gives_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "gpu.json"
    measure_all(list(LIMITS_S), "cpu", True, output, 600, here)
    figures = {name: part["figures"] for name, part in json.loads(output.read_text())["parts"].items()}
    assert figures.keys() == LIMITS_S.keys()
    for kind in ("llama", "gemma3", "hybrid"):
        assert figures["exact"][f"{kind}: apart, share of loss or gradient"] < 1e-4
    for part, same in (("sft-1152", "questions a second"), ("sft-8192", "questions a second"), ("dpo", "last loss")):
        assert figures[part][f"trees: {same}"] > 0
        assert figures[part][f"rows: {same}"] > 0
    assert figures["sft-8192"]["of them distinct"] > figures["sft-1152"]["of them distinct"]
    assert figures["sft-1152"]["MFU of distinct tokens, of a matrix product"] > 0
    assert figures["dpo"]["trees: last loss"] == pytest.approx(figures["dpo"]["rows: last loss"], abs=1e-5)
    assert figures["answers"]["generate one by one: equal answers of 4"] == 4
    assert figures["int4"]["int4: product off by, share of the largest"] < 0.02
    packed, plain = (figures["int4"][f"{kind}: GiB of the decoder's layers"] for kind in ("int4", "fp32"))
    assert packed < plain / 4
    assert "cityscribe: answers a second" in capsys.readouterr().out


def test_a_part_that_fails_or_takes_too_long_is_told(tmp_path: Path) -> None:
    assert run_part("none", "cpu", True, tmp_path, 60)["problem"].startswith("part none: expected one of exact")
    slow = run_part("exact", "cpu", True, tmp_path, 0.1)
    assert slow["problem"] == "stopped after 0 s"
    assert slow["figures"] == {}
    measure_all(["exact"], "cpu", True, tmp_path / "late.json", 0.0)
    assert json.loads((tmp_path / "late.json").read_text())["parts"]["exact"]["problem"] == "no time was left for it"
