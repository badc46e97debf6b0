"""How good the texts of a prompt library are: what answers are worth on a few labelled samples, and the trace of tries.

    fitness = Fitness(library, samples, shown, asking, REWARDS["overlap"]())
    fitness.attempt({"traffic light": "Which colour does the light show?"}, "shorter")
    fitness.best.score

A prompt that was asked about a frame before is not asked again, so that a try costs only the answers that it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from cityscribe.files import InputError
from cityscribe.progress import Progress, silent
from cityscribe.prompts.library import QUESTION, SLOT, PromptLibrary
from cityscribe.prompts.reader import FrameImages, SeenFeatures
from cityscribe.prompts.samples import question_of, task_of, with_question
from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward, reference_answer, reward_parts

Texts = Mapping[str, str]
"""Place in a library -> text, as `PromptLibrary.texts` names them."""

Ask = Callable[[Sequence[Sample]], list[str]]
"""The answers to the last questions of samples."""


@dataclass(frozen=True, slots=True)
class Try:
    """One set of texts that was tried."""

    number: int
    texts: dict[str, str]
    score: float  # the mean over samples
    scores: tuple[float, ...]  # of each sample
    parent: int | None  # the try that it was made from
    why: str  # what was changed, or who proposed it
    asked: int  # answers that it took, those known from before not counted


class Fitness:
    """Scores texts and keeps every try. The first one is the library as it came."""

    def __init__(
        self,
        library: PromptLibrary,
        samples: Sequence[Sample],
        shown: Mapping[FrameImages, SeenFeatures],
        ask: Ask,
        reward: Reward,
        *,
        most: int = 40,
        progress: Progress = silent,
    ) -> None:
        self.library = library
        self.samples = [sample for sample in samples if task_of(sample) in library.tasks and question_of(sample)]
        if not self.samples:
            raise InputError("prompts: no sample is of a task of the library; texts cannot be compared")
        self.most = most  # tries
        self.tries: list[Try] = []
        self._shown, self._ask, self._reward, self._progress = shown, ask, reward, progress
        self._known: dict[tuple[int, str], tuple[str, float]] = {}
        self.attempt(library.texts(), "the library as it is")

    @property
    def best(self) -> Try:
        """The first of the best tries."""
        return max(self.tries, key=lambda each: (each.score, -each.number))

    @property
    def left(self) -> int:
        """Tries that may still be made."""
        return self.most - len(self.tries)

    def score_of_task(self, tried: Try, task: str) -> float:
        """The mean over the samples of one task; 0 where there are none."""
        own = [score for sample, score in zip(self.samples, tried.scores, strict=True) if task_of(sample) == task]
        return fmean(own) if own else 0.0

    def scores(self, texts: Texts, numbers: Sequence[int]) -> tuple[list[float], int]:
        """What the answers of some samples are worth with these texts, and how many had to be asked."""
        library = self.library.with_texts(texts)
        prompts = {}
        for n in numbers:
            sample = self.samples[n]
            seen = self._shown.get(sample.images, {})
            prompts[n] = library.put_together(task_of(sample), question_of(sample) or "", seen).text
        new = [n for n in numbers if (n, prompts[n]) not in self._known]
        answers = self._ask([with_question(self.samples[n], prompts[n]) for n in new])
        for n, answer in zip(new, answers, strict=True):
            (part,) = reward_parts([self._reward], self.samples[n], [answer])
            self._known[n, prompts[n]] = (answer, part[self._reward.name])
        return [self._known[n, prompts[n]][1] for n in numbers], len(new)

    def answers(self, texts: Texts, numbers: Sequence[int]) -> list[tuple[str, str, str]]:
        """Prompt, answer and reference of some samples with these texts."""
        library = self.library.with_texts(texts)
        self.scores(texts, numbers)
        found = []
        for n in numbers:
            sample = self.samples[n]
            seen = self._shown.get(sample.images, {})
            prompt = library.put_together(task_of(sample), question_of(sample) or "", seen).text
            found.append((prompt, self._known[n, prompt][0], reference_answer(sample)))
        return found

    def attempt(self, texts: Texts, why: str, parent: Try | None = None) -> Try:
        """Score texts; places that are not named have those of the parent, or of the library."""
        whole = {**(parent.texts if parent else self.library.texts()), **texts}
        scores, asked = self.scores(whole, range(len(self.samples)))
        number = len(self.tries)
        tried = Try(number, whole, fmean(scores), tuple(scores), parent.number if parent else None, why, asked)
        self.tries.append(tried)
        self._progress(min(number, self.most), self.most)
        return tried


def usable(text: str, old: str) -> bool:
    """Whether a proposed text can stand in the place of another: words, and no slots but those of the old one."""
    slots = set(SLOT.findall(text))
    lost = {name for name in SLOT.findall(old) if name != QUESTION} - slots
    return (
        bool(text.strip())
        and slots <= {*SLOT.findall(old), QUESTION}
        and not lost
        and text.count("{") == len(SLOT.findall(text))
    )
