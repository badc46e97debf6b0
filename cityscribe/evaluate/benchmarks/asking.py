"""How a question of a benchmark is put to a model: its words, its options and the form of answer that is asked for."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cityscribe.evaluate.benchmarks.question import LETTERS, BenchmarkQuestion
from cityscribe.files import InputError
from cityscribe.plain_yaml import parse_yaml, read_yaml


def read_prompts(path: Path | None = None) -> dict[str, str]:
    """The prompts by name: ours, and in their place those of a YAML file. Raises InputError."""
    ours = (resources.files(__package__) / "prompts.yaml").read_text("utf-8")
    prompts: dict[str, str] = dict(parse_yaml(ours, "prompts.yaml")[0])
    if path is None:
        return prompts
    try:
        given = TypeAdapter(dict[str, str]).validate_python(read_yaml(path))
    except ValidationError as error:
        raise InputError(f"{path}: expected YAML with {', '.join(prompts)}: {error}") from error
    for name, text in given.items():
        if name not in prompts:
            raise InputError(f"{path}: {name}: no such prompt; there are {', '.join(prompts)}")
        for part in ("{question}", "{options}") if name.startswith("choice") else ("{question}",):
            if part not in text:
                raise InputError(f"{path}: {name}: does not hold {part}")
    return prompts | given


def asked(question: BenchmarkQuestion, prompt: str) -> str:
    """The text that a model gets."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=False))
    # One after the other would put options into a question that holds the mark itself.
    before, _, after = prompt.partition("{question}")
    return before.replace("{options}", listed) + question.text + after.replace("{options}", listed)
