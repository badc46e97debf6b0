"""Pairs: what is rejected is worse in what it is said to be worse in, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cityscribe.curate.pairs import PAIR_BUILDERS
from cityscribe.curate.pairs.builder import NoPair, Pair
from cityscribe.curate.pairs.make import make_pairs, write_pairs
from cityscribe.curate.pairs.settings import PairSettings
from cityscribe.curate.pairs.statements import correct
from cityscribe.files import InputError
from cityscribe.records import Sample, SampleMeta, image_block, message, read_samples, text_block, text_of
from cityscribe.rewards.reward import FACTS
from cityscribe.traffic.metrics.attributes import read_attributes
from cityscribe.train.objectives import OBJECTIVES
from cityscribe.world.captions import pedestrian_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import facts_at


def captions(count: int) -> list[str]:
    """What is said of pedestrians of the synthetic city."""
    found = []
    for seed in range(count):
        event = sample_event(seed)
        found.append(pedestrian_caption(facts_at(event, seed % 5)))
    return found


def samples_of(texts: Sequence[str]) -> list[Sample]:
    return [
        Sample(
            (message("user", image_block(), text_block("Describe.")), message("assistant", text_block(text))),
            (f"{number}.png",),
            str(number),
            SampleMeta(scenario=str(number)),
        )
        for number, text in enumerate(texts)
    ]


class Says:
    """A model that says what it is told to, recorded: pairs are made of answers, not of a model."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    def __call__(self, samples: Sequence[Sample], **how: Any) -> list[list[str]]:
        self.asked.append(how)
        said = self.answers[len(self.asked) - 1]
        return [list(each) if isinstance(each, tuple) else [each] for each in said]


def built(kind: str, samples: Sequence[Sample], says: Any = None, **settings: Any) -> list[Pair | NoPair]:
    return list(PAIR_BUILDERS[kind](**settings).build(samples, says or Says(), 0))


def said(pair: Pair | NoPair) -> list[str]:
    assert isinstance(pair, Pair)
    return [text_of(sample.messages[-1]) for sample in pair.samples]


def test_an_injected_error_changes_one_attribute_and_nothing_else() -> None:
    texts = captions(12)
    pairs = built("injected-errors", samples_of(texts), count=2)
    assert sum(isinstance(pair, Pair) for pair in pairs) >= 20
    changed = set()
    for pair in pairs:
        if isinstance(pair, Pair):
            chosen, rejected = map(read_attributes, said(pair))
            (name,) = pair.changed
            changed.add(name)
            assert chosen[name] != rejected[name]
            assert {**chosen, name: ""} == {**rejected, name: ""}
    assert len(changed) > 4
    assert built("injected-errors", samples_of(texts), count=2) == pairs  # equal arguments, equal pairs


def test_the_smallest_correction_sets_right_what_is_wrong_and_keeps_the_words() -> None:
    texts = captions(16)
    own = texts[1:] + texts[:1]  # a model that describes the neighbour, in words of the city
    corrected = untouched = 0
    for mine, reference in zip(own, texts, strict=True):
        text, changed, wrong = correct(mine, reference)
        before, after, truth = map(read_attributes, (mine, text, reference))
        assert set(changed) <= set(wrong)
        for name in changed:
            assert after[name] == truth[name] != before.get(name)
        corrected += len(changed)
        untouched += sum(after.get(name) == before[name] for name in before if name not in wrong)
        assert after.keys() == before.keys()  # nothing is added, nothing is left out
    assert corrected > 40
    (pair, kept) = built("smallest-correction", samples_of(texts[:2]), Says([own[0], texts[1]]))
    assert said(pair)[1] == " ".join(own[0].split())
    assert kept == NoPair("1/long", "the model contradicts nothing of the reference")


def test_the_other_builders() -> None:
    texts = captions(3)
    samples = samples_of(texts)
    own = built("own-output", samples, Says(["Mine.", texts[1], ""]))
    assert said(own[0]) == [texts[0], "Mine."]
    assert own[1:] == [
        NoPair("1/long", "both answers say the same"),
        NoPair("2/long", "an answer is empty"),
    ]
    says = Says([("a b", "a b c", "a"), ("a", "b", "c"), ("", "a", "")])
    graded = built("graded", samples, says, rewards=[{"kind": "length", "least": 3}], count=3, margin=0.2)
    assert says.asked == [{"count": 3, "temperature": 1.0}]
    assert said(graded[0]) == ["a b c", "a"]
    assert graded[1] == NoPair("1/long", "its answers are worth about the same")
    m3id = built("image-against-none", samples[:1], says := Says(["seen"], ["blind"]), forgetting=0.05)
    assert (said(m3id[0]), says.asked) == (["seen", "blind"], [{"contrast": 0.05}, {"images": False}])
    other = built("other-image", samples)
    assert said(other[0]) == [texts[0]] * 2
    assert [one.images for one in other[0].samples] in ([("0.png",), ("1.png",)], [("0.png",), ("2.png",)])
    broken = built("broken-rules", samples[:2], Says(["It is rainy. The road surface is dry.", "It is rainy."]))
    assert broken[0].changed == ("rain and snow wet the road",)
    assert broken[1] == NoPair("1/long", "the model breaks no rule")


