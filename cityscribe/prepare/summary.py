"""The summary of a prepared data set: by which rules it was read, and what was left out, with counts.

`problems.jsonl` and `skipped.jsonl` hold all of it; this is what a user reads who opens neither.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cityscribe.records import Problem

SHOWN = 10
"""Problems that are listed one by one."""


def problems_of(prepared: Path) -> list[Problem]:
    """The problems that were found when the data were read; none where there is no such file."""
    return [Problem(**row) for row in _rows(prepared / "problems.jsonl")]


def summary_of(prepared: Path) -> list[Problem]:
    """The notes, the first problems, and a note that counts the others and what was skipped."""
    problems = problems_of(prepared)
    notes = [problem for problem in problems if problem.level == "note"]
    wrong = sorted((problem for problem in problems if problem.level != "note"), key=lambda p: p.level != "error")
    listed = [*notes, *wrong[:SHOWN]]
    if len(wrong) > SHOWN:
        counts = Counter(problem.level for problem in wrong)
        what = f"{counts['error']} errors and {counts['warning']} warnings in all"
        listed.append(Problem("note", str(prepared / "problems.jsonl"), "", what))
    skipped = Counter(str(row.get("what")) for row in _rows(prepared / "skipped.jsonl"))
    if skipped:
        what = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in sorted(skipped.items()))
        listed.append(Problem("note", str(prepared / "skipped.jsonl"), "", f"left out: {what}"))
    return listed


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield json.loads(line)
