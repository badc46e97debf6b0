"""A server that answers, refuses, drips, never ends, and says what is no reply."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.server import ServerModel
from tests.llm.chat_server import Handler, chat_server, endless, replying
from tests.llm.test_client import chats, whole


def test_requests_carry_the_sampling_and_what_may_pass_is_tried_again() -> None:
    with chat_server(str.upper) as server:
        server.faults = {0: 429, 2: 408}
        model = ServerModel(server.url, "m", concurrency=1, tries=3)
        found = Client(model).ask(
            chats("a", "b"), ReplySampling(temperature=0.5, max_tokens=7, seed=3, stop=("x",)), whole
        )
        assert (found.values, found.answered_as, len(server.asked)) == (["A", "B"], ("judge-2026",), 4)
        body = {key: server.asked[0][key] for key in ("model", "temperature", "max_tokens", "seed", "stop")}
        assert body == {"model": "m", "temperature": 0.5, "max_tokens": 7, "seed": 3, "stop": ["x"]}


@pytest.mark.parametrize(
    "write",
    [
        replying(b"[]"),
        replying(b"3"),
        replying(b'{"choices": []}'),
        replying(b'{"choices": 3}'),
        replying(b'{"choices": [{"message": null}]}'),
        replying(b'{"choices": [{"message": {"content": ["a"]}}]}'),
        replying(b"<html>welcome</html>", "text/html"),
        replying(b"<html>welcome</html>"),
        replying(b"[" * 200_000),
        replying(b'{"choices": ' + b'{"a": ' * 5000 + b"1" + b"}" * 5001),
        replying(b"\xff\xfe{}"),
        replying(b""),
    ],
)
def test_what_is_no_reply_is_an_error_that_names_the_server(write: Callable[[Handler], None]) -> None:
    with chat_server(str) as server:
        server.write = write
        with pytest.raises(InputError, match=rf"{server.url} \(m\): .*(no chat completion|without a choice)"):
            Client(ServerModel(server.url, "m", tries=1)).ask(chats("a"), ReplySampling(), whole)


@pytest.mark.parametrize(
    "write",
    [
        endless(b" ", 0.05),  # in the body
        endless(b"x", 0.05, b"HTTP/1.1 200 OK\r\nX-Slow: "),  # in the headers
        lambda handler: time.sleep(3),  # says nothing at all
    ],
)
def test_a_dripping_or_silent_reply_ends_at_the_deadline(write: Any) -> None:
    with chat_server(str) as server:
        server.write = write
        began = time.monotonic()
        with pytest.raises(InputError, match=r"no answer after 1 tries: .*(timed out|whole reply|time)"):
            Client(ServerModel(server.url, "m", tries=1, timeout_s=0.5)).ask(chats("a"), ReplySampling(), whole)
        assert time.monotonic() - began < 2.5


def bomb(handler: Handler) -> None:
    packed = gzip.compress(b" " * (64 << 20))
    handler.send_response(200)
    handler.send_header("content-encoding", "gzip")
    handler.send_header("content-type", "application/json")
    handler.end_headers()
    handler.wfile.write(packed)


@pytest.mark.parametrize("write", [endless(b" " * 65536, 0), bomb])
def test_a_reply_without_end_is_cut_at_the_limit(write: Any) -> None:
    with chat_server(str) as server:
        server.write = write
        model = ServerModel(server.url, "m", tries=1, timeout_s=20, max_reply_kb=256)
        with pytest.raises(InputError, match="a reply of more than 262144 bytes"):
            Client(model).ask(chats("a"), ReplySampling(), whole)


def test_a_packed_reply_is_unpacked_and_read() -> None:
    def packed(handler: Handler) -> None:
        content = gzip.compress(b'{"choices": [{"message": {"content": "x\\ud800"}}], "model": "m"}')
        handler.send_response(200)
        handler.send_header("content-encoding", "gzip")
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with chat_server(str) as server:
        server.write = packed
        with pytest.raises(InputError, match="no chat completion"):  # half of a surrogate pair is no text
            Client(ServerModel(server.url, "m", tries=1)).ask(chats("a"), ReplySampling(), whole)


def test_half_of_a_surrogate_pair_is_refused_by_name_and_harms_no_other() -> None:
    with chat_server(str.upper) as server:
        found = Client(ServerModel(server.url, "m", tries=1)).ask(
            chats("a", "\ud800", "b"), ReplySampling(), whole, skip_unanswered=True
        )
        assert (found.values, found.unanswered) == (["A", None, "B"], 1)


def test_an_address_that_cannot_be_one_is_an_error() -> None:
    for url in ("http://[::1", "nonsense", "http://127.0.0.1:9/v1"):
        with pytest.raises(InputError, match=r"is no address|no answer after 1 tries"):
            Client(ServerModel(url, "m", tries=1)).ask(chats("a"), ReplySampling(), whole)
