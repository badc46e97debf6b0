"""CHAIR: objects that captions name and that are not there (Rohrbach et al. 2018, LisaAnne/Hallucination `chair.py`).

    CHAIRs   captions that name at least one such object / captions
    CHAIRi   mentions of such objects / mentions of objects, over all captions, repeats counted
    recall   true objects that a caption names / true objects

The ratios are the official ones. The objects are not those of COCO but of a vocabulary (`objects.py`), whose words are
read by rule instead of with the library `pattern` and not counted after `no` and `without`, so numbers on COCO are near
the published ones but not equal. The truth about an image may also be, or be joined by, what its reference captions
name, as officially.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from cityscribe.evaluate.benchmarks.question import Measures
from cityscribe.evaluate.hallucination.objects import Vocabulary, in_truth, mentions
from cityscribe.files import InputError


class CaptionRow(TypedDict):
    """What a caption named, as it is written."""

    image: str
    caption: str
    named: list[str]
    hallucinated: list[str]
    truth: list[str]


@dataclass(frozen=True, slots=True)
class Chair:
    """`total` holds the ratios in percent and counts; `rows` says what each caption named and what was not there."""

    total: Measures
    rows: list[CaptionRow]


def chair(captions: Mapping[str, str], truth: Mapping[str, Iterable[str]], vocabulary: Vocabulary) -> Chair:
    """Score captions by image against the objects of the images.

    Raises InputError where an image of a caption has no truth. Ratios of nothing are None: the official script stops.
    """
    unknown = [image for image in captions if image not in truth]
    if unknown:
        raise InputError(f"{len(unknown)} of {len(captions)} captions are about images without truth: {unknown[0]}")
    rows: list[CaptionRow] = []
    invented: Counter[str] = Counter()
    summary_of: Counter[str] = Counter()
    found = true_objects = 0
    for image, caption in captions.items():
        objects = tuple(dict.fromkeys(truth[image]))
        named = mentions(caption, vocabulary)
        wrong = [name for name in named if not in_truth(name, objects, vocabulary)]
        found += sum(in_truth(name, named, vocabulary) for name in objects)
        true_objects += len(objects)
        invented.update(wrong)
        summary_of.update(named)
        rows.append({"image": image, "caption": caption, "named": named, "hallucinated": wrong, "truth": list(objects)})
    total: Measures = {
        "chair_s": _percent(sum(bool(row["hallucinated"]) for row in rows), len(rows)),
        "chair_i": _percent(invented.total(), summary_of.total()),
        "recall": _percent(found, true_objects),
        "captions": len(rows),
        "mentions": summary_of.total(),
        "hallucinated by object": {name: invented[name] for name in sorted(invented)},
        "mentions by object": {name: summary_of[name] for name in sorted(summary_of)},
    }
    return Chair(total, rows)


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
