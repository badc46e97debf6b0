"""A server on this machine that speaks OpenAI's chat format and answers by a function of what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer(ThreadingHTTPServer):
    """`faults` maps the n-th request (from 0) to the status that it gets; `asked` are the bodies of all requests.
    `write`, where it is set, writes the whole reply instead."""

    daemon_threads = True

    def __init__(self, reply: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.faults: dict[int, int] = {}
        self.asked: list[dict[str, Any]] = []
        self.write: Callable[[Handler], None] | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(body)
        if self.server.write is not None:
            self.close_connection = True
            with suppress(OSError):  # a client that has given up
                self.server.write(self)
            return
        status = self.server.faults.get(number, 200)
        text = self.server.reply(body["messages"][-1]["content"])
        value: Any = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "judge-2026",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        }
        content = json.dumps(value if status == 200 else {"error": {"message": "not this time"}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status in (408, 429):
            self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def replying(content: bytes, kind: str = "application/json", status: int = 200) -> Callable[[Handler], None]:
    """Writes this content, whatever is asked."""

    def write(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return write


def endless(piece: bytes, pause_s: float, head: bytes = b"") -> Callable[[Handler], None]:
    """Writes a piece again and again, after a head or else after headers, until the client goes away."""

    def write(handler: Handler) -> None:
        if head:
            handler.wfile.write(head)
        else:
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.end_headers()
        while True:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause_s)

    return write


@contextmanager
def chat_server(reply: Callable[[str], str]) -> Iterator[ChatServer]:
    server = ChatServer(reply)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
