"""Answers over time, as lines of predictions: samples → sequences of questions → the options that are given.

A sequence is what is asked about one view of a scenario; its steps are the phases. A question is told from others by
its words without its options and without the name of the phase.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cityscribe.files import InputError
from cityscribe.letters import LETTERS, read_choice
from cityscribe.predict.over_time.counts import AnswerCounts, fit_counts
from cityscribe.predict.over_time.decoder import AnswerDecoder, StepQuestion
from cityscribe.records import Sample, read_samples, text_of
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.scenario import phase_opening

log = logging.getLogger(__name__)


def decode_answers(
    samples: Sequence[Sample], scores: Sequence[Sequence[float]], decoder: AnswerDecoder, trained: Path
) -> list[int | None]:
    """The option of each sample, None where it has no scores: not asked for its likelihood, or not answered.

    `scores` are the log-likelihoods of its options, empty for none. `trained` are the training samples, from which a
    decoder that needs counts counts. Raises InputError where they hold no answers to count.
    """
    counts = count_trained(trained) if decoder.needs_counts else None
    sequences: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (sample, found) in enumerate(zip(samples, scores, strict=True)):
        if found:
            sequences[_sequence(sample)].append(place)
    options: list[int | None] = [None] * len(samples)
    relations = left_out = 0
    for places in sequences.values():
        decoded = decoder.decode([asked(samples[place], scores[place]) for place in places], counts)
        for place, option in zip(places, decoded.chosen, strict=True):
            options[place] = option
        relations, left_out = relations + decoded.relations, left_out + decoded.left_out
    if left_out:
        log.warning(
            "answers over time: %d relations between questions are used, %d more would make too many joint answers "
            "and are left out (predict.over_time.max_states)",
            *(relations, left_out),
        )
    return options


def count_trained(trained: Path) -> AnswerCounts:
    """The counts of a file of training samples. Raises InputError where it is not there or has no answered choices."""
    if not trained.is_file():
        raise InputError(f"{trained}: is not there; predict.over_time counts the answers of the training split")
    sequences: dict[tuple[str, str], list[StepQuestion]] = defaultdict(list)
    for sample in read_samples(trained):
        right = right_option(sample)
        if right is not None:
            sequences[_sequence(sample)].append(asked(sample, (), right))
    if not sequences:
        raise InputError(f"{trained}: has no answered questions with options; predict.over_time counts those")
    return fit_counts([sequences[name] for name in sorted(sequences)])


def right_option(sample: Sample) -> int | None:
    """The option that a sample gives as the answer; None where it has no options or no answer to be read."""
    if not sample.meta.options or sample.messages[-1]["role"] != "assistant":
        return None
    letter = read_choice(text_of(sample.messages[-1]), sample.meta.options).letter
    return LETTERS.index(letter) if letter else None


def asked(sample: Sample, scores: Sequence[float], chosen: int | None = None) -> StepQuestion:
    """A sample as a question of a sequence; `chosen` is by default its first option with the highest score."""
    turns = [message for message in sample.messages if message["role"] == "user"]
    phase = traffic_meta(sample).phase
    words = text_of(turns[-1]).partition(f"\n{LETTERS[0]}. ")[0].strip()
    likeliest = scores.index(max(scores)) if scores else 0
    return StepQuestion(
        words.removeprefix(phase_opening(phase)),
        phase,
        sample.meta.options,
        tuple(scores),
        likeliest if chosen is None else chosen,
    )


def _sequence(sample: Sample) -> tuple[str, str]:
    meta = traffic_meta(sample)
    return meta.scenario or sample.group, meta.view
