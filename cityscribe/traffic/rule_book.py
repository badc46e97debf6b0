"""A book of rules about traffic: what cannot be true together, checked on what an answer says.

- when: {vehicle_action: [stopped]}           # an attribute of the reader, with the values that make the rule apply
  never: {vehicle_speed: ["[1-9].*km/h"]}     # and what then cannot be: regular expressions over whole values
  because: "what has stopped has no speed"

Symbols of a field and the order in which they follow from each other (a signal, who has the right of way, what may be
done) are attributes and rules: an answer, or the answers of a conversation together, breaks a rule or does not (Sun et
al. 2024, Dr-LLaVA, use such a book for clinical reasoning).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cityscribe.files import InputError
from cityscribe.plain_yaml import read_yaml
from cityscribe.traffic.metrics.attributes import attributes

CITY_RULES = Path(__file__).with_name("rules.yaml")

Conditions = dict[str, tuple[str, ...]]
"""Attribute -> values, as regular expressions, one of which a value matches as a whole."""


class Rule(BaseModel):
    """What cannot be said together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: Conditions
    never: Conditions
    because: str

    def is_broken(self, said: Mapping[str, str]) -> bool:
        """Whether attributes that are said, by name, hold all of `when` and one of `never`."""
        return all(_holds(said, name, values) for name, values in self.when.items()) and any(
            _holds(said, name, values) for name, values in self.never.items()
        )


def read_rules(file: Path | None = None) -> tuple[Rule, ...]:
    """The rules of a file, or those of the city. Raises InputError with the file and the place."""
    return _read(file or CITY_RULES)


@lru_cache(maxsize=8)
def _read(file: Path) -> tuple[Rule, ...]:
    try:
        rules = TypeAdapter(tuple[Rule, ...]).validate_python(read_yaml(file))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}") from error
    for number, rule in enumerate(rules):
        for name, values in (*rule.when.items(), *rule.never.items()):
            if name not in attributes():
                raise InputError(f"{file}: {number}: {name} is no attribute that is read ({', '.join(attributes())})")
            for value in values:
                try:
                    re.compile(value)
                except re.error as error:
                    raise InputError(f"{file}: {number}: {name}: `{value}` is no pattern: {error}") from error
    return rules


def violations(said: Mapping[str, str], rules: Sequence[Rule]) -> list[str]:
    """Why what is said cannot be, one reason a broken rule."""
    return [rule.because for rule in rules if rule.is_broken(said)]


def _holds(said: Mapping[str, str], name: str, values: Sequence[str]) -> bool:
    return name in said and any(re.fullmatch(value, said[name]) is not None for value in values)
