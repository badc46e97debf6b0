"""The remote engine against a real HTTP server that speaks the protocol and sometimes fails."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cityscribe.engine.members import Server
from cityscribe.engine.remote import MAX_REPLY_BYTES, RemoteEngine
from cityscribe.engine.request import Answer, Request, Sampling
from cityscribe.files import InputError
from cityscribe.predict.stage import predict
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.traffic.meta import TrafficMeta
from tests.models.test_load import picture


class HttpServer(ThreadingHTTPServer):
    """Says for each request what was asked and how large the images were. `faults` maps the n-th request (from 0) to a
    status, to "hang", "hang up", "drip", "drip headers" or "endless", or to the body of a reply."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: dict[int, int | str | bytes] = {}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        self.sent = 0  # bytes of replies that never end
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer

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
            if fault in ("drip", "drip headers", "endless"):
                self._misbehave(fault)
                return
            if fault == "hang":
                self.server.stop.wait(5)
            if fault == "hang up" or fault == "hang":
                self.close_connection = True
                return
            time.sleep(0.01)
            if isinstance(fault, int):
                headers = {"retry-after-ms": "1"} if fault >= 500 or fault in (408, 429) else {}
                self._reply(fault, {"error": {"message": "not this time"}}, headers)
            elif isinstance(fault, bytes):
                kind = "text/html" if fault.startswith(b"<") else "application/json"
                self._send(200, fault, {"content-type": kind})
            else:
                self._reply(200, completion(body), {})
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _reply(self, status: int, value: Any, headers: dict[str, str]) -> None:
        self._send(status, json.dumps(value).encode(), {"content-type": "application/json", **headers})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {"content-length": str(len(content)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def _misbehave(self, fault: str) -> None:
        """Send a reply that never ends: slowly, or as fast as it is read."""
        self.close_connection = True
        if fault == "drip headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-a: ")
        else:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
        piece, pause_s = (b" " * 2**16, 0.0) if fault == "endless" else (b" ", 0.05)
        with contextlib.suppress(OSError):  # until the client hangs up
            while not self.server.stop.wait(pause_s):
                self.wfile.write(piece)
                self.server.sent += len(piece)

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
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.stop.set()
    made.shutdown()
    made.server_close()


def settings_for(server: HttpServer, **remote: Any) -> dict[str, Any]:
    return {"base_url": server.url, "model": "city-7b", "concurrency": 3, "tries": 4, "timeout_s": 4.0, **remote}


def engine_for(server: HttpServer, **remote: Any) -> RemoteEngine:
    return RemoteEngine(Server(**settings_for(server, **remote)))


def ask(*texts: str) -> list[Request]:
    return [Request((message("user", text_block(text)),), max_tokens=33) for text in texts]


def answers_of(engine: RemoteEngine, requests: list[Request]) -> list[Answer]:
    """One answer to each."""
    return [answer for (answer,) in engine.answer(requests)]


def test_what_is_asked_and_what_is_said(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    picture(size=(30, 20)).save(tmp_path / "a.png")
    asked = message("user", image_block(), image_block(), text_block("Where?"))
    later = (asked, message("assistant", text_block("Left.")), message("user", text_block("Who?")))
    sampling = Sampling(seed=5)
    request = Request(later, (tmp_path / "a.png", picture(size=(40, 20))), max_tokens=9, sampling=sampling)
    (answer,) = answers_of(engine_for(server), [request])
    assert answer.text == (
        "data:image/png;base64 (30, 20) data:image/png;base64 (40, 20) user: Where? assistant: Left. user: Who?"
    )
    assert (answer.prompt_tokens, answer.tokens, answer.problem) == (7, 5, "")
    (body,) = server.asked
    options = {name: value for name, value in body.items() if name != "messages"}
    assert options == {"model": "city-7b", "max_tokens": 9, "temperature": 0.0, "seed": 5}
    assert server.headers[0]["authorization"] == "Bearer a secret"


def test_order_equal_questions_and_how_many_at_once(server: HttpServer) -> None:
    texts = [f"question {n % 12}" for n in range(30)]
    answers = answers_of(engine_for(server), ask(*texts))
    assert [answer.text for answer in answers] == [f"user: {text}" for text in texts]
    assert len(server.asked) == 12
    assert 1 < server.most_under_way <= 3
    assert answers_of(engine_for(server), []) == []


def test_faults_that_pass_are_tried_again(server: HttpServer) -> None:
    server.faults = {0: 429, 1: 500, 2: "hang up", 3: "hang", 5: 503, 6: 408}
    texts = [f"question {n}" for n in range(5)]
    answers = answers_of(engine_for(server, timeout_s=1.0), ask(*texts))
    assert [answer.text for answer in answers] == [f"user: {text}" for text in texts]
    assert len(server.asked) == 5 + len(server.faults)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_everything_is_not_tried_again(status: int, server: HttpServer) -> None:
    server.faults = {0: status}
    with pytest.raises(InputError, match=rf"127\.0\.0\.1.*refuses: {status}: .*not this time"):
        engine_for(server).answer(ask("Where?"))
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_one_request_harms_no_other(status: int, server: HttpServer) -> None:
    server.faults = {1: status}
    answers = answers_of(engine_for(server, concurrency=1), ask("a", "b", "c"))
    assert [answer.text for answer in answers] == ["user: a", "", "user: c"]
    assert (answers[1].problem, "not this time" in answers[1].reason) == ("refused", True)
    assert len(server.asked) == 3


def test_after_all_tries_the_last_problem_is_told(server: HttpServer) -> None:
    server.faults = dict.fromkeys(range(100), 500)
    with pytest.raises(InputError, match=r"no answer after 4 tries; the last said: 500"):
        answers_of(engine_for(server), ask(*map(str, range(40))))
    assert max(Counter(json.dumps(body) for body in server.asked).values()) == 4
    assert len(server.asked) < 100, "what has not begun is not sent after a failure"


REPLIES = {
    "list": b"[]",
    "html": b"<html><body>It works!</body></html>",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "no choices": b'{"choices": []}',
    "other": b'{"choices": [{"message": {"content": 3}}]}',
    "number": b"7" * 10_000,
    "nothing": b"",
    "no text": b'{"choices": [{"message": {"content": "\xff"}}]}',
    "more": b'{"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}',
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_that_is_none_is_an_error_that_names_the_server(reply: bytes, server: HttpServer) -> None:
    server.faults = {0: reply}
    with pytest.raises(InputError, match=r"127\.0\.0\.1.*the reply ") as raised:
        engine_for(server).answer(ask("Where?"))
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("fault", ["drip", "drip headers"])
def test_a_reply_has_to_be_whole_in_time_however_it_comes(fault: str, server: HttpServer) -> None:
    server.faults = {0: fault}
    began = time.monotonic()
    with pytest.raises(InputError, match=r"no whole reply within 0\.5 s"):
        engine_for(server, timeout_s=0.5, tries=1).answer(ask("Where?"))
    assert time.monotonic() - began < 5


def test_a_reply_without_end_is_cut(server: HttpServer) -> None:
    server.faults = {0: "endless"}
    with pytest.raises(InputError, match="a reply of more than"):
        engine_for(server, timeout_s=60.0, tries=1).answer(ask("Where?"))
    # What lies in buffers on its way is not in memory here.
    assert server.sent < MAX_REPLY_BYTES + 2**25


def test_an_image_that_is_torn_is_named_and_harms_no_other(server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG torn")
    torn = Request((message("user", image_block(), text_block("Where?")),), (tmp_path / "torn.png",))
    first, second = answers_of(engine_for(server), [torn, *ask("Who?")])
    assert (first.problem, first.text) == ("refused", "")
    assert "torn.png: not an image" in first.reason
    assert second.text == "user: Who?"
    assert len(server.asked) == 1


def test_what_else_can_be_wanted(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def several(body: dict[str, Any]) -> dict[str, Any]:
        reply = full(body)
        logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]}
        reply["choices"] = [{**reply["choices"][0], "logprobs": logprobs}] * body["n"]
        return reply

    full = completion
    monkeypatch.setitem(globals(), "completion", several)
    (request,) = ask("Where?")
    sampling = Sampling(temperature=0.5, top_p=0.9, repetition_penalty=1.2, seed=3)
    wanted = replace(request, sampling=sampling, samples=2, stop=("\n",), logprobs=True)
    ((first, second),) = engine_for(server).answer([wanted])
    assert first.logprobs == second.logprobs == (-0.5, -1.5)
    (body,) = server.asked
    assert {name: body[name] for name in ("n", "stop", "logprobs", "top_p", "repetition_penalty", "temperature")} == {
        "n": 2,
        "stop": ["\n"],
        "logprobs": True,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "temperature": 0.5,
    }
    (held,) = answers_of(engine_for(server), [replace(request, grammar="start: /a/")])
    assert (held.problem, "without a grammar" in held.reason) == ("refused", True)
    with pytest.raises(InputError, match="how likely"):
        engine_for(server).score([request], [["a"]])


def test_a_server_without_a_model_is_refused(server: HttpServer) -> None:
    with pytest.raises(InputError, match=r"predict\.remote\.model: missing"):
        engine_for(server, model="")


def test_cut_and_empty_answers_say_so(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(body: dict[str, Any]) -> dict[str, Any]:
        reply = full(body)
        text = body["messages"][0]["content"]
        reply["choices"][0] |= {"finish_reason": "length"} if text == "cut" else {"message": {"role": "assistant"}}
        return reply

    full = completion
    monkeypatch.setitem(globals(), "completion", short)
    assert [answer.problem for answer in answers_of(engine_for(server), ask("cut", "empty"))] == ["cut", "empty"]


def test_a_stage_that_failed_goes_on_and_writes_the_same_file(
    server: HttpServer, tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    samples = []
    for phase in range(4):
        picture(phase).save(tmp_path / f"{phase}.png")
        for role in ("vehicle", "pedestrian"):
            question = message("user", image_block(), text_block(f"Phase {phase}: describe the {role}."))
            meta = TrafficMeta(scenario="event", phase=phase, target=role)
            samples.append(Sample((question,), (f"{phase}.png",), f"event/{phase}", meta))

    def run(out: str, tries: int) -> Any:
        remote = settings_for(server, tries=tries)
        section = {"engine": "remote", "remote": remote, "max_new_tokens": 33, "batch_size": 1}
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
