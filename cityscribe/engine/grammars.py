"""Grammars for structured output, checked before anything is asked. Importing it needs no library of models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cityscribe.files import InputError

FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as Python writes it: a small model that may put white space anywhere puts it everywhere."""


def library() -> Any:
    """llguidance. Raises InputError where it is not installed."""
    try:
        import llguidance
    except ImportError as error:
        raise InputError("constrained answers need one more package: pip install 'cityscribe[serve]'") from error
    return llguidance


def json_schema(schema: Mapping[str, Any]) -> str:
    """The grammar of the JSON values that a JSON schema describes.

    Raises InputError with the reason for one that cannot be compiled: what is not known is never passed over.
    """
    matcher = library().LLMatcher
    own = {key: value for key, value in schema.items() if key != "x-guidance"}
    return _checked(matcher.grammar_from_json_schema(json.dumps(own), overrides=FORM), "the schema")


def one_of(texts: Sequence[str]) -> str:
    """The grammar of exactly these texts. Raises InputError where there are none, or an empty one."""
    if not texts or not all(texts):
        raise InputError("the options: expected one or more texts that are not empty")
    listed = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return _checked(library().LLMatcher.grammar_from_lark(f"start: {listed}"), "the options")


def _checked(grammar: str, name: str) -> str:
    problem = library().LLMatcher.validate_grammar(grammar)
    if problem and not problem.startswith("WARNING"):
        raise InputError(f"{name} cannot be compiled: {' '.join(problem.split())[:500]}")
    return grammar
