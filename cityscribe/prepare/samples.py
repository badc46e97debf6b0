"""From the images and captions of one phase to the samples about them.

A group is one phase of one view: its samples share their images. In training it has a long question for each caption
and some short ones; in evaluation it has the two long ones, whose text the prediction reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cityscribe.prepare.labeller import Labelled
from cityscribe.prepare.pictures import PhasePictures
from cityscribe.prepare.short_questions import ShortQuestion, short_questions
from cityscribe.records import Sample, image_block, message, text_block, video_block
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.prompts import Prompts, long_question
from cityscribe.traffic.scenario import Phase, Scenario, View

LONG_ORDER = ("vehicle", "pedestrian")
"""Of the long questions, as in sequential questioning (section 3.4): rounds are trained as they are predicted."""


@dataclass(frozen=True, slots=True)
class ViewPhase:
    """One phase of one view, and its images."""

    scenario: Scenario
    view: View
    phase: Phase
    picture: PhasePictures
    named: tuple[str, ...]  # of what is marked on the images, what questions call by its mark

    @property
    def id(self) -> str:
        return f"{self.scenario.name}/{self.view.name}/{self.phase.number}"


def caption_of(phase: Phase, role: str) -> str:
    """A road user's caption without white space around it; empty where there is none."""
    return phase.captions.get(role, "").strip()


def captioned_roles(phase: Phase) -> list[str]:
    """The road users that a phase has a caption for, in the order of the long questions."""
    return [role for role in LONG_ORDER if caption_of(phase, role)]


def possible_short_questions(
    group: ViewPhase, labelled: Mapping[tuple[str, str], Labelled], prompts: Prompts
) -> list[ShortQuestion]:
    """The short questions that the captions of a group answer. `labelled` has its captions as (role, caption)."""
    captions = [(role, caption_of(group.phase, role)) for role in LONG_ORDER]
    by_role = {role: labelled.get((role, caption), ()) for role, caption in captions}
    return short_questions(by_role, prompts, group.view.kind, group.phase.number, group.named)


def training_samples(
    group: ViewPhase, short: Sequence[ShortQuestion], prompts: Prompts, rounds: Literal["single", "multi"]
) -> list[Sample]:
    """The samples of a training group: a long question for each caption that is not empty, and short ones as drawn.

    With `rounds` "single" each question is a sample of its own; with "multi" all are the rounds of one conversation,
    the long ones first.
    """
    roles = captioned_roles(group.phase)
    long_rounds = [(_long_question(group, prompts, role), caption_of(group.phase, role)) for role in roles]
    short_rounds = [(question.question, question.answer) for question in short]
    if rounds == "multi":
        return [_sample(group, long_rounds + short_rounds, kind="multi")] if roles else []
    return [
        *(_sample(group, [entry], kind="long", target=role) for entry, role in zip(long_rounds, roles, strict=True)),
        *(
            _sample(group, [entry], kind="short", target=question.target, dimension=question.dimension)
            for entry, question in zip(short_rounds, short, strict=True)
        ),
    ]


def evaluation_samples(group: ViewPhase, prompts: Prompts) -> list[Sample]:
    """The long question of each road user; the answer is the reference, empty where the data set withholds it."""
    return [
        _sample(
            group, [(_long_question(group, prompts, role), caption_of(group.phase, role))], kind="long", target=role
        )
        for role in LONG_ORDER
    ]


def _long_question(group: ViewPhase, prompts: Prompts, role: str) -> str:
    return long_question(prompts, group.view.kind, group.phase.number, group.named, role)


def _sample(
    group: ViewPhase, rounds: Sequence[tuple[str, str]], *, kind: str, target: str = "", dimension: str = ""
) -> Sample:
    """Questions and answers about the images of a group; the images stand before the first question."""
    images = group.picture.images
    media = [image_block() for _ in images]
    if group.picture.video is not None:
        media = [video_block(group.picture.video)]
    messages = []
    for number, (question, answer) in enumerate(rounds):
        shown = media if number == 0 else []
        messages += [message("user", *shown, text_block(question)), message("assistant", text_block(answer))]
    meta = TrafficMeta(
        scenario=group.scenario.name,
        domain=group.scenario.domain,
        split=group.scenario.split,
        view=group.view.name,
        view_kind=group.view.kind,
        phase=group.phase.number,
        kind=kind,
        target=target,
        dimension=dimension,
        marked=group.picture.marked,
        note=group.picture.note,
    )
    return Sample(tuple(messages), images, group.id, meta)
