"""The page, end to end, in a headless Chromium."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cityscribe.media.video import write_video
from cityscribe.traffic.scenario import PHASES
from tests.inert import EVIL
from tests.media.numbered_video import number_of
from tests.report.printed import sheets
from tests.serve.chromium import CHROMIUM, Page, browser
from tests.serve.running import Running, clip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(service: Running, page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> Page:
    """The page with a clip in it, in a window of 1280x900 or as the test says."""
    clip(tmp_path)
    page.complaints.clear()
    page.open(service.address, getattr(request, "param", (1280, 900)))
    page.wait("document.querySelector('#model').textContent.startsWith('model ')")
    page.choose_file("#file", tmp_path / "clip.mp4")
    page.wait("video.readyState >= 2 && overlay.width == 112")
    return page


def test_a_clip_is_described_and_asked_about(service: Running, opened: Page) -> None:
    page = opened
    page.run("seek(1.25)")
    page.wait("!video.seeking && video.currentTime > 1.2")
    left, top, width, height = page.run("(r => [r.left, r.top, r.width, r.height])(overlay.getBoundingClientRect())")
    page.drag((left + width / 4, top + height / 4), (left + width / 2, top + height / 2))
    box = page.run("state.boxes[0]")
    assert (box["role"], box["time_s"]) == ("pedestrian", pytest.approx(1.25, abs=0.05))
    assert box["xywh"] == pytest.approx([28, 12, 28, 12], abs=1)
    assert page.run("document.querySelector('#facts').checked") is False, "facts are made when they are asked for"
    page.run("document.querySelector('#facts').click()")
    page.run("document.querySelector('#describe').click()")
    page.wait("document.querySelector('#status').textContent == 'Described'", seconds=120)
    result = page.run("state.result")
    assert [phase["phase"] for phase in result["phases"]] == list(PHASES)
    for phase in result["phases"]:
        for role in ("pedestrian", "vehicle"):
            shown = page.run(f"document.getElementById('{phase['phase']}-{role}').textContent")
            assert shown.removesuffix(" […]") == phase[role]["text"] != ""
    assert [phase["marked"] for phase in result["phases"]] == [[], [], [], ["pedestrian"], []]
    page.wait("[...document.querySelectorAll('#answers img')].every(i => i.complete && i.naturalWidth > 0)")
    page.wait("document.querySelector('#caption').textContent.startsWith('action: ')")
    for phase in result["phases"]:
        rows = page.run(
            f"[...document.querySelectorAll('#{phase['phase']}-facts tbody td')].map(cell => cell.textContent)"
        )
        assert rows == [fact for fields in phase["facts"]["values"].values() for fact in fields.values()]
        assert len(rows) > 10
    video, caption = (
        page.run(f"(r => [r.top, r.bottom])(document.querySelector('{name}').getBoundingClientRect())")
        for name in ("#video", "#caption")
    )
    assert video[1] <= caption[0] + 1, "what is said does not cover the picture"
    for sheet in sheets(page.print((8.27, 11.69))):
        assert [*sheet.outside(), *sheet.overlaps()] == []
        assert len(sheet.boxes) > 100
    assert page.complaints == []
    assert {url for url in page.requested if not url.startswith((service.address, "blob:", "data:"))} <= {"about:blank"}


def test_the_page_says_how_to_begin_and_brings_a_sample(service: Running, page: Page) -> None:
    page.complaints.clear()
    page.open(f"{service.address}/?sample", (1280, 900))
    page.wait("!document.querySelector('#knows').hidden")
    assert page.run("document.querySelector('#knows').textContent").startswith("No model card says")
    assert "Draw a box" in page.run("document.querySelector('#start').innerText")
    page.run("document.querySelector('#sample').click()")
    page.wait("video.readyState >= 2 && state.boxes.length > 5")
    assert page.run("phases().map((phase) => phase.phase)") == list(PHASES)
    assert {box["role"] for box in page.run("state.boxes")} == {"pedestrian", "vehicle"}
    width, height = page.run("[overlay.width, overlay.height]")
    for box in page.run("state.boxes"):
        x, y, w, h = box["xywh"]
        assert x + w > 0 < y + h
        assert x < width
        assert y < height
    assert page.run("document.querySelector('#view').value") == "overhead"
    assert page.complaints == []


def test_the_camera_is_guessed_from_the_picture(service: Running, page: Page, tmp_path: Path) -> None:
    """The sample's camera stands on a mast. One that drives sees all of the street go by."""
    sample = resources.files("cityscribe.serve") / "page" / "sample.mp4"
    (tmp_path / "a.mp4").write_bytes(sample.read_bytes())
    street = np.random.default_rng(0).integers(0, 255, (12, 40, 3), dtype=np.uint8).repeat(6, axis=0).repeat(12, axis=1)
    write_video(tmp_path / "b.mp4", (street[:, 12 * n : 12 * n + 128].copy() for n in range(20)), 10)
    page.open(f"{service.address}/?camera", (1280, 900))
    for name, view in (("a.mp4", "overhead"), ("b.mp4", "vehicle")):
        page.choose_file("#file", tmp_path / name)
        page.wait("document.querySelector('#guessed').textContent.startsWith('guessed from how much')")
        assert page.run("document.querySelector('#view').value") == view


