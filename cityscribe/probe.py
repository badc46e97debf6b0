"""A checkpoint is probed: questions are changed, asked again and compared. What `cityscribe probe MODEL DATA` does.

    OUT/probes.json      what each probe found, with intervals, and the keys of questions that show a fault
    OUT/answers.jsonl    an answer a line: to the plain questions, then to the changed ones
    OUT/blind.jsonl      to the plain questions without images
    OUT/images/          the changed images

Asked are questions with options and images whose right answer is known, through the same engine and by the same
settings (`predict.choices`, ...) as every prediction. A stopped call goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

from cityscribe import __version__
from cityscribe.evaluate.probes import PROBES
from cityscribe.evaluate.probes.probe import ChangedQuestion, ImageChange, ProbedAnswers, ProbedQuestion, ProbeResult
from cityscribe.evaluate.question_files import PredictionLine, read_lines
from cityscribe.files import InputError, write_bytes, write_json
from cityscribe.letters import LETTERS, read_choice
from cityscribe.media.images import as_png, open_image
from cityscribe.pipeline.step import Watch
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.over_time.decoder import Independent
from cityscribe.predict.over_time.rows import right_option
from cityscribe.project import Settings
from cityscribe.records import Sample, video_files
from cityscribe.sources.choices import reordered


@dataclass(frozen=True, slots=True)
class Probed:
    """What probes found, by name, of how many questions, and how many samples are not asked, by reason."""

    results: dict[str, ProbeResult]
    questions: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A sample with its variants by probe, each with the sample that asks it."""

    sample: Sample
    question: ProbedQuestion
    changed: dict[str, list[tuple[ChangedQuestion, Sample]]]


def probe(
    samples: Sequence[Sample],
    root: Path,
    model: Path | str,
    settings: Settings,
    out: Path,
    *,
    kinds: Sequence[str],
    questions: int,
    watch: Watch,
) -> Probed:
    """Probe a model with at most so many of the samples, which are drawn by `settings.seed`; their images lie in
    `root`. Writes `out/probes.json`, last.

    Raises InputError for a probe that there is not, where no sample can be asked, and as `predict_conversations`.
    """
    members = {kind: PROBES[kind] for kind in kinds}
    usable, left_out = _usable(samples)
    if not usable:
        reasons = ", ".join(f"{count} {why}" for why, count in left_out.items())
        raise InputError(f"{root}: has no question that can be probed: {reasons or 'no samples'}")
    drawn = sorted(Random(settings.seed).sample(range(len(usable)), min(questions, len(usable))))
    out.mkdir(parents=True, exist_ok=True)
    with watch("images") as progress:
        asked = []
        for done, n in enumerate(drawn):
            asked.append(_changed(usable[n], str(n), kinds, root, out / "images", settings.seed))
            progress(done + 1, len(drawn))
    alone = settings.predict.model_copy(update={"over_time": Independent()})  # other questions would hide a fault
    settings = settings.model_copy(update={"predict": alone})
    plain = [each.sample for each in asked]
    changed = [sample for each in asked for made in each.changed.values() for _, sample in made]
    with watch("blind") as progress:
        predict_conversations(plain, root, model, settings, out / "blind.jsonl", images=False, progress=progress)
    with watch("questions") as progress:
        predict_conversations([*plain, *changed], root, model, settings, out / "answers.jsonl", progress=progress)
    blind, answers = read_lines(out / "blind.jsonl"), read_lines(out / "answers.jsonl")
    results = {}
    for kind, compared in _compared(asked, kinds, blind, answers).items():
        if compared:
            results[kind] = members[kind].compare(compared, settings.seed)
        if len(compared) < len(asked):
            left_out[f"cannot be changed by {kind}"] = len(asked) - len(compared)
    found = Probed(results, len(asked), dict(left_out))
    write_json(out / "probes.json", {**_to_json(found), "seed": settings.seed, "cityscribe": __version__})
    return found


def _usable(samples: Sequence[Sample]) -> tuple[list[Sample], Counter[str]]:
    """The samples that can be probed, and the reasons why others cannot, each with their number."""
    usable, left_out = [], Counter[str]()
    for sample in samples:
        if not sample.meta.options:
            left_out["without options"] += 1
        elif right_option(sample) is None:
            left_out["without a right answer"] += 1
        elif video_files(sample) or not sample.images:
            left_out["about a video file, or without images"] += 1
        else:
            usable.append(sample)
    return usable, left_out


def _changed(sample: Sample, key: str, kinds: Sequence[str], root: Path, images: Path, seed: int) -> _Asked:
    """A sample with its variants; writes the changed images that are not there yet."""
    right = right_option(sample)
    if right is None:
        raise AssertionError("a question without a right answer")
    meta = sample.meta
    question = ProbedQuestion(
        meta.question or f"{meta.scenario}#{key}", meta.scenario or sample.group, meta.options, right
    )
    known = {name: _digest(root / name, seed) for name in sample.images}
    changed: dict[str, list[tuple[ChangedQuestion, Sample]]] = {}
    for kind in kinds:
        made: list[tuple[ChangedQuestion, Sample]] = []
        for variant in PROBES[kind].variants(question):
            asks = sample if variant.options == meta.options else reordered(sample, variant.options)
            if asks is None:  # its words do not list the options as they are read
                made = []
                break
            if variant.change is not None:
                names = [_written(root / name, known[name], images, variant.change) for name in asks.images]
                asks = replace(asks, images=tuple(names))
            made.append((variant, asks))
        changed[kind] = made
    return _Asked(sample, question, changed)


def _digest(image: Path, seed: int) -> str:
    """By which a changed image is named, and what is random in it is drawn."""
    return hashlib.sha256(image.read_bytes() + b"\n%d" % seed).hexdigest()


def _written(image: Path, digest: str, folder: Path, change: ImageChange) -> str:
    """The changed image as a file, as PNG, which loses nothing more. Questions about one image share it."""
    path = folder / f"{digest[:24]}-{change.name}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, as_png(change.apply(open_image(image), int(digest[24:36], 16))))
    return str(path.resolve())


def _compared(
    asked: Sequence[_Asked], kinds: Sequence[str], blind: Sequence[PredictionLine], answers: Sequence[PredictionLine]
) -> dict[str, list[ProbedAnswers]]:
    """Probe -> the questions that it could change, with what was said."""
    found: dict[str, list[ProbedAnswers]] = {kind: [] for kind in kinds}
    rest = iter(answers[len(asked) :])
    for each, plain, without in zip(asked, answers, blind, strict=False):
        for kind, made in each.changed.items():
            said = tuple(_said(next(rest)) for _ in made)
            if made:
                variants = tuple(variant for variant, _ in made)
                found[kind].append(ProbedAnswers(each.question, _said(plain), _said(without), said, variants))
    return found


def _said(line: PredictionLine) -> str:
    """The words of the option that an answer names; empty for none."""
    letter = read_choice(line.answer, line.options).letter
    return line.options[LETTERS.index(letter)] if letter else ""


def _to_json(found: Probed) -> dict[str, object]:
    probes = {
        kind: {
            "finding": result.finding,
            "why": result.why,
            "lines": [asdict(line) for line in result.lines],
            "examples": list(result.examples),
        }
        for kind, result in found.results.items()
    }
    return {"questions": found.questions, "left_out": found.left_out, "probes": probes}