def test_the_stretches_of_an_answer_are_right_or_wrong_by_what_they_state() -> None:
    reference = "The weather is rainy. The road surface is wet. The pedestrian is a male in his 30s."
    own = "It seems so. The weather is  rainy. The road surface is dry. The pedestrian is a male. Nothing else."
    (pair, nothing) = built("labelled-stretches", samples_of([reference] * 2), Says([own, "Nothing else."]))
    assert isinstance(pair, Pair)
    tidy = "It seems so. The weather is rainy. The road surface is dry. The pedestrian is a male."
    ends = [tidy.index("so.") + 3, tidy.index("rainy.") + 6, tidy.index("dry.") + 4, len(tidy)]
    assert said(pair) == [tidy[:end] for end in ends]
    assert [one.preference.chosen for one in pair.samples if one.preference] == [None, True, False, True]
    assert pair.changed == ("neither", "right", "wrong", "right")
    assert nothing == NoPair("1/long", "the model says nothing that the reference states")
    (arrangement,) = OBJECTIVES["fdpo"]().arrange(pair.samples).units
    assert arrangement == (0, 1, 2, 3)


def test_what_the_model_says_is_taken_from_the_pairs_of_another_run(tmp_path: Path) -> None:
    texts = captions(4)
    own = [texts[1], texts[3], texts[0]]
    settings = PairSettings(builder={"kind": "own-output"}, most=3)
    samples = samples_of(texts)
    says = Says(own)
    made = make_pairs(samples, says, settings, 2)
    assert len(made.pairs) == 3 == len({pair.samples[0].group for pair in made.pairs})
    drawn = [int(pair.samples[0].group) for pair in made.pairs]
    assert drawn != [0, 1, 2], "drawn by the seed, not the first ones"
    assert drawn == [int(pair.samples[0].group) for pair in make_pairs(samples, Says(own), settings, 2).pairs]
    write_pairs(made, tmp_path, settings, "a-model")
    taken = built("labelled-stretches", samples, own=tmp_path / "train.parquet")
    asked = built("labelled-stretches", [samples[n] for n in drawn], Says(own))
    assert [one for one in taken if isinstance(one, Pair)] == asked
    (left,) = (one for one in taken if isinstance(one, NoPair))
    assert left.why.endswith("train.parquet has no own output to it")


def test_questions_of_pairs_tell_the_reference_to_a_reward_model_that_reads_facts() -> None:
    texts = captions(2)
    settings = PairSettings(builder={"kind": "smallest-correction"}, facts=True)
    made = make_pairs(samples_of(texts), Says(texts[::-1]), settings, 0)
    for pair in made.pairs:
        reference = texts[int(pair.samples[0].group)]
        for one in pair.samples:
            assert text_of(one.messages[0]).endswith(FACTS.format(reference))
        assert reference not in said(pair)


def test_pairs_are_written_with_where_they_come_from_and_what_was_left_out(tmp_path: Path) -> None:
    samples = samples_of(captions(3))
    settings = PairSettings(builder={"kind": "own-output"}, keep=True)
    made = make_pairs(samples, Says(["One.", "Two.", ""]), settings, 0)
    write_pairs(made, tmp_path, settings, "a-model")
    counts = json.loads((tmp_path / "pairs.json").read_text())
    assert counts == {
        "pairs": 2,
        "left_out": {"an answer is empty": 1},
        "kept": 3,
        "builder": {"kind": "own-output"},
        "model": "a-model",
    }
    lines = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert lines[0]["chosen_from"] == "reference"
    assert lines[2] == {"sample": "2/long", "left_out": "an answer is empty"}
    found = read_samples(tmp_path / "train.parquet", rejected=True)
    assert [sample.rejected for sample in found] == [False, True] * 2 + [False] * 3
    again = built("file", samples[1:], path=tmp_path / "train.parquet")
    assert [isinstance(one, Pair) for one in again] == [False, True]
    assert again[0] == NoPair("own-output:0/0/long", "is about none of the samples of this run")
    with pytest.raises(InputError, match=r"pairs.builder own-output: made no pair of 3 samples: 3 an answer is empty"):
        make_pairs(samples, Says([""] * 3), settings, 0)
    with pytest.raises(InputError, match=r"pairs: none of 3 samples is of the kinds choice and has an answer"):
        make_pairs(samples, Says(), settings.model_copy(update={"kinds": ("choice",)}), 0)
    with pytest.raises(InputError, match="rewards: name at least one"):
        built("graded", samples)
