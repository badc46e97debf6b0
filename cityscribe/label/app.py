"""The page on which a person says of uncertain labels whether they are right: yes, no, or what is right, with one key.

Nothing of an address is part of a path: labels go by their places. What is said is added to `answers.jsonl`, and the
tracks of the clip are written anew, before the page hears that it is.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from PIL import ImageDraw
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from cityscribe.browse.app import add_page, as_invalid, as_refused, guarded_app
from cityscribe.files import InputError
from cityscribe.label.clips import write_tracks
from cityscribe.media.images import ImageError, open_image
from cityscribe.serve.app import NO_TELEMETRY
from cityscribe.sources.intake import open_intake
from cityscribe.sources.labels import LABELS, LabelAnswer, PseudoLabel, fits, frame_file, read_labels, write_answer

PAGE = {
    "index.html": ("cityscribe.label", "text/html"),
    "label.css": ("cityscribe.label", "text/css"),
    "label.js": ("cityscribe.label", "text/javascript"),
    "dom.js": ("cityscribe.browse", "text/javascript"),
    "style.css": ("cityscribe.browse", "text/css"),
}
"""Files of the page -> the room that they lie in, and their type."""

BOX = (255, 140, 0)
"""RGB of the box around an object that is asked about."""


SENT = {"id", "clip", "kind", "name", "value", "ask", "times_s", "confidence", "by", "why"}
"""Fields of a label that the page is given."""


class AnswerRequest(BaseModel):
    """What the page sends: an answer to a label, which is named so that it is no other one by now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(max_length=2000)
    answer: Literal["yes", "no", "corrected", "open"]
    right: str = Field("", max_length=200)


@dataclass(eq=False, slots=True)
class LabelFolder:
    """The labels of a folder that are uncertain, and what has been said of them."""

    root: Path
    labels: list[PseudoLabel]
    answers: dict[str, LabelAnswer]
    problems: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.asked = [label for label in self.labels if not label.sure]

    asked: list[PseudoLabel] = field(init=False, default_factory=list)

    def take(self, label: PseudoLabel, request: AnswerRequest) -> None:
        """Write an answer. Raises InputError for one that does not fit the label."""
        said = LabelAnswer(id=request.id, value=label.value, answer=request.answer, right=request.right)
        if request.id != label.id or not fits(label, said):
            raise InputError(f"{label.id}: this is no answer to it; load the page again")
        with self.lock:
            write_answer(self.root, said)
            if said.answer == "open":
                self.answers.pop(label.id, None)
            else:
                self.answers[label.id] = said
            if label.kind == "track":
                write_tracks(self.root, label.clip, self.labels, self.answers)


def open_label_folder(root: Path) -> LabelFolder:
    """The labels of a folder. Raises InputError where there are none."""
    if not (root / LABELS).is_file():
        raise InputError(f"{root / LABELS}: no such file; `cityscribe label clips` writes it")
    intake = open_intake(root)
    labels, answers = read_labels(intake)
    if not labels:
        first = f": {intake.problems[0]}" if intake.problems else ""
        raise InputError(f"{root / LABELS}: has no labels{first}")
    return LabelFolder(root, labels, answers, len(intake.problems))


def looking_through(folder: LabelFolder) -> ASGIApp:
    """The ASGI application of the page."""
    app = FastAPI(
        title="cityscribe label",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
        exception_handlers={RequestValidationError: as_invalid, HTTPException: as_refused},
    )

    def label_at(place: int) -> PseudoLabel:
        if not 0 <= place < len(folder.asked):
            raise HTTPException(404, "there is no such label")
        return folder.asked[place]

    @app.get("/api/labels")
    def labels() -> dict[str, object]:
        sure = len(folder.labels) - len(folder.asked)
        rows = [_row(label, folder.answers.get(label.id)) for label in folder.asked]
        return {"title": folder.root.resolve().name, "sure": sure, "problems": folder.problems, "rows": rows}

    @app.post("/api/labels/{place}")
    def answer(place: int, body: AnswerRequest) -> dict[str, object]:
        label = label_at(place)
        try:
            folder.take(label, body)
        except InputError as error:
            raise HTTPException(409, str(error)) from error
        return _row(label, folder.answers.get(label.id))

    @app.get("/api/labels/{place}/pictures/{number}")
    def picture(place: int, number: int) -> Response:
        label = label_at(place)
        frames = frames_shown(label)
        if not 0 <= number < len(frames):
            raise HTTPException(404, "there is no such picture")
        return Response(_picture(folder.root, label, frames[number]), media_type="image/jpeg")

    add_page(app, PAGE)
    return guarded_app(app)


def frames_shown(label: PseudoLabel) -> list[int]:
    """The frames of a label that the page shows: the first, one in the middle and the last one, each once."""
    between = [frame for frame, *_ in label.boxes] or [*label.shown]
    middle = between[len(between) // 2 : len(between) // 2 + 1]
    return sorted({label.frames[0], *middle, label.frames[1]})


def _row(label: PseudoLabel, said: LabelAnswer | None) -> dict[str, object]:
    shown = label.model_dump(include=SENT)
    answer = None if said is None else {"answer": said.answer, "right": said.right}
    return {**shown, "options": list(label.options), "pictures": len(frames_shown(label)), "answer": answer}


def _picture(root: Path, label: PseudoLabel, frame: int) -> bytes:
    path = (root / frame_file(label.clip, frame)).resolve()
    # The name of the clip is from a file that somebody may have edited; it must not lead out of the folder.
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise HTTPException(404, "the frame is not there")
    try:
        picture = open_image(path).convert("RGB")
    except ImageError as error:
        raise HTTPException(404, "the frame cannot be read") from error
    box = next((xywh for at, *xywh in label.boxes if at == frame), None)
    if box is not None:
        x, y, width, height = box
        edge = max(2, round(picture.width / 200))
        drawn = (x - edge, y - edge, x + width + edge, y + height + edge)
        ImageDraw.Draw(picture).rectangle(drawn, outline=BOX, width=edge)
    coded = io.BytesIO()
    picture.save(coded, format="JPEG", quality=90)
    return coded.getvalue()
