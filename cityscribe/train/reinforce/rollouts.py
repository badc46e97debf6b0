"""The answers of one update: sampled by the engine, rewarded, and kept on disk until the update is safe.

    sampled = Rollouts(engine, ready, objective, out / "rollouts", key, seed).of(step, groups)

The answers to all questions about the same images are sampled together, on one shared prefix. They are a file, written
whole: what a killed training had sampled is not sampled again. A draw depends on the seed, the step, the question and
the number of the answer alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cityscribe.engine.failure import Failure
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import UNANSWERED, Answer, Request, Sampling
from cityscribe.files import InputError, remove_folder, write_json
from cityscribe.records import Sample, placed
from cityscribe.rewards.reward import asked_of, reward_parts, weighted
from cityscribe.tokens.encode import Encoded, placeholders_of
from cityscribe.tokens.shown import without_media
from cityscribe.train.objectives.sampled import SampledObjective
from cityscribe.train.ready import Ready

SEEDS = 2**32


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """A question, and the answers that were sampled to it. One that holds the placeholder of an image is left out: the
    model, asked what it thinks of that answer, would look for the image."""

    sample: Sample
    prompt: Encoded
    texts: tuple[str, ...]
    token_ids: tuple[tuple[int, ...], ...]  # of each answer, the end token among them
    logprobs: tuple[tuple[float, ...], ...]  # of these tokens, as the engine gave them
    cut: tuple[bool, ...]  # whether an answer was not finished
    parts: tuple[dict[str, float], ...]  # what each reward gives each answer
    rewards: tuple[float, ...]  # their weighted sums

    @property
    def differs(self) -> bool:
        """Whether its answers are worth different things: otherwise it teaches nothing."""
        return len(set(self.rewards)) > 1


class Rollouts:
    """Samples and rewards. `key` names the training: files of another one are not read."""

    def __init__(
        self, engine: LocalEngine, ready: Ready, objective: SampledObjective, folder: Path, key: str, seed: int
    ) -> None:
        self._engine, self._ready, self._objective = engine, ready, objective
        self._folder, self._key, self._seed = folder, key, seed

    def of(self, step: int, groups: Sequence[int]) -> list[list[Rollout]]:
        """The rollouts of some groups for a step, of each group one a question.

        Raises InputError for a question that cannot be answered and for a reward that gives no number.
        """
        return [self._of_group(step, group) for group in groups]

    def prune(self, step: int) -> None:
        """Remove the files of the steps up to this one, whose result is safe."""
        for folder in self._folder.glob("[0-9]*"):
            if folder.name.isdecimal() and int(folder.name) <= step:
                remove_folder(folder)

    def _of_group(self, step: int, group: int) -> list[Rollout]:
        samples = self._ready.groups.samples_of(group)
        requests = [self._request(sample, step) for sample in samples]
        prompts = self._engine.read(requests)
        for sample, prompt in zip(samples, prompts, strict=True):
            if isinstance(prompt, Failure):
                raise InputError(f"{sample.name}: cannot be asked: {prompt.reason}")
        file = self._folder / str(step) / f"{group}.json"
        answers = self._kept(file, len(samples))
        if answers is None:
            self._engine.forget()  # so that a group is answered alike whatever was asked before
            answers = self._engine.answer_prompts(requests, prompts)
            self._engine.forget()
            for sample, own in zip(samples, answers, strict=True):
                failed = next((one for one in own if one.problem in (*UNANSWERED, "non-finite")), None)
                if failed is not None:
                    raise InputError(f"{sample.name}: {failed.problem}: {failed.reason or 'its logits are no numbers'}")
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"key": self._key, "answers": [[_kept_of(one) for one in own] for own in answers]})
        rollouts = []
        for sample, prompt, own in zip(samples, prompts, answers, strict=True):
            assert isinstance(prompt, Encoded)
            rollouts.append(self._rewarded(sample, prompt, own))
        return rollouts

    def _rewarded(self, sample: Sample, prompt: Encoded, sampled: Sequence[Answer]) -> Rollout:
        placeholders = placeholders_of(self._engine.model)
        answers = [answer for answer in sampled if not set(placeholders).intersection(answer.token_ids)]
        texts = tuple(answer.text for answer in answers)
        parts = reward_parts(self._objective.rewards, sample, texts)
        return Rollout(
            sample=sample,
            prompt=prompt,
            texts=texts,
            token_ids=tuple(answer.token_ids for answer in answers),
            logprobs=tuple(answer.logprobs for answer in answers),
            cut=tuple(answer.problem == "cut" for answer in answers),
            parts=tuple(parts),
            rewards=tuple(weighted(self._objective.rewards, parts)),
        )

    def _request(self, sample: Sample, step: int) -> Request:
        root, shows = self._ready.image_root, self._ready.settings.images
        messages = placed(asked_of(sample), root) if shows else without_media(asked_of(sample))
        return Request(
            messages=tuple(messages),
            media=tuple(root / image for image in sample.images) if shows else (),
            max_tokens=self._objective.max_completion_length,
            # The distribution of the model as it is: a penalty would sample from another one than is trained.
            sampling=Sampling(self._objective.temperature, repetition_penalty=1.0, seed=self._seed + SEEDS * step),
            samples=self._objective.num_generations,
            logprobs=True,
        )

    def _kept(self, file: Path, questions: int) -> list[list[Answer]] | None:
        """What a killed training had sampled; None where there is nothing of this training."""
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if value["key"] != self._key or len(value["answers"]) != questions:
                return None
            return [[_answer_of(one) for one in own] for own in value["answers"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _kept_of(answer: Answer) -> dict[str, object]:
    values = asdict(answer)
    return {name: values[name] for name in ("text", "prompt_tokens", "tokens", "problem", "token_ids", "logprobs")}


def _answer_of(value: dict[str, object]) -> Answer:
    found = Answer(**value)  # type: ignore[arg-type]
    return Answer(
        found.text,
        found.prompt_tokens,
        found.tokens,
        found.problem,
        token_ids=tuple(found.token_ids),
        logprobs=tuple(found.logprobs),
    )
