"""Clients that are silent, slow or many do not keep others out, and nothing of a service stays behind."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from cityscribe.files import InputError
from cityscribe.serve.connections import bounded, most_connections
from cityscribe.serve.log import REPEATS, _Seldom
from cityscribe.serve.metrics import ServiceMetrics
from cityscribe.serve.server import listening
from cityscribe.serve.workplace import workplace

BIG = b"x" * (64 << 20)


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = BIG if scope["path"] == "/big" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(most: int, head_s: float, stalled_s: float = 60.0) -> Iterator[tuple[str, int]]:
    """A server in a thread, with limits on its connections."""
    with listening("127.0.0.1", 0) as sock:
        limits = bounded(most, head_s, stalled_s, ServiceMetrics())
        config = uvicorn.Config(app, http=limits, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])))
        thread.start()
        try:
            yield sock.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def is_closed(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(within_s)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_heads_that_never_end_and_silent_clients_are_closed_and_others_served() -> None:
    with served(most=40, head_s=0.5) as (host, port), ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((host, port))) for _ in range(20)]
        for client in clients[:10]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a")
        assert httpx2.get(f"http://{host}:{port}/").text == "ok"
        assert all(is_closed(client, 20) for client in clients)
        assert httpx2.get(f"http://{host}:{port}/").text == "ok"


def test_a_second_head_has_its_time_too() -> None:
    with served(most=4, head_s=0.5) as (host, port), socket.create_connection((host, port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" in client.recv(1 << 16)
        client.sendall(b"GET / HT")
        assert is_closed(client, 20)


def test_connections_over_the_limit_are_closed_at_once() -> None:
    with served(most=5, head_s=30) as (host, port), ExitStack() as stack:
        kept = [stack.enter_context(socket.create_connection((host, port))) for _ in range(5)]
        time.sleep(0.3)
        assert is_closed(stack.enter_context(socket.create_connection((host, port))), 10)
        assert not any(is_closed(client, 0.05) for client in kept)
        kept[0].close()
        time.sleep(0.3)
        assert httpx2.get(f"http://{host}:{port}/").text == "ok"


def test_who_does_not_read_the_answer_is_closed() -> None:
    with served(most=5, head_s=30, stalled_s=0.5) as (host, port), socket.create_connection((host, port)) as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(3)
        assert is_closed(client, 10), "what was buffered is read, then there is the end"
        assert len(httpx2.get(f"http://{host}:{port}/big", timeout=60).content) == len(BIG), "who reads gets it all"


def test_connections_leave_descriptors_for_the_rest() -> None:
    assert most_connections(5) == 5
    assert most_connections(10**9) >= 8


def test_what_libraries_repeat_is_counted_and_not_written() -> None:
    seldom = _Seldom()

    def passed(created: float, logger: str = "uvicorn.error") -> bool:
        record = logging.makeLogRecord({"name": logger, "levelno": logging.WARNING, "created": created})
        return bool(seldom.filter(record))

    assert sum(passed(1000.0) for _ in range(5000)) == REPEATS
    assert passed(1000.0, "another")
    late = logging.makeLogRecord({"name": "uvicorn.error", "levelno": logging.WARNING, "created": 1061.0})
    assert seldom.filter(late)
    assert late.__dict__["left_out"] == 5000 - REPEATS
    assert sum(passed(1000.0, "cityscribe.serve") for _ in range(50)) == 50


def test_what_a_killed_service_left_is_removed_and_what_a_running_one_has_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import time\nfrom cityscribe.serve.workplace import workplace\n"
        "with workplace() as folder:\n"
        "    (folder / 'a clip').write_bytes(b'secret')\n    print(folder, flush=True)\n    time.sleep(600)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    def started() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    (dead, left), (alive, kept) = started(), started()
    dead.kill()
    dead.wait()
    assert (left / "a clip").is_file()
    with workplace() as own:
        assert own.is_dir()
        assert not left.exists()
        assert (kept / "a clip").is_file()
    assert not own.exists()
    alive.kill()
    alive.wait()
    with workplace():
        assert not kept.exists()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"cityscribe-serve-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(InputError, match="alone"), workplace():
        pass
