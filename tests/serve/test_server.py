"""The life of a service: starting, dying models, many clients at once, stopping."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cityscribe.cli.targets import settings_to_serve
from cityscribe.files import InputError
from cityscribe.project import settings_without_project
from cityscribe.serve.server import is_loopback, listening, read_token, serve
from tests.serve.running import Running, clip, encoded, image_part, picture, user


def chat(service: Running, *messages: dict[str, Any], **options: Any) -> tuple[int, str]:
    """Status, and the text or the code of the refusal."""
    body = {"model": service.name, "messages": list(messages), "max_tokens": 6, **options}
    response = service.http.post("/v1/chat/completions", json=body)
    told = response.json()
    if response.status_code != 200:
        return response.status_code, told["error"]["code"]
    return 200, told["choices"][0]["message"]["content"]


def test_health_metrics_and_description(service: Running) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok"}
    assert service.http.get("/readyz").json() == {"status": "ready"}
    chat(service, user("What?"))
    metrics = service.http.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\ncityscribe_model_ready 1.0\n" in metrics.text
    assert 'route="/v1/chat/completions",status="200"' in metrics.text
    described = service.http.get("/openapi.json").json()
    assert "/v1/describe" in described["paths"]
    assert service.http.get("/nowhere").json()["error"]["type"] == "not_found_error"
    assert service.http.get("/v1/chat/completions").status_code == 405
    assert service.http.get("/page/..%2f..%2fsettings.py").status_code == 404


def test_the_log_holds_no_content(service: Running) -> None:
    chat(service, user("A pink elephant on the road?"))
    service.http.get("/no-such-secret-path?q=elephant")
    service.http.post("/v1/chat/completions", content=b'{"model": "elephant"')
    lines = service.log()
    assert {"event", "time", "level"} <= set(lines[-1])
    assert "elephant" not in json.dumps(lines)
    assert "secret" not in json.dumps(lines)


def send_raw(service: Running, content: bytes) -> None:
    """Send bytes and hang up."""
    place = urlsplit(service.address)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
        connection.sendall(content)
        time.sleep(0.02)


def test_many_clients_some_malformed_some_gone_and_the_model_killed(service: Running, tmp_path: Path) -> None:
    """Every well-formed request is answered once or told to come again, every malformed one told why; what is answered
    is what the same request gets alone; no job is lost."""
    questions = ["Where?", "What is the weather?", "Who is near?"]
    expected = {q: chat(service, user(image_part(encoded(picture(5))), q)) for q in questions}
    assert {status for status, _ in expected.values()} == {200}
    results: Counter[str] = Counter()
    faults: list[Any] = []
    starts = sum(line["event"] == "model-ready" for line in service.log())
    video = clip(tmp_path)

    def client(number: int) -> None:
        draw = random.Random(number)
        for _ in range(5):
            kind = draw.choice(["good"] * 5 + ["malformed", "cut", "cancelled"])
            question = draw.choice(questions)
            asked = user(image_part(encoded(picture(5))), question)
            if kind == "good":
                answer = chat(service, asked)
                while answer[0] in (429, 503):  # told to come again
                    results["retried"] += 1
                    time.sleep(0.3)
                    answer = chat(service, asked)
                if answer != expected[question]:
                    faults.append((question, answer))
            elif kind == "malformed":
                wrong: dict[str, Any] = draw.choice([{"n": 3}, {"max_tokens": -1}, {"messages": "?"}, {"stop": 5}])
                status, code = chat(service, asked, **wrong)
                if (status, code) != (422, "invalid") and status != 429:
                    faults.append((wrong, status, code))
            else:
                body = json.dumps({"model": service.name, "messages": [asked], "max_tokens": 400}).encode()
                length = len(body) if kind == "cancelled" else len(body) + 10
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {urlsplit(service.address).netloc}\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                send_raw(service, head.encode() + body)
            results[kind] += 1

    job = service.http.post("/v1/describe", files={"video": ("a", video)}).json()["id"]
    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while results["good"] < 5:
        time.sleep(0.01)
    service.kill_model()
    while service.http.get("/readyz").status_code == 200:
        time.sleep(0.01)
    assert service.http.get("/healthz").status_code == 200, "it lives while the model is being loaded"
    for thread in threads:
        thread.join()
    service.wait_ready(starts + 1)
    assert not faults
    assert results["good"] > 15
    assert min(results["malformed"], results["cut"], results["cancelled"]) > 0
    for _ in range(1200):
        described = service.http.get(f"/v1/jobs/{job}").json()
        if described["status"] == "done":
            break
        time.sleep(0.05)
    assert (described["status"], described["progress"]) == ("done", {"done": 10, "total": 10})
    for _ in range(600):
        gauges = service.http.get("/metrics").text
        if "cityscribe_running 0.0\n" in gauges and "cityscribe_requests_under_way 0.0\n" in gauges:
            return
        time.sleep(0.1)
    raise AssertionError("requests that nobody waits for are still under way")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_others_are_served_only_with_a_token(host: str) -> None:
    assert not is_loopback(host)
    settings = settings_without_project([f"serve.host='{host}'", "serve.port=0"])
    with pytest.raises(InputError, match="token"):
        serve("nowhere", settings, Path(), "", print)


def test_tokens_are_read_and_short_ones_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("CITYSCRIBE_TOKEN", "of-the-environment")
    assert read_token(None) == "of-the-environment"
    file.write_text("  of-the-file-itself\n")
    assert read_token(file) == "of-the-file-itself"
    for content in ("", "short", "with\na line break in it"):
        file.write_text(content)
        with pytest.raises(InputError, match="16 printable"):
            read_token(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "none")


def test_the_settings_are_those_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text("data: {path: x}\npredict: {order: independent}\n")
    settings, drafts = settings_to_serve(str(tmp_path / "model"), None, ["serve.port=0"])
    assert (settings.predict.order, settings.serve.port, drafts.name) == ("independent", 0, "prepared")
    settings, _ = settings_to_serve("cityscribe-tiny", None, [])
    assert settings.predict.order == "vehicle-pedestrian"
    with pytest.raises(InputError, match="engine"):
        settings_to_serve("cityscribe-tiny", None, ["predict.engine=remote"])


def test_an_address_that_is_taken_is_one_clear_error() -> None:
    with listening("127.0.0.1", 0) as taken, pytest.raises(InputError, match="cannot listen"):
        listening("127.0.0.1", taken.getsockname()[1])


def test_a_stopped_service_finishes_what_it_can_and_leaves_nothing_behind(service: Running) -> None:
    # The last test here, because the next one that needs a service has to start it.
    answers: list[tuple[int, str]] = []
    asked = threading.Thread(target=lambda: answers.append(chat(service, user("What?"), max_tokens=300)))
    asked.start()
    while "cityscribe_running 1" not in service.http.get("/metrics").text:
        time.sleep(0.01)
    service.process.send_signal(signal.SIGTERM)
    while service.http.get("/readyz").status_code == 200:
        time.sleep(0.01)
    assert chat(service, user("And now?")) == (503, "stopping")
    asked.join()
    assert answers[0][0] == 200
    assert service.process.wait(20) == 0
    assert service.log()[-1]["event"] == "stopped"
    assert not list(service.log_file.parent.glob("cityscribe-*"))
