"""The pairs of a training, made by a builder, with where each comes from and counts of what was left out.

made = make_pairs(samples, answering, settings.pairs, seed)
write_pairs(made, folder, settings.pairs, model)

FOLDER/train.parquet     the samples of the pairs, and with `pairs.keep` those that they were made of
FOLDER/pairs.jsonl       a line a pair: its name, where its answers come from, what tells them apart
FOLDER/pairs.json        counts, the builder and its settings, the model that was asked
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair
from cityscribe.curate.pairs.settings import PairSettings
from cityscribe.files import InputError, write_json, write_text
from cityscribe.records import Sample, text_of, video_files, write_samples
from cityscribe.rewards.reward import asked_of, reference_answer, with_facts


@dataclass(frozen=True, slots=True)
class MadePairs:
    """What came of a builder."""

    pairs: tuple[Pair, ...]
    left_out: tuple[NoPair, ...]
    kept: tuple[Sample, ...]  # samples that stay beside them

    @property
    def reasons(self) -> dict[str, int]:
        """Why samples were left out, with counts, the most frequent first."""
        return dict(Counter(one.why for one in self.left_out).most_common())


def make_pairs(samples: Sequence[Sample], answering: Answering, settings: PairSettings, seed: int) -> MadePairs:
    """Pairs of samples of the kinds that are wanted and that have an answer. Raises InputError where there are none."""
    fitting = [
        sample
        for sample in samples
        if (not settings.kinds or sample.meta.kind in settings.kinds)
        and sample.preference is None
        and sample.messages
        and sample.messages[-1]["role"] == "assistant"
    ]
    if not fitting:
        raise InputError(
            f"pairs: none of {len(samples)} samples is of the kinds {', '.join(settings.kinds)} and has an answer"
        )
    if settings.most:
        drawn = _drawn_groups(fitting, settings.most, seed)
        samples, fitting = ([one for one in some if _group_of(one) in drawn] for some in (samples, fitting))
    made = list(settings.builder.build(fitting, answering, seed))
    pairs = tuple(one for one in made if isinstance(one, Pair))
    if settings.facts:
        known = {_question_of(sample): reference_answer(sample) for sample in fitting}
        pairs = tuple(_with_facts(pair, known) for pair in pairs)
    found = MadePairs(
        pairs,
        tuple(one for one in made if isinstance(one, NoPair)),
        tuple(sample for sample in samples if not sample.rejected) if settings.keep else (),
    )
    if not pairs:
        reasons = "; ".join(f"{count} {why}" for why, count in found.reasons.items())
        raise InputError(f"pairs.builder {settings.builder.name}: made no pair of {len(fitting)} samples: {reasons}")
    return found


def _question_of(sample: Sample) -> tuple[str, str]:
    return sample.group, text_of(asked_of(sample)[-1])


def _with_facts(pair: Pair, known: Mapping[tuple[str, str], str]) -> Pair:
    """A pair whose questions tell the reference of the sample that it was made of."""
    told = tuple(with_facts(sample, known.get(_question_of(sample), "")) for sample in pair.samples)
    return replace(pair, samples=told)


def _group_of(sample: Sample) -> tuple[str, tuple[str, ...]]:
    """What the samples of an image have in common."""
    return sample.group, sample.images


def _drawn_groups(samples: Sequence[Sample], most: int, seed: int) -> set[tuple[str, tuple[str, ...]]]:
    """So many of the image groups of samples."""
    groups = list(dict.fromkeys(map(_group_of, samples)))
    return set(random.Random(seed).sample(groups, min(most, len(groups))))


def write_pairs(made: MadePairs, folder: Path, settings: PairSettings, model: str) -> None:
    """Write the files of a folder that is there."""
    lines = [
        {
            "pair": pair.name,
            "chosen_from": pair.chosen_from,
            "rejected_from": pair.rejected_from,
            "changed": list(pair.changed),
        }
        for pair in made.pairs
    ]
    left = [{"sample": one.sample, "left_out": one.why} for one in made.left_out]
    write_text(folder / "pairs.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, *left]))
    counts = {"pairs": len(made.pairs), "left_out": made.reasons, "kept": len(made.kept)}
    asked = {"model": model} if settings.builder.asks else {}
    write_json(folder / "pairs.json", {**counts, "builder": settings.builder.model_dump(mode="json"), **asked})
    samples = [*(sample for pair in made.pairs for sample in pair.samples), *made.kept]
    videos = any(video_files(sample) for sample in samples)
    write_samples(folder / "train.parquet", samples, preferences=True, videos=videos)
