"""The best answers to all questions of a sequence together, found exactly.

    sum over questions  log-likelihood by the model + prior * log p(answer in this step)
    + changes           transitions * log [p(answer | answer before) / p(answer in this step)]
    + relations         relations * log [p(both answers) / (p(one) p(other))], for two questions of one step

With prior and transitions 1, they are the probability of a Markov chain for each question. Relations tie the questions
of a step along a forest (Chow and Liu 1968). In one step that is their joint probability; over several, a relation that
lasts counts once a step, which is too much: they have the weight 0 unless one is given.

Facts of the whole sequence, such as the weather, can be shared (`lasting`): a question whose answer hardly ever changed
in the training data gets one answer for all steps, by the sum of its likelihoods and by its prior once.

Which graph is exact. Questions that relations tie together are one component; its state in a step is the joint answer
to all of them, and dynamic programming over the steps finds its best path whatever relations there are inside. What may
not grow is the number of joint answers: relations are taken from the most informative on (`AnswerCounts.information`),
none that would close a ring, and none by which a component would have more than `max_states` joint answers. Those are
left out and counted; of the others the result is the maximum, not an approximation. Time grows with the number of
steps, and in a step with the states of a component times the options of a question: a change concerns one question, so
the maximum over the joint answers before is taken question by question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from cityscribe.predict.over_time.counts import AnswerCounts
from cityscribe.predict.over_time.decoder import AnswerDecoder, Decoded, StepQuestion

QuestionTrack = tuple[str, bool, int]
"""A question over the steps: its name, whether it is about a step, and which it is of several alike in a step."""

MOST_TRACKS = 16
"""Questions of one component, whatever their options: an array has an axis for each."""

FLOOR = -1e6
"""Nats, in the place of a likelihood that is no number."""

Tables = Sequence[Mapping[int, np.ndarray]]
PairTables = Sequence[Mapping[tuple[int, int], np.ndarray]]


class Viterbi(AnswerDecoder):
    """The joint answers that are likeliest by the model and by the counts of the training answers."""

    needs_counts: ClassVar[bool] = True
    kind: Literal["viterbi"] = "viterbi"
    prior: float = Field(1.0, ge=0, description="weight of how usual an answer is in its phase")
    relations: float = Field(
        0.0,
        ge=0,
        description="weight of how usual two answers are in one phase; what lasts counts in each phase",
    )
    transitions: float = Field(1.0, ge=0, description="weight of how usual an answer is after that of the phase before")
    lasting: float = Field(
        0.0,
        ge=0,
        le=1,
        description="a question whose answer changes from one phase to the next in at most this share of the training "
        "answers gets one answer for all phases; 0: none",
    )
    max_states: int = Field(4096, gt=1, le=1 << 20, description="joint answers of questions that relations tie")

    def decode(self, questions: Sequence[StepQuestion], counts: AnswerCounts | None) -> Decoded:
        if counts is None:
            raise AssertionError("viterbi without the counts that it needs")
        tracks = _tracks(questions)
        sizes = {
            track: max(len(questions[place].options) for place in steps.values()) for track, steps in tracks.items()
        }
        known = counts if self.relations else None
        components, used, left_out = _components(tracks, sizes, known, self.max_states)
        chosen = [0] * len(questions)
        for component in components:
            for place, option in self._best(component, tracks, questions, used, counts).items():
                chosen[place] = option
        return Decoded(tuple(chosen), len(used), left_out)

    def _lasts(self, name: str, counts: AnswerCounts) -> bool:
        changed = counts.changed(name) if self.lasting else None
        return changed is not None and changed <= self.lasting

    def _best(
        self,
        component: Sequence[QuestionTrack],
        tracks: Mapping[QuestionTrack, Mapping[int, int]],
        questions: Sequence[StepQuestion],
        used: set[tuple[QuestionTrack, QuestionTrack]],
        counts: AnswerCounts,
    ) -> dict[int, int]:
        """Place of a question -> its option, for the questions of a component."""
        steps = sorted({step for track in component for step in tracks[track]})
        unary, changes, pairs = [], [], []
        before: dict[int, StepQuestion] = {}
        for step in steps:
            asked = {n: questions[tracks[track][step]] for n, track in enumerate(component) if step in tracks[track]}
            usual = {n: np.log(counts.shares(question)) for n, question in asked.items()}
            known = {n for n in asked if n in before and self._lasts(asked[n].name, counts)}
            unary.append(
                {n: likelihood(asked[n]) + (0 if n in known else self.prior) * usual[n] for n in sorted(asked)}
            )
            changes.append(
                {
                    n: _unchanged(before[n], question)
                    if n in known
                    else self.transitions * (np.log(counts.changes(before[n], question)) - usual[n])
                    for n, question in asked.items()
                    if n in before
                }
            )
            pairs.append(
                {
                    (a, b): self.relations * counts.lift(asked[a], asked[b])
                    for a in asked
                    for b in asked
                    if (component[a], component[b]) in used
                }
            )
            before |= asked
        found = best_joint(unary, changes, pairs)
        return {
            tracks[component[n]][step]: option
            for step, answers in zip(steps, found, strict=True)
            for n, option in answers.items()
        }


def best_joint(unary: Tables, changes: Tables, pairs: PairTables) -> list[dict[int, int]]:
    """The joint choice with the largest sum, a step a dict of variable -> value; of equal sums one, always the same.

    `unary[t][n]` is what each value of variable n is worth in step t, [values]; a variable may be left out of a step.
    `changes[t][n]` is what a value is worth after that of the last step before which has n, [values before, values];
    where it is not given, nothing. `pairs[t][n, m]` is what two values are worth together, [values of n, values of m].
    """
    variables = sorted({n for tables in unary for n in tables})
    axis = {n: place for place, n in enumerate(variables)}
    best = np.zeros([1] * len(variables))  # of all paths to here, by the last value of each variable
    came_from: list[dict[int, np.ndarray]] = []
    for t, tables in enumerate(unary):
        came_from.append({})
        for n in sorted(tables):
            size = best.shape[axis[n]]
            change = changes[t].get(n, np.zeros((size, len(tables[n]))))
            # [..., values before, values]: one variable moves, the others stay where they are
            paths = np.moveaxis(best, axis[n], -1)[..., None] + change
            came_from[t][n] = np.moveaxis(paths.argmax(-2), -1, axis[n])
            best = np.moveaxis(paths.max(-2), -1, axis[n])
        for n, values in tables.items():
            best = best + _spread(values, (axis[n],), best.ndim)
        for (n, m), table in pairs[t].items():
            table = table if axis[n] < axis[m] else table.T
            best = best + _spread(table, tuple(sorted((axis[n], axis[m]))), best.ndim)
    at = list(np.unravel_index(int(best.argmax()), best.shape)) if variables else []
    found: list[dict[int, int]] = []
    for t in reversed(range(len(unary))):
        found.append({n: int(at[axis[n]]) for n in sorted(unary[t])})
        for n in sorted(unary[t], reverse=True):
            at[axis[n]] = came_from[t][n][tuple(at)]
    return found[::-1]


def _spread(table: np.ndarray, axes: tuple[int, ...], dimensions: int) -> np.ndarray:
    """A table whose axes are these ones of an array of so many dimensions."""
    shape = [1] * dimensions
    for place, size in zip(axes, table.shape, strict=True):
        shape[place] = size
    return table.reshape(shape)


def _unchanged(before: StepQuestion, now: StepQuestion) -> np.ndarray:  # [options before, options now]
    """Nothing for the same answer again; what no likelihood outweighs for another one."""
    return np.array([[0.0 if a == b else FLOOR for b in now.options] for a in before.options])


def likelihood(question: StepQuestion) -> np.ndarray:  # [options]
    """The share of each option among all, as logarithms."""
    scores = np.maximum(np.nan_to_num(np.array(question.scores, dtype=np.float64), nan=FLOOR), FLOOR)
    return np.asarray(scores - np.logaddexp.reduce(scores))


def _tracks(questions: Sequence[StepQuestion]) -> dict[QuestionTrack, dict[int, int]]:
    """Each track with its steps, and at which place the question of a step is."""
    tracks: dict[QuestionTrack, dict[int, int]] = defaultdict(dict)
    seen: Counter[tuple[str, int]] = Counter()
    for place, question in enumerate(questions):
        alike = seen[question.name, question.step]
        seen[question.name, question.step] += 1
        tracks[question.name, question.step >= 0, alike][question.step] = place
        if len(question.scores) != len(question.options):
            raise AssertionError(f"{question.name}: {len(question.scores)} scores of {len(question.options)} options")
    return {track: tracks[track] for track in sorted(tracks)}


def _components(
    tracks: Mapping[QuestionTrack, Mapping[int, int]],
    sizes: Mapping[QuestionTrack, int],
    counts: AnswerCounts | None,
    max_states: int,
) -> tuple[list[list[QuestionTrack]], set[tuple[QuestionTrack, QuestionTrack]], int]:
    """Tracks that are decoded together, the relations between them, and how many had to be left out."""
    weights: dict[tuple[QuestionTrack, QuestionTrack], float] = {}
    for first, second in combinations(tracks, 2) if counts is not None else ():
        alike = first[0] != second[0] and tracks[first].keys() & tracks[second].keys()
        if counts is not None and alike and (weight := counts.information(first[0], second[0])) > 0:
            weights[first, second] = weight
    component = {track: [track] for track in tracks}
    used: set[tuple[QuestionTrack, QuestionTrack]] = set()
    left_out = 0
    for first, second in sorted(weights, key=lambda pair: (-weights[pair], pair)):
        one, other = component[first], component[second]
        if one is other:
            continue
        joined = one + other
        if len(joined) > MOST_TRACKS or prod(sizes[track] for track in joined) > max_states:
            left_out += 1
            continue
        used.add((first, second))
        component |= dict.fromkeys(joined, joined)
    distinct = {id(each): sorted(each) for each in component.values()}
    return list(distinct.values()), used, left_out
