from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cityscribe.evaluate.coco.corpus import METRICS, score_corpus
from cityscribe.evaluate.coco.original import original_tokens
from cityscribe.evaluate.coco.tokens import caption_tokens
from cityscribe.evaluate.registries import PROFILES
from cityscribe.files import InputError
from tests.evaluate.coco.pairs import BREAKS, caption_pairs, needs_data, needs_java

pytestmark = needs_data
PAIRS = 400


@needs_java
def test_every_number_is_the_originals_on_four_hundred_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One corpus, because the original takes seconds to start: pairs, then several references and odd characters."""
    pairs = caption_pairs(PAIRS + 60)
    predictions = [text for text, _ in pairs]
    references = [[text] for _, text in pairs]
    for number in range(PAIRS, PAIRS + 60):
        predictions[number] += f"{BREAKS[number % len(BREAKS)]}x"
        references[number] += [pairs[number - 1][1], pairs[number - 2][0]][: number % 3]
    predictions[7] = ""
    monkeypatch.setenv("LC_ALL", "it_IT.UTF-8")  # where a comma separates decimals
    expected = score_corpus(predictions, references, "java")
    found = score_corpus(predictions, references)
    assert found.corpus == pytest.approx(expected.corpus, abs=1e-9, rel=0)
    for metric in METRICS:
        ours, theirs = ([caption[metric] for caption in scores.captions] for scores in (found, expected))
        assert ours == pytest.approx(theirs, abs=1e-9, rel=0)


@pytest.mark.parametrize("end", BREAKS)
def test_a_line_end_within_a_caption_shifts_no_other(end: str) -> None:
    captions = ["a car", "a red car waits", "the third"]
    broken = ["a car", f"a red{end}car waits", "the third"]
    references = [[caption] for caption in captions]
    assert score_corpus(broken, references) == score_corpus(captions, references)


def segment(label: str, pedestrian: str, vehicle: str) -> dict[str, Any]:
    return {"labels": [label], "caption_pedestrian": pedestrian, "caption_vehicle": vehicle}


def write_case(root: Path, predictions: dict[str, Any]) -> tuple[Path, Path]:
    """Two scenarios of two phases each, with captions of the synthetic city."""
    texts = iter([reference for _, reference in caption_pairs(8, seed=2)])
    for name in ("20230001", "20230002"):
        file = root / "data" / "annotations" / "caption" / "val" / f"{name}_caption.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        phases = [segment(label, next(texts), next(texts)) for label in "01"]
        file.write_text(json.dumps({"event_phase": phases}), encoding="utf-8")
        predictions.setdefault(name, phases)
    (root / "predictions.json").write_text(json.dumps(predictions), encoding="utf-8")
    return root / "data", root / "predictions.json"


def test_the_references_themselves_score_full_marks(tmp_path: Path) -> None:
    scores = PROFILES["coco"].captions(*write_case(tmp_path, {}))
    mean = scores.total["internal"]["mean"]
    assert set(mean) == set(METRICS)
    assert [mean[metric] for metric in METRICS] == pytest.approx([1, 1, 1, 1, 1, 1, 10], abs=1e-6)
    assert scores.total["score"] == pytest.approx(100, abs=1e-4)
    assert len(scores.segments) == 8


def test_a_missing_prediction_counts_as_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    score = PROFILES["coco"].captions
    missing = score(*write_case(tmp_path / "a", {"20230001": []}))
    empty = PROFILES["coco"].captions(
        *write_case(tmp_path / "b", {"20230001": [segment("0", "", ""), segment("1", "", "")]})
    )
    assert missing.total == empty.total
    assert missing.total["score"] < 60
    assert len(missing.segments) == 4
    assert any("without prediction" in warning for warning in missing.warnings)


def test_the_scores_say_what_made_them(tmp_path: Path) -> None:
    made_by = PROFILES["coco"].captions(*write_case(tmp_path, {})).provenance
    assert made_by["profile"] == "coco"
    assert {"backend", "tokenizer", "stemmer", "wordnet", "pycocoevalcap", "cityscribe", "numpy", "python"} <= set(
        made_by
    )
    hashes = {name: value for name, value in made_by.items() if name.endswith("sha256")}
    assert set(hashes) == {
        *("meteor_jar_sha256", "paraphrases_sha256", "references_sha256", "predictions_sha256"),
    }
    assert all(len(value) == 64 for value in hashes.values())


def test_what_belongs_to_another_profile_is_refused(tmp_path: Path) -> None:
    files = write_case(tmp_path, {})
    with pytest.raises(InputError, match="official_quirks"):
        PROFILES["coco"].captions(*files, official_quirks=True)
    with pytest.raises(InputError, match="one backend"):
        PROFILES["wts"].captions(*files, backend="java")


@pytest.mark.parametrize("backend", ["python", "java"])
def test_without_the_data_or_java_there_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    files = write_case(tmp_path, {})
    if backend == "python":
        monkeypatch.setattr("cityscribe.evaluate.coco.lexicon.find_spec", lambda name: None)
        wanted = r"cityscribe\[coco\]"
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
        wanted = "java"
    with pytest.raises(InputError, match=wanted):
        PROFILES["coco"].captions(*files, backend=backend)


@needs_java
def test_tokens_of_the_original_keep_their_captions() -> None:
    captions = [f"caption{end}{number}" for number, end in enumerate(BREAKS)]
    assert original_tokens(captions) == list(map(caption_tokens, captions))
