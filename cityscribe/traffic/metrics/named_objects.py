"""The captions that CHAIR reads, by image, and the truth that reference captions tell.

    {"frame.jpg": "A man ...", ...}                   captions by image
    {"image": ..., "caption": ...}                    a line each; also `image_id`, and `text` for the caption
    {"images": ["frame.jpg"], "answer": ...}          what `predict` writes of conversations
    {"SCENARIO": [{"labels": ["4"], "caption_pedestrian": ..., "caption_vehicle": ...}]}   the submission format

Of a submission the image is SCENARIO/PHASE, about which both captions are one text. References are captions by image,
one or a list, or the folder of a WTS data set, whose captions of all views say what there is in a phase.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cityscribe.evaluate.hallucination.objects import Vocabulary, mentions
from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import InputError, read_json
from cityscribe.traffic.metrics.caption_files import read_predictions, read_references

TRAFFIC_OBJECTS = Path(__file__).with_name("objects.yaml")
"""The vocabulary of the city: what road users, signs and things in the street are called."""

IMAGE_KEYS = ("image", "image_id")
TEXT_KEYS = ("caption", "text", "answer")


def read_captions(path: Path) -> dict[str, str]:
    """Image -> caption. Raises InputError with the place of what is no caption, and for two about one image."""
    if path.suffix != ".jsonl":
        value = read_json(path)
        if isinstance(value, dict) and value and all(isinstance(entry, str) for entry in value.values()):
            return value
        if isinstance(value, dict):
            return _of_submission(path)
        rows = [(f"[{n}]", row) for n, row in enumerate(value)] if isinstance(value, list) else [("", value)]
    else:
        rows = list(json_lines(path))
    captions: dict[str, str] = {}
    for place, row in rows:
        image, text = _image(row), _text(row)
        if image is None or text is None:
            raise InputError(f"{path}: {place}: expected an image and a caption")
        if image in captions:
            raise InputError(f"{path}: {place}: a second caption of {image}")
        captions[image] = text
    if not captions:
        raise InputError(f"{path}: holds no captions")
    return captions


def truth_of_references(path: Path, vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Image -> the objects that its reference captions name. Raises InputError."""
    said: dict[str, list[str]] = {}
    if path.is_dir():
        for scenarios in read_references(path, None, False, []).values():
            for scenario, phases in scenarios.items():
                for phase, segment in phases.items():
                    said[f"{scenario}/{phase}"] = list(segment.captions.values())
    else:
        try:
            given = TypeAdapter(dict[str, str | list[str]]).validate_python(read_json(path))
        except ValidationError as error:
            raise InputError(f"{path}: expected {{image: caption}} or {{image: [captions]}}") from error
        said = {image: [texts] if isinstance(texts, str) else texts for image, texts in given.items()}
    return {
        image: tuple(name for text in texts for name in mentions(text, vocabulary)) for image, texts in said.items()
    }


def _of_submission(path: Path) -> dict[str, str]:
    return {
        f"{scenario}/{phase}": " ".join(segment.captions.values())
        for scenario, phases in read_predictions(path).items()
        for phase, segment in phases.items()
    }


def _image(row: Any) -> str | None:
    if not isinstance(row, dict):
        return None
    images = row.get("images")
    if isinstance(images, list) and len(images) == 1 and isinstance(images[0], str):
        return images[0]
    named = next((row[key] for key in IMAGE_KEYS if key in row), None)
    return str(named) if isinstance(named, str | int) else None


def _text(row: Any) -> str | None:
    found = next((row[key] for key in TEXT_KEYS if key in row), None) if isinstance(row, dict) else None
    return found if isinstance(found, str) else None
