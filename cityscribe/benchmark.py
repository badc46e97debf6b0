"""A benchmark answered by a checkpoint: what `cityscribe score benchmark NAME --model MODEL` does before it scores.

    OUT/answers.jsonl    a line an answer, in the order of the questions; a stopped run goes on where it was
    OUT/images/          frames of videos, and images that the file of the questions holds

Images are read where they lie in the data folder. The questions go through the same engine as every prediction: those
about one image share it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.asking import asked, read_prompts
from cityscribe.evaluate.benchmarks.question import Benchmark, BenchmarkQuestion
from cityscribe.evaluate.benchmarks.score import read_matched
from cityscribe.evaluate.benchmarks.suites import SuiteRow, suite_row
from cityscribe.files import InputError, write_bytes
from cityscribe.media.kinds import is_image
from cityscribe.predict.conversations import predict_conversations
from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.progress import Progress
from cityscribe.project import Settings
from cityscribe.records import Sample, SampleMeta, image_block, message, read_samples, text_block
from cityscribe.sources.video_blocks import frames_of
from cityscribe.sources.video_qa import video_named
from cityscribe.sources.videos import files_by_stem


def answer_benchmark(
    benchmark: Benchmark,
    questions: Sequence[BenchmarkQuestion],
    data: Path,
    model_dir: str | Path,
    settings: Settings,
    out: Path,
    *,
    prompts: Mapping[str, str],
    frames: int = 8,
    images: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Ask a model every question and return the file of its answers.

    A video is shown by `frames` frames; `images=False` asks without them (the blind line). Raises InputError for
    images and videos that are not there or cannot be read, and as `predict_conversations`.
    """
    out.mkdir(parents=True, exist_ok=True)
    samples, root = samples_of(questions, data, prompts[benchmark.prompt], out, frames=frames, images=images)
    answers = out / "answers.jsonl"
    if any("#" in image for sample in samples for image in sample.images):
        report = prepare_conversations(samples, root, settings.prepare, out)
        unshown = len(samples) - sum(report.samples.values())
        if unshown:
            raise InputError(f"{out / 'skipped.jsonl'}: {unshown} questions cannot be shown; it says why")
        samples, root = read_samples(out / "test.parquet"), out
    predict_conversations(samples, root, model_dir, settings, answers, images=images, progress=progress)
    return answers


def answer_suite(
    names: Sequence[str],
    data: Path,
    model_dir: str | Path,
    settings: Settings,
    out: Path,
    *,
    frames: int = 8,
    folders: Mapping[str, str] | None = None,
    blind: bool = False,
    prompts: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[SuiteRow]:
    """Let a model answer benchmarks, each in the folder of `data` with its name (or that `folders` gives), and score
    them without a judge; with `blind` also without images.

    Raises InputError as `answer_benchmark` does.
    """
    prompts = prompts or read_prompts()
    rows = []
    for name in names:
        benchmark = BENCHMARKS[name]
        folder = data / (folders or {}).get(name, name)
        questions = benchmark.read(folder, benchmark.split)
        said = []
        for images in (True, False) if blind else (True,):
            answers = answer_benchmark(
                benchmark,
                questions,
                folder,
                model_dir,
                settings,
                out / (name if images else f"{name}-blind"),
                prompts=prompts,
                frames=frames,
                images=images,
                progress=progress,
            )
            said.append(read_matched(benchmark, questions, answers, partial=False)[0])
        rows.append(suite_row(name, questions, *said))
    return rows


def samples_of(
    questions: Sequence[BenchmarkQuestion], data: Path, prompt: str, out: Path, *, frames: int, images: bool = True
) -> tuple[list[Sample], Path]:
    """The questions as samples, and the folder that their images are relative to.

    Frames of videos are named, not taken out; images in base64 are written to `out`. Raises InputError naming what is
    not there, unless no images are shown.
    """
    videos = files_by_stem(data) if images and any(question.video for question in questions) else {}
    encoded = any(question.encoded_image for question in questions)
    if encoded and any(question.images or question.video for question in questions):
        raise AssertionError("images in base64 beside files")
    samples, missing = [], []
    for question in questions:
        shown: tuple[str, ...] = ()
        if images and question.video:
            shown = _shown(question.video, data, videos, frames)
            if not shown:
                missing.append(question.video)
                continue
        elif images and question.encoded_image:
            shown = (_write_image(question, out),)
        elif images:
            missing += [image for image in question.images if not (data / image).is_file()]
            shown = question.images
        samples.append(_sample(question, prompt, shown))
    if missing:
        names = list(dict.fromkeys(missing))
        raise InputError(f"{data}: {len(names)} images or videos are not there, the first is {names[0]}")
    return samples, out if encoded else data


def _shown(name: str, data: Path, videos: dict[str, str], frames: int) -> tuple[str, ...]:
    """References to frames of a video, which a benchmark names by its path, by its name alone, or by the folder of its
    frames as pictures; none where there is no such video."""
    if (data / name).is_dir():
        pictures = sorted(path for path in (data / name).iterdir() if is_image(path))
        chosen = dict.fromkeys((2 * n + 1) * len(pictures) // (2 * frames) for n in range(frames)) if pictures else {}
        return tuple(pictures[number].relative_to(data).as_posix() for number in chosen)
    video = name if (data / name).is_file() else video_named(videos, name)
    return tuple(frames_of(video, frames)) if video else ()


def _sample(question: BenchmarkQuestion, prompt: str, images: tuple[str, ...]) -> Sample:
    turn = message("user", *(image_block() for _ in images), text_block(asked(question, prompt)))
    # Not of the kind "choice": the rule of the benchmark reads the text as it comes.
    meta = SampleMeta(scenario=question.id, split="test", kind="chat", question=question.id)
    return Sample((turn,), images, "|".join(images) or question.id, meta)


def _write_image(question: BenchmarkQuestion, out: Path) -> str:
    try:
        content = base64.b64decode(question.encoded_image, validate=True)
    except binascii.Error as error:
        raise InputError(f"question {question.id}: its image is not base64: {error}") from error
    name = f"images/{hashlib.sha256(content).hexdigest()[:24]}"
    path = out / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    return name
