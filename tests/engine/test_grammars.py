"""What a grammar allows is said and nothing else; what cannot be compiled is refused with the reason."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.engine.constrain import Guides
from cityscribe.engine.grammars import json_schema, one_of
from cityscribe.files import InputError
from cityscribe.models.load import load_processor


@pytest.fixture(scope="module")
def guides(tiny: Callable[[str], Path]) -> tuple[Guides, Any]:
    processor = load_processor(tiny("llava"))
    return Guides(processor, [processor.tokenizer.eos_token_id]), processor.tokenizer


def say(guides: tuple[Guides, Any], grammar: str, draw: random.Random) -> str:
    """A random text of a grammar, token by token."""
    begun, tokenizer = guides
    guide, said = begun.begin(grammar), []
    while True:
        allowed = guide.allowed(len(tokenizer) + 7)
        assert allowed is not None
        token = draw.choice(allowed.nonzero().flatten().tolist())
        if token == tokenizer.eos_token_id:
            return str(tokenizer.decode(said))
        said.append(token)
        guide.take(token)


@settings(max_examples=20)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1), min_size=1), st.randoms())
def test_one_of_some_texts_is_said(guides: tuple[Guides, Any], texts: list[str], draw: random.Random) -> None:
    assert say(guides, one_of(texts), draw) in texts


def test_json_that_fits_its_schema_is_said(guides: tuple[Guides, Any]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "speed": {"type": "integer", "minimum": 0, "maximum": 99},
            "colours": {"type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 1, "maxItems": 2},
        },
        "required": ["speed", "colours"],
        "additionalProperties": False,
    }
    said = [say(guides, json_schema(schema), random.Random(seed)) for seed in range(20)]
    assert len(set(said)) > 10
    for text in said:
        value = json.loads(text)
        assert json.dumps(value) == text
        assert 0 <= value["speed"] <= 99
        assert 1 <= len(value["colours"]) <= 2
        assert set(value["colours"]) <= {"red", "blue"}


def test_what_must_come_next_is_proposed(guides: tuple[Guides, Any]) -> None:
    begun, tokenizer = guides
    guide = begun.begin(json_schema({"type": "object", "properties": {"w": {"enum": ["a", "b"]}}, "required": ["w"]}))
    assert tokenizer.decode(guide.forced(50)) == '{"w": "'
    assert len(guide.forced(2)) == 2
    assert guide.forced(0) == []


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"not": {"type": "string"}}, "not"),
        ({"enum": []}, "empty"),
        ({"$ref": "http://example.org/a.json"}, "example.org"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"not": {}, "x-guidance": {"lenient": True}}, "not"),
    ],
    ids=["type", "unknown", "nothing", "remote", "pattern", "lenient"],
)
def test_a_schema_that_cannot_be_compiled_is_refused_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        json_schema(schema)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("texts", [[], ["a", ""]], ids=["none", "empty"])
def test_no_options_are_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="not empty"):
        one_of(texts)


def test_a_grammar_that_nothing_fits_is_refused(guides: tuple[Guides, Any]) -> None:
    with pytest.raises(InputError, match="cannot be followed"):
        guides[0].begin("start: /(")
