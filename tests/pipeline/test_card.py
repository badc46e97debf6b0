"""The model card and the bill of materials of a checkpoint: valid, true, the same for equal runs, and no part of what a
model is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.schema._res import SPDX_JSON
from cyclonedx.validation.json import JsonStrictValidator

from cityscribe.cards.bom import bill_of_materials
from cityscribe.cards.card import card_of
from cityscribe.cards.facts import DataFacts, ModelFacts, base_facts
from cityscribe.cards.licences import NOT_STATED, SPDX, normalised
from cityscribe.digest_store import DigestStore
from cityscribe.files import read_json
from cityscribe.models.card_files import BOM, CARD
from cityscribe.models.vlm.card import parts_of
from cityscribe.pipeline import Plan
from cityscribe.project import Settings, resolve
from tests.models.vlm.composed import parts
from tests.models.vlm.composed import tiny as tiny_composed
from tests.pipeline.running import run_stages, settings_of


def _invalid(text: str) -> str:
    """What the schema has against a bill of materials; the whole message holds the schema."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if error is None else str(error)[:500]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def copy(finished: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(finished.run_dir, tmp_path / finished.name)
    return resolve({**finished.model_dump(mode="json"), "runs": str(tmp_path)})


def test_the_bill_of_materials_keeps_its_schema(finished: Settings) -> None:
    text = (finished.run_dir / "model" / BOM).read_text("utf-8")
    assert _invalid(text) == ""
    broken = json.loads(text)
    broken["components"][0]["licenses"] = [{"license": {"id": "Not-A-Licence"}}]
    assert "Not-A-Licence" in _invalid(json.dumps(broken))


def test_licences_are_ids_of_the_spdx_list_or_words() -> None:
    assert set(SPDX) <= set(read_json(Path(SPDX_JSON))["enum"])
    assert [normalised(one) for one in ("apache-2.0", "CC BY-NC-SA 4.0", "gpl-3.0", "mit")] == [
        *("Apache-2.0", "CC-BY-NC-SA-4.0", "GPL-3.0-only", "MIT")
    ]
    assert normalised("  Terms of\n a homepage ") == "Terms of a homepage"
    assert normalised("") == normalised("unknown") == NOT_STATED


def test_what_they_tell_is_what_there_is(finished: Settings, tiny: Callable[[str], Path]) -> None:
    run, base = finished.run_dir, tiny("llava")
    bill = read_json(run / "model" / BOM)
    model = bill["metadata"]["component"]
    files = {file["name"]: file["hashes"][0]["content"] for file in model["components"]}
    assert files == {"model.safetensors": _sha256(run / "model" / "model.safetensors")}
    by_ref = {one["bom-ref"]: one for one in bill["components"]}
    assert by_ref["base"]["components"][0]["hashes"][0]["content"] == _sha256(base / "model.safetensors")
    samples = {file["name"]: file["hashes"][0]["content"] for file in by_ref["data"]["components"]}
    assert samples["train.parquet"] == _sha256(run / "prepared" / "train.parquet")
    measured = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    metrics = {(one["type"], one["slice"]): one["value"] for one in measured}
    scores = read_json(run / "scores.json")
    assert float(metrics["score", "val"]) == scores["score"]
    settings = {one["name"]: one["value"] for one in model["properties"]}
    assert settings["cityscribe:settings:train.epochs"] == "2.0"
    assert "cityscribe:settings:train.save_steps" not in settings, "it changes nothing in the result"
    card = (run / "model" / CARD).read_text("utf-8")
    results = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"]
    assert results[0]["metrics"][-1] == {"type": "score", "value": pytest.approx(scores["score"], abs=1e-4)}
    assert f"| **small** | **{scores['score']:.1f}** |" in card
    assert "| majority |" in card
    assert "| data | wts: " in card
    for text in (card, json.dumps(bill)):
        assert str(base) not in text
        assert str(finished.data.path) not in text


def test_groups_are_counted_by_hand(finished: Settings) -> None:
    found = read_json(finished.run_dir / "attributes.json")["segments"]
    women = [one for one in found.values() if one["stated"].get("sex") == "female"]
    card = (finished.run_dir / "model" / CARD).read_text("utf-8")
    row = next((line for line in card.splitlines() if line.startswith("| sex | female |")), "")
    assert bool(row) == bool(women)
    scenarios = {key.split("/")[0] for key, one in found.items() if one["stated"].get("sex") == "female"}
    assert not women or row.startswith(f"| sex | female | {len(women)} | {len(scenarios)} (few) |")
    assert {"light", "weather"} <= {line.split(" | ")[0].strip("| ") for line in card.splitlines() if "(few)" in line}


def test_a_card_that_is_made_again_has_the_same_bytes(copy: Settings, finished: Settings) -> None:
    for name in (CARD, BOM):
        (copy.run_dir / "model" / name).unlink()
    assert run_stages(copy, "card") == ["card"]
    for name in (CARD, BOM):
        assert (copy.run_dir / "model" / name).read_bytes() == (finished.run_dir / "model" / name).read_bytes()


def test_a_licence_that_is_stated_changes_the_card_and_nothing_else(copy: Settings) -> None:
    assert f"| {NOT_STATED} |" in (copy.run_dir / "model" / CARD).read_text("utf-8")
    values = copy.model_dump(mode="json")
    stated = resolve({**values, "data": {**values["data"], "licence": "cc-by-4.0"}})
    assert run_stages(stated) == ["card"]
    data = next(one for one in read_json(copy.run_dir / "model" / BOM)["components"] if one["bom-ref"] == "data")
    assert data["licenses"] == [{"license": {"id": "CC-BY-4.0", "acknowledgement": "declared"}}]


def test_a_run_on_a_tuned_model_does_not_ask_what_is_said_of_it(copy: Settings, city: Path, tmp_path: Path) -> None:
    other = settings_of(city, copy.run_dir / "model", tmp_path / "others")
    before = Plan.of(other).made_from
    (copy.run_dir / "model" / CARD).write_text("---\nknows: one street\nlicense: mit\n---\n")
    assert Plan.of(other).made_from == before


def test_a_bill_names_the_whole_line_of_a_model(copy: Settings, tmp_path: Path) -> None:
    (copy.run_dir / "model" / CARD).write_text("---\nknows: one street\nlicense: mit\n---\n")
    base = base_facts(str(copy.run_dir / "model"), DigestStore(tmp_path / "store", "sha256"))
    facts = ModelFacts(
        "later", "Llava", "llava", "lora", base, DataFacts("clips", "2 clips", "MIT", {}, {}), {}, {}, {}, ()
    )
    bill = bill_of_materials(facts)
    assert _invalid(json.dumps(bill)) == ""
    by_ref = {one["bom-ref"]: one for one in bill["components"]}
    assert by_ref["base"]["name"] == "small/model"
    assert by_ref["base"]["licenses"] == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert by_ref["base/base"]["name"] == Path(copy.model.base).name
    assert by_ref["base/data"]["name"] == "wts"
    assert "| base of small/model | llava | not stated |" in card_of(facts)
    assert yaml.safe_load(card_of(facts).split("---\n")[1])["knows"] == "one street"


def test_a_model_of_parts_has_one_card(tmp_path: Path) -> None:
    model, _ = tiny_composed(parts())
    model.save_pretrained(tmp_path)
    told = (tmp_path / CARD).read_text("utf-8")
    assert parts_of(tmp_path).removeprefix("## Parts\n\n") in told
    assert "| connector |" in parts_of(tmp_path)