def test_a_question_is_asked_about_the_shown_moment(service: Running, opened: Page) -> None:
    page = opened
    page.run("seek(1.55)")
    page.wait("!video.seeking && video.currentTime > 1.5")
    page.run("globalThis.sent = []; const real = fetch; fetch = (p, o) => (sent.push(o && o.body), real(p, o))")
    page.run("document.querySelector('#question').focus()")
    page.type("What is the weather like?")
    page.press("Enter")
    page.wait("document.querySelector('#said dd') && document.querySelector('#said dd').textContent.length > 3")
    assert not page.run("document.querySelector('#said dd').className")
    assert page.run("document.querySelector('#said dt').textContent") == "1.55 s What is the weather like?"
    picture, question = json.loads(page.run("sent[0]"))["messages"][0]["content"]
    assert question["text"] == "What is the weather like?"
    shown = Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2])))
    assert number_of(np.array(shown.convert("RGB"))) == 15, "the frame at 1.55 s of 10 a second"
    page.run("seek(0.2)")
    page.wait("!video.seeking && video.currentTime < 0.3")
    page.run("document.querySelector('#said dt button').focus()")
    page.press("Enter")
    page.wait("!video.seeking && video.currentTime > 1.5")
    assert page.complaints == []


def test_all_of_it_can_be_done_with_the_keyboard(opened: Page) -> None:
    page = opened
    reached = []
    page.run("document.querySelector('#file').focus()")
    for _ in range(45):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id"))
    assert {"play", "seek", "overlay", "middle", "view", "facts", "describe", "question"} <= set(reached)
    page.run("document.querySelector('#middle').focus()")
    page.press("Enter")
    before = page.run("state.boxes[0].xywh")
    assert page.run("document.activeElement.id") == "overlay"
    page.press("ArrowRight")
    page.press("ArrowDown", shift=True)
    x, y, width, height = before
    assert page.run("state.boxes[0].xywh") == pytest.approx([x + 4, y, width, height + 4])
    page.press("Delete")
    assert page.run("state.boxes") == []


@pytest.mark.parametrize("opened", [(360, 740)], indirect=True)
def test_it_fits_a_phone(opened: Page) -> None:
    assert opened.run("document.documentElement.scrollWidth") <= 360
    overlay = opened.run("(r => [r.left, r.right])(overlay.getBoundingClientRect())")
    assert overlay[0] >= 0
    assert overlay[1] <= 360


def test_boxes_and_phases_are_loaded_and_bad_files_named(opened: Page, tmp_path: Path) -> None:
    given = {
        "boxes": [{"role": "vehicle", "time_s": 0.5, "xywh": [1, 2, 30, 20]}],
        "phases": [{"phase": "action", "start_s": 0.25, "end_s": 1.5}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(given))
    opened.choose_file("#load", tmp_path / "boxes.json")
    opened.wait("state.boxes.length == 1")
    assert opened.run("phases()") == given["phases"]
    (tmp_path / "boxes.json").write_text("[<b>")
    opened.choose_file("#load", tmp_path / "boxes.json")
    opened.wait("document.querySelector('#status').className == 'wrong'")


def test_what_a_model_or_a_file_says_is_text_and_never_markup(service: Running, page: Page, tmp_path: Path) -> None:
    named = tmp_path / '"><img src=x onerror=alert(3)>.mp4'
    clip(tmp_path)
    (tmp_path / "clip.mp4").rename(named)
    page.complaints.clear()
    page.open(service.address, (1280, 900))
    page.wait("document.querySelector('#model').textContent.startsWith('model ')")
    page.choose_file("#file", named)
    page.wait("video.readyState >= 2 && overlay.width == 112")
    phase = {"phase": "action", "start_s": 0, "end_s": 1, "images": [], "note": EVIL, "pedestrian": None, "facts": None}
    answer = {"phase": "action", "role": "pedestrian", "text": EVIL, "finish": "stop"}
    facts = {"phase": "action", "values": {EVIL: {EVIL: EVIL}}, "finish": "stop"}
    failed = {"status": "failed", "error": {"message": EVIL}}
    for event, value in (("phases", {"phases": [phase]}), ("answer", answer), ("facts", facts), ("status", failed)):
        page.run(f"happened({json.dumps(event)}, {json.dumps(value)})")
    page.run(f"seek(0.5); $('question').value = {json.dumps(EVIL)}")
    for chunk in ({"choices": [{"delta": {"content": EVIL}}]}, {"error": {"message": EVIL}}):
        stream = f": ping\n\ndata: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        page.run(f"fetch = async () => new Response({json.dumps(stream)}); ask(new Event('submit'))")
        page.wait("document.querySelector('#said dd').textContent != '…'")
    shown = page.run("document.body.textContent")
    assert shown.count(EVIL) >= 9
    assert shown.count(named.name) >= 2
    assert page.run("document.querySelectorAll('img[src=x], main script, body *[onerror]').length") == 0
    assert page.complaints == []
