"""The remote engine against a real HTTP server that speaks the protocol and sometimes fails."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cityscribe.files import InputError
from cityscribe.predict.prompts import Conversation
from cityscribe.predict.remote import RemoteEngine
from cityscribe.predict.settings import PredictSettings
from cityscribe.predict.stage import predict
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.traffic.meta import TrafficMeta
from tests.models.test_load import picture


class Server(ThreadingHTTPServer):
    """Says for each request what was asked and how large the images were. `faults` maps the n-th request (from 0) to
    a status, or to "hang" or "hang up"."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: dict[int, int | str] = {}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(body)
            self.server.headers.append(self.headers)
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        try:
            fault = self.server.faults.get(number)
            if fault == "hang":
                self.server.stop.wait(5)
            if fault == "hang up" or fault == "hang":
                self.close_connection = True
                return
            time.sleep(0.01)
            if isinstance(fault, int):
                headers = {"retry-after": "0"} if fault == 429 else {}
                self._reply(fault, {"error": {"message": "not this time"}}, headers)
            else:
                self._reply(200, completion(body), {})
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _reply(self, status: int, value: Any, headers: dict[str, str]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", "content-length": len(content), **headers}.items():
            self.send_header(name, str(text))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def completion(body: dict[str, Any]) -> dict[str, Any]:
    words = []
    for entry in body["messages"]:
        parts = entry["content"] if isinstance(entry["content"], list) else [{"type": "text", "text": entry["content"]}]
        for part in parts:
            if part["type"] == "text":
                words.append(f"{entry['role']}: {part['text']}")
            else:
                head, _, data = part["image_url"]["url"].partition(",")
                image = Image.open(io.BytesIO(base64.b64decode(data)))
                words.append(f"{head} {image.size}")
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": " ".join(words)}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)},
    }


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.stop.set()
    made.shutdown()
    made.server_close()


def settings_for(server: Server, **remote: Any) -> PredictSettings:
    remote = {"base_url": server.url, "model": "city-7b", "concurrency": 3, "tries": 4, "timeout_s": 2.0, **remote}
    return PredictSettings(engine="remote", remote=remote, max_new_tokens=33)


def engine_for(server: Server, **remote: Any) -> RemoteEngine:
    return RemoteEngine(settings_for(server, **remote), seed=5, pause_s=0.001)


def ask(*texts: str) -> list[Conversation]:
    return [Conversation((message("user", text_block(text)),)) for text in texts]


def test_what_is_asked_and_what_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    picture(size=(30, 20)).save(tmp_path / "a.png")
    picture(size=(40, 20)).save(tmp_path / "b.jpg")
    asked = message("user", image_block(), image_block(), text_block("Where?"))
    later = (asked, message("assistant", text_block("Left.")), message("user", text_block("Who?")))
    talk = Conversation(later, (tmp_path / "a.png", tmp_path / "b.jpg"), max_new_tokens=9)
    (answer,) = engine_for(server).answer([talk])
    assert answer.text == (
        "data:image/png;base64 (30, 20) data:image/jpeg;base64 (40, 20) user: Where? assistant: Left. user: Who?"
    )
    assert (answer.prompt_tokens, answer.tokens, answer.problem) == (7, 5, "")
    (body,) = server.asked
    told = {name: value for name, value in body.items() if name != "messages"}
    assert told == {"model": "city-7b", "max_tokens": 9, "temperature": 0.0, "seed": 5}
    assert server.headers[0]["authorization"] == "Bearer a secret"


def test_order_equal_questions_and_how_many_at_once(server: Server) -> None:
    texts = [f"question {n % 12}" for n in range(30)]
    answers = engine_for(server).answer(ask(*texts))
    assert [answer.text for answer in answers] == [f"user: {text}" for text in texts]
    assert len(server.asked) == 12
    assert 1 < server.most_under_way <= 3
    assert engine_for(server).answer([]) == []


def test_faults_that_pass_are_tried_again(server: Server) -> None:
    server.faults = {0: 429, 1: 500, 2: "hang up", 3: "hang", 5: 503, 6: 408}
    texts = [f"question {n}" for n in range(5)]
    answers = engine_for(server, timeout_s=0.3).answer(ask(*texts))
    assert [answer.text for answer in answers] == [f"user: {text}" for text in texts]
    assert len(server.asked) == 5 + len(server.faults)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_tried_again(status: int, server: Server) -> None:
    server.faults = {0: status}
    with pytest.raises(InputError, match=rf"127\.0\.0\.1.*refuses: {status}: .*not this time"):
        engine_for(server).answer(ask("Where?"))
    assert len(server.asked) == 1


def test_after_all_tries_the_last_problem_is_told(server: Server) -> None:
    server.faults = dict.fromkeys(range(100), 500)
    with pytest.raises(InputError, match=r"no answer after 4 tries; the last said: 500"):
        engine_for(server).answer(ask(*map(str, range(40))))
    assert max(Counter(json.dumps(body) for body in server.asked).values()) == 4
    assert len(server.asked) < 100, "what has not begun is not sent after a failure"


def test_an_image_that_is_torn_is_named_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG torn")
    talk = Conversation((message("user", image_block(), text_block("Where?")),), (tmp_path / "torn.png",))
    with pytest.raises(InputError, match=r"torn\.png: not an image"):
        engine_for(server).answer([talk])
    assert not server.asked


def test_a_server_without_a_model_is_refused(server: Server) -> None:
    with pytest.raises(InputError, match=r"predict\.remote\.model: missing"):
        engine_for(server, model="")


def test_cut_and_empty_answers_say_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(body: dict[str, Any]) -> dict[str, Any]:
        reply = full(body)
        text = body["messages"][0]["content"]
        reply["choices"][0] |= {"finish_reason": "length"} if text == "cut" else {"message": {"role": "assistant"}}
        return reply

    full = completion
    monkeypatch.setitem(globals(), "completion", short)
    assert [answer.problem for answer in engine_for(server).answer(ask("cut", "empty"))] == ["cut", "empty"]


def test_a_stage_that_failed_goes_on_and_writes_the_same_file(
    server: Server, tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    samples = []
    for phase in range(4):
        picture(phase).save(tmp_path / f"{phase}.png")
        for role in ("vehicle", "pedestrian"):
            question = message("user", image_block(), text_block(f"Phase {phase}: describe the {role}."))
            meta = TrafficMeta(scenario="event", phase=phase, target=role)
            samples.append(Sample((question,), (f"{phase}.png",), f"event/{phase}", meta))

    def run(out: str, tries: int) -> Any:
        section = settings_for(server, tries=tries).model_copy(update={"batch_size": 1})
        settings = Settings(data={"path": Path("data")}, predict=section)
        return predict(samples, tmp_path, tiny("llava"), settings, tmp_path / out)

    run("whole.json", 1)
    first = len(server.asked)
    server.faults = {first + 3: 500}
    with pytest.raises(InputError, match="after 1 tries"):
        run("killed.json", 1)
    # More tries are another way to the same answers: what the first run answered is kept.
    assert run("killed.json", 2).resumed == 1
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert "assistant: data:image" in (tmp_path / "whole.json").read_text()


@pytest.mark.parametrize("changed", [{"baselines": ["untuned"]}, {"baselines": ["blind"]}, {"choices": "letters"}])
def test_what_a_server_cannot_be_asked_is_refused_before_it_is(changed: dict[str, Any]) -> None:
    predict = {"engine": "remote", "remote": {"model": "m"}, **changed}
    with pytest.raises(InputError, match=next(iter(changed))) as refused:
        resolve({"data": {"path": "x"}, "predict": predict})
    assert "\n" not in str(refused.value)
