"""Benchmarks as tasks of lmms-eval: a folder that `lmms-eval --include_path` takes, scored by the same official rules.

    OUT/NAME/cityscribe_NAME.yaml, questions.jsonl, utils.py

A task shows what `cityscribe benchmark run` shows and asks in the same words, so that any model of lmms-eval can be
asked; its one metric is the number that papers give. What only a judge can score is left out. Paths are absolute: the
folder belongs to this machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from PIL import Image

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.asking import asked
from cityscribe.evaluate.benchmarks.lines import headline
from cityscribe.evaluate.benchmarks.question import BenchmarkQuestion
from cityscribe.files import InputError, write_text
from cityscribe.media.kinds import is_image
from cityscribe.sources.video_qa import video_named
from cityscribe.sources.videos import files_by_stem

FRAMES = 8
"""Of a video that lies there as pictures."""

YAML = """\
# Written by `cityscribe benchmark export`. Scored by: {rule}
task: cityscribe_{slug}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {file}}}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: target
process_results: !function utils.process_results
generation_kwargs: {{max_new_tokens: 256, temperature: 0, do_sample: false, num_beams: 1}}
metric_list:
  - metric: {metric}
    aggregation: !function utils.aggregate
    higher_is_better: true
metadata:
  - version: 0.0
"""

UTILS = '''\
"""Written by `cityscribe benchmark export`: the functions of the task, from cityscribe."""

from cityscribe.predict.lmms_tasks import LmmsTask

_task = LmmsTask({name!r}, {data!r}, {split!r})
doc_to_visual, doc_to_text = _task.doc_to_visual, _task.doc_to_text
process_results, aggregate = _task.process_results, _task.aggregate
'''


class Document(TypedDict):
    """One question, as lmms-eval reads it from questions.jsonl."""

    id: str
    text: str
    target: str
    images: list[str]
    video: str


class GivenAnswer(TypedDict):
    """One answer on its way to the rule."""

    id: str
    answer: str


@dataclass(frozen=True, slots=True)
class LmmsTask:
    """What the YAML of a task names."""

    name: str
    data: str
    split: str

    def doc_to_visual(self, doc: Document) -> list[Image.Image | str]:
        shown: list[Image.Image | str] = [Image.open(path).convert("RGB") for path in doc["images"]]
        return [*shown, doc["video"]] if doc["video"] else shown

    def doc_to_text(self, doc: Document, lmms_eval_specific_kwargs: object = None) -> str:
        return doc["text"]

    def process_results(self, doc: Document, results: Sequence[str]) -> dict[str, GivenAnswer]:
        return {metric_of(self.name): {"id": doc["id"], "answer": results[0]}}

    def aggregate(self, results: Sequence[GivenAnswer]) -> float:
        """The official number over the questions that were asked, also where `--limit` asked fewer; NaN where the rule
        finds nothing to measure."""
        benchmark = BENCHMARKS[self.name]
        answers = {outcome["id"]: outcome["answer"] for outcome in results}
        questions = [q for q in benchmark.read(Path(self.data), self.split) if q.id in answers]
        value = headline(benchmark, questions, answers)
        return math.nan if value is None else value


def metric_of(name: str) -> str:
    return BENCHMARKS[name].headline.lower().replace(" ", "_")


def write_tasks(data: Path, folders: Mapping[str, str], out: Path, prompts: Mapping[str, str]) -> list[str]:
    """A task for each benchmark (name -> its folder in `data`) that needs no judge; the names of the tasks.

    Raises InputError for images and videos that are not there.
    """
    written = []
    for name, folder in folders.items():
        benchmark = BENCHMARKS[name]
        if benchmark.judged == "always":
            continue
        home = (data / folder).resolve()
        place = (out / name).resolve()
        rows = _documents(home, benchmark.read(home, benchmark.split), prompts[benchmark.prompt])
        place.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(place / "questions.jsonl", lines)
        write_text(place / "utils.py", UTILS.format(name=name, data=str(home), split=benchmark.split))
        slug = name.replace("-", "_")
        file = json.dumps(str(place / "questions.jsonl"))
        task = YAML.format(rule=benchmark.rule, slug=slug, file=file, metric=metric_of(name))
        write_text(place / f"cityscribe_{slug}.yaml", task)
        written.append(f"cityscribe_{slug}")
    return written


def _documents(home: Path, questions: Sequence[BenchmarkQuestion], prompt: str) -> list[Document]:
    videos = files_by_stem(home) if any(question.video for question in questions) else {}
    documents: list[Document] = []
    for question in questions:
        if question.encoded_image:
            raise InputError(f"{home}: its images stand in the file of the questions, which lmms-eval reads by itself")
        images, video = [home / image for image in question.images], ""
        folder = home / question.video
        if question.video and folder.is_dir():
            pictures = sorted(path for path in folder.iterdir() if is_image(path))
            images = [pictures[(2 * n + 1) * len(pictures) // (2 * FRAMES)] for n in range(FRAMES)] if pictures else []
            images = list(dict.fromkeys(images))
        elif question.video:
            found = question.video if folder.is_file() else video_named(videos, question.video)
            video = str(home / (found or question.video))
        missing = [path for path in (*images, *([Path(video)] if video else [])) if not path.is_file()]
        if missing:
            raise InputError(f"{missing[0]}: does not exist, and question {question.id} shows it")
        target = question.truth[0] if question.truth else ""
        shown = [str(path) for path in images]
        documents.append(
            {"id": question.id, "text": asked(question, prompt), "target": target, "images": shown, "video": video}
        )
    return documents
