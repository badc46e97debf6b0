"""Fine-grained DPO (Gunjal et al. 2023): stretches of an answer that are right or wrong, without pairs.

With r = log pi - log ref of a stretch, given all that stands before it:

    -log sigmoid(beta r)      of one that is right
    -log sigmoid(-beta r)     of one that is wrong

The samples of an answer carry one name of a pair. Each holds the answer up to the end of a stretch and says by `chosen`
whether that stretch is right, by null that it is neither; on a tree they cost what the whole answer does. What closes
an answer (the end token) belongs to no stretch: most of these answers are not at their end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Sample, text_of
from cityscribe.settings import Rate
from cityscribe.train.objectives.dpo import REFERENCE, preference_loss
from cityscribe.train.objectives.objective import Arrangement, Objective, Scored
from cityscribe.train.objectives.pairs import by_pair

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest


class Fdpo(Objective):
    """The loss of an answer is the sum over its stretches; the mean is over answers."""

    kind: Literal["fdpo"] = "fdpo"
    beta: Rate = Field(0.1, description="how strongly the training holds to the base")
    reference: Path | None = Field(None, description=REFERENCE)

    answers: ClassVar[Literal["all", "last"]] = "last"
    needs_reference: ClassVar[bool] = True

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        """Units of the samples of an answer, the shortest first."""
        named, left_out = by_pair(samples)
        if not named:
            raise InputError(
                f"train.objective {self.kind}: none of {len(samples)} samples is a labelled stretch of an answer"
            )
        units = []
        for name, numbers in named.items():
            ordered = sorted(numbers, key=lambda n: len(text_of(samples[n].messages[-1])))
            said = [text_of(samples[n].messages[-1]) for n in ordered]
            for shorter, longer in pairwise(said):
                if not longer.startswith(shorter) or longer == shorter:
                    raise InputError(
                        f"pair {name}: `{longer[:40]}` does not go on from `{shorter[-40:]}`; train.objective "
                        f"{self.kind} takes one answer, each sample up to the end of a stretch of it"
                    )
            units.append(tuple(ordered))
        return Arrangement(tuple(units), tuple(left_out))

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        return float(units)

    def loss(self, scored: Scored) -> Tensor:
        edges = scored.edges()
        raised = (edges - scored.reference_edges()).split(scored.token_counts())
        tokens = scored.tokens().split(scored.token_counts())
        total = 0.0 * edges.sum()  # an answer may have no labelled stretch
        for unit in scored.units:
            start = 0
            for place, branch in enumerate(unit):
                own, preference = tokens[branch], scored.samples[branch].preference
                # A stretch ends where the next sample goes on with something else than the token that closes this one.
                following = tokens[unit[place + 1]] if place + 1 < len(unit) else own[:-1]
                shared = min(len(own), len(following))
                same = (own[:shared] == following[:shared]).long().cumprod(dim=0)
                end = int(same.sum())
                if end > start and preference is not None and preference.chosen is not None:
                    sign = 1.0 if preference.chosen else -1.0
                    total = total + preference_loss(self.beta * sign * raised[branch][start:end].sum())
                start = max(start, end)
        return total
