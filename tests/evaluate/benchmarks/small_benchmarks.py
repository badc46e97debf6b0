"""A tiny folder of each benchmark, shaped as its authors publish it, and answers that are all right."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.evaluate.benchmarks.small_driving import DRIVING


def dump(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def dump_lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (200, 30, 30)).save(path)


def gqa_question(answer: str, structural: str = "query", **more: Any) -> dict[str, Any]:
    return {
        "imageId": "n1",
        "question": "What is it?",
        "answer": answer,
        "isBalanced": True,
        "types": {"structural": structural, "semantic": "obj", "detailed": "categoryThat"},
        "groups": {"global": "vehicle", "local": "x"},
        "entailed": [],
        "semantic": [{"operation": "query", "argument": "name", "dependencies": [0]}],
        **more,
    }


def gqa(root: Path) -> dict[str, str]:
    image(root / "images" / "n1.jpg")
    questions = {
        "1": gqa_question("car", entailed=["2"]),
        "2": gqa_question("yes", "verify", question="Is it a car?", semantic=[{"operation": "exist", "argument": ""}]),
    }
    dump(root / "testdev_balanced_questions.json", questions)
    dump(root / "testdev_choices.json", {name: {"valid": ["car", "bus"], "plausible": ["car"]} for name in questions})
    return {"1": "Car.", "2": "Yes"}


def vqav2(root: Path) -> dict[str, str]:
    image(root / "val2014" / "COCO_val2014_000000000042.jpg")
    asked = [{"question_id": n, "image_id": 42, "question": f"Number {n}?"} for n in (420, 421)]
    dump(root / "v2_OpenEnded_mscoco_val2014_questions.json", {"questions": asked})
    kinds = [
        {
            "question_id": 420,
            "question_type": "how many",
            "answer_type": "number",
            "answers": said(["2"] * 6 + ["two"] * 4),
        },
        {"question_id": 421, "question_type": "is the", "answer_type": "yes/no", "answers": said(["yes"] * 10)},
    ]
    dump(root / "v2_mscoco_val2014_annotations.json", {"annotations": kinds})
    return {"420": "two", "421": "yes"}


def said(answers: list[str]) -> list[dict[str, Any]]:
    return [{"answer": answer, "answer_id": n + 1, "answer_confidence": "yes"} for n, answer in enumerate(answers)]


def vizwiz(root: Path) -> dict[str, str]:
    image(root / "val" / "VizWiz_val_00000000.jpg")
    answers = said(["unanswerable"] * 7 + ["unsuitable"] * 3)
    row = {"image": "VizWiz_val_00000000.jpg", "question": "What?", "answers": answers, "answer_type": "unanswerable"}
    dump(root / "Annotations" / "val.json", [{**row, "answerable": 0}])
    return {"VizWiz_val_00000000.jpg": "unanswerable"}


def textvqa(root: Path) -> dict[str, str]:
    image(root / "train_images" / "a1.jpg")
    rows = [
        {"question_id": n, "image_id": "a1", "question": text, "answers": [answer] * 10}
        for n, (text, answer) in enumerate([("What brand is it?", "Joe's"), ("What number?", "10")], start=34602)
    ]
    dump(root / "TextVQA_0.5.1_val.json", {"dataset_type": "val", "data": rows})
    return {"34602": "joe's", "34603": "ten"}


def pope(root: Path) -> dict[str, str]:
    image(root / "val2014" / "COCO_val2014_000000310196.jpg")
    answers = {}
    for category in ("adversarial", "popular", "random"):
        rows = [
            {"question_id": n, "image": "COCO_val2014_000000310196.jpg", "text": f"Is there a {thing}?", "label": label}
            for n, (thing, label) in enumerate([("car", "yes"), ("bus", "no")], start=1)
        ]
        dump_lines(root / f"coco_pope_{category}.json", rows)
        answers |= {f"{category}/1": "Yes, there is.", f"{category}/2": "no"}
    return answers


def mme(root: Path) -> dict[str, str]:
    image(root / "existence" / "0001.png")
    image(root / "artwork" / "images" / "A.jpg")
    for path in (root / "existence" / "0001.txt", root / "artwork" / "questions_answers_YN" / "A.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Is there a car? Please answer yes or no.\tYes\nIs there a bus?\tNo\n")
    return {f"{name}/{n}": word for name in ("existence/0001", "artwork/A") for n, word in enumerate(("Yes", "No"))}


def mmbench(root: Path) -> dict[str, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 9), (10, 130, 30)).save(buffer, format="JPEG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    head = ["index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source", "l2-category"]
    rows = [
        ["7", "Which?", "nan", "a car", "a bus", "a tram", "", "B", "object", encoded, "s", "coarse"],
        ["8", "Which?", "Look left.", "one", "two", "", "", "A", "count", "7", "s", "fine"],
    ]
    root.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(row) for row in (head, *rows)]
    (root / "mmbench_dev_20230712.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"7": "B", "1000007": "A", "2000007": "C", "8": "A.", "1000008": "(B) one"}


def seed_bench(root: Path) -> dict[str, str]:
    options = {f"choice_{letter}": f"option {letter}" for letter in "abcd"}
    rows = [
        {
            "question_id": "11",
            "question_type_id": 1,
            "data_type": "image",
            "data_id": "c1",
            "question": "What?",
            **options,
        },
        {
            "question_id": 12,
            "question_type_id": 10,
            "data_type": "video",
            "data_id": "v.webm",
            "question": "W?",
            **options,
        },
    ]
    rows = [{**row, "answer": answer, "segment": None} for row, answer in zip(rows, "AD", strict=True)]
    image(root / "SEED-Bench-image" / "c1.png")
    (root / "SEED-Bench-image" / "c1.png").rename(root / "SEED-Bench-image" / "c1")
    image(root / "SEED-Bench-video-image" / "12.png")
    dump(root / "SEED-Bench.json", {"questions": rows, "question_type": {"Scene": 1, "Action": 10}})
    return {"11": "A", "12": "D"}


def science_qa(root: Path) -> dict[str, str]:
    image(root / "images" / "test" / "5" / "image.png")
    both = {"choices": ["ice", "rock", "air"], "hint": "", "subject": "natural science", "grade": "grade3"}
    problems = {
        "5": {**both, "question": "Which?", "answer": 1, "image": "image.png"},
        "6": {**both, "question": "Which one?", "hint": "Think.", "answer": 2, "image": None},
    }
    dump(root / "problems.json", problems)
    dump(root / "pid_splits.json", {"test": ["5", "6"], "train": []})
    return {"5": "B", "6": "The answer is C."}


def mm_vet(root: Path) -> dict[str, str]:
    image(root / "images" / "v1_0.png")
    row = {"imagename": "v1_0.png", "question": "What is x?", "answer": "-1<AND>-5", "capability": ["ocr", "math"]}
    dump(root / "mm-vet.json", {"v1_0": row, "v1_1": {**row, "capability": ["ocr"]}})
    return {"v1_0": "x is -1", "v1_1": "-1 and -5"}


def clip(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def msvd_qa(root: Path) -> dict[str, str]:
    clip(root / "videos" / "abc_1_2.avi")
    (root / "youtube_mapping.txt").write_text("abc_1_2 vid7\n")
    dump(root / "test_qa.json", [{"id": 3, "video_id": 7, "question": "what is driving?", "answer": "car"}])
    return {"3": "car"}


def activitynet_qa(root: Path) -> dict[str, str]:
    clip(root / "v_xyz.mp4")
    asked = [{"video_name": "xyz", "question": f"question {n}", "question_id": f"v_xyz_{n}"} for n in (0, 3, 8)]
    answered = [{"answer": f"answer {n}", "type": n, "question_id": f"v_xyz_{n}"} for n in (0, 3, 8)]
    dump(root / "test_q.json", asked)
    dump(root / "test_a.json", answered)
    return {row["question_id"]: str(row["answer"]) for row in answered}


def video_mme(root: Path) -> dict[str, str]:
    clip(root / "data" / "fFjv93ACGo8.mp4")
    options = ["A. Apples.", "B. Candles.", "C. Berries.", "D. All."]
    questions = [
        {
            "question_id": f"001-{n}",
            "task_type": "Counting Problem",
            "question": "Which?",
            "options": options,
            "answer": a,
        }
        for n, a in enumerate("CA", start=1)
    ]
    video = {"video_id": "001", "videoID": "fFjv93ACGo8", "duration": "short", "domain": "Knowledge"}
    dump(root / "videomme.json", [{**video, "sub_category": "Geography", "questions": questions}])
    return {"001-1": "C. Berries.", "001-2": "The best answer is A"}


def video_chatgpt(root: Path) -> dict[str, str]:
    clip(root / "v_k.mp4")
    dump(root / "generic_qa.json", [{"video_name": "v_k", "Q": "What happens?", "A": "A car turns."}])
    dump(root / "temporal_qa.json", [{"video_name": "v_k", "Q": "What first?", "A": "It brakes."}])
    dump(root / "consistency_qa.json", [{"video_name": "v_k", "Q1": "Who?", "Q2": "Which one?", "A": "The car."}])
    return {"generic/0": "A turn.", "temporal/0": "Brakes.", "consistency/0/1": "A car.", "consistency/0/2": "A car."}


SMALL: dict[str, Callable[[Path], dict[str, str]]] = {
    "gqa": gqa,
    "vqav2": vqav2,
    "vizwiz": vizwiz,
    "textvqa": textvqa,
    "pope": pope,
    "mme": mme,
    "mmbench": mmbench,
    "seed-bench": seed_bench,
    "science-qa": science_qa,
    "mm-vet": mm_vet,
    "msvd-qa": msvd_qa,
    "activitynet-qa": activitynet_qa,
    "video-mme": video_mme,
    "video-chatgpt": video_chatgpt,
    **DRIVING,
}
"""By benchmark: what writes its folder and returns right answers by id."""
