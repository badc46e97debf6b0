"""The majority line: what it is worth to look at nothing and say what is usual.

    write_majority(training_samples, references, out, split="val")

For each phase and road user one caption, the most typical of the training captions, is given for every scenario: that
whose words lie closest (cosine of word counts) to the centre of all. A model that does not beat it has learned how
captions sound and nothing about the picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from math import fsum, sqrt
from pathlib import Path

from cityscribe.files import write_json
from cityscribe.records import Sample, text_of
from cityscribe.traffic.meta import traffic_meta
from cityscribe.traffic.metrics.caption_files import read_references
from cityscribe.traffic.scenario import PHASES, ROLES

Asked = tuple[int, str]
"""Phase (an index into PHASES), road user."""


def write_majority(
    samples: Iterable[Sample], references: Path, out: Path, *, split: str | None = None, without: Collection[str] = ()
) -> None:
    """Write predictions in the submission format for every reference phase, from the captions of training samples, but
    for the scenarios `without`.

    A road user that no training sample describes in a phase is described as in any phase, or not at all.
    """
    typical = typical_captions(samples)
    expected = read_references(references, split, False, [], without)
    write_json(
        out,
        {
            scenario: [
                {"labels": [str(phase)], **{f"caption_{role}": typical.get((phase, role), "") for role in ROLES}}
                for phase in sorted(phases)
            ]
            for scenarios in expected.values()
            for scenario, phases in scenarios.items()
        },
    )


def typical_captions(samples: Iterable[Sample]) -> dict[Asked, str]:
    """The most typical caption of the samples for each phase and road user; captions of several views count once."""
    captions: dict[Asked, dict[tuple[str, str], None]] = {}
    for sample in samples:
        meta = traffic_meta(sample)
        if meta.kind == "long" and meta.target in ROLES and meta.phase >= 0 and len(sample.messages) > 1:
            said = (meta.scenario, text_of(sample.messages[1]))
            for phase in (meta.phase, -1):  # -1: any
                captions.setdefault((phase, meta.target), {})[said] = None
    typical = {asked: most_typical([text for _, text in said]) for asked, said in captions.items()}
    return {
        (phase, role): typical.get((phase, role), typical[-1, role])
        for phase in range(len(PHASES))
        for role in ROLES
        if (-1, role) in typical
    }


def most_typical(captions: Sequence[str]) -> str:
    """The caption whose words have the highest mean cosine with those of all; of equal ones the first in the alphabet.

    The mean cosine with all is the cosine with the sum of the normalised counts, so that the time grows with the number
    of captions and not with its square.
    """
    shares: dict[str, list[float]] = {}
    directions: dict[str, dict[str, float]] = {}
    for caption in captions:
        if caption not in directions:
            counts = Counter(caption.lower().split())
            length = sqrt(sum(count * count for count in counts.values())) or 1.0
            directions[caption] = {word: count / length for word, count in counts.items()}
        for word, share in directions[caption].items():
            shares.setdefault(word, []).append(share)
    centre = {word: fsum(of_word) for word, of_word in shares.items()}  # exact, so that the order does not matter
    nearness = {
        caption: fsum(share * centre[word] for word, share in direction.items())
        for caption, direction in directions.items()
    }
    return min(nearness, key=lambda caption: (-nearness[caption], caption))
