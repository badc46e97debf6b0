"""The folder in which a service keeps what clients send: its own, and cleared when a service that was killed left it.

TMP/cityscribe-serve-UID/            for this user only
    one folder a service, locked by it while it runs
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cityscribe.files import InputError

LOCK = ".lock"


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A new folder, removed at the end; those of services that are gone are removed first.

    Raises InputError where the folder of all services is not this user's alone.
    """
    base = Path(tempfile.gettempdir(), f"cityscribe-serve-{os.getuid()}")
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise InputError(f"{base}: expected a folder of yours alone (mode 0700); remove it, or set TMPDIR")
        _clear(base)
        folder = Path(tempfile.mkdtemp(dir=base))
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError(f"{base}: {error.strerror or error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another service's folder is in it
                base.rmdir()


def _clear(base: Path) -> None:
    """Remove the folders whose lock nobody holds. One that is being made has no lock yet, and is left alone."""
    for folder in base.iterdir():
        with contextlib.suppress(OSError), (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
