"""The page as a reader gets it: read with an HTML parser, never by a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cityscribe.files import InputError, read_json, write_json
from cityscribe.records import read_samples, write_samples
from cityscribe.report.page import write_report
from tests.inert import assert_nothing_runs
from tests.report.run_folder import build_run, settings

VOID = {"meta", "link", "img", "br", "hr", "line"}
LOADS = {"src", "href", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """The elements of a page in order, as (tag, attributes), and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "polyline":
            assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def write(run_dir: Path, out: Path, **sections: dict[str, object]) -> str:
    path = write_report(run_dir, settings(run_dir, **sections), out)
    assert path == out / "index.html"
    assert [entry.name for entry in out.iterdir()] == ["index.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(finished, tmp_path_factory.mktemp("page") / "out")


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        for name in LOADS & attributes.keys():
            assert attributes[name].startswith(("data:", "#"))
    assert "url(" not in page.style
    assert "@import" not in page.style
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_can_be_read_without_eyes_or_mouse(html: str) -> None:
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)
    assert {name for article in page.all("article") for name in article["aria-labelledby"].split()} <= set(ids)
    assert all(image["alt"] for image in page.all("img"))
    assert all(header["scope"] for header in page.all("th"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert all(scrolled.get("tabindex") == "0" for scrolled in page.all("div") if scrolled.get("class") == "scroll")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))


def test_the_page_says_what_the_run_holds(html: str, finished: Path) -> None:
    text = " ".join(Page(html).text.split())
    score = read_json(finished / "scores.json")["score"]
    assert f"{score:.1f} points" in text
    for name in ("untuned", "blind"):
        other = read_json(finished / "baselines" / name / "scores.json")["score"]
        assert f"{score - other:.1f} above the {name}" in text
    for word in ("paired bootstrap", "BLEU-4", "CIDEr-D", "loss (nats a token)", "pedestrian of … px2", "wordnet"):
        assert word in text
    assert "2\u202f100\u202f000" in Page(html).text, "how many parameters train"
    assert (finished / "project.yaml").read_text().strip() in Page(html).text


def test_equal_runs_give_equal_bytes(finished: Path, html: str, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "elsewhere" / "demo")
    assert write(tmp_path / "elsewhere" / "demo", tmp_path / "out") == html
    build_run(tmp_path / "again" / "demo")
    again = tmp_path / "again" / "demo"
    shutil.copy(finished / "project.yaml", again)  # it names the folder of the runs
    assert write(again, tmp_path / "again-out") == html


EVIL = "<script>alert('x')</script> & \"quoted\" </style><img src=x onerror=alert(1)>"


def test_text_of_the_run_is_inert(run_dir: Path, tmp_path: Path) -> None:
    """Whatever captions, questions, names and reasons hold is shown as text."""
    name = "20230901_1_SY0001_T1"
    for folder in (run_dir, run_dir / "baselines" / "blind"):
        predictions = read_json(folder / "predictions.json")
        for segment in predictions[name]:
            segment["caption_pedestrian"] = f"prediction {EVIL}"
        write_json(folder / "predictions.json", predictions)
    prepared = run_dir / "prepared"
    samples = read_samples(prepared / "val.parquet")
    for sample in samples:
        for entry in sample.messages:
            entry["content"][-1]["text"] += f" {entry['role']} {EVIL}"
    write_samples(prepared / "val.parquet", samples)
    skip = {"split": EVIL, "scenario": EVIL, "view": EVIL, "what": EVIL, "why": EVIL, "role": EVIL}
    (prepared / "skipped.jsonl").write_text(json.dumps(skip) + "\n")
    write_json(run_dir / "scores.provenance.json", {EVIL: [EVIL, {EVIL: EVIL}]})
    write_json(run_dir / "training" / "report.json", {"parts": [{EVIL: EVIL}]})
    (run_dir / "project.yaml").write_text(EVIL)
    (run_dir / "baselines" / "blind").rename(run_dir / "baselines" / "<script>alert(1)<")

    page = Page(write(run_dir, tmp_path / "out", report={"samples": 25}))
    assert not page.all("script")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(image["src"].startswith("data:image/jpeg") for image in page.all("img"))
    assert page.text.count("prediction <script>alert('x')</script>") >= 5
    assert page.text.count("user <script>alert('x')</script>") == 2 * 25
    assert_nothing_runs((tmp_path / "out" / "index.html").read_text("utf-8"))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("scores.json", "The run is not scored"),
        ("segments.json", "There is nothing to break down"),
        ("scores.provenance.json", "has no scores.provenance.json"),
        ("attributes.json", "Attributes"),
        ("predictions.json", "There is none."),
        ("predictions.json.notes.json", "Sample phases"),
        ("project.yaml", "has no project.yaml"),
        ("baselines", "There is no baseline"),
        ("baselines/blind/scores.json", "the same training without the images"),
        ("baselines/untuned/segments.json", "the same model before tuning"),
        ("training", "has no training curve"),
        ("training/report.json", "Training"),
        ("prepared", "what was left out is not known"),
        ("prepared/val.parquet", "no prepared phases of the split val"),
        ("prepared/images", "is not in the prepared data"),
        ("prepared/prepare.json", "Left out"),
        ("prepared/skipped.jsonl", "what was left out is not known"),
    ],
)
def test_a_missing_part_is_named_and_the_rest_is_there(run_dir: Path, tmp_path: Path, missing: str, said: str) -> None:
    path = run_dir / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(write(run_dir, tmp_path / "out", report={"samples": 2}))
    assert said in " ".join(page.text.split())
    assert [section["id"] for section in page.all("section") if "id" in section] == [
        "scores", "attributes", "consistency", "breakdown", "training", "samples", "left-out", "settings", "provenance"
    ]  # fmt: skip


