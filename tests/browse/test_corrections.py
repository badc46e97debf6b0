"""Corrections: the data set that is written reads as the corrected one, and differs in nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cityscribe.browse.app import MOST_BYTES, browsing
from cityscribe.browse.corrections import JOURNAL
from cityscribe.browse.library import entry_id
from cityscribe.files import InputError
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.scenario import Scenario
from tests.browse.made import ASKED, BARE, BOXED, HOSTILE, data_set, library_of
from tests.inert import EVIL

OWN = {"Origin": "http://127.0.0.1"}
CAPTION = {
    "what": "caption",
    "phase": 1,
    "role": "vehicle",
    "before": "The vehicle drives at 11 km/h. <i>The road</i> is dry.",
}

TRICKY = 'A "new" caption: ä\u2028\\ud83d.'
CAMERA = f"{BOXED}_Camera1_0"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = data_set(tmp_path / "WTS")
    # What readers do not know must stay as it is; and one file is written on one line, the others are not.
    captions = root / "annotations" / "caption" / "train" / BOXED / "overhead_view" / f"{BOXED}_caption.json"
    record = json.loads(captions.read_text())
    captions.write_text(json.dumps({**record, "reviewed": [None, 1e400, "ä"]}, indent=2))
    return root


def client_of(data: Path) -> TestClient:
    return TestClient(browsing(library_of(data)), base_url="http://127.0.0.1", headers=OWN)


def correct(client: TestClient, name: str, change: dict[str, Any], split: str = "train", **more: Any) -> Any:
    return client.post(f"/api/entries/{entry_id(split, name)}/corrections", json=change, **more)


def of_phase(view: str, phase: int, before: list[float], after: list[float]) -> dict[str, Any]:
    return {"what": "phase", "view": view, "phase": phase, "before": before, "after": after}


def of_box(view: str, role: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    return {"what": "box", "view": view, "role": role, "before": before, "after": after}


def placed(frame: int, *xywh: float) -> dict[str, Any]:
    return {"frame": frame, "xywh": xywh}


def corrections(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Some of each kind, as the page sends them: split, name, correction."""

    def view_of(split: str, name: str) -> Any:
        (view,) = client.get(f"/api/entries/{entry_id(split, name)}").json()["views"]
        for boxes in view["boxes"].values():
            for box in boxes:
                del box["frame"]
        return view

    view, bare, asked = view_of("train", BOXED), view_of("train", BARE), view_of("val", ASKED)
    first, second = view["boxes"]["pedestrian"][:2]
    other = f"{CAPTION['before'].replace('11', '12')} {EVIL}"
    return [
        ("train", BOXED, {**CAPTION, "after": TRICKY}),
        ("train", HOSTILE, {**CAPTION, "phase": 2, "before": other, "after": ""}),
        ("val", ASKED, of_phase(asked["name"], 3, [1.4, 1.8], [1.45, 1.9004])),
        ("train", BOXED, of_box(view["name"], "pedestrian", first, None)),
        ("train", BOXED, of_box(view["name"], "pedestrian", second, placed(6, 1, 2.345, 30, 20))),
        ("train", BARE, of_box(bare["name"], "vehicle", None, placed(3, 5, 6, 7, 8))),
        ("val", ASKED, of_box(asked["name"], "vehicle", asked["boxes"]["vehicle"][2], placed(15, 9, 9, 9, 9))),
    ]


def plain(scenarios: list[Scenario], root: Path) -> dict[str, Scenario]:
    """Scenarios by name with paths from their root; a road user without boxes is as one that has none."""
    return {
        one.name: replace(
            one,
            views=tuple(
                replace(
                    view,
                    video=view.video.relative_to(root),
                    boxes={role: boxes for role, boxes in view.boxes.items() if boxes},
                )
                for view in one.views
            ),
        )
        for one in scenarios
    }


