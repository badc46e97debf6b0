"""An interpreter that has loaded torch, transformers and cityscribe already, in place of `sys.executable`.

    subprocess.run([preloaded_python(), "-m", "cityscribe", "run", "project.yaml"])

Loading them takes ten seconds of a processor, and tests start some forty processes. One server for the whole test run
loads them once and forks: what is started is a process of its own, with its own arguments, folder, environment, open
files, streams, signals and exit status, and nothing of cityscribe's command line is loaded yet. The program that
`preloaded_python` names passes all this on, as well as signals, and ends as the process ends; killed, it takes the
process with it. The fixture `preloaded_children` has what `multiprocessing` starts with "spawn" come from there too.

`CITYSCRIBE_FRESH=1` starts new interpreters everywhere. What a new interpreter is needed for (what is loaded when, and
how long it takes) uses `sys.executable`.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys

REAL, PLACE = "CITYSCRIBE_TESTS_PYTHON", "CITYSCRIBE_TESTS_SERVER"
"""Variables of the environment: the program to start, and where the server listens."""

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
INTEGER = array.array("i").itemsize


def preloaded_python() -> str:
    """The program to start instead of `sys.executable`."""
    return os.environ.get(REAL) or sys.executable


# The program: it runs without site-packages, in a few hundredths of a second.


def pass_on(arguments: list[str]) -> None:
    """Have the server start a process for `-m MODULE ...` or `-c CODE ...`, and end as it does."""
    at = next((n for n, argument in enumerate(arguments) if argument in ("-m", "-c")), None)
    if at is None or "resource_tracker" in arguments[at + 1]:
        os.execv(sys.executable, [sys.executable, *arguments])
    files = [int(name) for name in os.listdir("/proc/self/fd")]
    files = [file for file in files if file <= 2 or _is_inherited(file)]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    request = {
        "arguments": arguments[at:],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "blocked": [int(number) for number in blocked],
        "ignored": [int(number) for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
        "files": files,
    }
    server = socket.socket(socket.AF_UNIX)
    server.connect(os.environ[PLACE])
    content = json.dumps(request).encode()
    socket.send_fds(server, [len(content).to_bytes(INTEGER, sys.byteorder)], files)
    server.sendall(content)
    process = _integer(server)
    for number in PASSED_ON:
        if number not in request["ignored"]:
            signal.signal(number, lambda number, _: os.kill(process, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    status = _integer(server)
    if status < 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_inherited(file: int) -> bool:
    try:
        return os.get_inheritable(file)
    except OSError:  # the one that the folder of files was read with
        return False


def _integer(connection: socket.socket) -> int:
    content = connection.recv(INTEGER, socket.MSG_WAITALL)
    if len(content) < INTEGER:
        os._exit(99)  # the server is gone
    return int.from_bytes(content, sys.byteorder, signed=True)


if __name__ == "__main__":
    pass_on(sys.argv[1:])
