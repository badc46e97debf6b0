"""How fast the profiles score captions, against what they reproduce: in captions a second, as whole processes.

    python -m benchmarks.scores

`wts` against nltk and rouge_score by the same rules (`benchmarks.scores_peer`), `coco` against pycocoevalcap with its
jars (`benchmarks.scores_original`). All run as whole processes, start-up and reading included, on the same made-up data
of WTS length; the best of several runs counts, in processor time, because the machine may be shared. Also prints the
largest difference between any two numbers. What the paraphrase table costs once, when it is compiled, is printed apart.

Needs the extras for development and `[coco]`, Java, and the files of WordNet 3.0 for nltk (Debian: `apt-get install
wordnet-base`). What is missing is said, and its comparison left out.
"""

from __future__ import annotations

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
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

CASES = (12, 200)  # scenarios of ten caption pairs
CAPTIONS = Path(__file__).parents[1] / "tests" / "conformance" / "wts-score" / "references"
EDITS = 15  # words of a prediction that are dropped or changed
OURS = """
import json, sys
from pathlib import Path
from cityscribe.evaluate.registries import PROFILES
profile, root, predictions, out = sys.argv[1], *map(Path, sys.argv[2:])
out.write_text(json.dumps(PROFILES[profile].captions(root, predictions).segments))
"""
COMPILE = """
from cityscribe.evaluate.coco.lexicon import package_folder
from cityscribe.evaluate.coco.paraphrases import open_table
open_table(package_folder() / "meteor" / "data" / "paraphrase-en.gz")
"""


class Peer(NamedTuple):
    """What a profile is compared with."""

    profile: str
    name: str
    module: str
    repeats: int  # at most: the jars take half a minute
    missing: str  # what cannot be imported or found, empty where all is there


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
    named = ("nltk", "rouge-score", "pycocoevalcap", "numpy")
    libraries = ", ".join(f"{name} {version(name)}" for name in named if find_spec(name.replace("-", "_")))
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {libraries}"


def peers(wordnet: Path) -> list[Peer]:
    lacks_wts = "" if find_spec("rouge_score") else "rouge_score is missing: pip install rouge-score"
    if not (wordnet / "data.noun").is_file():
        lacks_wts = f"{wordnet}: no files of WordNet 3.0: apt-get install wordnet-base, or give --wordnet FOLDER"
    lacks_coco = "" if find_spec("pycocoevalcap") else "pycocoevalcap is missing: pip install pycocoevalcap"
    lacks_coco = lacks_coco or ("" if shutil.which("java") else "Java is missing")
    return [
        Peer("wts", "nltk + rouge_score", "benchmarks.scores_peer", 3, lacks_wts),
        Peer("coco", "pycocoevalcap", "benchmarks.scores_original", 1, lacks_coco),
    ]


def compare(peer: Peer, folder: Path, repeats: int, environment: dict[str, str]) -> None:
    measured: list[tuple[int, float, float]] = []
    for scenarios in CASES:
        root, predictions = folder / f"{scenarios}", folder / f"{scenarios}.json"
        pairs = scenarios * 10
        outs = [folder / "peer.json", folder / "ours.json"]
        data = [str(root), str(predictions)]
        peer_command = [sys.executable, "-m", peer.module, *data, str(outs[0])]
        peer_s = seconds(peer_command, min(repeats, peer.repeats), environment)
        ours_s = seconds([sys.executable, "-c", OURS, peer.profile, *data, str(outs[1])], repeats, environment)
        theirs, ours = (json.loads(out.read_text(encoding="utf-8")) for out in outs)
        difference = max(abs(theirs[key][metric] - ours[key][metric]) for key in theirs for metric in theirs[key])
        print(
            f"{peer.profile}, {pairs} captions: {peer.name} {peer_s:.2f} s ({pairs / peer_s:.0f}/s), cityscribe"
            f" {ours_s:.2f} s ({pairs / ours_s:.0f}/s), {peer_s / ours_s:.1f} times as fast, largest difference"
            f" {difference:.1e}"
        )
        measured.append((pairs, peer_s, ours_s))
    (few, *few_s), (many, *many_s) = measured
    peer_ms, ours_ms = ((long_s - short_s) / (many - few) * 1000 for long_s, short_s in zip(many_s, few_s, strict=True))
    print(
        f"{peer.profile}, each further caption: {peer.name} {peer_ms:.2f} ms, cityscribe {ours_ms:.2f} ms,"
        f" {peer_ms / ours_ms:.1f} times as fast"
    )


def main(
    wordnet: Annotated[Path, typer.Option(help="folder of the files of WordNet 3.0")] = Path("/usr/share/wordnet"),
    repeats: Annotated[int, typer.Option(min=1, help="runs of each process, of which the best counts")] = 3,
) -> None:
    """Compare the speed of the profiles with what they reproduce."""
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [write_data(folder / f"{scenarios}", folder / f"{scenarios}.json", scenarios) for scenarios in CASES]
        print(f"captions of {words[-1] / (10 * CASES[-1]):.0f} words")
        environment = {**os.environ, "NLTK_DATA": str(folder / "nltk_data"), "OMP_NUM_THREADS": "1"}
        for peer in peers(wordnet):
            if peer.missing:
                print(f"{peer.profile}: left out; {peer.missing}")
                continue
            if peer.profile == "wts":
                write_corpus(wordnet, folder / "nltk_data")
            else:
                environment["CITYSCRIBE_CACHE"] = str(folder / "cache")
                compile_s = seconds([sys.executable, "-c", COMPILE], 1, environment)
                print(f"coco: the paraphrase table is compiled once, in {compile_s:.1f} s")
            compare(peer, folder, repeats, environment)


if __name__ == "__main__":
    typer.run(main)
