from __future__ import annotations

import re

import numpy as np

from cityscribe.traffic.scenario import PHASES
from cityscribe.world.pictures import sample_picture


def test_equal_seeds_give_equal_pictures() -> None:
    first, again = sample_picture(7), sample_picture(7)
    assert np.array_equal(first.image, again.image)
    assert first.questions == again.questions
    assert first.boxes == again.boxes


def test_answers_agree_with_the_facts() -> None:
    for seed in range(12):
        picture = sample_picture(seed)
        answers = {q.kind: q.answer for q in picture.questions}
        facts = picture.facts
        assert answers["upper colour"].lower() == facts["upper_colour"] + "."
        assert answers["lower colour"].lower() == facts["lower_colour"] + "."
        assert facts["height_cm"] in answers["height"]
        assert (answers["cap"] == "No.") == (facts["hat_colour"] == "none")
        assert facts["motion"] in answers["motion"]
        claim = answers["colour claim"]
        assert claim == "Yes." or facts["upper_colour"] in claim
        assert (answers["sidewalks"] == "Yes.") == (facts["sidewalks"] == "yes")


def test_nothing_of_the_domain_is_given_away() -> None:
    """No phases and no sentences of the captions: tuning on the domain must still have something to teach."""
    for seed in range(8):
        text = " ".join(q.text + " " + q.answer for q in sample_picture(seed).questions).lower()
        assert not re.search(r"pedestrian|ego-vehicle|line of sight|" + "|".join(PHASES), text)


def test_boxes_are_inside_the_picture() -> None:
    for seed in range(8):
        picture = sample_picture(seed)
        height, width = picture.image.shape[:2]
        for x, y, w, h in picture.boxes.values():
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