def test_the_corrected_data_set_reads_as_the_library_and_differs_in_nothing_else(data: Path) -> None:
    before = {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    library = library_of(data)
    with TestClient(browsing(library), base_url="http://127.0.0.1", headers=OWN) as client:
        for split, name, correction in corrections(client):
            answer = correct(client, name, correction, split)
            assert answer.status_code == 200, answer.text
    copy = data.with_name("WTS-corrected")
    read, problems = read_wts(copy)
    assert problems == read_wts(data)[1]
    assert plain(read, copy) == plain(list(library.scenarios.values()), data)
    # The original is as it was; of the copy, files that were not corrected have the same bytes.
    assert {path.relative_to(data): path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    changed = {
        str(path.relative_to(copy))
        for path in copy.rglob("*")
        if path.is_file() and path.read_bytes() != before.get(path.relative_to(copy))
    }
    boxes = "annotations/bbox_annotated"
    assert changed == {
        JOURNAL,
        f"annotations/caption/train/{BOXED}/overhead_view/{BOXED}_caption.json",
        f"annotations/caption/val/{ASKED}/overhead_view/{ASKED}_caption.json",
        f"external/BDD_PC_5K/annotations/caption/train/{HOSTILE}_caption.json",
        f"{boxes}/pedestrian/train/{BOXED}/overhead_view/{BOXED}_Camera1_0_bbox.json",
        f"{boxes}/vehicle/train/{BARE}/overhead_view/{BARE}_Camera1_0_bbox.json",
        f"{boxes}/vehicle/val/{ASKED}/overhead_view/{ASKED}_Camera1_0_bbox.json",
    }
    # Within a file only what was corrected is another.
    path = f"annotations/caption/train/{BOXED}/overhead_view/{BOXED}_caption.json"
    old, new = (json.loads((root / path).read_text()) for root in (data, copy))
    entry = next(each for each in new["event_phase"] if each["labels"] == ["1"])
    entry["caption_vehicle"] = CAPTION["before"]
    assert new == old
    # What is browsed anew is the corrected state, and it goes on from there.
    again = library_of(data)
    assert again.scenarios == library.scenarios
    with TestClient(browsing(again), base_url="http://127.0.0.1", headers=OWN) as client:
        back = {**CAPTION, "before": TRICKY, "after": CAPTION["before"]}
        detail = correct(client, BOXED, back).json()
    assert detail["corrections"] == 4
    assert plain(read_wts(copy)[0], copy) == plain(list(again.scenarios.values()), data)


@pytest.mark.parametrize(
    "change",
    [
        {"before": "Other words."},
        {"phase": 5},
        {"role": "driver"},
        {"after": "x" * 20_001},
        {"extra": 1},
        {"what": "file"},
        of_phase("../../etc", 0, [0.2, 0.6], [0.2, 0.7]),
        of_phase(CAMERA, 0, [0.2, 0.6], [0.7, 0.6]),
        of_phase(CAMERA, 0, [0.1, 0.6], [0.2, 0.7]),
        of_box(CAMERA, "vehicle", None, placed(99, 1, 1, 9, 9)),
        of_box(CAMERA, "vehicle", None, placed(23, 1, 1, 9, 9)),
        of_box(CAMERA, "vehicle", None, None),
        of_box(CAMERA, "vehicle", None, placed(3, 1, 1, 0, 9)),
    ],
    ids=range(13),
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(data: Path, change: dict[str, Any]) -> None:
    whole = {**CAPTION, "after": "New.", **change} if "what" not in change else change
    answer = correct(client_of(data), BOXED, whole)
    assert answer.status_code in (409, 422), answer.text
    assert answer.json()["error"]
    assert str(data) not in answer.text
    assert not data.with_name("WTS-corrected").exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": str(MOST_BYTES + 1)}, 413),
        ({"Content-Length": "many"}, 411),
        ({"Host": "evil.example"}, 403),
    ],
)
def test_only_the_page_itself_can_correct(data: Path, headers: dict[str, str], status: int) -> None:
    given = {"Content-Type": "application/json", **headers}
    answer = correct(client_of(data), BOXED, {**CAPTION, "after": "New."}, headers=given)
    assert answer.status_code == status
    assert not data.with_name("WTS-corrected").exists()


def test_a_journal_that_does_not_fit_is_named(data: Path, tmp_path: Path) -> None:
    correct(client_of(data), BOXED, {**CAPTION, "after": "New."})
    copy = data.with_name("WTS-corrected")
    journal = copy / JOURNAL
    for line in ("[1]", '{"what": "caption"}', "not JSON", journal.read_text()):
        kept = journal.read_text()
        journal.write_text(kept + line)
        with pytest.raises(InputError, match=r"corrections\.jsonl: line 2"):
            library_of(data)
        journal.write_text(kept)
    # A copy that somebody has edited by hand is left alone.
    path = copy / "annotations" / "caption" / "train" / BOXED / "overhead_view" / f"{BOXED}_caption.json"
    path.write_text(path.read_text().replace("walking", "running"))
    answer = correct(client_of(data), BOXED, {**CAPTION, "before": "New.", "after": "Newer."})
    assert answer.status_code == 409
    assert "move it away" in answer.json()["error"]


def test_links_of_the_data_set_are_not_written_through(data: Path, tmp_path: Path) -> None:
    captions = data / "annotations" / "caption"
    shutil.move(captions, tmp_path / "elsewhere")
    captions.symlink_to(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()}
    answer = correct(client_of(data), BOXED, {**CAPTION, "after": "New."})
    assert answer.status_code == 200, answer.text
    assert {path: path.read_bytes() for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()} == before
