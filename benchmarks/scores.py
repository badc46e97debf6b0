"""How fast the profile `wts` scores captions, against nltk and rouge_score by the same rules.

    python -m benchmarks.scores

Both run as whole processes, start-up and reading included, on the same made-up data of WTS length; the best of several
runs counts. Also prints the largest difference between any two numbers. Needs the development extra, and the files of
WordNet 3.0 for nltk (Debian: `apt-get install wordnet-base`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

CASES = (12, 200)  # scenarios of ten caption pairs
CAPTIONS = Path(__file__).parents[1] / "tests" / "conformance" / "wts-score" / "references"
EDITS = 15  # words of a prediction that are dropped or changed
OURS = """
import json, sys
from pathlib import Path
from cityscribe.evaluate import evaluate_wts
root, predictions, out = map(Path, sys.argv[1:])
out.write_text(json.dumps(evaluate_wts(root, predictions).segments))
"""


def write_data(root: Path, predictions: Path, scenarios: int) -> int:
    """Write a data set and predictions for all of it, the same each time. Returns the words of all references."""
    entries = [
        entry
        for file in sorted(CAPTIONS.rglob("*_caption.json"))
        for entry in json.loads(file.read_text(encoding="utf-8"))["event_phase"]
    ]
    # The captions of the conformance case are half as long as those of WTS: two make one.
    captions = [f"{entry['caption_pedestrian']} {entry['caption_vehicle']}" for entry in entries]
    vocabulary = sorted({word for caption in captions for word in caption.split()})
    rng = random.Random(0)
    folder = root / "annotations" / "caption" / "val"
    folder.mkdir(parents=True)
    predicted: dict[str, list[dict[str, Any]]] = {}
    words = 0
    for number in range(scenarios):
        name = f"2023{number:04d}"
        reference, prediction = [], []
        for phase in map(str, range(5)):
            pairs = [rng.sample(captions, 2) for _ in range(2)]
            texts = [(text, _edited(rng.choice([text, other]), vocabulary, rng)) for text, other in pairs]
            words += sum(len(text.split()) for text, _ in texts)
            for entries_of, side in ((reference, 0), (prediction, 1)):
                pedestrian, vehicle = (text[side] for text in texts)
                entries_of.append({"labels": [phase], "caption_pedestrian": pedestrian, "caption_vehicle": vehicle})
        (folder / f"{name}_caption.json").write_text(json.dumps({"event_phase": reference}), encoding="utf-8")
        predicted[name] = prediction
    predictions.write_text(json.dumps(predicted), encoding="utf-8")
    return words


def _edited(caption: str, vocabulary: list[str], rng: random.Random) -> str:
    words = caption.split()
    for _ in range(EDITS):
        place = rng.randrange(len(words))
        words[place : place + 1] = rng.choice([[], [rng.choice(vocabulary)]])
    return " ".join(words)


def write_corpus(wordnet: Path, nltk_data: Path) -> None:
    """Lay out the files of WordNet 3.0 as the corpus that nltk reads."""
    corpus = nltk_data / "corpora" / "wordnet"
    corpus.mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            shutil.copyfile(wordnet / name, corpus / name)
    # nltk opens these too, but synonyms do not depend on what they say.
    (corpus / "lexnames").write_text("".join(f"{number:02d}\tname\t0\n" for number in range(45)))
    (corpus / "index.sense").touch()
    (corpus / "cntlist.rev").touch()


def seconds(command: list[str], repeats: int, environment: dict[str, str]) -> float:
    """The shortest processor time of a process, of several runs: both are one thread, and the machine may be shared."""
    times_s = []
    for _ in range(repeats):
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, env=environment)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        times_s.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    return min(times_s)


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    libraries = ", ".join(f"{name} {version(name)}" for name in ("nltk", "rouge-score", "numpy"))
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {libraries}"


def main(
    wordnet: Annotated[Path, typer.Option(help="folder of the files of WordNet 3.0")] = Path("/usr/share/wordnet"),
    repeats: Annotated[int, typer.Option(min=1, help="runs of each process, of which the best counts")] = 3,
) -> None:
    """Compare the speed of the profile `wts` with nltk and rouge_score."""
    if importlib.util.find_spec("rouge_score") is None:
        raise SystemExit("rouge_score is missing: pip install rouge-score")
    if not (wordnet / "data.noun").is_file():
        raise SystemExit(f"{wordnet}: no files of WordNet 3.0: apt-get install wordnet-base, or give --wordnet FOLDER")
    print(machine())
    measured: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(wordnet, folder / "nltk_data")
        environment = {**os.environ, "NLTK_DATA": str(folder / "nltk_data"), "OMP_NUM_THREADS": "1"}
        for scenarios in CASES:
            root, predictions = folder / f"{scenarios}", folder / f"{scenarios}.json"
            pairs = scenarios * 10
            words = write_data(root, predictions, scenarios) / pairs
            outs = [folder / "peer.json", folder / "ours.json"]
            data = [str(root), str(predictions)]
            peer_s = seconds(
                [sys.executable, "-m", "benchmarks.scores_peer", *data, str(outs[0])], repeats, environment
            )
            ours_s = seconds([sys.executable, "-c", OURS, *data, str(outs[1])], repeats, environment)
            peer, ours = (json.loads(out.read_text(encoding="utf-8")) for out in outs)
            difference = max(abs(peer[key][metric] - ours[key][metric]) for key in peer for metric in peer[key])
            print(
                f"{pairs} captions of {words:.0f} words: nltk + rouge_score {peer_s:.2f} s ({pairs / peer_s:.0f}/s),"
                f" cityscribe {ours_s:.2f} s ({pairs / ours_s:.0f}/s), {peer_s / ours_s:.1f} times as fast,"
                f" largest difference {difference:.1e}"
            )
            measured.append((pairs, peer_s, ours_s))
    (few, *few_s), (many, *many_s) = measured
    peer_ms, ours_ms = ((long_s - short_s) / (many - few) * 1000 for long_s, short_s in zip(many_s, few_s, strict=True))
    print(
        f"each further caption: nltk + rouge_score {peer_ms:.2f} ms, cityscribe {ours_ms:.2f} ms,"
        f" {peer_ms / ours_ms:.1f} times as fast"
    )


if __name__ == "__main__":
    typer.run(main)
