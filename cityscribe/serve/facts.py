"""The facts of a phase as a table: which there are, how a model is asked for them, and the JSON that it may answer.

The question goes behind the descriptions of the phase, in the same conversation, and the answer is constrained to the
schema: a field is there exactly once and has one of its values. That it is well-formed does not make it true.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cityscribe.engine.grammars import json_schema

UNKNOWN = "unknown"
"""The last value of every field, for what the images do not show."""

FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "pedestrian": {
        "sex": ("male", "female"),
        "age": ("child", "20s", "30s", "40s", "50s", "60s or older"),
        "position": ("in front of the vehicle", "left of the vehicle", "right of the vehicle", "behind the vehicle"),
        "distance": ("near", "medium", "far"),
        "gaze": ("vehicle", "way ahead", "elsewhere"),
        "awareness": ("aware of the vehicle", "unaware of the vehicle"),
        "motion": ("standing", "walking", "running", "falling"),
        "course": ("crossing", "along the road", "none"),
    },
    "vehicle": {
        "motion": ("stopped", "straight ahead", "turning left", "turning right", "reversing"),
        "speed": ("standing", "slow", "moderate", "fast"),
        "pedestrian in view": ("yes", "no"),
    },
    "scene": {
        "weather": ("clear", "cloudy", "rain", "snow"),
        "light": ("bright", "dim", "dark"),
        "surface": ("dry", "wet", "snowy"),
        "road": ("main road", "residential road", "intersection", "parking lot"),
        "traffic": ("light", "usual", "heavy"),
        "sidewalk": ("both sides", "one side", "none"),
    },
}
"""Subject -> field -> values, without UNKNOWN."""


def facts_schema() -> dict[str, object]:
    """The JSON schema of the facts."""
    subjects = {
        subject: _object({field: {"type": "string", "enum": [*values, UNKNOWN]} for field, values in fields.items()})
        for subject, fields in FIELDS.items()
    }
    return _object(subjects)


def facts_grammar() -> str:
    """The same for the engine."""
    return json_schema(facts_schema())


def facts_question() -> str:
    """What the model is asked."""
    lines = [
        f"{subject}: " + "; ".join(f"{field} ({', '.join(values)})" for field, values in fields.items())
        for subject, fields in FIELDS.items()
    ]
    head = f"State these facts of the images as JSON. A value is one of those in brackets, or {UNKNOWN}."
    return "\n".join([head, *lines])


def most_tokens() -> int:
    """More tokens than any of the answers takes, since none is shorter than a byte; the end counts."""
    longest = {
        subject: {field: max([*values, UNKNOWN], key=len) for field, values in fields.items()}
        for subject, fields in FIELDS.items()
    }
    return len(json.dumps(longest)) + 1


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
