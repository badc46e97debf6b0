from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from cityscribe.prepare.skipped import Skip, write_skipped
from cityscribe.prepare.summary import SHOWN, summary_of
from cityscribe.records import Problem


def test_rules_come_first_then_errors_and_what_is_not_listed_is_counted(tmp_path: Path) -> None:
    warnings = [Problem("warning", f"{n}.json", "", "left out") for n in range(SHOWN + 2)]
    found = [*warnings, Problem("note", "a.txt", "", "read as MOT"), Problem("error", "b.json", "", "not JSON")]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(asdict(problem)) + "\n" for problem in found))
    write_skipped(tmp_path / "skipped.jsonl", [Skip("train", "s", "v", "phase", "no boxes", n) for n in range(3)])
    said = [str(problem) for problem in summary_of(tmp_path)]
    assert said[:2] == ["note: a.txt: read as MOT", "error: b.json: not JSON"]
    assert len(said) == 1 + SHOWN + 2
    assert said[-2].endswith(f"problems.jsonl: 1 errors and {SHOWN + 2} warnings in all")
    assert said[-1].endswith("skipped.jsonl: left out: 3 phases")
    assert summary_of(tmp_path / "nothing") == []
