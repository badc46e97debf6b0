"""Clips described as jobs: images as `prepare` makes them, answers phase by phase, cancel, limits."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cityscribe.serve.describe import given_boxes, given_phases
from cityscribe.serve.facts import FIELDS, facts_question, most_tokens
from cityscribe.serve.refusal import Refusal
from cityscribe.traffic.scenario import PHASES
from tests.media.numbered_video import number_of
from tests.serve.running import Running, clip, encoded, picture


def post(service: Running, video: bytes, **fields: Any) -> Any:
    data = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return service.http.post("/v1/describe", files={"video": ("../../etc/passwd", video, "x/y")}, data=data)


def finished(service: Running, id_: str) -> dict[str, Any]:
    for _ in range(600):
        job: dict[str, Any] = service.http.get(f"/v1/jobs/{id_}").json()
        if job["status"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_orders_are_those_of_prediction_and_need_no_library_of_models() -> None:
    read = (
        "import sys, cityscribe.serve.describe as ours, cityscribe.predict.orders as theirs; ours.facts_grammar();"
        "print(ours.ORDERS is theirs.ORDERS, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr


def test_each_phase_is_described_with_its_own_images(service: Running, tmp_path: Path) -> None:
    phases = [
        {"phase": "action", "start_s": 1.0, "end_s": 1.5},
        {"phase": "recognition", "start_s": 0.0, "end_s": 0.9},
    ]
    boxes = [{"role": "pedestrian", "time_s": 1.2, "xywh": [20, 30, 40, 10]}]
    created = post(service, clip(tmp_path), phases=phases, boxes=boxes)
    assert created.status_code == 202
    assert created.headers["location"] == f"/v1/jobs/{created.json()['id']}"
    job = finished(service, created.json()["id"])
    assert job["status"] == "done", job["error"]
    assert job["progress"] == {"done": 4, "total": 4}
    assert [phase["phase"] for phase in job["phases"]] == ["recognition", "action"]
    recognition, action = job["phases"]
    assert recognition["note"].startswith("no boxes")
    assert action["marked"] == ["pedestrian"]
    assert all(phase[role]["text"] for phase in job["phases"] for role in ("pedestrian", "vehicle"))
    shown = [Image.open(io.BytesIO(service.http.get(url).content)) for url in action["images"]]
    assert [image.size for image in shown] == [(72, 18), (112, 48)], "the local view first, as `prepare` has it"
    assert number_of(np.array(shown[1])) == 12


def test_the_facts_of_each_phase_fit_their_table(service: Running, tmp_path: Path) -> None:
    phases = [
        {"phase": "action", "start_s": 1.0, "end_s": 1.5},
        {"phase": "recognition", "start_s": 0.0, "end_s": 0.9},
    ]
    job = finished(service, post(service, clip(tmp_path), phases=phases, facts="true").json()["id"])
    assert (job["status"], job["progress"]) == ("done", {"done": 6, "total": 6})
    for phase in job["phases"]:
        assert phase["facts"]["finish"] == "stop"
        found = phase["facts"]["values"]
        assert {subject: list(fields) for subject, fields in found.items()} == {
            subject: list(fields) for subject, fields in FIELDS.items()
        }
        for subject, fields in found.items():
            assert all(fact in (*FIELDS[subject][field], "unknown") for field, fact in fields.items())
    told = service.http.get(f"/v1/jobs/{job['id']}/events").text
    assert told.count("event: facts") == 2


def test_no_facts_take_more_tokens_than_are_allowed() -> None:
    asked = facts_question()
    for subject, fields in FIELDS.items():
        for field, values in fields.items():
            assert field in asked
            assert all(value in asked for value in values), (subject, field)
    longest = {s: {f: max((*v, "unknown"), key=len) for f, v in fields.items()} for s, fields in FIELDS.items()}
    assert most_tokens() > len(json.dumps(longest).encode())


def test_without_phases_the_clip_has_five_equal_parts(service: Running, tmp_path: Path) -> None:
    job = finished(service, post(service, clip(tmp_path)).json()["id"])
    assert [phase["phase"] for phase in job["phases"]] == list(PHASES)
    assert [phase["start_s"] for phase in job["phases"]] == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6])


def test_events_tell_all_and_go_on_where_a_reader_was(service: Running, tmp_path: Path) -> None:
    id_ = post(service, clip(tmp_path)).json()["id"]

    def read(after: int) -> list[tuple[int, str, Any]]:
        text = service.http.get(f"/v1/jobs/{id_}/events", params={"after": after}).text
        found = []
        for event in text.strip().split("\n\n"):
            number, name, data = (line.partition(": ")[2] for line in event.splitlines())
            found.append((int(number), name, json.loads(data)))
        return found

    events = read(0)
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    assert [name for _, name, _ in events] == ["status", "phases", *["answer"] * 10, "status"]
    job = finished(service, id_)
    for _, name, value in events:
        if name == "answer":
            phase = next(phase for phase in job["phases"] if phase["phase"] == value["phase"])
            assert phase[value["role"]]["text"] == value["text"]
    assert read(7) == events[7:]


def test_a_cancelled_job_ends_and_is_forgotten_when_asked_again(service: Running, tmp_path: Path) -> None:
    id_ = post(service, clip(tmp_path)).json()["id"]
    assert service.http.delete(f"/v1/jobs/{id_}").json()["status"] in ("cancelled", "done")
    assert service.http.get(f"/v1/jobs/{id_}").status_code == 200
    service.http.delete(f"/v1/jobs/{id_}")
    assert service.http.get(f"/v1/jobs/{id_}").status_code == 404
    assert service.http.get(f"/v1/jobs/{id_}/images/0").status_code == 404


def test_limits_of_clips(service: Running, tmp_path: Path) -> None:
    assert post(service, b"#EXTM3U\nfile:///etc/passwd\n" * 9).status_code == 415
    assert post(service, encoded(picture())).status_code == 415
    assert post(service, b"\0\0\0\x18ftypisom" + bytes(1_100_000)).status_code == 413
    for video, code in (
        (clip(tmp_path, frames=60), "too_long"),
        (clip(tmp_path, frames=240, fps=60), "too_many_frames"),
        (clip(tmp_path)[:900], "undecodable"),
    ):
        job = finished(service, post(service, video).json()["id"])
        assert (job["status"], job["error"]["code"]) == ("failed", code)
    outside = [{"phase": "action", "start_s": 4.0, "end_s": 5.0}]
    job = finished(service, post(service, clip(tmp_path), phases=outside).json()["id"])
    assert job["error"]["code"] == "phase_outside"


@pytest.mark.parametrize(
    ("phases", "boxes", "place"),
    [
        ("{", "", "phases"),
        ('[{"phase": "nap", "start_s": 0, "end_s": 1}]', "", "phases[0].phase"),
        ('[{"phase": "action", "start_s": 1, "end_s": 1}]', "", "phases[0]"),
        ('[{"phase": "action", "start_s": 0, "end_s": 1}, {"phase": "action", "start_s": 0, "end_s": 2}]', "", "once"),
        ('[{"phase": "action", "start_s": NaN, "end_s": 1}]', "", "phases"),
        ("", '[{"role": "dog", "time_s": 0, "xywh": [0, 0, 1, 1]}]', "boxes[0].role"),
        ("", '[{"role": "vehicle", "time_s": 0, "xywh": [0, 0, 0, 1]}]', "boxes[0].xywh[2]"),
        ("", '[{"role": "vehicle", "time_s": -1, "xywh": [0, 0, 1, 1]}]', "boxes[0].time_s"),
    ],
)
def test_wrong_phases_and_boxes_are_named(phases: str, boxes: str, place: str) -> None:
    read, text = (given_phases, phases) if phases else (given_boxes, boxes)
    with pytest.raises(Refusal) as refused:
        read(text)
    assert refused.value.status == 422
    assert place in refused.value.message
