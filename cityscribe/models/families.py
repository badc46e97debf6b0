"""What works with the families of image-text-to-text models that transformers maps.

The list is made by `make test-families`, which builds a tiny model of each and runs everything. A model of another type
is loaded as well, and checked at run time, as each model is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from importlib import resources
from typing import Literal

from cityscribe.registry import Registry

Trees = Literal["exact", "row by row", "refused"]
Answers = Literal["shared", "one by one", "refused"]
ExactOrRefused = Literal["exact", "refused"]


@dataclass(frozen=True, slots=True)
class Family:
    """What was found with the tiny model of one family."""

    trees: Trees  # training on prefix trees; else each sample in a row of its own
    answers: Answers  # on shared prefixes; else by `generate`, one conversation at a time
    blocks: ExactOrRefused  # block expansion
    adapters: ExactOrRefused  # LoRA and its kin
    why: str = ""  # where something is not as good as it could be
    needs: str = ""  # packages beyond those of cityscribe

    def summary(self) -> str:
        """One line without a full stop."""
        needs = f"; needs {self.needs}" if self.needs else ""
        return f"trees: {self.trees}; answers: {self.answers}; blocks: {self.blocks}; adapters: {self.adapters}{needs}"


def read_families() -> dict[str, Family]:
    """The list, by model types."""
    text = (resources.files("cityscribe.models") / "families.json").read_text(encoding="utf-8")
    known = {field.name for field in fields(Family)}
    return {
        name: Family(**{key: value for key, value in found.items() if key in known})
        for name, found in json.loads(text).items()
    }


def families_text(found: dict[str, Family]) -> str:
    """What `families.json` holds."""
    rows = {name: {key: value for key, value in asdict(found[name]).items() if value} for name in sorted(found)}
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


FAMILIES: Registry[Family] = Registry("family", "types of models that transformers maps, and what works with each")
for _name, _family in read_families().items():
    FAMILIES.add(_name, _family, _family.summary())
