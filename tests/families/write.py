"""Find anew what works with families: `python -m tests.families.write [TYPE ...]`, or with all, and write the list."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from cityscribe.files import write_text
from cityscribe.models import families
from tests.families import builders

FILE = Path(families.__file__).with_suffix(".json")


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    known = builders()
    found = families.read_families()
    from tests.families.verdict import verdict

    for name in names or known:
        with tempfile.TemporaryDirectory() as folder:
            needs = found[name].needs if name in found else ""
            found[name] = replace(verdict(name, known[name](), Path(folder)), needs=needs)
        print(f"{name}: {found[name].summary()}", flush=True)
        write_text(FILE, families.families_text(found))


if __name__ == "__main__":
    main(sys.argv[1:])
