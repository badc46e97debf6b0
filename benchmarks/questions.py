"""How long scoring answers takes, whole-process: questions with options, and open ones.

    python -m benchmarks.questions [--answers 100000]

Answers are made by a seed: letters, sentences, words of options, and nothing to the point, about clips of five
questions each. The time is that of `cityscribe score answers FILE --output FILE --segments FILE`, start,
intervals and writing included, in processor time, because the machine may be shared; beside it stands that of reading
the same file as JSON and no more.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLASSES = tuple(f"kind of event {number}" for number in range(14))
WORDS = ("yes", "no", "a red car", "two", "the left lane")


def choice(rng: random.Random, number: int) -> dict[str, Any]:
    options = rng.sample(CLASSES, 4)
    letter = rng.choice("abcd")
    said = rng.choice((letter, f"The answer is ({letter.upper()}).", f"It shows {options[0]}.", "Hard to say."))
    listed = "\n".join(f"{name}. {option}" for name, option in zip("abcd", options, strict=True))
    return {
        **about(number, f"What happens?\n{listed}", said, rng.choice("abcd")),
        "options": options,
    }


def open_question(rng: random.Random, number: int) -> dict[str, Any]:
    return about(number, "What is it?", f"{rng.choice(WORDS)}.", rng.choice(WORDS))


def about(number: int, question: str, answer: str, reference: str) -> dict[str, Any]:
    clip = f"clip{number // 5}"
    return {"id": f"q{number}", "scenario": clip, "question": question, "answer": answer, "reference": reference}


def measure(folder: Path, name: str, answers: int, make: Callable[[random.Random, int], dict[str, Any]]) -> None:
    rng = random.Random(0)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(make(rng, number)) + "\n" for number in range(answers)))
    began_s = time.process_time()
    for line in path.read_text().splitlines():
        json.loads(line)
    read_s = time.process_time() - began_s
    outputs = ("--output", str(folder / "scores.json"), "--segments", str(folder / "segments.json"))
    command = [sys.executable, "-m", "cityscribe", "score", "answers", str(path), *outputs]
    began_s = children_s()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"{name}: {answers:,} answers in {children_s() - began_s:.1f} s; read as JSON in {read_s:.1f} s")


def children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=100_000)
    answers = parser.parse_args().answers
    print(f"{platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), "choices", answers, choice)
        measure(Path(folder), "open", answers, open_question)


if __name__ == "__main__":
    main()
