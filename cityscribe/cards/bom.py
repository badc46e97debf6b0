"""The bill of materials of a checkpoint in CycloneDX 1.6 (ECMA-424): a machine-learning model, and what it is made of.

The base and the data are components with their licences and digests; where the base is the model of another run, what
its own bill names comes along, so that the whole line of a model is in the last of its bills.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from cityscribe.cards.facts import BaseModelFacts, DataFacts, ModelFacts
from cityscribe.cards.licences import NOT_STATED, is_spdx

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""That of addresses (RFC 9562, section 6.6)."""

MODEL, BASE, DATA = "model", "base", "data"
"""How components refer to each other within a bill."""


def bill_of_materials(facts: ModelFacts) -> dict[str, Any]:
    """The bill as JSON. Its serial number is made of its content: equal bills have equal ones."""
    inherited = _inherited(facts.base)
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "cityscribe", "version": facts.version}]},
            "component": _model(facts),
        },
        "components": [_base(facts.base), _data(facts.data), *inherited],
        "dependencies": [
            {"ref": MODEL, "dependsOn": [BASE, DATA]},
            *([{"ref": BASE, "dependsOn": [str(one["bom-ref"]) for one in inherited]}] if inherited else []),
        ],
    }
    content = json.dumps(bill, sort_keys=True)
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}"}


def _model(facts: ModelFacts) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": facts.name,
        "description": f"tuned from {facts.base.name} by {facts.method}",
        "components": [_file(name, digest) for name, digest in facts.digests.items()],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "image-text-to-text",
                "architectureFamily": facts.family,
                "modelArchitecture": facts.architecture,
                "datasets": [{"ref": DATA}],
                "inputs": [{"format": "image"}, {"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": list(_metrics(facts))},
            "considerations": {
                "technicalLimitations": [
                    *([f"The base knows {facts.base.knows}"] if facts.base.knows else []),
                    "Judged on data of the kind that it was tuned on, and on nothing else",
                ],
                "ethicalConsiderations": [
                    {
                        "name": "What it says of a person (age, sex, height) is a guess from pixels",
                        "mitigationStrategy": "Scores by group stand in the model card; decide nothing by it alone",
                    }
                ],
            },
        },
        "properties": _properties("cityscribe:training", facts.training)
        + _properties("cityscribe:settings", facts.settings),
    }


def _metrics(facts: ModelFacts) -> Iterator[dict[str, Any]]:
    for split in facts.splits:
        yield from ({"type": name, "value": repr(value), "slice": split.split} for name, value in split.scores.items())
        for one in split.groups:
            part = f"{split.split}, {one.attribute}: {one.value} ({one.segments} segments of {one.scenarios} scenarios)"
            yield {"type": "score of a segment", "value": repr(one.points), "slice": part}
            if one.stated:
                yield {"type": "stated attributes right", "value": repr(one.right / one.stated), "slice": part}


def _base(base: BaseModelFacts) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": BASE,
        "name": base.name,
        **_licensed(base.licence),
        "components": [_file(name, digest) for name, digest in base.digests.items()],
        **(
            {"externalReferences": [{"type": "distribution", "url": f"https://huggingface.co/{base.name}"}]}
            if base.hub
            else {}
        ),
    }


def _data(data: DataFacts) -> dict[str, Any]:
    counts = {f"samples of {split}": str(count) for split, count in data.samples.items()}
    if data.excluded:
        counts["excluded scenarios"] = str(data.excluded)
    return {
        "type": "data",
        "bom-ref": DATA,
        "name": data.source,
        **_licensed(data.licence),
        "data": [{"type": "dataset", "name": data.source, "description": data.found}],
        "components": [_file(name, digest) for name, digest in data.digests.items()],
        "properties": _properties("cityscribe:data", counts),
    }


def _inherited(base: BaseModelFacts) -> list[dict[str, Any]]:
    """What the bill of the base names, under references that are not taken."""
    return [{**one, "bom-ref": f"{BASE}/{one.get('bom-ref', number)}"} for number, one in enumerate(base.made_of)]


def _licensed(licence: str) -> dict[str, Any]:
    """The field `licenses`, which is not there where nobody has stated any. What is stated is declared, not proved."""
    if licence == NOT_STATED:
        return {}
    named = {"id": licence} if is_spdx(licence) else {"name": licence}
    return {"licenses": [{"license": {**named, "acknowledgement": "declared"}}]}


def _file(name: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _properties(prefix: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{prefix}:{name}", "value": value} for name, value in values.items()]
