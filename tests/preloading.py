"""The server of `tests.preloaded`: loads what commands load, and forks a process for each of them.

    with server(): ...                                   # by the process that controls the tests

It listens at once and loads when it is first asked. It has one thread, so that what it forks is whole. It ends with
the process that has started it, and what it has started with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.preloaded import INTEGER, PASSED_ON, PLACE, REAL

LIBRARIES = (
    "torch",
    "accelerate",
    "peft",
    "transformers.trainer",
    "transformers.models.auto.processing_auto",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llava.processing_llava",
    "transformers.models.llama.modeling_llama",
    "transformers.models.clip.modeling_clip",
    "typer",
    "rich.progress",
)
NOT_LOADED = ("cityscribe.cli", "cityscribe.__main__", "cityscribe.predict.lmms_eval", "cityscribe.world.blender")
"""The command line reads the environment as it is loaded; others want programs that are not there."""


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Within it `preloaded_python` names a program that asks a server."""
    with tempfile.TemporaryDirectory(prefix="cityscribe-tests-") as name:
        folder = Path(name)
        program = folder / "python"
        relay = Path(__file__).with_name("preloaded.py")
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -SE {shlex.quote(str(relay))} "$@"\n')
        program.chmod(0o700)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "socket"))
            listener.listen(64)
            os.environ |= {PLACE: str(folder / "socket"), REAL: str(program)}
            command = [sys.executable, "-m", "tests.preloading", str(listener.fileno())]
            process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,  # whose end is its end
                stdout=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        try:
            yield
        finally:
            del os.environ[PLACE], os.environ[REAL]
            process.communicate()


def load() -> None:
    """Load what commands load, and see to it that no thread is left that a forked process would not have."""
    from cityscribe.workers import quiet_libraries, wait_without_spinning

    wait_without_spinning()
    quiet_libraries()
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # of pyarrow
    for name in LIBRARIES:
        importlib.import_module(name)
    import cityscribe

    for module in pkgutil.walk_packages(cityscribe.__path__, "cityscribe.", onerror=lambda name: None):
        if not module.name.startswith(NOT_LOADED) and not module.name.endswith(".__main__"):
            with contextlib.suppress(ImportError):  # an extra that is not installed
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


class Server:
    """Forks what is asked for, and tells how it ends."""

    def __init__(self, listener: socket.socket, lifeline: int) -> None:
        self.listener, self.lifeline = listener, lifeline
        self.loaded = False
        self.running: dict[int, socket.socket] = {}  # by process
        self.ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.selector = selectors.DefaultSelector()
        for watched in (listener, lifeline, self.ended):
            self.selector.register(watched, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any]:
        """Returns in each forked process, with what it is to do; the server itself ends here."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    if request := self.begin(connection):
                        return request
                elif key.fileobj == self.ended:
                    os.read(self.ended, 4096)
                    self.tell_ends()
                elif key.fileobj == self.lifeline:
                    for process in self.running:
                        os.kill(process, signal.SIGKILL)
                    os._exit(0)
                elif key.fd != -1:  # the program that asked is gone
                    process = next((p for p, c in self.running.items() if c is key.fileobj), None)
                    if process is not None:
                        os.kill(process, signal.SIGKILL)
                        self.selector.unregister(key.fileobj)

    def begin(self, connection: socket.socket) -> dict[str, Any] | None:
        """Start what a connection asks for; returns it in the new process, None here."""
        if not self.loaded:
            load()
            self.loaded = True
        size, files, _, _ = socket.recv_fds(connection, INTEGER, 64)
        content = connection.recv(int.from_bytes(size, sys.byteorder), socket.MSG_WAITALL)
        assert len(os.listdir("/proc/self/task")) == 1, "the server has got a thread"
        process = os.fork()
        if process == 0:
            self.close()
            connection.close()
            request = json.loads(content)
            become(request, files)
            return request
        for file in files:
            os.close(file)
        self.running[process] = connection
        with contextlib.suppress(OSError):
            connection.sendall(process.to_bytes(INTEGER, sys.byteorder))
        self.selector.register(connection, selectors.EVENT_READ)
        return None

    def close(self) -> None:
        """Let go of the server's own files: their numbers will be those of others."""
        os.close(signal.set_wakeup_fd(-1))
        os.close(self.ended)
        self.selector.close()
        for mine in (self.listener, *self.running.values()):
            mine.close()

    def tell_ends(self) -> None:
        """Tell those who asked for them which processes have ended, and how."""
        while self.running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            connection = self.running.pop(process)
            with contextlib.suppress(KeyError):
                self.selector.unregister(connection)
            with contextlib.suppress(OSError):
                code = os.waitstatus_to_exitcode(status)
                connection.sendall(code.to_bytes(INTEGER, sys.byteorder, signed=True))
            connection.close()


def become(request: dict[str, Any], files: list[int]) -> None:
    """Take over the open files, folder, environment and signals of the one that asked."""
    os.setsid()
    for number in (signal.SIGCHLD, *PASSED_ON):
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Out of the way of the numbers that they are to have.
    above = max([*request["files"], *files]) + 1
    kept = [os.dup2(file, above + n) for n, file in enumerate(files)]
    os.closerange(0, above)
    for file, number in zip(kept, request["files"], strict=True):
        os.dup2(file, number)
    os.closerange(above, 65536)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def run(request: dict[str, Any]) -> None:
    """Do what the interpreter does for `-m MODULE` and `-c CODE`, and end. What was loaded is not taken down piece by
    piece: that is most of the second that an end takes."""
    status: Any = 0
    try:
        execute(request)
    except SystemExit as ended:
        status = ended.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((status or 0) & 0xFF)


def execute(request: dict[str, Any]) -> None:
    """Run the module or the code as the main program."""
    option, what, *others = request["arguments"]
    sys.argv = [option, *others]
    sys.path[0] = os.getcwd() if option == "-m" else ""
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    run(Server(socket.socket(fileno=int(sys.argv[1])), 0).serve())
