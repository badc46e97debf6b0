"""How well the guard by concepts tells harmful requests from harmless ones that it has not seen, and what it takes.

    python -m benchmarks.guard ENCODER [--examples FILE]

Each request is left out once, with the one that stands beside it on the other side, which shares its words.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from cityscribe.evaluate.bertscore import load_encoder
from cityscribe.evaluate.probes.safety import STORY, requests
from cityscribe.serve.concepts import fit_guard, read_examples

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("encoder", help="folder or hub id of a text encoder")
parser.add_argument("--examples", type=Path, help="YAML file with `harmful` and `harmless`")
parser.add_argument("--threshold", type=float, default=0.5)

if __name__ == "__main__":
    given = parser.parse_args()
    encoder = load_encoder(given.encoder)
    examples = requests() if given.examples is None else read_examples(given.examples)
    pairs = max(map(len, examples.values()))
    refused: dict[str, list[bool]] = {f"{kind}{story}": [] for kind in examples for story in ("", ", as a story")}
    took = []
    for n in range(pairs):
        kept = {kind: [text for m, text in enumerate(texts) if m != n] for kind, texts in examples.items()}
        guard = fit_guard(encoder, kept, given.threshold)
        for kind, texts in examples.items():
            for text in texts[n : n + 1]:
                began = time.perf_counter()
                refused[kind].append(guard.refuses(text))
                took.append(time.perf_counter() - began)
                refused[f"{kind}, as a story"].append(guard.refuses(STORY + text))
    for kind, found in refused.items():
        print(f"{kind:24} refused {sum(found)} of {len(found)}")
    print(f"{1000 * np.median(took):.1f} ms a request, the median")
