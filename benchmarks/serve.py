"""Whether the service stays up: many clients, requests that the model fails on, a model that is killed, slow and silent
clients, broken files, memory and descriptors.

    OMP_NUM_THREADS=1 python -m benchmarks.serve                 # cityscribe-tiny, 500 requests, 1,000 broken files
    python -m benchmarks.serve --checkpoint runs/demo/model

A real service in a process of its own. 16 clients send 500 requests between them: a fifth makes the model's forward
pass raise (`planted_service`), so that nearly every batch has such a member; a tenth is malformed, a tenth cut off, one
in twenty cancelled, while the model is killed twice. Meanwhile `CROWD` connections do what harms servers: silent from
the start, heads and bodies a byte at a time, answers that are never read; each is opened again when it is closed. Then
1,000 images and videos with bytes changed, cut out or repeated.

Every well-formed request must be answered once, or told to come again and answered then, with what the same request is
answered alone; one that the model fails on must get its own 500 and every malformed one a 4xx with a reason; the
service must be the same process at the end, with as many open descriptors and as much memory as a fifth of the way in.

Then memory: 4,000 requests of ever new lengths, with no image, one, two or three, every fifth of them constrained to a
schema. Memory is the proportional set size of each process, noted every 250 requests. The first 2,000 warm it up; the
growth of the rest is the slope of a straight line through what was noted, and must stay below `GROWTH_MB` a thousand.
"""

from __future__ import annotations

import base64
import io
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import psutil
import typer
from PIL import Image

from benchmarks.harmful_clients import CROWD, harm
from benchmarks.planted_service import MARK
from cityscribe.media.video import write_video

GROWTH_MB = 5.0
"""Megabytes that a process may grow in 1,000 requests after the warm-up; images that leak would be ten times that."""

WARM_UP, NOTED = 2000, 250

GROWN_MB, GROWN_FILES = 30.0, 4
"""Of a process, from a fifth of the storm to its end: what holds files and pixels of single requests comes and goes."""

WORDS = ("the", "pedestrian", "vehicle", "road", "near", "far", "left", "right", "behind", "slow", "fast", "wet")

WRONG: tuple[dict[str, Any], ...] = (
    {"n": 2},
    {"messages": []},
    {"tools": [{"type": "function"}]},
    {"max_tokens": 10**9},
    {"stop": [""]},
)

QUIET_FILES = 64
"""Descriptors of the listening process that has no connection: its libraries', pipes, sockets."""

QUESTIONS = ("What is the weather like?", "Where is the pedestrian?", "Describe the vehicle.", "Is the road wet?")


def main(
    checkpoint: Annotated[str, typer.Option(help="folder of a model")] = "cityscribe-tiny",
    requests: Annotated[int, typer.Option(min=0)] = 500,
    clients: Annotated[int, typer.Option(min=1)] = 16,
    kills: Annotated[int, typer.Option(min=0, help="of the model's process")] = 2,
    files: Annotated[int, typer.Option(min=0, help="broken images and videos")] = 1000,
    lengths: Annotated[int, typer.Option(min=0, help="requests of differing lengths, for memory")] = 4000,
) -> None:
    """Exit status 1 where a promise of the service does not hold."""
    faults: list[str] = []
    if lengths:
        with served(checkpoint, clients, "auto", faults) as service:
            faults += differing_lengths(service, lengths, clients)
    # Equal answers in batches of any composition are promised in float32: bfloat16 rounds ties to either side.
    with served(checkpoint, clients, "fp32", faults) as service:
        faults += storm(service, requests, clients, kills) if requests else []
        faults += broken_files(service, files, service.log_file.parent)
    for fault in faults[:20]:
        print("FAULT:", fault)
    sys.exit(bool(faults))


