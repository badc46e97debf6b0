from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.evaluate.caption_metrics import score_caption
from cityscribe.evaluate.registries import POINTS, PROFILES
from cityscribe.files import InputError
from cityscribe.traffic.metrics.caption_scores import CaptionScores
from cityscribe.traffic.metrics.wts import evaluate_wts
from cityscribe.traffic.scenario import PHASES, ROLES
from tests.evaluate.strategies import captions

CASE = Path(__file__).parents[2] / "conformance" / "wts-score"
EXPECTED = json.loads((CASE / "expected.json").read_text(encoding="utf-8"))
CAPTION = "The pedestrian crosses the road in front of the car."
OTHER = "A vehicle waits on the left."


def segment(label: Any, pedestrian: Any = CAPTION, vehicle: Any = OTHER) -> dict[str, Any]:
    return {"labels": [label], "caption_pedestrian": pedestrian, "caption_vehicle": vehicle}


def write_reference(root: Path, place: str, *segments: dict[str, Any]) -> Path:
    file = root / f"{place}_caption.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"event_phase": segments or [segment("0")]}), encoding="utf-8")
    return file


def write_predictions(root: Path, predictions: Any) -> Path:
    file = root / "predictions.json"
    file.write_text(json.dumps(predictions), encoding="utf-8")
    return file


def numbers(value: Any, place: str = "") -> dict[str, float]:
    if not isinstance(value, dict):
        return {place: value}
    return {key: number for name, part in value.items() for key, number in numbers(part, f"{place}/{name}").items()}


def domain_score(scores: CaptionScores, domain: str = "internal") -> float:
    score: float = scores.total[domain]["score"]
    return score


def perfect_score() -> float:
    """What identical captions give: less than 100, because METEOR takes off for the one chunk."""
    metrics = [score_caption(caption, caption) for caption in (CAPTION, OTHER)]
    return sum(points * sum(metric[name] for metric in metrics) / 2 for name, points in POINTS.items()) / 4


PERFECT = perfect_score()


@pytest.mark.parametrize("official_quirks", [False, True])
def test_conformance_with_the_official_evaluator(official_quirks: bool) -> None:
    scores = evaluate_wts(CASE / "references", CASE / "predictions.json", official_quirks=official_quirks)
    for found, expected in ((scores.total, EXPECTED["total"]), (scores.segments, EXPECTED["segments"])):
        assert numbers(found) == pytest.approx(numbers(expected), abs=1e-9, rel=0)
    missing = f"{CASE}/predictions.json: segments without prediction, which count as zero"
    assert [warning.partition(" (")[0] for warning in scores.warnings] == [f"{missing}: 14", f"{missing}: 44"]


def test_profiles_are_found_by_name() -> None:
    assert PROFILES["wts"].captions is evaluate_wts


def test_provenance_names_rules_versions_and_data() -> None:
    provenance = evaluate_wts(CASE / "references", CASE / "predictions.json", split="val").provenance
    assert (provenance["profile"], provenance["split"], provenance["wordnet"]) == ("wts", "val", "WordNet 3.0")
    assert provenance["wordnet_sha256"] == "64b34d0fded9c727a7405a9f85ab914cc0ef2d8afa9552cc942377517a60144e"
    assert provenance.keys() >= {"cityscribe", "references_sha256", "predictions_sha256"}


@settings(deadline=None)
@given(captions)
def test_an_identical_caption_scores_full_marks(caption: str) -> None:
    if not caption.strip():
        with pytest.raises(ValueError, match="without a word"):
            score_caption(caption, caption)
        return
    metrics = score_caption(caption, caption)
    token_count = len(caption.split())
    assert metrics["meteor"] >= 0.5
    assert metrics["rouge-l"] in (0.0, 1.0)  # 0 where there is no letter or digit of ASCII
    if token_count >= 4:
        assert metrics["bleu"] == 1.0
        assert metrics["cider"] == pytest.approx(10, abs=1e-12)


@settings(deadline=None)
@given(captions, captions)
def test_metrics_stay_in_their_ranges(reference: str, prediction: str) -> None:
    if reference.strip():
        metrics = score_caption(reference, prediction)
        assert all(0 <= value <= (10 if name == "cider" else 1) + 1e-12 for name, value in metrics.items())
        assert all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize("prediction", ["", "  ", "\n\t", "。", "\ud800"])
def test_a_prediction_without_a_known_word_scores_zero(prediction: str) -> None:
    assert set(score_caption(CAPTION, prediction).values()) == {0.0}


def test_very_long_captions_are_scored() -> None:
    long = " ".join(f"word{number % 997}" for number in range(20_000))
    assert score_caption(long, long)["bleu"] == 1.0
    assert score_caption(CAPTION, long)["cider"] == 0.0


