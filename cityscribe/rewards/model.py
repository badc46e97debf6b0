"""What a reward model gives: the model of a run with `train.objective: {kind: reward}`.

It reads the question, its images and the answer; `model-with-facts` reads the reference as well, as what is known
beside the question (Fact-RLHF, Sun et al. 2023), and has to be trained so (`pairs.facts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.records import Sample, placed
from cityscribe.rewards.reward import Reward, asked_of, reference_answer, with_facts

if TYPE_CHECKING:
    from cityscribe.engine.local import LocalEngine


class LearnedReward(Reward):
    """The number that its head gives, of any size; an answer of no words is worth the least of those beside it."""

    kind: Literal["model"] = "model"
    model: str = Field("", description="folder of a reward model, such as runs/NAME/model")
    images: Path | None = Field(
        None,
        description="folder that images of samples are named in, such as runs/NAME/prepared; null: the current one",
    )

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return self._of(sample, answers)

    def _of(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        if not self.model:
            raise InputError(f"reward {self.name}: model: name the folder of a reward model, such as runs/NAME/model")
        root = self.images or Path()
        asked = placed(asked_of(sample), root)
        request = Request(tuple(asked), tuple(root / image for image in sample.images), max_tokens=1)
        said = [answer for answer in answers if answer.strip()]
        if not said:
            return [0.0 for _ in answers]
        (scores,) = _engine_of(self.model).worth([request], [said])
        for found in scores:
            if found.problem:
                raise InputError(f"reward {self.name}: {sample.name}: {found.problem}: {found.reason}")
        values = iter([found.logprobs[0] for found in scores])
        least = min(found.logprobs[0] for found in scores)
        return [next(values) if answer.strip() else least for answer in answers]


class LearnedRewardWithFacts(LearnedReward):
    kind: Literal["model-with-facts"] = "model-with-facts"  # type: ignore[assignment]

    needs_reference: ClassVar[bool] = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return self._of(with_facts(sample, reference_answer(sample)), answers)


@lru_cache(maxsize=2)
def _engine_of(folder: str) -> LocalEngine:
    """The reward model of a folder, on the GPU where there is one, in float32."""
    import torch

    from cityscribe.engine.local import LocalEngine
    from cityscribe.models.load import load_model, load_processor
    from cityscribe.models.reward_head import load_reward_head

    model = load_model(folder, dtype=torch.float32)
    load_reward_head(model, Path(folder))
    if torch.cuda.is_available():
        model = model.to("cuda")  # type: ignore[arg-type]
    return LocalEngine(model, load_processor(folder), batch_size=1)
