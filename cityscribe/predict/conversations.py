"""The stage `predict` for samples that are whole conversations or choices: JSON lines with the reference beside it.

    OUT                  {"id", "kind", "images", "question", "answer", "reference", "options", "chosen", ...} a line
    OUT.partial.jsonl    the journal, while the prediction runs

The last answer of each conversation is asked for, after what was really said before it. Of a choice the answer is a
letter: `chosen` is that of the option which the model names, empty where it names none. `predict.choices` says how it
is asked: freely (text), so that nothing but a letter can be said (letters), or not at all: then `scores` has the
log-likelihood of each letter (likelihood) or of the words of each option (words) as the whole answer, and the likeliest
is chosen. With `predict.over_time` the answers of a scenario are chosen together: then `likeliest` is what would have
been chosen alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from cityscribe.engine.batches import whole_groups
from cityscribe.engine.grammars import one_of
from cityscribe.engine.request import UNANSWERED, Answer, Engine, Request
from cityscribe.files import InputError, write_text
from cityscribe.letters import LETTERS, read_choice, rotated
from cityscribe.predict.answers import answer_of, entry_of, tell_unanswered
from cityscribe.predict.batches import answer_batches
from cityscribe.predict.choosers import given
from cityscribe.predict.fingerprint import TRAINED, fingerprint
from cityscribe.predict.journal import SharedJournal
from cityscribe.predict.over_time.decoder import Independent
from cityscribe.predict.over_time.rows import decode_answers
from cityscribe.predict.settings import Predicting
from cityscribe.predict.stage import asking, engine_of
from cityscribe.progress import Progress, silent
from cityscribe.records import Sample, placed, text_of, video_files
from cityscribe.rewards.reward import asked_of, reference_answer
from cityscribe.sources.choices import reordered
from cityscribe.tokens.shown import without_media
from cityscribe.train import processes


class _Entry(TypedDict):
    """A line of the journal."""

    answer: Mapping[str, Any]  # as `entry_of` writes it
    scores: list[float]  # the log-likelihood of each letter, where they are asked for


def predict_conversations(
    samples: Sequence[Sample],
    image_root: Path,
    model_dir: Path | str,
    settings: Predicting,
    out: Path,
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> int:
    """Answer every sample with the model in `model_dir`, a folder or hub id, and write one line each, in their order.

    Images are read relative to `image_root`; `images=False` asks without them. A batch holds all samples of an image,
    so that none is encoded twice; several processes (of torchrun) share them out, and the first writes. A prediction
    that was stopped goes on where it was. Returns how many answers were written; one that cannot be given (the image is
    torn, or the model's processor refuses the question) is an empty line with its reason. Raises InputError for a
    checkpoint that cannot be used, where no question can be answered, and for files that are missing or cannot be
    written.
    """
    scoring = settings.predict.by_likelihood
    places = whole_groups(
        range(len(samples)), lambda n: samples[n].images or samples[n].group, settings.predict.batch_size
    )

    def ask(engine: Engine, batch: Sequence[int]) -> list[_Entry]:
        asked = {n: _request(samples[n], image_root, images, settings) for n in batch}
        scored = [n for n in batch if scoring and samples[n].meta.options]
        free = [n for n in batch if n not in scored]
        answers = engine.answer([asked[n] for n in free])
        entries: dict[int, _Entry] = {
            n: {"answer": entry_of(given(settings.predict.choose, samples[n], found)), "scores": []}
            for n, found in zip(free, answers, strict=True)
        }
        if scored:  # behind the answers, whose images are still known
            orders = [orders_of(samples[n], settings.predict.option_orders) for n in scored]
            turned = [_request(sample, image_root, images, settings) for found in orders for sample in found]
            entries |= zip(
                scored, _likeliest(engine, turned, orders, words=settings.predict.choices == "words"), strict=True
            )
        return [entries[n] for n in batch]

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        key = fingerprint(samples, image_root, model_dir, settings, images)
        journal = SharedJournal(out.with_name(out.name + ".partial.jsonl"), key)
        answered, _ = answer_batches(
            places, journal, lambda: engine_of(model_dir, image_root, settings), ask, progress or silent
        )
        entries = dict(zip((n for batch in places for n in batch), answered, strict=True))
        try:
            tell_unanswered([_named(sample, entries[n]) for n, sample in enumerate(samples)], model_dir)
        except InputError:
            journal.discard()  # what made all of them fail may be mended without a change of the settings
            raise
        rows = [_row(sample, entries[n]) for n, sample in enumerate(samples)]
        if not isinstance(settings.predict.over_time, Independent):
            scores = [entries[n]["scores"] for n in range(len(samples))]
            given_over_time = decode_answers(samples, scores, settings.predict.over_time, image_root / TRAINED)
            for row, option in zip(rows, given_over_time, strict=True):
                if option is not None:
                    letter = LETTERS[option]
                    row |= {"answer": letter, "chosen": letter, "likeliest": row["chosen"]}
        if processes.is_first():
            write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            journal.discard()
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return len(rows)


def orders_of(sample: Sample, wanted: Literal["given", "all"]) -> list[Sample]:
    """A choice in the orders of its options that it is asked in: as it is, or in all rotations."""
    options = sample.meta.options
    orders = [rotated(options, by) for by in range(1, len(options))] if wanted == "all" else []
    turned = [reordered(sample, order) for order in orders]
    # A question whose words do not list its options cannot be turned, and is asked as it is.
    return [sample, *(each for each in turned if each is not None)]


def _likeliest(
    engine: Engine, requests: Sequence[Request], orders: Sequence[Sequence[Sample]], *, words: bool
) -> list[_Entry]:
    """The likeliest option of each choice as its answer, and the log-likelihoods of all options: of their letters or
    of their words, the mean over the orders. The requests of all orders follow each other."""
    said = [sample.meta.options if words else LETTERS[: len(sample.meta.options)] for each in orders for sample in each]
    scored = iter(engine.score(requests, said, ended=True))
    entries: list[_Entry] = []
    for found in orders:
        scores = [next(scored) for _ in found]
        failed = next((score for each in scores for score in each if score.problem), None)
        if failed is not None:
            answer = Answer("", 0, 0, failed.problem, failed.reason)
            entries.append({"answer": entry_of(answer), "scores": []})
            continue
        count = len(found[0].meta.options)
        # In the order that begins with option n, option k stands at place k - n.
        sums = [
            math.fsum(each[(option - turn) % count].sum for turn, each in enumerate(scores)) / len(scores)
            for option in range(count)
        ]
        best = LETTERS[sums.index(max(sums))]
        entries.append({"answer": entry_of(Answer(best, 0, 0)), "scores": [round(each, 4) for each in sums]})
    return entries


def _request(sample: Sample, image_root: Path, images: bool, settings: Predicting) -> Request:
    options = sample.meta.options
    grammar = one_of(LETTERS[: len(options)]) if settings.predict.choices == "letters" and options else ""
    if images:
        shown = tuple(image_root / image for image in sample.images)
        messages = tuple(placed(asked_of(sample), image_root))
        return replace(asking(settings), messages=messages, media=shown, grammar=grammar)
    return replace(asking(settings), messages=tuple(without_media(asked_of(sample))), grammar=grammar)


def _named(sample: Sample, entry: _Entry) -> tuple[str, Answer]:
    """An answer with the sample that it is for and the files of that."""
    name = sample.meta.question or sample.meta.scenario or sample.group
    return f"{name} ({', '.join(sample.images)})", answer_of(entry["answer"])


def _row(sample: Sample, entry: _Entry) -> dict[str, object]:
    asked = asked_of(sample)
    meta = sample.meta
    answer = answer_of(entry["answer"])
    row: dict[str, object] = {
        "id": meta.question or meta.scenario,
        "scenario": meta.scenario,
        "kind": meta.kind,
        "images": list(sample.images),
        "question": text_of(asked[-1]) if asked else "",
        "answer": answer.text,
        "reference": reference_answer(sample),
        "problem": answer.problem,
    }
    if answer.problem in UNANSWERED:
        row["reason"] = answer.reason
    if meta.options:
        row |= {"options": list(meta.options), "chosen": read_choice(answer.text, meta.options).letter}
    if entry["scores"]:
        row["scores"] = entry["scores"]
    if videos := video_files(sample):
        row["videos"] = videos
    return row