def test_the_order_of_scenarios_and_segments_does_not_matter(tmp_path: Path) -> None:
    predictions = json.loads((CASE / "predictions.json").read_text(encoding="utf-8"))
    straight = evaluate_wts(CASE / "references", CASE / "predictions.json")
    rng = random.Random(0)
    shuffled = {name: rng.sample(predictions[name], len(predictions[name])) for name in rng.sample([*predictions], 7)}
    scores = evaluate_wts(CASE / "references", write_predictions(tmp_path, shuffled))
    assert (scores.total, scores.segments) == (straight.total, straight.segments)


def test_a_missing_segment_counts_as_zero(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/val/2023a/overhead_view/2023a", *map(segment, "01234"))
    full = evaluate_wts(tmp_path, write_predictions(tmp_path, {"2023a": [*map(segment, "01234")]}))
    four = evaluate_wts(tmp_path, write_predictions(tmp_path, {"2023a": [*map(segment, "0124")]}))
    assert full.total["score"] == pytest.approx(PERFECT)
    assert four.total["score"] == pytest.approx(PERFECT * 4 / 5)
    assert four.total["internal"]["segments"] == 5
    assert four.segments.keys() == {f"2023a/{phase}/{role}" for phase in "0124" for role in ROLES}
    assert four.warnings == (
        f"{tmp_path}/predictions.json: segments without prediction, which count as zero: "
        "2 (2023a/3/pedestrian, 2023a/3/vehicle)",
    )


@pytest.mark.parametrize("label", ["3", 3, " 3", "action", "Action", [3]])
def test_labels_are_digits_or_words(tmp_path: Path, label: Any) -> None:
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a", {**segment(""), "labels": label})
    scores = evaluate_wts(tmp_path, write_predictions(tmp_path, {"a": [segment(PHASES[3])]}))
    assert scores.total["score"] == pytest.approx(PERFECT)
    assert scores.segments.keys() == {"a/3/pedestrian", "a/3/vehicle"}


def test_names_lose_the_suffix_and_nothing_else(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/val/normal_pn/overhead_view/normal_pn")
    predictions = write_predictions(tmp_path, {"normal_pn": [segment("0")]})
    assert evaluate_wts(tmp_path, predictions).total["score"] == pytest.approx(PERFECT)


@pytest.mark.parametrize("folder", ["BDD_PC_5K", "BDD_PC_5k", "BDD_TC_5K"])
def test_where_a_reference_lies_decides_its_domain(tmp_path: Path, folder: str) -> None:
    write_reference(tmp_path, "annotations/caption/val/video7/overhead_view/video7")
    write_reference(tmp_path, f"external/{folder}/annotations/caption/val/2023b")
    scores = evaluate_wts(tmp_path, write_predictions(tmp_path, {"video7": [segment("0")], "2023b": []}))
    assert domain_score(scores) == pytest.approx(PERFECT)
    assert domain_score(scores, "external") == 0.0
    assert scores.total["score"] == pytest.approx(PERFECT / 2)


def test_a_domain_without_references_is_left_out(tmp_path: Path) -> None:
    write_reference(tmp_path, "external/BDD_PC_5K/annotations/caption/val/video1")
    scores = evaluate_wts(tmp_path, write_predictions(tmp_path, {"video1": [segment("0")]}))
    assert scores.total.keys() == {"external", "score"}
    assert scores.total["score"] == pytest.approx(PERFECT)


def test_the_captions_of_the_overhead_view_come_first(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/val/a/vehicle_view/a", segment("0", OTHER, CAPTION))
    predictions = write_predictions(tmp_path, {"a": [segment("0")]})
    assert evaluate_wts(tmp_path, predictions).total["score"] < PERFECT / 2
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a", segment("0"))
    scores = evaluate_wts(tmp_path, predictions)
    assert scores.total["score"] == pytest.approx(PERFECT)
    assert scores.warnings == ()


def test_one_split_can_be_scored_alone(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/train/a/overhead_view/a")
    write_reference(tmp_path, "annotations/caption/val/normal_trimmed/b/overhead_view/b")
    write_reference(tmp_path, "external/BDD_PC_5K/annotations/train/video1")
    predictions = write_predictions(tmp_path, {"b": [segment("0")]})
    assert evaluate_wts(tmp_path, predictions).total["score"] == pytest.approx(PERFECT / 4)
    val = evaluate_wts(tmp_path, predictions, split="val")
    assert val.total["score"] == pytest.approx(PERFECT)
    assert val.total.keys() == {"internal", "score"}
    with pytest.raises(InputError, match="no references of the split test; found train, val"):
        evaluate_wts(tmp_path, predictions, split="test")


def test_references_in_no_split_are_in_every_split(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/a/overhead_view/a")
    predictions = write_predictions(tmp_path, {"a": [segment("0")]})
    assert evaluate_wts(tmp_path, predictions, split="val").total["score"] == pytest.approx(PERFECT)


def test_an_empty_reference_is_left_out_and_counted(tmp_path: Path) -> None:
    absent = {"labels": ["1"], "caption_vehicle": OTHER, "caption_pedestrian": None}
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a", segment("0", pedestrian=" "), absent)
    scores = evaluate_wts(tmp_path, write_predictions(tmp_path, {"a": [segment("0"), segment("1")]}))
    assert scores.segments.keys() == {"a/0/vehicle", "a/1/vehicle"}
    assert scores.total["internal"].keys() == {"vehicle", "mean", "segments", "score"}
    assert scores.total["internal"]["mean"] == pytest.approx(score_caption(OTHER, OTHER))
    assert scores.total["internal"]["segments"] == 2
    assert scores.warnings == (
        f"{tmp_path}: segments with an empty reference, which are left out: 2 (a/0/pedestrian, a/1/pedestrian)",
    )


def test_references_without_any_caption_cannot_be_scored(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/test/public_challenge/a/overhead_view/a", {"labels": ["0"]})
    with pytest.raises(InputError, match="none of its reference captions holds a word"):
        evaluate_wts(tmp_path, write_predictions(tmp_path, {"a": [segment("0")]}))


def test_what_has_no_reference_is_a_warning(tmp_path: Path) -> None:
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a")
    predictions = write_predictions(tmp_path, {"a": [segment("0"), segment("4")], "b": [segment("0")], "\ud800": []})
    scores = evaluate_wts(tmp_path, predictions)
    assert scores.total["score"] == pytest.approx(PERFECT)
    assert scores.warnings == (
        f"{predictions}: predicted scenarios without reference, which are not scored: 2 (b, \\ud800)",
        f"{predictions}: predicted phases without reference, which are not scored: 1 (a/4)",
    )


def test_of_two_references_for_a_scenario_the_first_counts(tmp_path: Path) -> None:
    first = write_reference(tmp_path, "annotations/caption/train/a/overhead_view/a")
    second = write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a", segment("1", "x", "y"))
    scores = evaluate_wts(tmp_path, write_predictions(tmp_path, {"a": [segment("0")]}))
    assert scores.total["score"] == pytest.approx(PERFECT)
    assert scores.warnings == (f"{second}: a reference for a again; {first} counts",)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "line 1, column 1: Expecting value"),
        ('{"event_phase": [', "line 1, column 18"),
        ("[1, 2]", "holds 2 records, expected one"),
        ('{"event_phase": {}}', "event_phase: is an object, expected a list of phases"),
        ('{"event_phase": []}', "event_phase: is [], expected a list of phases"),
        ('{"event_phase": [7]}', "event_phase[0]: is 7, expected a phase"),
        ('{"event_phase": [{"labels": ["9"]}]}', "event_phase[0].labels: is ['9'], expected one of 0 to 4"),
        ('{"event_phase": [{"labels": []}]}', "event_phase[0].labels: is [], expected one of 0 to 4"),
        (
            json.dumps({"event_phase": [segment("0"), segment(0)]}),
            "event_phase[1].labels: phase 0 (prerecognition) again",
        ),
    ],
)
def test_references_that_cannot_be_used_are_left_out_with_a_warning(tmp_path: Path, content: str, place: str) -> None:
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a")
    broken = write_reference(tmp_path, "annotations/caption/val/b/overhead_view/b")
    broken.write_text(content, encoding="utf-8")
    predictions = write_predictions(tmp_path, {"a": [segment("0")], "b": [segment("0")]})
    scores = evaluate_wts(tmp_path, predictions)
    assert scores.total["score"] == pytest.approx(PERFECT)
    assert scores.warnings[0].startswith(f"{broken}: {place}")


def test_a_record_wrapped_in_a_list_is_a_reference(tmp_path: Path) -> None:
    file = write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a")
    file.write_text(f"[{file.read_text()}]")
    predictions = write_predictions(tmp_path, {"a": [segment("0")]})
    assert evaluate_wts(tmp_path, predictions).total["score"] == pytest.approx(PERFECT)


@pytest.mark.parametrize(
    ("predictions", "place"),
    [
        ([], "expected an object that maps scenarios"),
        ({"a": "text"}, "a: expected a list of segments"),
        ({"a": [segment("0"), "text"]}, "a[1]: expected an object with labels"),
        ({"a": [segment("5")]}, "a[0].labels: expected one of 0 to 4 or prerecognition"),
        ({"a": [segment(None)]}, "a[0].labels: expected one of 0 to 4"),
        ({"a": [segment("2"), segment("judgement")]}, "a[1].labels: phase 2 (judgement) again"),
        ({"a": [segment("0", vehicle=None)]}, "a[0].caption_vehicle: expected text"),
        ({"a": [segment("0", pedestrian=7)]}, "a[0].caption_pedestrian: expected text"),
        ({"unknown": [segment("0", vehicle=[])]}, "unknown[0].caption_vehicle: expected text"),
    ],
)
def test_malformed_predictions_are_an_error_that_names_the_place(tmp_path: Path, predictions: Any, place: str) -> None:
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a")
    file = write_predictions(tmp_path, predictions)
    with pytest.raises(InputError) as caught:
        evaluate_wts(tmp_path, file)
    assert str(caught.value).startswith(f"{file}: {place}")


def test_missing_files_are_named(tmp_path: Path) -> None:
    file = write_predictions(tmp_path, {})
    with pytest.raises(InputError, match=f"{tmp_path}/nowhere: no references; expected annotations"):
        evaluate_wts(tmp_path / "nowhere", file)
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a").write_text("{")
    with pytest.raises(InputError, match=r"no phase of a reference can be used; the first problem: .*a_caption\.json"):
        evaluate_wts(tmp_path, file)
    write_reference(tmp_path, "annotations/caption/val/a/overhead_view/a")
    with pytest.raises(InputError, match=r"missing\.json: No such file"):
        evaluate_wts(tmp_path, tmp_path / "missing.json")
    file.write_text('{"a": [')
    with pytest.raises(InputError, match=r"predictions\.json: line 1, column 8"):
        evaluate_wts(tmp_path, file)


def test_folders_of_a_data_set_may_be_links(tmp_path: Path) -> None:
    write_reference(tmp_path / "elsewhere", "annotations/caption/val/a/overhead_view/a")
    root = tmp_path / "data"
    root.mkdir()
    (root / "WTS").symlink_to(tmp_path / "elsewhere")
    predictions = write_predictions(tmp_path, {"a": [segment("0")]})
    assert evaluate_wts(root, predictions).total["score"] == pytest.approx(PERFECT)


class TestOfficialQuirks:
    """Each number is what the official evaluator gives for such data."""

    def score(self, root: Path, predictions: dict[str, Any]) -> float:
        score: float = evaluate_wts(root, write_predictions(root, predictions), official_quirks=True).total["score"]
        return score

    def test_captions_of_the_vehicle_view_are_overlooked(self, tmp_path: Path) -> None:
        write_reference(tmp_path, "annotations/caption/val/20231/overhead_view/20231")
        write_reference(tmp_path, "annotations/caption/val/20232/vehicle_view/20232")
        assert self.score(tmp_path, {"20231": [segment("0")], "20232": []}) == pytest.approx(PERFECT)

    def test_predictions_count_by_the_beginning_of_their_name(self, tmp_path: Path) -> None:
        write_reference(tmp_path, "annotations/caption/val/20231/overhead_view/20231")
        write_reference(tmp_path, "annotations/caption/val/20242/overhead_view/20242")
        write_reference(tmp_path, "external/BDD_PC_5K/annotations/caption/val/video1")
        write_reference(tmp_path, "external/BDD_PC_5K/annotations/caption/val/20233")
        predictions = {name: [segment("0")] for name in ("20231", "20242", "video1", "20233")}
        assert self.score(tmp_path, predictions) == pytest.approx(PERFECT / 2)

    def test_labels_are_compared_as_they_are_spelled(self, tmp_path: Path) -> None:
        write_reference(tmp_path, "annotations/caption/val/20231/overhead_view/20231", segment("action"), segment("0"))
        assert self.score(tmp_path, {"20231": [segment("3"), segment("0")]}) == pytest.approx(PERFECT / 2)

    def test_names_lose_characters_at_both_ends(self, tmp_path: Path) -> None:
        write_reference(tmp_path, "annotations/caption/val/2023_pn/overhead_view/2023_pn")
        assert self.score(tmp_path, {"2023_pn": [segment("0")]}) == 0.0
        assert self.score(tmp_path, {"2023": [segment("0")]}) == pytest.approx(PERFECT)


keys = st.sampled_from(["a", "labels", "caption_pedestrian", "caption_vehicle"])
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["0", "action"])
any_json = st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12)


@settings(deadline=None, max_examples=60)
@given(any_json | st.fixed_dictionaries({"a": st.lists(any_json, min_size=1)}))
def test_any_json_is_scored_or_refused(tmp_path_factory: pytest.TempPathFactory, predictions: Any) -> None:
    root = tmp_path_factory.mktemp("any")
    write_reference(root, "annotations/caption/val/a/overhead_view/a")
    file = write_predictions(root, predictions)
    refused = ""
    score = 0.0
    try:
        score = evaluate_wts(root, file).total["score"]
    except InputError as error:
        refused = str(error)
    assert refused.startswith(f"{file}: ") if refused else 0 <= score <= 100
