"""Who is let in, and how much of a body."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cityscribe.serve.guard import Guard
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.settings import ServeSettings

TOKEN = "a-token-of-the-service"


def status_of(
    path: str = "/v1/models",
    *,
    token: str = "",
    method: str = "GET",
    chunks: tuple[bytes, ...] = (b"",),
    slow_s: float = 0.0,
    stopping: bool = False,
    admitted: int = 0,
    listens: str = "127.0.0.1",
    **headers: str,
) -> int:
    """The status of a request to an application that reads the body and answers 200."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    waiting = list(chunks)

    async def receive() -> Any:
        await asyncio.sleep(slow_s)
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    settings = ServeSettings(host=listens, max_body_mb=1, max_upload_mb=2, receive_timeout_s=0.2, queue=3)
    guard = Guard(app, settings, token, ServiceMetrics(), lambda: stopping, admitted)
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    try:
        asyncio.run(guard(scope, receive, send))
    except Exception as error:  # what FastAPI makes a response of
        return int(error.status)  # type: ignore[attr-defined]
    assert guard.admitted == admitted, "what was let in has left"
    assert dict(sent[0]["headers"])[b"x-content-type-options"] == b"nosniff"
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"host": "127.0.0.1:8080"}),
        (200, {"host": "localhost:8080", "origin": "http://localhost:8080"}),
        (200, {"host": "[::1]:8080"}),
        (200, {"host": "LOCALHOST:8080", "origin": "http://LocalHost:8080"}),
        (403, {"host": "localhost:8080", "origin": "http://[::1"}),  # no address at all
        (403, {"host": "evil.example"}),  # a name that its owner has pointed here
        (403, {"host": "localhost:8080", "origin": "http://evil.example"}),
        (403, {"host": "localhost:8080", "origin": "http://localhost:9999"}),
        (403, {"host": "localhost:8080", "origin": "null"}),
        (403, {}),
    ],
)
def test_without_a_token_only_this_machine_and_its_own_page_are_served(status: int, headers: dict[str, str]) -> None:
    assert status_of(**headers) == status


@pytest.mark.parametrize(
    ("status", "authorization"),
    [
        (200, f"Bearer {TOKEN}"),
        (200, f"bearer {TOKEN}"),
        (401, ""),
        (401, "Bearer "),
        (401, f"Bearer {TOKEN}x"),
        (401, f"Basic {TOKEN}"),
        (401, "Bearer \xe9"),
    ],
)
def test_a_token_is_needed_where_there_is_one(status: int, authorization: str) -> None:
    assert status_of(token=TOKEN, listens="0.0.0.0", authorization=authorization) == status
    assert status_of("/metrics", token=TOKEN, authorization=authorization) == status
    assert status_of("/healthz", token=TOKEN, authorization=authorization) == 200


def test_a_body_is_counted_whatever_its_length_is_said_to_be() -> None:
    post = {"method": "POST", "host": "localhost"}
    assert status_of("/v1/x", content_length="1000000", **post) == 200
    assert status_of("/v1/x", content_length="1000001", **post) == 413
    assert status_of("/v1/describe", content_length="1000001", **post) == 200
    assert status_of("/v1/x", chunks=(bytes(600_000),) * 2, **post) == 413
    assert status_of("/v1/x", content_length="5", chunks=(bytes(600_000),) * 2, **post) == 413
    assert status_of("/v1/describe", chunks=(bytes(600_000),) * 4, **post) == 413


def test_a_body_must_arrive_in_time() -> None:
    assert status_of(method="POST", host="localhost", chunks=(b"a",) * 9, slow_s=0.05) == 408


def test_a_full_queue_and_a_stopping_service_say_so() -> None:
    assert status_of(method="POST", host="localhost", admitted=2) == 200
    assert status_of(method="POST", host="localhost", admitted=3) == 429
    assert status_of(method="GET", host="localhost", admitted=3) == 200
    assert status_of(method="POST", host="localhost", stopping=True) == 503
