"""The model card of a checkpoint that a run made: README.md with a YAML head, as Hugging Face shows and searches it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from cityscribe.cards.facts import BaseModelFacts, ModelFacts, SplitScores
from cityscribe.cards.groups import GroupScore
from cityscribe.cards.licences import NOT_STATED

FEW = 10
"""Scenarios below which a group says little: the segments of one show the same person."""


def card_of(facts: ModelFacts) -> str:
    """The text of the card."""
    head = yaml.safe_dump(_head(facts), sort_keys=False, allow_unicode=True, width=120)
    parts = [
        f"# {facts.name}",
        f"A vision-language model about traffic, tuned by cityscribe {facts.version} ({facts.method}) from "
        f"`{facts.base.name}`. `bom.json` beside this card is its bill of materials (CycloneDX).",
        facts.parts,
        _origin(facts),
        _scores(facts),
        _groups(facts),
        _limits(facts),
        _training(facts),
        _digests(facts),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(filter(None, parts)) + "\n"


def _head(facts: ModelFacts) -> dict[str, Any]:
    """What programs read. It has no `license`: nobody has said under which one this checkpoint is given away."""
    head: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    head["tags"] = list(facts.tags)
    if facts.base.hub:
        head |= {"base_model": facts.base.name, "base_model_relation": "finetune"}
    if facts.base.knows:
        head["knows"] = facts.base.knows
    results = [_result(facts, split) for split in facts.splits if split.scores]
    if results:
        head["model-index"] = [{"name": facts.name, "results": results}]
    return head


def _result(facts: ModelFacts, split: SplitScores) -> dict[str, Any]:
    return {
        "task": {"type": "image-text-to-text"},
        "dataset": {"name": facts.data.source, "type": facts.data.source, "split": split.split},
        "metrics": [{"type": name, "value": round(value, 4)} for name, value in _headline(split.scores).items()],
    }


def _headline(scores: Mapping[str, float]) -> dict[str, float]:
    """The score, those of the domains, and means: what fits in a table."""
    return {name: value for name, value in scores.items() if name == "score" or name.endswith("/score")}


def _origin(facts: ModelFacts) -> str:
    base, data = facts.base, facts.data
    rows = [
        ("base model", base.name, base.licence),
        *((f"base of {base.name}", str(one.get("name")), _licence_of(one)) for one in _models(base)),
        ("data", f"{data.source}: {data.found}", data.licence),
    ]
    lines = [f"| {what} | {name} | {licence} |" for what, name, licence in rows]
    text = "## Where it comes from\n\n| | | licence |\n|---|---|---|\n" + "\n".join(lines)
    text += "\n\nNobody has stated a licence of this checkpoint; it is bound by those of its base and its data."
    if any(licence == NOT_STATED for _, _, licence in rows):
        text += f" `{NOT_STATED}` is no permission: ask those whose they are (`data.licence` states that of the data)."
    counts = ", ".join(f"{count:,} of {split}" for split, count in data.samples.items())
    text += f"\n\nSamples: {counts}."
    if data.excluded:
        text += f" {data.excluded} scenarios are excluded, because they were to be forgotten."
    return text


def _models(base: BaseModelFacts) -> Iterable[Mapping[str, object]]:
    return (one for one in base.made_of if one.get("type") == "machine-learning-model")


def _licence_of(component: Mapping[str, object]) -> str:
    """The licence that a component of a bill of materials has."""
    listed = component.get("licenses")
    first = listed[0] if isinstance(listed, list) and listed else {}
    found = first.get("license") if isinstance(first, dict) else None
    return str(found.get("id") or found.get("name")) if isinstance(found, dict) else NOT_STATED


def _scores(facts: ModelFacts) -> str:
    if not facts.splits:
        return "## Scores\n\nIt has not been scored."
    blocks = []
    for split in facts.splits:
        lines = [f"| **{facts.name}** | **{_points(split.scores.get('score'))}** |"]
        lines += [f"| {name} | {_points(score)} |" for name, score in split.others.items()]
        blocks.append(f"On `{split.split}`, points:\n\n| | score |\n|---|---|\n" + "\n".join(lines))
        inner = {name: value for name, value in split.scores.items() if name.count("/") == 2 and "/mean/" in name}
        inner |= {name: value for name, value in split.scores.items() if name.startswith("attributes/")}
        if inner:
            rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in inner.items())
            blocks.append(f"| metric | |\n|---|---|\n{rows}")
    return "## Scores\n\n" + "\n\n".join(blocks)


def _points(score: float | None) -> str:
    return "not scored" if score is None else f"{score:.1f}"


def _groups(facts: ModelFacts) -> str:
    blocks = []
    for split in facts.splits:
        if not split.groups:
            continue
        rows = "\n".join(map(_group_row, split.groups))
        blocks.append(
            f"Of the segments of `{split.split}` whose reference states the group: the mean score of a segment in "
            "points, and how much of what the reference states otherwise is said.\n\n"
            f"| group | | segments | scenarios | points | right |\n|---|---|---|---|---|---|\n{rows}"
        )
    return "## By group\n\n" + "\n\n".join(blocks) if blocks else ""


def _group_row(one: GroupScore) -> str:
    scenarios = f"{one.scenarios}{' (few)' if one.scenarios < FEW else ''}"
    cells = (one.attribute, one.value, one.segments, scenarios, f"{one.points:.1f}", _share(one.right, one.stated))
    return f"| {' | '.join(map(str, cells))} |"


def _share(right: int, stated: int) -> str:
    return f"{100 * right / stated:.0f} %" if stated else "nothing stated"


def _limits(facts: ModelFacts) -> str:
    lines = ["It was judged on data of the kind that it was tuned on, and on nothing else."]
    if facts.base.knows:
        lines.append(f"Its base says that it knows {facts.base.knows.rstrip('.')}.")
    if any(split.groups for split in facts.splits):
        lines.append(f"A group of fewer than {FEW} scenarios says little.")
    lines.append(
        "What it says of a person (age, sex, height) is a guess from pixels. It is no evidence of who was at fault, "
        "and nothing should be decided about a person by it alone."
    )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _training(facts: ModelFacts) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.training.items())
    settings = "\n".join(f"{name}: {value}" for name, value in facts.settings.items())
    return (
        f"## Training\n\n| | |\n|---|---|\n{rows}\n\n<details><summary>Settings that decide the results</summary>\n\n"
        f"```\n{settings}\n```\n\n</details>"
    )


def _digests(facts: ModelFacts) -> str:
    named: Sequence[tuple[str, str]] = [
        *facts.digests.items(),
        *((f"{facts.base.name}: {name}", digest) for name, digest in facts.base.digests.items()),
        *((f"samples: {name}", digest) for name, digest in facts.data.digests.items()),
    ]
    rows = "\n".join(f"| {name} | `{digest}` |" for name, digest in named)
    return f"## Digests\n\nSHA-256 of files.\n\n| | |\n|---|---|\n{rows}"
