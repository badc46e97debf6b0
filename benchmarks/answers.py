"""Scoring many answers to each benchmark that has a rule of its own, from files to scores, against reading the files.

    python -m benchmarks.answers [--answers 100000] [--only driving]

Questions and answers are made up; answers vary, so that no rule gets by with what it remembers. For each benchmark: the
seconds of processor time (reading questions and answers, matching, scoring), and how many times that is of what
Python's own json (csv for MMBench) takes to read the same files, the limit below which no scorer in Python can go. The
rules of driving score answers in memory, those of the tests' small folders again and again; beside it the time with the
lines of majority and chance, which are two to three more scores.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.lines import lines_of
from cityscribe.evaluate.benchmarks.score import score_benchmark
from tests.evaluate.benchmarks.small_driving import DRIVING, MIXED

WORDS = [f"{colour} {thing}" for colour in ("red", "blue", "a dark", "the", "two") for thing in ("car", "bus", "tree")]


def said(draw: random.Random) -> str:
    """A short answer, of which there are too many to remember."""
    return f"{draw.choice(WORDS)}, {draw.randrange(10**6)}."


def letter(draw: random.Random) -> str:
    return draw.choice(["A", "B.", "The answer is C.", "(D) the last one", f"I think it is B, {draw.randrange(10**6)}"])


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def dump_lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def gqa(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    kinds = {"structural": "query", "semantic": "attr", "detailed": "x"}
    steps = [{"operation": "select", "argument": "car", "dependencies": []}] * 3
    entry = {"imageId": "1", "question": "What is it?", "isBalanced": True, "types": kinds, "semantic": steps}
    groups = [{"global": f"g{n}", "local": ""} for n in range(50)]
    rows = {str(n): {**entry, "answer": draw.choice(WORDS), "groups": draw.choice(groups)} for n in range(count)}
    dump(root / "testdev_balanced_questions.json", rows)
    return {name: said(draw) for name in rows}


def vqav2(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    asked = [{"question_id": n, "image_id": n, "question": "What is it?"} for n in range(count)]
    dump(root / "v2_OpenEnded_mscoco_val2014_questions.json", {"questions": asked})
    rows = [
        {
            "question_id": n,
            "question_type": "what",
            "answer_type": "other",
            "answers": [{"answer": said(draw), "answer_id": k} for k in range(10)],
        }
        for n in range(count)
    ]
    dump(root / "v2_mscoco_val2014_annotations.json", {"annotations": rows})
    return {str(n): said(draw) for n in range(count)}


def textvqa(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    rows = [
        {"question_id": n, "image_id": str(n), "question": "?", "answers": [said(draw) for _ in range(10)]}
        for n in range(count)
    ]
    dump(root / "TextVQA_0.5.1_val.json", {"data": rows})
    return {str(n): said(draw) for n in range(count)}


def pope(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    rows = [{"question_id": n, "image": "a", "text": "?", "label": draw.choice(["yes", "no"])} for n in range(count)]
    dump_lines(root / "coco_pope_random.json", rows)
    return {f"random/{n}": draw.choice(["Yes, there is.", "no", f"No {n}"]) for n in range(count)}


def mmbench(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    head = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "l2-category"]
    rows = [[n, "?", "", *(said(draw) for _ in range(4)), "A", "c", "x" * 99, "d"] for n in range(count // 4)]
    with (root / "dev.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([head, *rows])
    return {str(n + turn * 10**6): letter(draw) for n in range(count // 4) for turn in range(4)}


def seed_bench(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    entry = {"question_type_id": 1, "data_type": "image", "data_id": "1", "question": "?"}
    options = {f"choice_{name}": "x" for name in "abcd"}
    rows = [{"question_id": n, **entry, **options, "answer": draw.choice("ABCD")} for n in range(count)]
    dump(root / "SEED-Bench.json", {"questions": rows, "question_type": {"Scene": 1}})
    return {str(n): letter(draw) for n in range(count)}


def science_qa(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    rows = {str(n): {"question": "?", "choices": ["a", "b", "c"], "answer": draw.randrange(3)} for n in range(count)}
    dump(root / "problems.json", rows)
    dump(root / "pid_splits.json", {"test": list(rows)})
    return {name: letter(draw) for name in rows}


def activitynet_qa(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    dump(root / "test_q.json", [{"question_id": str(n), "video_name": "v", "question": "?"} for n in range(count)])
    dump(root / "test_a.json", [{"question_id": str(n), "answer": said(draw), "type": n % 9} for n in range(count)])
    return {str(n): said(draw) for n in range(count)}


def video_mme(root: Path, count: int, draw: random.Random) -> dict[str, str]:
    options = [f"{name}. x" for name in "ABCD"]
    facts = {"duration": "short", "domain": "Knowledge", "sub_category": "Law"}
    entry = {"task_type": "OCR Problems", "question": "?", "options": options}
    rows = [{**entry, "question_id": str(n), "answer": draw.choice("ABCD")} for n in range(count)]
    dump(root / "v.json", [{"video_id": "1", **facts, "questions": rows}])
    return {str(n): letter(draw) for n in range(count)}


MADE: dict[str, Callable[[Path, int, random.Random], dict[str, str]]] = {
    "gqa": gqa,
    "vqav2": vqav2,
    "textvqa": textvqa,
    "pope": pope,
    "mmbench": mmbench,
    "seed-bench": seed_bench,
    "science-qa": science_qa,
    "activitynet-qa": activitynet_qa,
    "video-mme": video_mme,
}


def read_plainly(root: Path) -> None:
    """The files of a folder by Python's own readers."""
    for path in sorted(root.iterdir()):
        if path.suffix == ".tsv":
            with path.open(newline="") as file:
                list(csv.DictReader(file, delimiter="\t"))
            continue
        text = path.read_text()
        if path.suffix == ".jsonl" or "pope" in path.name:
            for line in text.splitlines():
                json.loads(line)
        else:
            json.loads(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--only", choices=("driving", "others"), help="by default both")
    given = parser.parse_args()
    count = given.answers
    print(f"{'benchmark':16}{'answers':>9}{'seconds':>9}{'of reading':>12}")
    for name, make in (MADE if given.only != "driving" else {}).items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            answers = make(root, count, random.Random(name))
            dump_lines(root / "answers.jsonl", [{"question_id": key, "text": text} for key, text in answers.items()])
            began = time.process_time()
            read_plainly(root)
            reading = time.process_time() - began
            benchmark = BENCHMARKS[name]
            began = time.process_time()
            questions = benchmark.read(root, benchmark.split)
            score_benchmark(name, questions, root / "answers.jsonl")
            seconds = time.process_time() - began
        print(f"{name:16}{len(answers):9}{seconds:9.2f}{seconds / reading:11.1f}x", flush=True)
    if given.only != "others":
        print(f"\n{'in memory':20}{'answers':>9}{'seconds':>9}{'with lines':>12}")
        for name in DRIVING:
            rule(name, count)


def rule(name: str, count: int) -> None:
    """One line: the mixed answers to the questions of a small folder, again and again, each scene of its own."""
    with tempfile.TemporaryDirectory() as folder:
        DRIVING[name](Path(folder))
        few = BENCHMARKS[name].read(Path(folder), BENCHMARKS[name].split)
    own = ("frame", "file", "clip")
    many = [
        replace(
            question,
            id=f"{n}:{question.id}",
            facts={key: f"{n}:{value}" if key in own else value for key, value in question.facts.items()},
        )
        for n in range(count // len(few))
        for question in few
    ]
    said = {question.id: MIXED[name][question.id.partition(":")[2]] for question in many}
    began = time.process_time()
    BENCHMARKS[name].score(many, said)
    seconds = time.process_time() - began
    lines_of(BENCHMARKS[name], many)
    print(f"{name:20}{len(many):9}{seconds:9.2f}{time.process_time() - began:11.2f}s", flush=True)


if __name__ == "__main__":
    main()
