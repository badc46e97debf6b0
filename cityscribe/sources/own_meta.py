"""The meta data that this project writes into the rows of other formats, and reads there again."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cityscribe.records import Sample
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.values import finite, plain_text

META_FIELDS = {field.name: field for field in fields(TrafficMeta)}


def own_meta(row: dict[str, Any]) -> tuple[TrafficMeta | None, str]:
    """The meta data and group that this project wrote into a row; None and "" where somebody else's row has others."""
    value, group = row.get("meta"), row.get("group")
    if not isinstance(value, dict) or not value or not set(value) <= set(META_FIELDS):
        return None, ""
    given: dict[str, Any] = {}
    for name, content in value.items():
        default = META_FIELDS[name].default
        if isinstance(default, tuple):
            items = [plain_text(item) for item in content] if isinstance(content, list | tuple) else [None]
            if None in items:
                return None, ""
            given[name] = tuple(items)
        elif isinstance(default, int):
            number = finite(content)
            if isinstance(content, str) or number is None or number % 1 or not -1 <= number < 2**31:
                return None, ""
            given[name] = int(number)
        elif plain_text(content) is None:
            return None, ""
        else:
            given[name] = plain_text(content)
    if given.get("split", "") not in ("", "train", "val", "test"):
        return None, ""
    return TrafficMeta(**given), plain_text(group) or ""


def meta_to_write(sample: Sample) -> dict[str, object]:
    """What `own_meta` reads: the group and the fields of the meta data that are not empty."""
    values = {name: getattr(sample.meta, name) for name in META_FIELDS}
    kept = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    defaults = {name: field.default for name, field in META_FIELDS.items() if name != "kind"}
    return {
        "group": sample.group,
        "meta": {n: v for n, v in kept.items() if n not in defaults or values[n] != defaults[n]},
    }
