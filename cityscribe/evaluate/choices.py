"""Questions with options: accuracy, recall of classes, the confusion matrix, circular evaluation.

An answer is read by `letters.read_choice`; what names no option is `unparsed`, wrong and a column of its own, and never
drawn at random.

- A class is the text of an option. Its recall is the share of its questions that are answered right; the balanced
  accuracy is the mean of the recalls. Classes are listed where there are at most `MOST_CLASSES`.
- A question that was asked with its options in every rotation is right in circular evaluation only if each is
  (CircularEval of MMBench, arXiv 2307.06281); in all other numbers it counts once, in the first order asked.
- Two lines stand beside each accuracy: `majority` says of each question the option that is the commonest answer to it,
  in the training data where there are any; `chance` is what guessing gives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cityscribe.evaluate import resampling
from cityscribe.evaluate.question_files import AskedQuestion
from cityscribe.evaluate.question_results import (
    Against,
    ChoiceOutcome,
    ChoiceScores,
    Circular,
    ClassScores,
    Confusion,
    Kind,
    LetterShares,
    MajorityOfChoices,
    Origin,
    ReadBy,
)
from cityscribe.letters import LETTERS, read_choice, rotated

MOST_CLASSES = 40
UNPARSED = "unparsed"

How = Literal["letter", "text", "unparsed", "missing"]
"""How an answer names its option; `missing`: there is no answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with the letters that are right and chosen; `chosen` is empty where none is."""

    question: AskedQuestion
    right: str
    chosen: str
    how: How

    @property
    def correct(self) -> bool:
        return self.chosen == self.right

    @property
    def truth(self) -> str:
        """The class that is right."""
        return self.question.options[LETTERS.index(self.right)]

    @property
    def said(self) -> str:
        """The class that was chosen, or `UNPARSED`."""
        return self.question.options[LETTERS.index(self.chosen)] if self.chosen else UNPARSED


def read_answer(question: AskedQuestion) -> Answered | None:
    """The letters of a question, or None where it has no reference. Of a reference in words the rule is the same."""
    right = read_choice(question.reference, question.options).letter
    if not right:
        return None
    if question.answer is None:
        return Answered(question, right, "", "missing")
    read = read_choice(question.answer, question.options)
    return Answered(question, right, read.letter, read.how or "unparsed")


def circles(answers: Sequence[Answered]) -> list[list[Answered]]:
    """The answers question by question: those whose options are rotations of the first ones asked are one question.

    An answer of the same name with other options, or with the same options again, is a question of its own.
    """
    found: dict[tuple[str, str], list[list[Answered]]] = defaultdict(list)
    for answer in answers:
        question = answer.question
        same = found[question.group, question.name]
        for circle in same:
            first = circle[0].question.options
            orders = [each.question.options for each in circle]
            turned = (rotated(first, by) for by in range(1, len(first)))
            if question.options not in orders and question.options in turned:
                circle.append(answer)
                break
        else:
            same.append([answer])
    return [circle for same in found.values() for circle in same]


def score_choices(
    rounds: Sequence[Sequence[Answered]], learned: Sequence[Answered] = (), *, against: str = "", seed: int = 0
) -> ChoiceScores:
    """All numbers of the module for the questions of `circles`, of which there is at least one. `learned` are the
    training data with their references, for the line `majority`; `against` is a class that a second matrix sets against
    all others."""
    first = [circle[0] for circle in rounds]
    outcomes = [float(answer.correct) for answer in first]
    groups = [answer.question.group for answer in first]
    ways = Counter(answer.how for answer in first)
    common, origin = _majority(first, learned)
    breakdowns = {kind: _breakdown(first, kind) for kind in ("domain", "view", "phase", "dimension")}
    scores = ChoiceScores(
        questions=len(first),
        accuracy=_mean(outcomes),
        interval=resampling.mean_interval(groups, outcomes, seed),
        correct=int(sum(outcomes)),
        unparsed=ways["unparsed"],
        missing=ways["missing"],
        read_by=ReadBy(letter=ways["letter"], text=ways["text"]),
        majority=MajorityOfChoices(
            origin=origin, accuracy=_mean([float(a.right == m) for a, m in zip(first, common, strict=True)])
        ),
        chance=_mean([1 / len(answer.question.options) for answer in first]),
        letters=_letters(first),
        breakdowns={kind: rows for kind, rows in breakdowns.items() if len(rows) > 1},
    )
    classes = {answer.truth for answer in first}
    if len(classes | {answer.said for answer in first}) <= MOST_CLASSES + 1:
        scores = _with_classes(scores, first, groups, seed)
        if against in classes:
            scores = scores.model_copy(update={"against": _against(first, against)})
    whole = [circle for circle in rounds if len(circle) == len(circle[0].question.options) > 1]
    return scores.model_copy(update={"circular": _circular(whole, seed)}) if whole else scores


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _pair(interval: resampling.Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)


def _majority(answers: Sequence[Answered], learned: Sequence[Answered]) -> tuple[list[str], Origin]:
    """The letter of the commonest answer to each question, and which data say what is common."""
    known = learned or answers
    to_it: dict[str, Counter[str]] = defaultdict(Counter)
    to_any = Counter(answer.truth for answer in known)
    for answer in known:
        to_it[answer.question.stem][answer.truth] += 1
    letters = []
    for answer in answers:
        options = answer.question.options
        counts = to_it[answer.question.stem]
        best = max(range(len(options)), key=lambda n: (counts[options[n]], to_any[options[n]], -n))
        letters.append(LETTERS[best])
    return letters, "train" if learned else "references"


def _letters(answers: Sequence[Answered]) -> dict[str, LetterShares]:
    """The share of each letter among what is right and what was chosen: what differs is a bias of position."""
    most = max(len(answer.question.options) for answer in answers)
    right, chosen = Counter(a.right for a in answers), Counter(a.chosen for a in answers)
    return {
        letter: LetterShares(right=right[letter] / len(answers), chosen=chosen[letter] / len(answers))
        for letter in LETTERS[:most]
    }


def _with_classes(scores: ChoiceScores, answers: Sequence[Answered], groups: Sequence[str], seed: int) -> ChoiceScores:
    truths = [answer.truth for answer in answers]
    outcomes = [float(answer.correct) for answer in answers]
    table = resampling.stratum(groups, truths, outcomes)
    asked, said = Counter(truths), Counter(answer.said for answer in answers)
    hit = Counter(answer.truth for answer in answers if answer.correct)
    names = sorted(asked)
    intervals = resampling.column_intervals(table, seed)
    classes = [
        ClassScores(
            name=name,
            questions=asked[name],
            chosen=said[name],
            recall=hit[name] / asked[name],
            interval=_pair(each),
            precision=hit[name] / said[name] if said[name] else None,
        )
        for name, each in zip(names, intervals, strict=True)
    ]
    return scores.model_copy(
        update={
            "balanced": resampling.mean([table]),
            "balanced_interval": _pair(resampling.interval([table], seed)),
            "classes": classes,
            "confusion": confusion((a.truth, a.said) for a in answers),
        }
    )


def confusion(pairs: Iterable[tuple[str, str]]) -> Confusion:
    """The matrix of what is right (rows) and what was said (columns), both in order of name, `UNPARSED` last.

    Columns that are never right have no row of their own.
    """
    counts = Counter(pairs)
    rows = sorted({truth for truth, _ in counts})
    said = {answer for _, answer in counts} - {UNPARSED}
    columns = [*sorted(said.union(rows)), UNPARSED]
    return Confusion(rows=rows, columns=columns, counts=[[counts[row, column] for column in columns] for row in rows])


def _against(answers: Sequence[Answered], one: str) -> Against:
    """One class against all others: naming another wrong class is right here."""
    other = "all others"

    def side(name: str) -> str:
        return name if name in (one, UNPARSED) else other

    pairs = [(side(answer.truth), side(answer.said)) for answer in answers]
    return Against(name=one, accuracy=_mean([float(a == b) for a, b in pairs]), confusion=confusion(pairs))


def _breakdown(answers: Sequence[Answered], kind: str) -> list[Kind]:
    parts: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        if kind in answer.question.about:
            parts[answer.question.about[kind]].append(float(answer.correct))
    return [Kind(value=value, questions=len(part), accuracy=_mean(part)) for value, part in sorted(parts.items())]


def _circular(rounds: Sequence[Sequence[Answered]], seed: int) -> Circular:
    outcomes = [float(all(answer.correct for answer in circle)) for circle in rounds]
    groups = [circle[0].question.group for circle in rounds]
    asked = [answer for circle in rounds for answer in circle]
    return Circular(
        questions=len(rounds),
        accuracy=_mean(outcomes),
        interval=resampling.mean_interval(groups, outcomes, seed),
        asked=len(asked),
        accuracy_of_all_asked=_mean([float(answer.correct) for answer in asked]),
        unparsed=sum(answer.how == "unparsed" for answer in asked),
        chance=_mean([len(circle) ** -len(circle) for circle in rounds]),
    )


def outcome(answer: Answered) -> ChoiceOutcome:
    """What `segments.json` says of one question."""
    return ChoiceOutcome(
        group=answer.question.group,
        outcome=float(answer.correct),
        truth=answer.truth,
        said=answer.said,
        right=answer.right,
        chosen=answer.chosen,
        how=answer.how,
    )