@contextmanager
def served(checkpoint: str, clients: int, precision: str, faults: list[str]) -> Iterator[Service]:
    """A service that is ready; notes among the faults if it does not stop gracefully."""
    # Room in the queue for the bodies that arrive slowly, too: who asks properly need not come again for them.
    queue = clients + CROWD["slow body"] + CROWD["never reads"]
    settings = ["serve.port=0", "predict.drafts=false", "serve.decode_timeout_s=10", f"serve.queue={queue}"]
    settings += ["serve.head_timeout_s=3", "serve.receive_timeout_s=5", "serve.send_timeout_s=5"]
    command = [sys.executable, "-m", "benchmarks.planted_service", "serve", checkpoint]
    for setting in (*settings, f"predict.precision={precision}"):
        command += ["--set", setting]
    with tempfile.TemporaryDirectory() as folder:
        log_file = Path(folder) / "log.jsonl"
        with log_file.open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        service = Service(process.stdout.readline().strip(), process, log_file)
        try:
            service.wait_ready(1)
            yield service
            process.send_signal(signal.SIGTERM)
            if process.wait(60) != 0:
                faults.append("the service did not stop gracefully")
        finally:
            process.kill()


class Service:
    """The service that is tried, seen from outside."""

    def __init__(self, address: str, process: subprocess.Popen[str], log_file: Path) -> None:
        self.address, self.process, self.log_file = address, process, log_file
        self.http = httpx2.Client(base_url=address, timeout=180)
        self.model = ""

    def starts(self) -> list[int]:
        """The process ids of the models that were ready, in their order."""
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.endswith("}")]
        return [line["pid"] for line in lines if line["event"] == "model-ready"]

    def wait_ready(self, starts: int) -> None:
        while len(self.starts()) < starts or self.http.get("/readyz").status_code != 200:
            if self.process.poll() is not None:
                raise SystemExit(self.log_file.read_text())
            time.sleep(0.2)
        self.model = self.http.get("/v1/models").json()["data"][0]["id"]

    def body(self, content: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
        message = {"role": "user", "content": content}
        return {"model": self.model, "messages": [message], "max_tokens": 24, **changed}

    def chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Status, and the text or the error."""
        response = self.http.post("/v1/chat/completions", json=body)
        told = response.json()
        if response.status_code == 200:
            return 200, told["choices"][0]["message"]["content"]
        return response.status_code, told["error"]

    def memory(self) -> dict[str, float]:
        """Proportional set size of the processes, in megabytes."""
        root = psutil.Process(self.process.pid)
        model = self.starts()[-1]
        found = {"listening": 0.0, "model": 0.0, "decoder": 0.0}
        for each in (root, *root.children(recursive=True)):
            name = "listening" if each == root else "model" if each.pid == model else "decoder"
            found[name] += each.memory_full_info().pss / 1e6
        return found

    def descriptors(self) -> dict[str, float]:
        """How many files, pipes and connections the processes have open."""
        root = psutil.Process(self.process.pid)
        model = self.starts()[-1]
        found = {"listening": 0.0, "model": 0.0, "decoder": 0.0}
        for each in (root, *root.children(recursive=True)):
            name = "listening" if each == root else "model" if each.pid == model else "decoder"
            found[name] += each.num_fds()
        return found


def differing_lengths(service: Service, requests: int, clients: int) -> list[str]:
    """Well-formed requests of which no two have the same lengths. Returns what was not as promised."""
    parts = [image_part(picture(number)) for number in range(6)]
    schema = {"type": "object", "properties": {"lanes": {"enum": [1, 2, 3, 4]}, "wet": {"type": "boolean"}}}
    constrained = {"type": "json_schema", "json_schema": {"name": "road", "schema": schema}}
    faults: list[str] = []

    def ask(request: int) -> None:
        draw = random.Random(request)
        content = draw.sample(parts, draw.choice((0, 1, 1, 1, 2, 3)))
        content = [*content, text_part(" ".join(draw.choices(WORDS, k=draw.randint(1, 80))) + f" {request}?")]
        more = {"response_format": constrained} if request % 5 == 0 else {}
        status, told = service.chat(service.body(content, max_tokens=draw.randint(1, 24), **more))
        if status != 200:
            faults.append(f"request {request}: {status} {told}")

    noted: list[tuple[int, dict[str, float]]] = []
    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        for start in range(0, requests, NOTED):
            list(pool.map(ask, range(start, min(start + NOTED, requests))))
            # Between two batches: in one, memory is that of the requests that it happens to hold.
            noted.append((min(start + NOTED, requests), service.memory()))
            print(f"  memory after {noted[-1][0]:5d}: {told_megabytes(noted[-1][1])}", flush=True)
    print(f"{requests} requests of differing lengths by {clients} clients in {time.monotonic() - began:.0f} s")
    flat = [(count, memory) for count, memory in noted if count >= WARM_UP]
    if len(flat) > 2:
        for name in flat[0][1]:
            slope = np.polyfit([count / 1000 for count, _ in flat], [memory[name] for _, memory in flat], 1)[0]
            print(f"  {name}: {slope:+.2f} MB in 1,000 requests after the first {WARM_UP:,}")
            if slope > GROWTH_MB:
                faults.append(f"the memory of {name} grows by {slope:.1f} MB in 1,000 requests")
    print(f"  faults: {len(faults)}")
    return faults


def told_megabytes(memory: dict[str, float]) -> str:
    return ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in memory.items())


def storm(service: Service, requests: int, clients: int, kills: int) -> list[str]:
    """Many clients at once. Returns what was not as promised."""
    parts = [image_part(picture(number)) for number in range(4)]
    known: dict[tuple[int, str], str] = {}
    for place, part in enumerate(parts):
        for question in QUESTIONS:
            status, text = service.chat(service.body([part, text_part(question)]))
            assert status == 200, text
            known[place, question] = text
    counts: Counter[str] = Counter()
    faults: list[str] = []
    waits_s: list[float] = []
    shares = {"good": 11, "raises": 4, "malformed": 2, "cut off": 2, "cancelled": 1}
    kinds = random.Random(0).choices(list(shares), list(shares.values()), k=requests)

    def client(number: int) -> None:
        draw = random.Random(number)
        for kind in kinds[number::clients]:
            place, question = draw.randrange(len(parts)), draw.choice(QUESTIONS)
            content = [parts[place], text_part(question)]
            if kind == "good":
                began = time.monotonic()
                status, text = service.chat(service.body(content))
                while status in (429, 503):
                    counts[f"told to come again ({text['code']})"] += 1
                    time.sleep(0.5)
                    status, text = service.chat(service.body(content))
                waits_s.append(time.monotonic() - began)
                if (status, text) != (200, known[place, question]):
                    faults.append(f"answered {status} {text!r}")
            elif kind == "raises":
                body = service.body([parts[place], text_part(f"{question} {MARK} {number}")])
                status, error = service.chat(body)
                while status in (429, 503):
                    time.sleep(0.5)
                    status, error = service.chat(body)
                if (status, error["code"]) != (500, "internal"):
                    faults.append(f"a request that the model fails on: {status} {error}")
            elif kind == "malformed":
                wrong = draw.choice(WRONG)
                status, error = service.chat(service.body(content, **wrong))
                if not (400 <= status < 500 and error["message"]):
                    faults.append(f"malformed {wrong}: {status}")
            else:
                send_raw(service.address, service.body(content, max_tokens=500), whole=kind == "cancelled")
            counts[kind] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    over = threading.Event()
    asked = json.dumps(service.body([text_part("Describe the road.")], max_tokens=100, stream=True)).encode()
    crowd = [
        threading.Thread(target=harm, args=(service.address, kind, asked, over, counts))
        for kind, count in CROWD.items()
        for _ in range(count)
    ]
    began = time.monotonic()
    for thread in (*crowd, *threads):
        thread.start()
    done = lambda: sum(counts[kind] for kind in shares)  # noqa: E731
    memory: dict[str, float] = {}
    for kill in range(kills + 1):
        while done() < requests * (kill + 1) / (kills + 2) and any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            if not memory and done() > requests / 5:
                memory, files = service.memory(), service.descriptors()
        if kill < kills:
            service.wait_ready(kill + 1)
            psutil.Process(service.starts()[-1]).kill()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    at_work = service.descriptors()
    over.set()
    for thread in crowd:
        thread.join()
    service.wait_ready(kills + 1)
    for _ in range(200):
        gauges = service.http.get("/metrics").text
        if "cityscribe_running 0.0\n" in gauges and "cityscribe_waiting 0.0\n" in gauges:
            break
        time.sleep(0.1)
    else:
        faults.append("requests that nobody waits for are still under way")
    print(f"{done()} requests by {clients} clients in {seconds:.0f} s, the model killed {kills} times")
    print("  " + ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    waits_s.sort()
    print(f"  wait for an answer: median {waits_s[len(waits_s) // 2]:.1f} s, longest {waits_s[-1]:.1f} s")
    at_end, open_at_end = service.memory(), service.descriptors()
    print(f"  memory after a fifth of them: {told_megabytes(memory)}")
    print(f"  memory at the end:            {told_megabytes(at_end)}")
    print(f"  descriptors after a fifth, at the end, and without a client: {files} {at_work} {open_at_end}")
    for name, before in memory.items():
        if at_end[name] - before > GROWN_MB:
            faults.append(f"the memory of {name} grew by {at_end[name] - before:.0f} MB")
        if at_work[name] - files[name] > GROWN_FILES + (clients if name == "listening" else 0):
            faults.append(f"{name} has {at_work[name]:.0f} descriptors open, {files[name]:.0f} before")
    if open_at_end["listening"] > QUIET_FILES:
        faults.append(f"without a client the listening process has {open_at_end['listening']:.0f} descriptors open")
    print(f"  faults: {len(faults)}")
    return faults


def broken_files(service: Service, count: int, folder: Path) -> list[str]:
    """Images and videos that are no longer what they were. Returns what was not as promised."""
    if not count:
        return []
    whole: list[tuple[str, bytes]] = [(kind, picture(1, kind)) for kind in ("PNG", "JPEG", "WEBP", "GIF")]
    frames = (np.array(Image.open(io.BytesIO(picture(n)))) for n in range(12))
    write_video(folder / "clip.mp4", frames, 10)
    whole.append(("MP4", (folder / "clip.mp4").read_bytes()))
    counts: Counter[str] = Counter()
    faults: list[str] = []
    began = time.monotonic()
    memory: dict[str, float] = {}
    for number in range(count):
        draw = random.Random(number)
        kind, content = whole[number % len(whole)]
        part = video_part(mutated(content, draw)) if kind == "MP4" else image_part(mutated(content, draw))
        try:
            status, error = service.chat(service.body([part, text_part("What?")], max_tokens=1))
        except httpx2.HTTPError as gone:
            faults.append(f"file {number} ({kind}): {type(gone).__name__}")
            continue
        counts["read" if status == 200 else f"{status} {error['code']}"] += 1
        if status not in (200, 415, 422):
            faults.append(f"file {number} ({kind}): {status} {error}")
        if number == count // 5:
            memory = service.memory()
    print(f"{count} broken files in {time.monotonic() - began:.0f} s")
    print("  " + ", ".join(f"{name}: {found}" for name, found in sorted(counts.items())))
    print(f"  memory after a fifth of them: {told_megabytes(memory)}")
    print(f"  memory at the end:            {told_megabytes(service.memory())}")
    print(f"  faults: {len(faults)}")
    return faults


def send_raw(address: str, body: dict[str, Any], *, whole: bool) -> None:
    """Send a request, or half of it, and hang up."""
    place = urlsplit(address)
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as connection:
        connection.sendall(head.encode() + (content if whole else content[: len(content) // 2]))
        time.sleep(0.2)


def picture(seed: int, kind: str = "PNG") -> bytes:
    image = Image.effect_mandelbrot((160, 120), (-2.0 + seed / 30, -1.5, 1.0, 1.5), 60).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A file with some of its bytes changed, and perhaps cut short or with a piece of it repeated."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 4, 16, 64, 256))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    what = draw.random()
    if what < 0.25:
        del changed[draw.randrange(1, len(changed)) :]
    elif what < 0.5:
        start = draw.randrange(len(changed))
        changed[start:start] = changed[start : start + draw.randrange(1, 2000)]
    return bytes(changed)


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image_part(content: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(content).decode()}}


def video_part(content: bytes) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + base64.b64encode(content).decode()}}


if __name__ == "__main__":
    typer.run(main)
