"""Clients that hold connections as those do that harm servers, for `benchmarks.serve`."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

CROWD = {"silent": 40, "slow head": 20, "slow body": 10, "never reads": 10}
"""How many of each kind there are at once: silent from the start, a head or a body byte by byte, an answer not read."""

PATIENCE_S = 12.0
"""For which one connection is held; the service is to have closed it earlier, but where its answer was sent whole."""


def harm(address: str, kind: str, body: bytes, over: threading.Event, counts: Counter[str]) -> None:
    """Hold one connection after the other until it is over; `body` is that of a request. Counts how they ended."""
    place = urlsplit(address)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n".encode()
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    at_once, slowly = {
        "silent": (b"", b""),
        "slow head": (b"", head + length),
        "slow body": (head + length, body),
        "never reads": (head + length + body, b""),
    }[kind]
    while not over.is_set():
        ends = time.monotonic() + PATIENCE_S
        how = "closed by the service"
        with contextlib.suppress(OSError), socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            held.connect((place.hostname, place.port))
            held.sendall(at_once)
            for number in range(10**6):
                if over.wait(0.2):
                    return
                held.sendall(slowly[number : number + 1])
                if kind != "never reads" and select.select([held], [], [], 0)[0]:
                    break  # an answer, or the end: the service has had enough
                if time.monotonic() > ends:
                    how = "held on to" if kind != "never reads" else "left"
                    break
        counts[f"{kind}: {how}"] += 1
