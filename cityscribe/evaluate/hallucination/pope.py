"""POPE: is this object in the picture? (Li et al. 2023, RUCAIBox/POPE)

`build_questions` asks about objects that are there and as many that are not, drawn in one of three ways; `parsed` and
`measures` are the official `evaluate.py`.

An answer is cut at its first period, its commas are taken out, and it is a no where one of `No`, `no` and `not` stands
between its blanks; everything else, `NO`, `no!` and an empty answer too, is a yes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from cityscribe.evaluate.hallucination.objects import Vocabulary, in_truth
from cityscribe.files import InputError

Category = Literal["random", "popular", "adversarial"]
CATEGORIES: tuple[Category, ...] = ("random", "popular", "adversarial")
WORDING = "Can {article} {object} be seen in this picture?"
NEGATIONS = ("No", "not", "no")


class Question(TypedDict):
    """A question in POPE's form, and the object that it asks about."""

    question_id: int
    image: str
    text: str
    label: str
    object: str


def build_questions(
    truth: Mapping[str, Sequence[str]],
    category: Category,
    vocabulary: Vocabulary,
    *,
    images: int = 500,
    per_image: int = 3,
    seed: int = 0,
) -> list[Question]:
    """Questions in POPE's form, `{"question_id", "image", "text", "label", "object"}`; equal arguments, equal lists.

    Of the images with at least `per_image` objects at most `images` are drawn. Each true object is followed by one that
    is not there: any (`random`), the commonest in all images (`popular`), or the one that is most often together with
    it (`adversarial`); any, where the rule finds none. No object is asked about twice in an image, and none that is a
    kind of a true one. Raises InputError where no image has so many objects.
    """
    usable = sorted(image for image, objects in truth.items() if len(set(objects)) >= per_image)
    if not usable or per_image < 1:
        raise InputError(f"no image has {per_image} objects; ask for fewer an image")
    draw = random.Random(f"{seed} {category}")
    drawn = sorted(draw.sample(usable, min(images, len(usable))))
    counts = Counter(name for objects in truth.values() for name in set(objects))
    together: dict[str, Counter[str]] = {}
    for objects in truth.values():
        for one in set(objects):
            together.setdefault(one, Counter()).update(set(objects) - {one})
    questions: list[Question] = []
    for image in drawn:
        objects = list(dict.fromkeys(truth[image]))
        asked: set[str] = set()
        for name in draw.sample(objects, per_image):
            asked.add(name)
            questions.append(_question(len(questions) + 1, image, name, "yes"))
            absent = [other for other in counts if other not in asked and not in_truth(other, objects, vocabulary)]
            if not absent:
                continue
            order = {"random": Counter(), "popular": counts, "adversarial": together[name]}[category]
            ranked = sorted((other for other in absent if order[other]), key=lambda other: (-order[other], other))
            chosen = ranked[0] if ranked else draw.choice(sorted(absent))
            asked.add(chosen)
            questions.append(_question(len(questions) + 1, image, chosen, "no"))
    return questions


def _question(number: int, image: str, name: str, label: str) -> Question:
    text = WORDING.format(article="an" if name[0] in "aeiou" else "a", object=name)
    return {"question_id": number, "image": image, "text": text, "label": label, "object": name}


def parsed(answer: str) -> str:
    """`yes` or `no`: nothing else is possible."""
    words = answer.partition(".")[0].replace(",", "").split(" ")
    return "no" if any(word in words for word in NEGATIONS) else "yes"


def measures(labels: Sequence[str], answers: Sequence[str]) -> dict[str, float | None]:
    """Counts, and accuracy, precision, recall, F1 and share of yes in percent, `yes` being positive.

    Of labels `yes` and `no` and answers as `parsed` gives them. A measure whose denominator is zero is None, where the
    official script stops.
    """
    pairs = Counter(zip(labels, answers, strict=True))
    tp, fp, tn, fn = pairs["yes", "yes"], pairs["no", "yes"], pairs["no", "no"], pairs["yes", "no"]
    return {
        "accuracy": _percent(tp + tn, len(labels)),
        "precision": _percent(tp, tp + fp),
        "recall": _percent(tp, tp + fn),
        # 2PR / (P + R), which has no value where nothing is found, although 2TP / (2TP + FP + FN) would be 0.
        "f1": _percent(2 * tp, 2 * tp + fp + fn) if tp else None,
        "yes_ratio": _percent(tp + fp, len(labels)),
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
