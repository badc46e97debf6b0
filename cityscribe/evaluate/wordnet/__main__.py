"""`python -m cityscribe.evaluate.wordnet DICT_FOLDER OUT`: build the synonym table; see `build`."""

from __future__ import annotations

import sys
from pathlib import Path

from cityscribe.evaluate.wordnet.build import build
from cityscribe.files import InputError


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m cityscribe.evaluate.wordnet DICT_FOLDER OUT", file=sys.stderr)
        return 2
    folder, out = map(Path, arguments)
    try:
        count = build(folder, out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{out}: {count} lemmas, {out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
