"""The page on which uncertain labels are looked through, in a headless Chromium."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cityscribe.browse.server import serve_here
from cityscribe.files import InputError
from cityscribe.label.app import LabelFolder, looking_through, open_label_folder
from cityscribe.sources.labels import ANSWERS, LABELS, read_label_folder
from tests.label.test_clips import SETTINGS, labelled
from tests.serve.chromium import CHROMIUM, browser

pytestmark = pytest.mark.usefixtures("patches")

UNSURE = SETTINGS.replace("sure: 0.7", "sure: 0.99")
"""Almost nothing is sure."""


@pytest.fixture(scope="module")
def folder(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labelled")
    labelled(clips, out, UNSURE)
    return out


@pytest.fixture
def opened(folder: Path) -> LabelFolder:
    (folder / ANSWERS).unlink(missing_ok=True)
    return open_label_folder(folder)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_one_key_answers_and_goes_on(opened: LabelFolder, tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve_here, args=(looking_through(opened), 0, told.put), daemon=True).start()
    with browser(tmp_path / "profile") as page:
        page.open(told.get(timeout=30), (1280, 900))
        page.wait("document.querySelectorAll('#pictures img').length > 0 && label.rows.length == 5")
        page.wait("[...document.querySelectorAll('#pictures img')].every((image) => image.naturalWidth == 64)")
        assert page.run("document.querySelector('h2').textContent") == "What colour is the traffic light? green"
        page.press("y")
        page.wait("label.place == 1 && label.rows[0].answer.answer == 'yes'")
        page.press("n")
        page.wait("label.place == 2 && label.rows[1].answer.answer == 'no'")
        page.press("u")
        page.wait("label.place == 1 && !label.rows[1].answer")
        page.press("1")  # the first value that is another one than yellow
        page.wait("label.place == 2 && label.rows[1].answer.right == 'red'")
        assert page.complaints == []
    samples, problems = read_label_folder(opened.root)
    assert "2 confirmed or corrected" in problems[-1].message
    assert {each.meta.note for each in samples} == {"label of a person"}


def test_answers_that_do_not_fit_are_refused_and_nothing_is_written(opened: LabelFolder) -> None:
    client = TestClient(looking_through(opened), base_url="http://127.0.0.1")
    label, origin = opened.asked[0], {"origin": "http://127.0.0.1"}
    good = {"id": label.id, "answer": "yes"}
    for place, body, status in (
        (0, good | {"id": "another"}, 409),
        (0, good | {"answer": "corrected", "right": "blue"}, 409),
        (0, good | {"answer": "corrected"}, 409),
        (0, good | {"answer": "perhaps"}, 422),
        (len(opened.asked), good, 404),
    ):
        assert client.post(f"/api/labels/{place}", json=body, headers=origin).status_code == status, body
    assert client.post("/api/labels/0", json=good, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/labels/0/pictures/9").status_code == 404
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert not (opened.root / ANSWERS).exists()
    assert client.post("/api/labels/0", json=good, headers=origin).json()["answer"] == {"answer": "yes", "right": ""}


def test_a_folder_without_labels_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.jsonl: no such file"):
        open_label_folder(tmp_path)
    (tmp_path / LABELS).write_text("{\n")
    with pytest.raises(InputError, match="has no labels: error"):
        open_label_folder(tmp_path)
