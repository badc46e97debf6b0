"""The stage `predict` for samples that are whole conversations or choices: JSON lines with the reference beside it.

    OUT                  {"id", "kind", "images", "question", "answer", "reference", "options", "chosen", ...} a line
    OUT.partial.jsonl    the journal, while the prediction runs

The last answer of each conversation is asked for, after what was really said before it. Of a choice the answer is a
letter: `chosen` is that of the option which the model names, empty where it names none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from cityscribe.models.load import resolve_base
from cityscribe.models.precision import resolve_dtype
from cityscribe.predict.answers import Answer, Answering
from cityscribe.predict.journal import Journal
from cityscribe.predict.prompts import Conversation
from cityscribe.predict.stage import UNDECIDING, load_engine
from cityscribe.records import InputError, Sample, text_of, write_text
from cityscribe.settings import Settings

Progress = Callable[[int, int], None]


def predict_conversations(
    samples: Sequence[Sample],
    image_root: Path,
    model_dir: Path | str,
    settings: Settings,
    out: Path,
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> int:
    """Answer every sample with the model in `model_dir`, a folder or hub id, and write one line each, in their order.

    Images are read relative to `image_root`; `images=False` asks without them. A prediction that was stopped goes on
    where it was. Returns how many answers were written. Raises InputError for a checkpoint or an image that cannot be
    used, and for files that cannot be written.
    """
    report = progress or (lambda done, total: None)
    size = settings.predict.batch_size
    batches = [samples[start : start + size] for start in range(0, len(samples), size)]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        journal = Journal(
            out.with_name(out.name + ".partial.jsonl"), _key(samples, image_root, model_dir, settings, images)
        )
        try:
            answers = [Answer(**answer) for batch in journal.finished for answer in batch]
            report(len(answers), len(samples))
            engine: Answering | None = None
            for batch in batches[len(journal.finished) :]:
                engine = engine or load_engine(model_dir, image_root, settings)
                engine.forget()
                said = engine.answer([_conversation(sample, image_root, images) for sample in batch])
                journal.append([asdict(answer) for answer in said])
                answers += said
                report(len(answers), len(samples))
        finally:
            journal.close()
        rows = [_row(sample, answer) for sample, answer in zip(samples, answers, strict=True)]
        write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        journal.discard()
    except OSError as error:
        raise InputError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return len(answers)


LETTER = r"(?<![^\W_])([{letters}])(?![^\W_])"
SAYS_LETTER = (
    r"^\W*" + LETTER + r"(?:\W*$|\s*[.):,])",
    r"\(" + LETTER + r"\)|(?:answer|option|letter|choice)(?: is)?\W+" + LETTER,
    LETTER + r"[.):]",
)
"""Ways of saying a letter, the clearest first; a lone `a` may be an article."""


def chosen_letter(text: str, options: Sequence[str]) -> str:
    """The letter of the option that an answer names, by its letter or else by its words; empty where it names none.

    Examples are `b`, `(B)`, `b. walking`, `The answer is B.` and `walking`; words count where they are those of one
    option only.
    """
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(options)]
    for pattern in SAYS_LETTER if options else ():
        found = re.search(pattern.replace("{letters}", letters), text, re.IGNORECASE)
        if found:
            return next(group for group in found.groups() if group).lower()
    said = [
        letter for letter, option in zip(letters, options, strict=True) if option and option.lower() in text.lower()
    ]
    return said[0] if len(said) == 1 else ""


def _asked(sample: Sample) -> list[dict[str, Any]]:
    messages = list(sample.messages)
    return messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages


def _conversation(sample: Sample, image_root: Path, images: bool) -> Conversation:
    if images:
        return Conversation(tuple(_asked(sample)), tuple(image_root / image for image in sample.images))
    blind = [{**e, "content": [b for b in e["content"] if b["type"] != "image"]} for e in _asked(sample)]
    return Conversation(tuple(blind))


def _row(sample: Sample, answer: Answer) -> dict[str, Any]:
    asked = _asked(sample)
    meta = sample.meta
    row: dict[str, Any] = {
        "id": meta.question or meta.scenario,
        "scenario": meta.scenario,
        "kind": meta.kind,
        "images": list(sample.images),
        "question": text_of(asked[-1]) if asked else "",
        "answer": answer.text,
        "reference": text_of(sample.messages[-1]) if len(asked) < len(sample.messages) else "",
        "problem": answer.problem,
    }
    if meta.options:
        row |= {"options": list(meta.options), "chosen": chosen_letter(answer.text, meta.options)}
    return row


def _key(samples: Sequence[Sample], image_root: Path, model_dir: Path | str, settings: Settings, images: bool) -> str:
    """A hash of everything that decides the answers: questions, images, weights, settings and versions."""
    told = hashlib.blake2b(digest_size=16)

    def tell(value: Any) -> None:
        told.update(json.dumps(value, sort_keys=True).encode() + b"\n")

    tell([torch.__version__, transformers.__version__, str(resolve_dtype(settings.predict.precision))])
    tell([settings.seed, images, settings.predict.model_dump(mode="json", exclude=UNDECIDING)])
    tell([asdict(sample) for sample in samples])
    files = sorted({image for sample in samples for image in sample.images}) if images else []
    paths = [image_root / file for file in files]
    folder = Path(resolve_base(str(model_dir)))
    if settings.predict.engine == "local" and folder.is_dir():
        paths += sorted(path for path in folder.rglob("*") if path.is_file())
    else:
        tell(str(model_dir))
    for path in paths:
        with path.open("rb") as content:
            tell([path.name, hashlib.file_digest(content, "blake2b").hexdigest()])
    return told.hexdigest()