def test_a_run_without_attributes_says_so(run_dir: Path, tmp_path: Path) -> None:
    for file in run_dir.rglob("attributes.json"):
        file.unlink()
    page = Page(write(run_dir, tmp_path / "out", report={"samples": 0}))
    text = " ".join(page.text.split())
    assert "No caption is read into attributes: the run has no attributes.json" in text
    assert "There is nothing to compare over phases" in text


def test_all_metrics_of_the_profile_coco_are_shown(run_dir: Path, tmp_path: Path) -> None:
    """Its scores hold three metrics more; the pages of the profile wts have no empty columns for them."""
    assert "BLEU-2" not in write(run_dir, tmp_path / "wts", report={"samples": 0})
    for name in ("scores.json", "segments.json"):
        for file in run_dir.rglob(name):
            with_shorter_bleus(file)
    html = write(run_dir, tmp_path / "coco", report={"samples": 1}, evaluate={"profile": "coco"})
    heads = re.findall(r'<th scope="col" class="number">([A-Z][A-Z1-4a-z-]+)</th>', html)
    assert heads[heads.index("BLEU-1") :][:7] == [
        *("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")
    ]
    for points in ("93.0", "92.0", "91.0"):
        assert points in Page(html).text
    assert "By the profile coco" in Page(html).text


def with_shorter_bleus(file: Path) -> None:
    def add(value: Any) -> Any:
        if isinstance(value, dict) and "bleu" in value:
            return {**value, "bleu-1": 0.93, "bleu-2": 0.92, "bleu-3": 0.91}
        return {key: add(inner) for key, inner in value.items()} if isinstance(value, dict) else value

    write_json(file, add(json.loads(file.read_text())))


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert "Nothing is predicted yet" in write(tmp_path / "demo", tmp_path / "out")


def test_a_test_set_without_captions_shows_predictions_alone(run_dir: Path, tmp_path: Path) -> None:
    samples = read_samples(run_dir / "prepared" / "val.parquet")
    for sample in samples:
        sample.messages[1]["content"][0]["text"] = ""
    write_samples(run_dir / "prepared" / "val.parquet", samples)
    for name in ("scores.json", "segments.json", "scores.provenance.json"):
        for path in run_dir.rglob(name):
            path.unlink()
    page = Page(write(run_dir, tmp_path / "out", report={"samples": 2}))
    assert "25 phases described, not scored" in page.text
    legend = 1
    assert len(page.all("ins")) == len(page.all("del")) == legend


def test_notes_of_the_prediction_and_of_raw_frames_are_shown(run_dir: Path, tmp_path: Path) -> None:
    text = Page(write(run_dir, tmp_path / "out", report={"samples": 25})).text
    assert "Cut off at the longest answer that is allowed." in text
    raw = [sample for sample in read_samples(run_dir / "prepared" / "val.parquet") if sample.meta.note]
    assert text.count("No boxes: raw frame at the start of the phase.") == len(raw) / 2


def test_half_a_surrogate_pair_does_not_stop_the_page(run_dir: Path, tmp_path: Path) -> None:
    path = run_dir / "predictions.json"
    predictions = read_json(path)
    for segments in predictions.values():
        segments[0]["caption_vehicle"] = "a \ud83d car"
    path.write_text(json.dumps(predictions))
    assert "\\ud83d" in write(run_dir, tmp_path / "out", report={"samples": 25})


def test_warnings_of_the_evaluation_are_not_hidden(run_dir: Path, tmp_path: Path) -> None:
    assert "The evaluation warns" not in write(run_dir, tmp_path / "quiet", report={"samples": 0})
    path = run_dir / "scores.provenance.json"
    write_json(path, {**read_json(path), "warnings": ["a.json: 3 segments have no prediction"]})
    text = Page(write(run_dir, tmp_path / "loud", report={"samples": 0})).text
    assert "The evaluation warns of 1 thing" in text
    assert "a.json: 3 segments have no prediction" in text


def test_a_page_that_cannot_be_written_is_one_clear_error(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(run_dir, settings(run_dir), tmp_path / "out")


def test_every_text_colour_has_enough_contrast_in_light_and_dark() -> None:
    """WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for what carries meaning in charts (1.4.11)."""
    style = (resources.files("cityscribe.report") / "style.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    assert light.keys() == dark.keys()
    for colours in (light, dark):
        for ground in ("paper", "panel"):
            for text in ("ink", "quiet", "link"):
                assert contrast(colours[text], colours[ground]) >= 4.5
            for model in (name for name in colours if re.fullmatch(r"m\d", name)):
                assert contrast(colours[model], colours[ground]) >= 3
        for mark in ("gap", "missed", "added"):
            assert contrast(colours[f"{mark}-ink"], colours[mark]) >= 4.5


def contrast(one: str, other: str) -> float:
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
