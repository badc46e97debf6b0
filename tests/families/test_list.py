"""The list of families is what is found by running a tiny model of each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from cityscribe.models.families import FAMILIES, families_text, read_families
from cityscribe.models.parts import connector, vision_tower
from tests.families import builders

ASKED_FOR = os.environ.get("CITYSCRIBE_FAMILIES")
DOCS = Path(__file__).parents[2] / "docs" / "models.md"
WITHOUT_PARTS = ("emu3",)  # its images are tokens of a vocabulary
HEAD = (
    "| `model_type` | training on trees | answers on shared prefixes | blocks | adapters | why, and what it needs |\n"
    "|---|---|---|---|---|---|\n"
)


def families_table() -> str:
    rows = []
    for name, family in read_families().items():
        why = "; ".join(part for part in (family.needs and f"needs {family.needs}", family.why) if part)
        rows.append(f"| `{name}` | {family.trees} | {family.answers} | {family.blocks} | {family.adapters} | {why} |")
    return HEAD + "\n".join(rows) + "\n"


def test_the_docs_have_the_list() -> None:
    table = families_table()
    assert table in DOCS.read_text(encoding="utf-8"), f"put this into {DOCS.name}:\n{table}"


def test_the_list_names_types_that_transformers_maps_and_reads_back_as_it_is_written() -> None:
    found = read_families()
    types = {name.partition("+")[0] for name in found}
    assert types <= set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    text = families_text(found)
    assert text == families_text({name: FAMILIES[name] for name in FAMILIES})
    assert len(types) >= 35


@pytest.mark.skipif(not ASKED_FOR, reason="minutes; make test-families")
@pytest.mark.parametrize("name", sorted(read_families()))
def test_what_is_found_is_what_the_list_says(name: str, tmp_path: Path) -> None:
    from tests.families.verdict import verdict

    known = builders()
    if name not in known:
        pytest.skip("needs torchvision")
    made = known[name]()
    assert vision_tower(made[0]) is not None or name in WITHOUT_PARTS
    assert connector(made[0]) or name in WITHOUT_PARTS
    found, listed = verdict(name, made, tmp_path), FAMILIES[name]
    what = ("trees", "answers", "blocks", "adapters")
    assert [getattr(found, each) for each in what] == [getattr(listed, each) for each in what]
