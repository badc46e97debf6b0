"""The page, end to end, in a headless Chromium."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from cityscribe.browse.library import Library, LibraryEntry, entry_id
from cityscribe.browse.server import browse
from cityscribe.files import read_json, write_json
from cityscribe.project import resolve
from cityscribe.records import Sample, image_block, message, text_block, write_samples
from cityscribe.sources.wts import read_wts
from cityscribe.traffic.meta import TrafficMeta
from tests.browse.made import ASKED, BOXED, FRAMES, HOSTILE, data_set, library_of, unplayable
from tests.inert import EVIL
from tests.media.numbered_video import BITS, CELL, HEIGHT, WIDTH
from tests.preloaded import preloaded_python
from tests.serve.chromium import CHROMIUM, Page, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

NUMBER_SHOWN = f"""(() => {{
  const source = document.querySelector('.stage video') || document.querySelector('.picture');
  const canvas = document.createElement('canvas');
  canvas.width = browse.entry.views[0].video.width;
  canvas.height = browse.entry.views[0].video.height;
  const context = canvas.getContext('2d');
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit += 1) {{
    const pixel = context.getImageData((bit + 1) * {CELL} + {CELL // 2}, {2 * CELL}, 1, 1).data;
    if (pixel[0] > 128) number += 1 << bit;
  }}
  return number;
}})()"""
"""What the frame shows that is on the page: its own number."""


@contextmanager
def served(target: Path) -> Iterator[str]:
    """The address of a page about a data set or run, in a process of its own."""
    command = [preloaded_python(), "-m", "cityscribe", "data", "browse", str(target), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "read as wts" in process.stdout.readline()
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            yield address
        finally:
            process.kill()


def served_here(library: Library) -> str:
    """The address of a page about a library, in a thread that ends with the tests."""
    told: queue.Queue[str] = queue.Queue()
    threading.Thread(target=browse, args=(library, 0, told.put), daemon=True).start()
    return told.get(timeout=30)


@pytest.fixture(scope="module")
def address(run_dir: Path) -> Iterator[str]:
    with served(run_dir) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def opened(page: Page, address: str, place: str = "", size: tuple[int, int] = (1280, 900)) -> None:
    page.complaints.clear()
    page.requested.clear()
    # The query makes it another document: a new hash alone would not load the page anew.
    page.open(f"{address}/?{time.monotonic_ns()}#{place}", size)
    page.wait("document.querySelectorAll('#list a').length > 0")
    if place:
        page.wait("window.browse.entry")


def test_every_frame_that_is_asked_for_is_shown_and_named(page: Page, address: str) -> None:
    opened(page, address, entry_id("val", ASKED))
    for frame in (5, 6, 0, FRAMES - 1, 13):
        page.run(f"browse.player.seek({frame})")
        page.wait(f"browse.player.frame == {frame} && {NUMBER_SHOWN} == {frame}")
        assert page.run("location.hash").endswith(f"/{frame}")
    page.press("ArrowLeft")
    page.wait(f"browse.player.frame == 12 && {NUMBER_SHOWN} == 12")
    page.press("]")
    page.wait(f"browse.player.frame == 14 && {NUMBER_SHOWN} == 14")
    assert page.complaints == []


def test_boxes_are_drawn_where_and_when_the_annotation_says(page: Page, address: str) -> None:
    opened(page, address, f"{entry_id('val', ASKED)}/0/6")
    page.wait("browse.player.frame == 6")
    pixel = """(([x, y]) => [...document.querySelector('.overlay').getContext('2d').getImageData(x, y, 1, 1).data])"""
    assert page.run(f"{pixel}([20, 34])")[:2] == [0, 255]  # the left edge of the pedestrian's box, green
    assert page.run(f"{pixel}([60, 34])")[2] == 255
    assert page.run(f"{pixel}([40, 45])")[3] == 0
    page.press("b")
    assert page.run(f"{pixel}([20, 34])")[3] == 0
    page.press("b")
    page.press("ArrowRight")
    page.wait("browse.player.frame == 7")
    assert page.run(f"{pixel}([20, 34])")[3] == 0


def test_it_plays_and_phases_follow(page: Page, address: str) -> None:
    opened(page, address, entry_id("train", BOXED))
    page.press("3")
    page.wait("browse.player.frame == 10 && document.querySelector('.phase.now').id == 'phase-2'")
    page.press(" ")
    page.wait("browse.player.frame > 13")
    page.wait("!browse.player.playing && browse.player.frame == 23")
    assert page.run(NUMBER_SHOWN) == 23


def test_a_codec_that_browsers_do_not_play_is_shown_frame_by_frame(page: Page, tmp_path: Path) -> None:
    data = data_set(tmp_path / "WTS")
    video = data / "videos" / "train" / BOXED / "overhead_view" / f"{BOXED}_Camera1_0.mp4"
    video.unlink()
    unplayable(video.with_suffix(".avi"))
    opened(page, served_here(library_of(data)), entry_id("train", BOXED))
    page.wait("browse.player.mode == 'frames'")
    for frame in (0, 11, 12, FRAMES - 1, 18):
        page.run(f"browse.player.seek({frame})")
        page.wait(f"browse.player.frame == {frame} && {NUMBER_SHOWN} == {frame}")
    page.press(" ")
    page.wait("!browse.player.playing && browse.player.frame == 23")


def test_entries_are_found_filtered_and_walked_with_the_keyboard(page: Page, address: str) -> None:
    opened(page, address)
    page.press("/")
    assert page.run("document.activeElement.id") == "query"
    page.type('"walking slowly" rainy')
    page.wait("document.querySelector('#count').textContent == '3 scenarios'")
    assert "rainy" in page.run("document.querySelector('#list .snippet').textContent")
    page.press("Enter")
    page.wait(f"browse.entry && browse.entry.id == '{entry_id('train', BOXED)}'")
    page.press("Escape")
    page.press("j")
    page.wait(f"browse.entry && browse.entry.id != '{entry_id('train', BOXED)}'")
    page.press("k")
    page.wait(f"browse.entry && browse.entry.id == '{entry_id('train', BOXED)}'")
    assert page.run("document.querySelector('#list a[aria-current]').dataset.id") == entry_id("train", BOXED)
    page.run("document.querySelector('#query').value = ''")
    page.run("document.querySelector('#which').value = 'no-boxes'")
    page.run("document.querySelector('#which').dispatchEvent(new Event('change'))")
    page.wait("document.querySelector('#count').textContent == '1 scenario'")


def test_it_opens_on_pictures_with_captions_that_follow_the_search(page: Page, address: str) -> None:
    opened(page, address)
    page.wait("document.querySelectorAll('.cards img').length == 4")
    page.wait("[...document.querySelectorAll('.cards img')].every((image) => image.complete && image.naturalWidth)")
    assert "male in his 30s" in page.run("document.querySelector('.cards .opening').textContent")
    assert page.run("document.querySelectorAll('.cards .score').length") == 1, "one scenario is scored"
    page.run("document.querySelector('#order').value = 'worst'")
    page.run("document.querySelector('#order').dispatchEvent(new Event('change'))")
    page.wait("document.querySelector('.grid p').textContent.endsWith('fewest points first')")
    page.wait(f"document.querySelector('.cards .card-name').textContent == '{ASKED}'")
    page.run("document.querySelector('.cards a').click()")
    page.wait(f"browse.entry && browse.entry.id == '{entry_id('val', ASKED)}'")
    page.press("Escape")
    page.wait("document.querySelectorAll('.cards a').length == 4")
    assert page.complaints == []


def test_captions_times_and_boxes_are_corrected_on_the_page(page: Page, tmp_path: Path) -> None:
    data = data_set(tmp_path / "WTS")
    library = library_of(data)
    opened(page, served_here(library), entry_id("train", BOXED))
    page.wait("browse.player.frame == 0 && document.querySelectorAll('.phase').length == 5")
    page.press("c")
    page.wait("document.querySelector('#correct').getAttribute('aria-pressed') == 'true'")
    saved = "document.querySelector('#corrections').textContent.startsWith('{} correction')"
    page.run("document.querySelector('#phase-1 textarea').focus()")
    page.run("document.querySelector('#phase-1 textarea').select()")
    page.type("She <b>waits</b> 1c.")
    page.run("[...document.querySelectorAll('#phase-1 button')].find((b) => b.textContent == 'Save caption').click()")
    page.wait(saved.format(1))
    page.run("browse.player.seek(7)")
    page.wait("browse.player.frame == 7")
    page.run("[...document.querySelectorAll('#phase-1 button')].find((b) => b.textContent == 'starts here').click()")
    page.run("[...document.querySelectorAll('#phase-1 button')].find((b) => b.textContent == 'Save times').click()")
    page.wait(saved.format(2))
    page.run("browse.player.seek(8)")
    page.wait("browse.player.frame == 8")
    corners = page.run(
        "(r => [[r.left + r.width / 4, r.top + r.height / 4], [r.left + r.width / 2, r.top + r.height / 2]])"
        "(document.querySelector('.overlay').getBoundingClientRect())"
    )
    page.drag(*corners)
    page.run("[...document.querySelectorAll('#watch button')].find((b) => b.textContent == 'Save box').click()")
    page.wait(saved.format(3))
    assert page.complaints == []
    (view,) = next(one for one in read_wts(data.with_name("WTS-corrected"))[0] if one.name == BOXED).views
    assert view.phases[1].captions["pedestrian"] == "She <b>waits</b> 1c."
    assert (view.phases[1].start_s, view.phases[1].end_s) == (0.7, 1.0)
    (box,) = [box for box in view.boxes["pedestrian"] if box.image_id == 8]
    assert box.phase == 1
    assert box.xywh == pytest.approx((WIDTH / 4, HEIGHT / 4, WIDTH / 4, HEIGHT / 4), abs=1.5)
    assert {view.name: view for one in read_wts(data)[0] for view in one.views}[view.name].phases[1].start_s == 0.6


def test_thousands_of_entries_are_a_few_rows_at_a_time(page: Page) -> None:
    entries = tuple(
        LibraryEntry(f"train-e{n}", f"e{n}", "train", "internal", 1, True, 0, None, f"e{n}") for n in range(5000)
    )
    library = Library("many", "scenarios", resolve({"data": {"path": "data"}}), entries)
    opened(page, served_here(library))
    assert page.run("document.querySelector('#count').textContent") == "5,000 scenarios"
    for place in (4999, 2500, 7):
        page.run(f"document.querySelector('#scroll').scrollTop = {64 * place}")
        page.wait(f"[...document.querySelectorAll('#list .name')].some((each) => each.textContent == 'e{place}')")
        assert page.run("document.querySelectorAll('#list li').length") < 40


def test_names_and_captions_are_text_and_never_markup(page: Page, address: str) -> None:
    opened(page, address, entry_id("train", HOSTILE))
    assert page.run("document.querySelector('h2').textContent") == HOSTILE
    assert page.run("document.querySelectorAll('#detail h2 b, #detail dd i').length") == 0
    assert page.run("document.querySelector('#phases').textContent").count(EVIL) >= 2
    assert page.run("document.querySelectorAll('img[src=x], #detail script').length") == 0
    assert page.complaints == []


def test_what_a_model_says_is_text_and_never_markup(page: Page, run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / run_dir.name
    shutil.copytree(run_dir, copy)
    predictions = read_json(copy / "predictions.json")
    for segment in predictions[ASKED]:
        segment["caption_pedestrian"] = segment["caption_vehicle"] = f"{EVIL} says the model."
    write_json(copy / "predictions.json", predictions)
    opened(page, served_here(library_of(copy)), entry_id("val", ASKED))
    page.wait(f"document.querySelector('#phases').textContent.includes({json.dumps(EVIL)})")
    assert page.run("document.querySelectorAll('img[src=x], #detail script').length") == 0
    assert page.complaints == []


def test_differences_are_marked_and_nothing_leaves_the_machine(page: Page, address: str) -> None:
    opened(page, address, entry_id("val", ASKED))
    differing = page.run("[...new Set([...document.querySelectorAll('#phases ins')].map((e) => e.textContent))].sort()")
    assert differing == ["quickly", "wet"]
    page.wait("[...document.querySelectorAll('#phases img')].slice(0, 2).every((i) => i.complete && i.naturalWidth)")
    assert page.complaints == []
    assert {url for url in page.requested if not url.startswith((address, "data:"))} <= {"about:blank"}


@pytest.mark.parametrize("place", ["", entry_id("val", ASKED)], ids=["list", "entry"])
def test_it_fits_a_phone(page: Page, address: str, place: str) -> None:
    opened(page, address, place, (360, 740))
    if place:
        page.wait("document.querySelectorAll('.phase').length == 5")
        assert page.run("getComputedStyle(document.querySelector('#side')).display") == "none"
    assert page.run("document.documentElement.scrollWidth") <= 360


def test_an_address_of_nothing_says_so(page: Page, address: str) -> None:
    page.complaints.clear()
    page.open(f"{address}/?gone#train-gone", (1280, 900))
    page.wait("document.querySelector('#detail').textContent.includes('no such entry')")
    for _ in range(200):  # the browser reports it too, a moment later, and not in the next test
        if not page.complaints:
            page.run("new Promise((done) => setTimeout(done, 10))")
    assert len(page.complaints) == 1


def test_conversations_are_shown_with_their_answers(page: Page, tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    (prepared / "images").mkdir(parents=True)
    Image.new("RGB", (40, 30), "teal").save(prepared / "images" / "a.png")
    turns = (
        message("user", image_block(), text_block("Which colour?")),
        message("assistant", text_block("It is teal.")),
    )
    meta = TrafficMeta(split="val", kind="chat", scenario="a")
    write_samples(prepared / "val.parquet", [Sample(turns, ("images/a.png",), "images/a.png", meta)])
    (tmp_path / "project.yaml").write_text("data: {path: data, source: llava}\n")
    line = {"question": "Which colour?", "images": ["images/a.png"], "answer": "It is blue."}
    (tmp_path / "predictions.jsonl").write_text(json.dumps({**line, "reference": "It is teal."}) + "\n")
    opened(page, served_here(library_of(tmp_path)))
    page.run("document.querySelector('#list a').click()")
    page.wait("document.querySelector('#detail img') && document.querySelector('#detail img').naturalWidth == 40")
    assert page.run("document.querySelector('#detail ins').textContent") == "blue"
    assert page.run("document.querySelector('#detail del').textContent") == "teal"
    assert page.complaints == []
