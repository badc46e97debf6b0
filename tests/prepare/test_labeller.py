from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cityscribe.files import InputError
from cityscribe.llm.settings import ServerSettings
from cityscribe.prepare.labeller import label_by_rules, label_captions, parse_reply
from cityscribe.prepare.settings import RulesSettings
from cityscribe.traffic.dimensions import DIMENSIONS
from cityscribe.traffic.sentences import split_sentences

CAPTION = "He is in his 30s. He walks slowly. The weather is clear."


class Server:
    """A chat-completions server on this machine. `replies` gives status and body for a request's content."""

    def __init__(self, replies):
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, request))
                status, kind, body = replies(request["messages"][0]["content"])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def serve(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    servers = []

    def start(replies):
        servers.append(Server(replies))
        return servers[-1], ServerSettings(base_url=servers[-1].url, model="m", timeout_s=5)

    yield start
    for server in servers:
        server.close()


def chat(text):
    """A well-formed reply with a text."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return 200, "application/json", json.dumps(body).encode()


def by_rules(role, caption):
    return label_by_rules(role, split_sentences(caption))


def test_the_servers_labels_are_taken(serve):
    server, settings = serve(lambda request: chat("1: e\n2: d\n3: a"))
    labels = label_captions([("pedestrian", CAPTION)], settings)
    found = [dimension for _, dimension in labels.by_caption["pedestrian", CAPTION]]
    assert found == ["summary", "environment", "attributes"]
    assert (labels.unparsed, labels.unanswered) == (0, 0)
    path, request = server.requests[0]
    assert path == "/v1/chat/completions"
    assert (request["temperature"], request["model"]) == (0, "m")
    content = request["messages"][0]["content"]
    assert "1: He is in his 30s.\n2: He walks slowly.\n3: The weather is clear." in content


def test_each_caption_is_asked_about_once_and_in_its_role(serve):
    server, settings = serve(lambda request: chat("1: b" if "describe a vehicle" in request else "1: c"))
    steps = []
    labels = label_captions(
        [("pedestrian", "A."), ("vehicle", "A."), ("pedestrian", "A.")], settings, lambda: steps.append(1)
    )
    assert labels.by_caption == {("pedestrian", "A."): (("A.", "motion"),), ("vehicle", "A."): (("A.", "position"),)}
    assert len(server.requests) == len(steps) == 2


@pytest.mark.parametrize(
    "reply",
    [
        chat("I would rather not."),
        chat(""),
        chat("1: a\n2: b"),  # one is missing
        chat("1: a\n2: b\n3: c\n4: d"),  # one too many
        chat("1: a\n1: b\n2: b\n3: c"),  # two minds
        chat("1: f\n2: b\n3: c"),
        chat("1: A man walks.\n2: b\n3: c"),
        (200, "application/json", b'{"choices": []}'),
        (200, "application/json", b'{"choices": [{"message": {"content": null}}]}'),
        (200, "application/json", b'{"choices": 3}'),
        (200, "application/json", b"[1, 2"),
        (200, "text/html", b"<html>welcome</html>"),
    ],
)
def test_a_reply_that_cannot_be_understood_falls_back_to_the_rules_and_is_counted(serve, reply):
    _, settings = serve(lambda request: reply)
    labels = label_captions([("pedestrian", CAPTION)], settings)
    assert labels.by_caption["pedestrian", CAPTION] == by_rules("pedestrian", CAPTION)
    assert (labels.unparsed, labels.unanswered) == (1, 0)


def test_one_bad_reply_costs_one_caption(serve):
    _, settings = serve(lambda request: chat("?" if "Bad" in request else "1: e"))
    captions = [("pedestrian", f"{word}.") for word in ("Good", "Bad", "Fine")]
    labels = label_captions(captions, settings)
    assert [labels.by_caption[caption][0][1] for caption in captions] == ["summary"] * 3
    assert labels.unparsed == 1


def test_a_request_that_the_server_refuses_is_counted(serve):
    _, settings = serve(lambda request: (422, "application/json", b"{}") if "Long" in request else chat("1: e"))
    labels = label_captions([("pedestrian", "Long."), ("pedestrian", "Short.")], settings)
    assert (labels.unparsed, labels.unanswered) == (0, 1)
    assert labels.by_caption["pedestrian", "Long."] == by_rules("pedestrian", "Long.")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_ends_the_run_at_once(serve, status):
    server, settings = serve(lambda request: (status, "application/json", b'{"error": {"message": "no such model"}}'))
    with pytest.raises(InputError, match=r"no such model") as raised:
        label_captions([("pedestrian", f"Caption {number}.") for number in range(100)], settings)
    assert server.url in str(raised.value)
    assert len(server.requests) < 50


@pytest.mark.usefixtures("serve")
def test_a_server_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_, **__: 0.0)
    settings = ServerSettings(base_url="http://127.0.0.1:9/v1", model="m", timeout_s=5)
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/v1 \(m\): no answer after"):
        label_captions([("pedestrian", "A.")], settings)


def test_a_server_without_a_model_name_is_an_error():
    with pytest.raises(InputError, match=r"prepare\.labeller\.model"):
        label_captions([("pedestrian", "A.")], ServerSettings())


@pytest.mark.parametrize(
    ("reply", "letters"),
    [
        ("1: a\n2: b", "ab"),
        ("1. a\n2. b.", "ab"),
        ("1) A\n2) B", "ab"),
        ("**1.** c\n\n**2.** d", "cd"),
        ("1: (e)\n2: d (weather)", "ed"),
        ("Here you go:\n 1: a \n 2: b\nDone.", "ab"),
        ("<think>1: e\n2: e</think>\n1: a\n2: b", "ab"),
        ("1. a. The first\n2. b", None),
        ("1: ab\n2: b", None),
        ("a\nb", None),
    ],
)
def test_parsing(reply, letters):
    expected = None if letters is None else [DIMENSIONS["abcde".index(letter)] for letter in letters]
    assert parse_reply(reply, 2) == expected


def test_the_rules_need_no_server_and_ignore_the_neighbours():
    labels = label_captions([("pedestrian", CAPTION), ("pedestrian", CAPTION)], RulesSettings())
    assert labels.by_caption == {("pedestrian", CAPTION): by_rules("pedestrian", CAPTION)}
    sentences = split_sentences(CAPTION)
    assert label_by_rules("pedestrian", sentences[::-1]) == by_rules("pedestrian", CAPTION)[::-1]
