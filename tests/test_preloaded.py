"""A process that is forked from the server is what a new interpreter would be: seen from outside and from inside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.preloaded import preloaded_python

LOOK = """
import os, signal, sys
sys.stderr.write(sys.stdin.read().upper())
print([sys.argv, os.getcwd(), os.environ.get("GIVEN"), __name__, sys.path[0], os.listdir("."), os.getenv("HOME")])
print(sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1], signal.getsignal(signal.SIGINT))
sys.exit(7)
"""


def test_it_sees_and_is_seen_as_a_new_interpreter(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    def ran(program: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GIVEN": "it"}
        command = [program, "-c", LOOK, "one", "--two=3"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, input="heard", capture_output=True, text=True, check=False
        )

    found, expected = ran(preloaded_python()), ran(sys.executable)
    assert expected.returncode == 7
    assert expected.stderr == "HEARD"
    assert (found.returncode, found.stdout, found.stderr) == (7, expected.stdout, expected.stderr)


def test_its_traceback_is_told_and_its_end_waited_for() -> None:
    code = "import atexit; atexit.register(print, 'at its end'); 1 / 0"
    done = subprocess.run([preloaded_python(), "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "at its end\n")
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_the_signals_that_are_sent_to_it(number: signal.Signals) -> None:
    code = "import time; print('began', flush=True); time.sleep(600)"
    command = [preloaded_python(), "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        process.send_signal(number)
        assert process.stdout.read() == ""  # at the end of the process itself
    assert process.returncode == -number
