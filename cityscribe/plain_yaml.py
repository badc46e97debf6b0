"""YAML that people write, as plain values: within limits, and with one clear message for what cannot be used.

    values = read_yaml(path)

Aliases are expanded at most to `MAX_VALUES` values and never in a circle; an integer has at most `MAX_DIGITS` digits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cityscribe.files import InputError

MAX_VALUES = 1_000_000
"""Of a file with its aliases expanded."""

MAX_DIGITS = 1000
"""Of an integer. Python refuses to write out those of several thousand digits."""

ODD = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What the constructors of PyYAML raise for a scalar that looks like a date or a number and is none."""


class YamlError(InputError):
    """A text that is no YAML within the limits."""

    def __init__(self, origin: str, place: str, problem: str) -> None:
        super().__init__(f"{origin}{f': {place}' if place else ''}: not YAML: {problem}")
        self.place = place  # such as "line 3", empty where it is not known
        self.problem = problem


class _Loader(yaml.SafeLoader):
    """`SafeLoader`, but a scalar that cannot be what it looks like is an error with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except ODD as error:
            why = "the number is too long" if len(node.value) > MAX_DIGITS else f"{shown(node.value)}: {error}"
            raise yaml.MarkedYAMLError(problem=why, problem_mark=node.start_mark) from error
        if isinstance(value, int) and value.bit_length() > MAX_DIGITS * 3.33:
            raise yaml.MarkedYAMLError(problem="the number is too long", problem_mark=node.start_mark)
        return value


def read_yaml(path: Path) -> Any:
    """The values of a file; None where it is empty. Raises InputError with the file and the line."""
    return read_yaml_with_lines(path)[0]


def read_yaml_with_lines(path: Path) -> tuple[Any, dict[tuple[str, ...], int]]:
    """The values of a file, and the line of each key by its place, such as `("train", "lr")`.

    Raises InputError with the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, origin: str) -> tuple[Any, dict[tuple[str, ...], int]]:
    """As `read_yaml_with_lines`, of a text; `origin` is what messages call it. Raises YamlError, an InputError."""
    try:
        loader = _Loader(text)
        try:
            tree = loader.get_single_node()
            if tree is None:
                return None, {}
            _expanded(tree, {}, set())
            return loader.construct_document(tree), dict(_lines(tree))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise YamlError(origin, place, str(error.problem)) from error
    except yaml.YAMLError as error:
        raise YamlError(origin, "", " ".join(str(error).split())) from error
    except RecursionError as error:
        raise YamlError(origin, "", "nested too deeply") from error


def shown(value: object) -> str:
    """A value as messages show it: short, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse_twins(node: yaml.MappingNode) -> None:
    """Raises MarkedYAMLError for a key that is given twice: of two values one would be passed over in silence."""
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        name = (key.tag, key.value)
        if name in first:
            problem = f"{shown(key.value)} is given twice, first in line {first[name]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        first[name] = key.start_mark.line + 1


def _expanded(node: yaml.Node, sizes: dict[int, int], open_nodes: set[int]) -> int:
    """How many values a node holds once its aliases are expanded. Raises MarkedYAMLError for too many, or a circle."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in open_nodes:
        raise yaml.MarkedYAMLError(problem="an alias stands inside of what it names", problem_mark=node.start_mark)
    open_nodes.add(id(node))
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _refuse_twins(node)
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    size = 1 + sum(_expanded(part, sizes, open_nodes) for part in inner)
    if size > MAX_VALUES:
        raise yaml.MarkedYAMLError(
            problem=f"its aliases stand for more than {MAX_VALUES:,} values", problem_mark=node.start_mark
        )
    open_nodes.remove(id(node))
    sizes[id(node)] = size
    return size


def _lines(tree: yaml.Node, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    if isinstance(tree, yaml.MappingNode):
        for key, value in tree.value:
            here = (*place, str(key.value))
            found[here] = key.start_mark.line + 1
            found |= _lines(value, here)
    return found
