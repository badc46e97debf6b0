"""The routes: what is served, and what is not."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cityscribe.browse.app import browsing
from cityscribe.browse.library import Library, entry_id
from cityscribe.records import read_samples, write_samples
from cityscribe.traffic.scenario import Gaze
from tests.browse.made import ASKED, BARE, BOXED, FRAMES, library_of
from tests.media.numbered_video import HEIGHT, WIDTH, number_of


@pytest.fixture(scope="module")
def client(of_run: Library) -> TestClient:
    return TestClient(browsing(of_run), base_url="http://127.0.0.1")


VIEW = f"/api/entries/{entry_id('val', ASKED)}/views/0"


def test_frames_are_those_of_the_video(client: TestClient) -> None:
    for number in (0, 7, 11, 12, FRAMES - 1):
        answer = client.get(f"{VIEW}/frames/{number}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert number_of(np.asarray(Image.open(io.BytesIO(answer.content)))) == number


@pytest.mark.parametrize("number", [-1, FRAMES, 10**9])
def test_a_frame_that_does_not_exist_is_refused_without_a_path(
    client: TestClient, of_run: Library, number: int
) -> None:
    answer = client.get(f"{VIEW}/frames/{number}")
    assert answer.status_code == 404
    assert "frame" in answer.json()["error"]
    assert str(of_run.settings.data.path) not in answer.text


def test_a_part_of_a_video_is_served(client: TestClient, of_run: Library) -> None:
    whole = of_run.scenarios[entry_id("val", ASKED)].views[0].video.read_bytes()
    answer = client.get(f"{VIEW}/video", headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, whole[100:200])
    assert answer.headers["content-type"] == "video/mp4"


def test_a_phase_that_was_not_prepared_is_shown_as_it_would_be(client: TestClient) -> None:
    answer = client.get(f"/api/entries/{entry_id('train', BARE)}/views/0/phases/1/global")
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        assert number_of(np.asarray(picture)) == 6


def test_a_preview_has_the_arrow_of_the_gaze_where_prepare_draws_it(of_run: Library) -> None:
    id_ = entry_id("train", BARE)
    scenario = of_run.scenarios[id_]
    looking = replace(scenario.views[0], gaze=(Gaze(6, (WIDTH / 2, HEIGHT / 2), (1.0, 0.0, 0.0)),))
    scenarios = {**of_run.scenarios, id_: replace(scenario, views=(looking, *scenario.views[1:]))}

    def shown(draw_gaze: bool) -> bytes:
        prepare = of_run.settings.prepare.model_copy(update={"draw_gaze": draw_gaze})
        settings = of_run.settings.model_copy(update={"prepare": prepare})
        app = browsing(replace(of_run, scenarios=scenarios, settings=settings))
        return TestClient(app, base_url="http://127.0.0.1").get(f"/api/entries/{id_}/views/0/phases/1/global").content

    assert shown(True) != shown(False)


def test_a_preview_of_the_appearance_is_of_the_phase_that_shows_it_best(of_run: Library) -> None:
    images = ("appearance", "pedestrian")
    prepare = of_run.settings.prepare.model_copy(update={"images": images, "draw_boxes": False})
    library = replace(of_run, settings=of_run.settings.model_copy(update={"prepare": prepare}))
    client = TestClient(browsing(library), base_url="http://127.0.0.1")

    def shown(number: int, kind: str) -> bytes:
        answer = client.get(f"/api/entries/{entry_id('train', BOXED)}/views/0/phases/{number}/{kind}")
        assert answer.status_code == 200
        return answer.content

    assert {shown(number, "appearance") for number in range(5)} == {shown(4, "pedestrian")}
    assert len({shown(number, "pedestrian") for number in range(5)}) == 5


def test_the_prepared_images_are_the_files(client: TestClient, of_run: Library, run_dir: Path) -> None:
    detail = client.get(f"/api/entries/{entry_id('val', ASKED)}").json()
    for phase in detail["views"][0]["phases"]:
        for image in phase["images"]:
            content = client.get(image["url"]).content
            assert content in {path.read_bytes() for path in (run_dir / "prepared" / "images").rglob("*.jpg")}


@pytest.mark.parametrize(
    "path",
    [
        "/api/entries/" + quote("../../etc/passwd", safe=""),
        "/api/entries/../../etc/passwd",
        "/api/entries/val-nothing",
        f"{VIEW.removesuffix('0')}7/video",
        f"{VIEW.removesuffix('0')}-1/video",
        f"{VIEW}/phases/9/local",
        f"{VIEW}/phases/0/both",
        f"/api/entries/{entry_id('val', ASKED)}/samples/99/images/0",
        f"/api/entries/{entry_id('val', ASKED)}/samples/0/images/-1",
        "/page/" + quote("../library.py", safe=""),
        "/page/library.py",
        "/docs",
        "/openapi.json",
    ],
    ids=range(13),
)
def test_what_is_not_in_the_library_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_a_video_that_is_a_link_out_of_the_data_set_is_not_shown(of_data: Library, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    scenario = of_data.scenarios[entry_id("train", BARE)]
    secret.write_bytes(scenario.views[0].video.read_bytes())
    copy = tmp_path / "data"
    shutil.copytree(of_data.settings.data.path, copy)
    inside = copy / scenario.views[0].video.relative_to(of_data.settings.data.path)
    inside.unlink()
    inside.symlink_to(secret)
    linked = library_of(copy)
    place = f"/api/entries/{entry_id('train', BARE)}/views/0"
    paths = (f"{place}/video", f"{place}/frames/0", f"{place}/phases/1/global")
    client = TestClient(browsing(linked), base_url="http://127.0.0.1")
    assert {client.get(path).status_code for path in paths} == {404}
    trusted = TestClient(browsing(replace(linked, follow_links=True)), base_url="http://127.0.0.1")
    assert {trusted.get(path).status_code for path in paths} == {200}
    other = inside.with_name("linked inside.mp4")
    inside.unlink()
    other.write_bytes(secret.read_bytes())
    inside.symlink_to(other.name)
    assert client.get(paths[0]).status_code == 200, "a link inside the data set is followed"


def test_a_sample_that_names_a_file_elsewhere_shows_nothing(of_run: Library, run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    copy = tmp_path / "run"
    (copy / "prepared").mkdir(parents=True)
    (copy / "project.yaml").write_text((run_dir / "project.yaml").read_text())
    samples = read_samples(run_dir / "prepared" / "val.parquet")
    for image in ("../../secret.jpg", str(tmp_path / "secret.jpg")):
        write_samples(copy / "prepared" / "val.parquet", [replace(samples[0], images=(image,) * 2)])
        with TestClient(browsing(library_of(copy)), base_url="http://127.0.0.1") as client:
            answer = client.get(f"/api/entries/{entry_id('val', ASKED)}/samples/0/images/0")
        assert answer.status_code == 404
        assert b"secret" not in answer.content.replace(b"secret.jpg", b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8090"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 200),
    ],
    ids=["own", "localhost", "rebound", "prefixed", "foreign", "sandboxed", "same"],
)
def test_only_pages_of_this_machine_are_served(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/api/about", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_else_can_be_changed(client: TestClient, method: str) -> None:
    own = {"Origin": "http://127.0.0.1", "Content-Type": "application/json"}
    assert client.request(method, "/api/entries", headers=own, content="{}").status_code == 405


def test_the_list_comes_in_pages(client: TestClient, of_run: Library) -> None:
    rows = [
        client.get("/api/entries", params={"offset": n, "limit": 1}).json()["rows"][0]["id"]
        for n in range(len(of_run.entries))
    ]
    assert rows == [entry.id for entry in of_run.entries]
    for id in rows:
        assert client.get(f"/api/entries/{id}/place").json() == {"place": rows.index(id)}
    assert client.get(f"/api/entries/{entry_id('train', BOXED)}/place", params={"q": "cloudy"}).json() == {"place": -1}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1000000", "offset=-1", "order=random", "which=x", "q=" + "a" * 500]
)
def test_a_wrong_query_is_named(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/entries?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["error"]
