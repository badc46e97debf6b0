"""Files around a judge: the answers that it is shown, and the verdicts that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cityscribe.evaluate.question_files import read_lines
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.files import InputError, read_json
from cityscribe.letters import LETTERS, read_choice


def read_items(path: Path) -> list[tuple[str, str, JudgeItem]]:
    """The items of a file, each with its name and its group: of JSON lines as `predict` writes them, or of a list in
    the form of Video-ChatGPT (`video_name`, `Q`, `A`, `pred`; `Q1`, `Q2`, `A`, `pred1`, `pred2`).

    Of a question with options reference and answer are the words of the options. Raises InputError for a file of
    another shape and for one without references.
    """
    if path.suffix == ".json":
        return _official_items(path)
    items = []
    for line in read_lines(path):
        if not line.reference.strip():
            continue
        group = line.scenario or "|".join(line.images) or line.id
        words = (_in_words(text, line.options) for text in (line.reference, line.answer))
        items.append((line.id, group, JudgeItem(line.question, *words)))
    if not items:
        raise InputError(f"{path}: none of its answers has a reference; nothing can be judged")
    return items


def _in_words(text: str, options: Sequence[str]) -> str:
    letter = read_choice(text, options).letter
    return options[LETTERS.index(letter)] if letter else text


def _official_items(path: Path) -> list[tuple[str, str, JudgeItem]]:
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: expected a list of answers with video_name, Q, A and pred")
    items = []
    for number, row in enumerate(rows):
        twice = isinstance(row, dict) and "Q1" in row
        keys = ("Q1", "A", "pred1", "Q2", "pred2") if twice else ("Q", "A", "pred")
        values = [row.get(key) if isinstance(row, dict) else None for key in keys]
        missing = next((key for key, value in zip(keys, values, strict=True) if not isinstance(value, str)), None)
        if missing is not None:
            raise InputError(f"{path}: [{number}].{missing}: missing, or no text")
        video = str(row.get("video_name", number))
        items.append((f"{video}/{number}", video, JudgeItem(*map(str, values))))
    return items


class _Judged(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    correct: bool | None
    score: int | None
    reply: str


def read_verdicts(path: Path) -> list[tuple[str, Verdict]]:
    """The verdicts of a file that `judge` has written, each with the name of its item. Raises InputError naming a
    line of another shape."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                entry = _Judged.model_validate_json(line)
            except ValidationError as error:
                raise InputError(f"{path}: line {number}: is no verdict; expected what `judge` writes") from error
            found.append((entry.id, Verdict(entry.correct, entry.score, entry.reply)))
    if not found:
        raise InputError(f"{path}: holds no verdicts")
    return found
