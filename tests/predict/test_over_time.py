"""Answers chosen together: exact against brute force, counted on the training data, and better where time tells."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cityscribe.files import InputError
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.over_time import ANSWER_DECODERS
from cityscribe.predict.over_time.counts import IMAGINED, count_answers, fit_counts
from cityscribe.predict.over_time.decoder import Independent, StepQuestion
from cityscribe.predict.over_time.rows import decode_answers
from cityscribe.predict.over_time.viterbi import Viterbi, best_joint, likelihood
from cityscribe.predict.over_time.yes_no import OneYesOneNo
from cityscribe.project import resolve
from cityscribe.records import Sample, image_block, message, write_samples
from cityscribe.sources.choices import choice_turns
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.traffic.scenario import phase_opening

Tables = tuple[list[dict[int, np.ndarray]], list[dict[int, np.ndarray]], list[dict[tuple[int, int], np.ndarray]]]


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """Up to three variables over up to four steps; some are left out of a step, sizes change from step to step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    unary, changes, pairs, before = [], [], [], {}
    for _ in range(draw(st.integers(1, 4))):
        asked = draw(st.sets(st.integers(0, 2), max_size=3))
        sizes = {n: draw(st.integers(1, 3)) for n in sorted(asked)}
        unary.append({n: rng.normal(size=size) for n, size in sizes.items()})
        changes.append({n: rng.normal(size=(before[n], size)) for n, size in sizes.items() if n in before})
        both = [pair for pair in itertools.permutations(sizes, 2) if draw(st.booleans())]
        pairs.append({(n, m): rng.normal(size=(sizes[n], sizes[m])) for n, m in both})
        before |= sizes
    return unary, changes, pairs


def worth(found: list[dict[int, int]], unary: list, changes: list, pairs: list) -> float:  # type: ignore[type-arg]
    """The sum of a joint choice, as the docstring of `best_joint` says it."""
    total, last = 0.0, dict[int, int]()
    for t, values in enumerate(found):
        total += sum(unary[t][n][value] for n, value in values.items())
        total += sum(table[last[n], values[n]] for n, table in changes[t].items())
        total += sum(table[values[n], values[m]] for (n, m), table in pairs[t].items())
        last |= values
    return total


@settings(max_examples=40, deadline=None)
@given(tables())
def test_the_best_joint_answer_is_that_of_brute_force(case: Tables) -> None:
    unary, changes, pairs = case
    places = [(t, n) for t, step in enumerate(unary) for n in sorted(step)]
    every = itertools.product(*(range(len(unary[t][n])) for t, n in places))
    best = max(
        worth([{n: v for (s, n), v in zip(places, values, strict=True) if s == t} for t in range(len(unary))], *case)
        for values in every
    )
    found = best_joint(unary, changes, pairs)
    assert [set(step) for step in found] == [set(step) for step in unary]
    assert worth(found, *case) == pytest.approx(best)


def test_work_grows_with_the_number_of_steps_and_not_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = []
    original = np.moveaxis

    def counting(array: np.ndarray, source: int, destination: int) -> np.ndarray:
        cells.append(array.size)
        return original(array, source, destination)

    monkeypatch.setattr(np, "moveaxis", counting)

    def work(steps: int) -> int:
        cells.clear()
        rng = np.random.default_rng(0)
        unary = [{n: rng.normal(size=4) for n in range(3)} for _ in range(steps)]
        best_joint(unary, [{}] + [{n: rng.normal(size=(4, 4)) for n in range(3)}] * (steps - 1), [{}] * steps)
        return sum(cells)

    assert work(40) - work(20) == 20 * (work(21) - work(20))


MOVES, LOOKS = ("stands", "walks", "runs"), ("ahead", "aside")


