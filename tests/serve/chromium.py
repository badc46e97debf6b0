"""Drives a headless Chromium through its debugging pipe (file descriptors 3 and 4), with nothing but the standard
library: messages of the DevTools protocol are JSON, ended by a zero byte."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page of a browser."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._in, self._out = io.BufferedReader(io.FileIO(read_fd)), os.fdopen(write_fd, "wb")
        self._number = 0
        self._session = ""
        self.complaints: list[str] = []  # errors of scripts and what the content security policy refused
        self.requested: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, (method, said["error"])
                result: dict[str, Any] = said["result"]
                return result

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while not data.endswith(b"\0"):
            waiting = self._in.peek()
            assert waiting, "the browser is gone"
            data += self._in.read(waiting.find(b"\0") + 1 or len(waiting))
        said: dict[str, Any] = json.loads(data[:-1])
        if said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["params"])[:500])
        if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
            self.complaints.append(said["params"]["entry"]["text"])
        if said.get("method") == "Network.requestWillBeSent":
            self.requested.append(said["params"]["request"]["url"])
        return said

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition: str, seconds: float = 90) -> None:
        """Wait until an expression is true."""
        ends = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < ends, (condition, self.complaints, self.run("document.body.innerText"))
            time.sleep(0.05)

    def open(self, address: str, size: tuple[int, int]) -> None:
        width, height = size
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Page.navigate", url=address)
        self.wait("document.readyState == 'complete' && !location.href.startsWith('about:')")

    def show(self, content: str) -> None:
        """Open a page that is given as text."""
        with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            self.send("Page.navigate", url=f"file://{file.name}")
            self.wait(f"document.readyState == 'complete' && location.href.endsWith('{Path(file.name).name}')")

    def note_alerts(self) -> None:
        """From the next page on, `alerts` lists what `alert` was called with."""
        script = "globalThis.alerts = []; globalThis.alert = (text) => alerts.push(text);"
        self.send("Page.addScriptToEvaluateOnNewDocument", source=script)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one point of the window, release it at another."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key, named as in KeyboardEvent.key."""
        more = {"text": "\r", "windowsVirtualKeyCode": 13} if key == "Enter" else {}
        if key == "Tab":
            more = {"windowsVirtualKeyCode": 9}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=8 * shift, **more)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def print(self, inches: tuple[float, float]) -> bytes:
        """The page as PDF on paper of this width and height."""
        width, height = inches
        printed = self.send("Page.printToPDF", paperWidth=width, paperHeight=height, printBackground=True)
        return base64.b64decode(printed["data"])

    def shown_on_paper(self) -> str:
        """The text of the page that is not hidden where it is printed."""
        self.send("Emulation.setEmulatedMedia", media="print")
        text: str = self.run("document.body.innerText")
        self.send("Emulation.setEmulatedMedia", media="")
        return text

    def picture(self, path: Path) -> None:
        """A picture of the whole page as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page of a new browser whose profile lies in a folder."""
    assert CHROMIUM is not None
    to_browser, from_us = os.pipe()
    from_browser, to_us = os.pipe()

    def arrange() -> None:
        # First out of the way of 3 and 4, then into them.
        first, second = os.dup(to_browser), os.dup(to_us)
        high = [os.dup2(first, 103), os.dup2(second, 104)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    options = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        [CHROMIUM, *options], close_fds=False, preexec_fn=arrange, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_browser)
    os.close(to_us)
    try:
        yield Page(from_browser, from_us)
    finally:
        process.kill()
        process.wait()
