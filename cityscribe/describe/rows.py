"""The rows of the table: one a clip and span, as CSV and as JSON.

docs/describe.md explains the columns. CSV is UTF-8 with a mark at its beginning, by which spreadsheet programs know it,
and no cell of it is taken for a formula.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cityscribe.files import printable, spreadsheet_cell
from cityscribe.traffic.metrics.attributes import attributes
from cityscribe.traffic.scenario import ROLES


@dataclass(frozen=True, slots=True)
class Described:
    """A road user of a span. What is not found has no description and no facts."""

    found: bool | None  # None where the model could not tell
    by: str  # "annotation", "detector", "camera" or "model"
    probability: float | None = None  # of being there, by the model; None where it was not asked
    description: str = ""
    confidence: float | None = None  # see `asking.confidence_of`
    facts: dict[str, str] = field(default_factory=dict)  # attribute -> value


@dataclass(frozen=True, slots=True)
class DescribedRow:
    """One span of a clip; of a clip that could not be opened, the only row, without a span."""

    clip: str
    camera: str = ""  # "overhead" or "vehicle"
    span: int | None = None  # of the clip, from 1
    start_s: float | None = None
    end_s: float | None = None
    phase: str = ""
    shown_s: float | None = None  # when the frame is that was shown to the model
    road_users: dict[str, Described] = field(default_factory=dict)  # by role
    scene: dict[str, str] = field(default_factory=dict)  # attribute -> value
    problem: str = ""
    picture: str = ""  # the thumbnail, relative to the folder of the work


def to_entry(row: DescribedRow) -> dict[str, object]:
    """A row as a JSON value."""
    return asdict(row)


def of_entry(entry: dict[str, Any]) -> DescribedRow:
    """The row that `to_entry` made a JSON value of; its facts in the order of the table, whatever order that has."""
    users = {
        role: Described(**{**entry["road_users"][role], "facts": _ordered(entry["road_users"][role]["facts"])})
        for role in ROLES
        if role in entry["road_users"]
    }
    return DescribedRow(**{**entry, "road_users": users, "scene": _ordered(entry["scene"])})


def _ordered(facts: dict[str, str]) -> dict[str, str]:
    return {name: facts[name] for name in attributes() if name in facts}


def fact_columns() -> list[tuple[str, str, str]]:
    """Column, whom it is about and attribute, in the order of the table."""
    found = []
    for about in (*ROLES, "scene"):
        for name, attribute in attributes().items():
            if attribute.about == about:
                found.append((name if name.startswith(f"{about}_") else f"{about}_{name}", about, name))
    return found


def to_csv(rows: Sequence[DescribedRow]) -> str:
    """The table as CSV, with a byte order mark."""
    facts = fact_columns()
    of_roles = [
        f"{role}{part}" for role in ROLES for part in ("", "_by", "_probability", "_description", "_confidence")
    ]
    head = ["clip", "camera", "span", "start_s", "end_s", "phase", "shown_s", *of_roles, "problem"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*head, *(column for column, _, _ in facts)])
    for row in rows:
        cells: list[Any] = [row.clip, row.camera, row.span, _seconds(row.start_s), _seconds(row.end_s), row.phase]
        cells.append(_seconds(row.shown_s))
        for role in ROLES:
            user = row.road_users.get(role)
            if user is None:
                cells += [""] * 5
            else:
                cells += [found_word(user), user.by, user.probability, user.description, user.confidence]
        cells.append(row.problem)
        for _, about, name in facts:
            user = row.road_users.get(about)
            cells.append((row.scene if about == "scene" else user.facts if user is not None else {}).get(name, ""))
        writer.writerow([spreadsheet_cell("" if cell is None else cell) for cell in cells])
    return "\ufeff" + printable(out.getvalue())


def to_json(rows: Sequence[DescribedRow]) -> str:
    """The table as a JSON list: the same names, with the road users and their facts as objects."""
    listed = [{name: value for name, value in to_entry(row).items() if name != "picture"} for row in rows]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def found_word(user: Described) -> str:
    """What the table says of whether a road user is there."""
    return "not known" if user.found is None else "found" if user.found else "none found"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