def lives(count: int, seed: int) -> list[list[StepQuestion]]:
    """Sequences of five steps: who walks goes on walking, and who runs looks ahead."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        sequence, move = [], int(rng.integers(3))
        for step in range(5):
            move = move if rng.random() < 0.9 else int(rng.integers(3))
            look = 0 if move == 2 else 1
            sequence.append(StepQuestion("move", step, MOVES, (), move))
            sequence.append(StepQuestion("look", step, LOOKS, (), look))
        found.append(sequence)
    return found


def unsure(sequence: list[StepQuestion], rng: np.random.Generator) -> list[StepQuestion]:
    """The same questions with likelihoods that tell little of the right answer."""
    asked = []
    for question in sequence:
        scores = rng.normal(size=len(question.options))
        scores[question.chosen] += 0.8
        asked.append(StepQuestion(question.name, question.step, question.options, tuple(scores), int(scores.argmax())))
    return asked


def test_each_part_of_what_training_says_makes_unsure_answers_better() -> None:
    counts = fit_counts(lives(60, seed=1))
    rng = np.random.default_rng(2)
    truth = lives(100, seed=3)
    asked = [unsure(sequence, rng) for sequence in truth]

    def right(decoder: Viterbi | Independent) -> float:
        decoded = [decoder.decode(sequence, counts).chosen for sequence in asked]
        return float(
            np.mean([a == q.chosen for d, s in zip(decoded, truth, strict=True) for a, q in zip(d, s, strict=True)])
        )

    alone = right(Independent())
    without = right(Viterbi(prior=0, relations=0, transitions=0))
    prior, related = right(Viterbi(relations=0, transitions=0)), right(Viterbi(relations=1, transitions=0))
    assert without == alone < prior + 0.02, "without weights it is the likeliest option"
    assert alone < prior < related < right(Viterbi(relations=1)), "each of the winners' steps"
    assert right(Viterbi()) > alone + 0.1


def test_what_lasts_in_training_has_one_answer_that_is_the_best_of_all_steps() -> None:
    weather = ("sunny", "rainy", "foggy")
    rng = np.random.default_rng(5)
    trained = [[StepQuestion("weather", step, weather, (), n % 3) for step in range(4)] for n in range(30)]
    trained = [[*one, *other] for one, other in zip(trained, lives(30, seed=1), strict=True)]
    counts = fit_counts(trained)
    assert counts.changed("weather") == 0
    assert counts.changed("none such") is None
    assert 0 < (counts.changed("move") or 0) < 0.2
    orders = [rng.permutation(3) for _ in range(4)]
    asked = [
        StepQuestion("weather", step, tuple(weather[n] for n in order), tuple(rng.normal(size=3)))
        for step, order in enumerate(orders)
    ]
    asked += [StepQuestion("move", step, MOVES, (0.0, 3.0 * (step % 2), 0.0)) for step in range(4)]
    chosen = Viterbi(transitions=0, prior=0.5, lasting=0.01).decode(asked, counts).chosen
    said = [question.options[n] for question, n in zip(asked[:4], chosen, strict=False)]

    def worth(one: str) -> float:
        shares = counts.shares(asked[0])[asked[0].options.index(one)]
        found = sum(q.scores[q.options.index(one)] - np.logaddexp.reduce(q.scores) for q in asked[:4])
        return float(found + 0.5 * np.log(shares))

    assert said == [max(weather, key=worth)] * 4, "brute force over one answer for all steps"
    assert len(set(chosen[4:])) > 1, "what changes in training is free to change"
    fresh = [StepQuestion("weather", 0, ("sunny", "snowy"), (0.0, 3.0)), StepQuestion("weather", 1, ("rainy",), (0.0,))]
    assert len(Viterbi(lasting=0.01).decode(fresh, counts).chosen) == 2, "nothing in common, and still an answer"


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.booleans()), min_size=1, max_size=5))
def test_pairs_of_one_yes_and_one_no_are_those_of_brute_force(scores: list[tuple[float, float, bool]]) -> None:
    asked = [
        StepQuestion(f"q{n}", 0, ("no", "Yes.") if turned else ("Yes.", "no"), (one, other), int(other > one))
        for n, (one, other, turned) in enumerate(scores)
    ]
    asked.insert(1, StepQuestion("How?", 0, MOVES, (0.0, 1.0, 0.0), 1))

    def worth(chosen: Sequence[int]) -> float:
        return float(sum(likelihood(question)[n] for question, n in zip(asked, chosen, strict=True)))

    def allowed(chosen: Sequence[int]) -> bool:
        said = [q.options[n] for q, n in zip(asked, chosen, strict=True) if q.name != "How?"]
        return all(len(set(said[n : n + 2])) == 2 for n in range(0, len(said) - 1, 2))

    every = [each for each in itertools.product(*(range(len(q.options)) for q in asked)) if allowed(each)]
    found = OneYesOneNo().decode(asked, None).chosen
    assert allowed(found)
    assert worth(found) == pytest.approx(max(map(worth, every)))
    if len(scores) != 2:
        only = OneYesOneNo(pairs="only").decode(asked, None).chosen
        assert only == tuple(question.chosen for question in asked)


def test_relations_that_do_not_fit_are_left_out_and_counted() -> None:
    counts = fit_counts(lives(60, seed=1))
    asked = unsure(lives(1, seed=4)[0], np.random.default_rng(0))
    assert Viterbi(relations=1).decode(asked, counts).relations == 1
    assert Viterbi().decode(asked, counts).relations == 0
    small = Viterbi(relations=1, max_states=5).decode(asked, counts)
    assert (small.relations, small.left_out) == (0, 1)


def test_what_is_seen_seldom_is_smoothed_by_what_training_says_is_best() -> None:
    often, seldom = fit_counts(lives(200, seed=5)), fit_counts(lives(3, seed=5))
    assert {often.smoothing.change, seldom.smoothing.change} <= set(IMAGINED)
    question = StepQuestion("move", 2, ("walks", "flies"))
    assert often.shares(question).sum() == pytest.approx(1)
    assert 0 < often.shares(question)[1] < 0.05 < often.shares(question)[0]
    new = StepQuestion("new", 0, ("a", "b", "c"))
    assert often.shares(new) == pytest.approx([1 / 3] * 3)
    assert (often.lift(new, question) == 0).all()
    assert often.changes(question, question).sum(1) == pytest.approx([1, 1])
    assert count_answers(lives(2, 0)) == count_answers(lives(2, 0))


@pytest.mark.parametrize("name", ANSWER_DECODERS.names())
def test_every_decoder_gives_an_option_of_each_question_whatever_the_scores(name: str) -> None:
    counts = fit_counts(lives(10, seed=1))
    odd = [
        StepQuestion("move", 0, MOVES, (float("nan"), -1.0, -2.0), 1),
        StepQuestion("move", 0, MOVES, (-9.0, -1.0, -2.0), 1),
        StepQuestion("look", -1, LOOKS, (float("-inf"), -3.0), 1),
        StepQuestion("else", 3, ("x",), (-0.1,), 0),
    ]
    chosen = ANSWER_DECODERS[name]().decode(odd, counts).chosen
    assert len(chosen) == 4
    assert all(0 <= n < len(q.options) for n, q in zip(chosen, odd, strict=True))
    assert ANSWER_DECODERS[name]().decode([], counts).chosen == ()


def choice(scenario: str, phase: int, question: str, options: tuple[str, ...], right: int | None) -> Sample:
    turns = choice_turns(phase_opening(phase) + question, options, "" if right is None else "abc"[right])
    messages = [message(role, *blocks) for role, blocks in turns]
    messages[0]["content"].insert(0, image_block())
    meta = TrafficMeta(scenario=scenario, phase=phase, kind="choice", question=f"{scenario}{phase}", options=options)
    return Sample(tuple(messages), ("a.png",), scenario, meta)


def test_a_prediction_is_decoded_over_its_phases(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    Image.new("RGB", (32, 32), (200, 0, 0)).save(tmp_path / "a.png")
    trained = [choice(f"t{n}", phase, "How?", MOVES, n % 3) for n in range(9) for phase in range(4)]
    write_samples(tmp_path / "train.parquet", trained)
    asked = [choice("v", phase, "How?", MOVES[::-1], None) for phase in range(4)]
    predict = {"precision": "fp32", "choices": "likelihood", "over_time": {"kind": "viterbi", "transitions": 50.0}}
    project = {"data": {"path": str(tmp_path)}, "runs": str(tmp_path)}
    together, alone = tmp_path / "together.jsonl", tmp_path / "alone.jsonl"
    predict_conversations(asked, tmp_path, tiny("llava"), resolve({**project, "predict": predict}), together)
    predict["over_time"] = {"kind": "independent"}
    predict_conversations(asked, tmp_path, tiny("llava"), resolve({**project, "predict": predict}), alone)
    rows = [json.loads(line) for line in together.read_text().splitlines()]
    plain = [json.loads(line) for line in alone.read_text().splitlines()]
    assert len({row["chosen"] for row in rows}) == 1, "in training nobody ever changes"
    assert [row["scores"] for row in rows] == [row["scores"] for row in plain]
    assert [row["likeliest"] for row in rows] == [row["chosen"] for row in plain]
    assert all(row["answer"] == row["chosen"] for row in rows)
    assert "likeliest" not in plain[0]


def test_what_cannot_be_counted_is_refused_and_what_has_no_scores_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [choice("v", 0, "How?", MOVES, None), choice("v", 1, "How?", MOVES, None)]
    with pytest.raises(InputError, match="training split"):
        decode_answers(asked, [[-1, -2, -3]] * 2, Viterbi(), tmp_path / "train.parquet")
    write_samples(tmp_path / "train.parquet", asked)
    with pytest.raises(InputError, match="no answered questions"):
        decode_answers(asked, [[-1, -2, -3]] * 2, Viterbi(), tmp_path / "train.parquet")
    assert decode_answers(asked, [[-1, -2, -3], []], Independent(), tmp_path) == [0, None]
    with pytest.raises(InputError, match="set choices to likelihood"):
        resolve({"data": {"path": str(tmp_path)}, "predict": {"over_time": {"kind": "viterbi"}}})
    related = [
        choice(f"t{n}", 0, text, MOVES, n % 3) for n in range(30) for text in ("How is the first?", "And the second?")
    ]
    write_samples(tmp_path / "train.parquet", related)
    pair = [choice("v", 0, text, MOVES, None) for text in ("How is the first?", "And the second?")]
    with caplog.at_level(logging.WARNING):
        decode_answers(pair, [[-1, -2, -3]] * 2, Viterbi(relations=1, max_states=4), tmp_path / "train.parquet")
    assert "0 relations between questions are used, 1 more" in caplog.text
