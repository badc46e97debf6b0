"""Distributions over the vocabulary as a teacher's are kept: its likeliest tokens one by one, and all others as one.

Such a distribution has k + 1 outcomes, and a divergence of two of them is at most that of the whole distributions (data
processing). With k = 0 every token is an outcome of its own. Both models are cut to the tokens that both have before
anything is normalised, and logits are divided by the temperature before that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How a teacher's distributions are kept."""

    likeliest: int  # how many tokens have an outcome of their own; 0 for all
    temperature: float
    width: int  # tokens that both models have

    @property
    def whole(self) -> bool:
        """Whether no tokens are taken together."""
        return not 0 < self.likeliest < self.width


@dataclass(frozen=True, slots=True, eq=False)
class TaughtTokens:
    """What a teacher says at the trained tokens of one sample."""

    tokens: np.ndarray  # [tokens] int64, the trained tokens themselves
    own: np.ndarray  # [tokens], their log-probabilities at temperature 1
    ids: np.ndarray | None  # [tokens, k] int64, the likeliest there; None where every token is an outcome
    logprobs: np.ndarray  # [tokens, outcomes] at the temperature, the last one of all other tokens


@dataclass(frozen=True, slots=True, eq=False)
class TeacherRows:
    """The same for the targets of a micro-batch."""

    outcomes: Outcomes
    own: Tensor  # [targets]
    ids: Tensor | None  # [targets, k]
    logprobs: Tensor  # [targets, outcomes]

    def to(self, device: torch.device) -> TeacherRows:
        ids = None if self.ids is None else self.ids.to(device)
        return replace(self, own=self.own.to(device), ids=ids, logprobs=self.logprobs.to(device))


def teacher_rows(outcomes: Outcomes, samples: list[TaughtTokens], edge_target: np.ndarray) -> TeacherRows:
    """The rows of samples one after the other, [edges], as those of their distinct targets. A target that several
    samples share has the same before it in all of them, so that any of its rows is as good as the others."""
    _, first = np.unique(edge_target, return_index=True)
    own = np.concatenate([each.own for each in samples])[first]
    logprobs = np.concatenate([each.logprobs for each in samples])[first]
    ids = None
    if not outcomes.whole:
        ids = torch.from_numpy(np.concatenate([each.ids for each in samples if each.ids is not None])[first])
    return TeacherRows(outcomes, torch.from_numpy(own), ids, torch.from_numpy(logprobs))


def likeliest(logits: Tensor, outcomes: Outcomes) -> Tensor | None:
    """The likeliest tokens of logits [n, vocabulary], [n, k]; None where every token is an outcome."""
    return None if outcomes.whole else logits[:, : outcomes.width].topk(outcomes.likeliest, dim=1).indices


def outcome_logprobs(logits: Tensor, ids: Tensor | None, outcomes: Outcomes) -> Tensor:
    """The log-probabilities of the outcomes, [n, outcomes], from logits [n, vocabulary]; float32 or wider."""
    wide = logits[:, : outcomes.width]
    wide = wide.to(torch.promote_types(wide.dtype, torch.float32)) / outcomes.temperature
    if ids is None:
        return wide.log_softmax(dim=1)
    own = wide.gather(1, ids)
    # The others by themselves and not as what the own ones leave: that would be lost in rounding where it is little.
    others = wide.scatter(1, ids, -torch.inf).logsumexp(dim=1, keepdim=True)
    return torch.cat([own, others], dim=1) - torch.logsumexp(wide, dim=1, keepdim=True)


def packed_values(tokens: Tensor, own: Tensor, ids: Tensor | None, logprobs: Tensor) -> Tensor:
    """Trained tokens [n] and what a `TaughtTokens` says of them side by side, [n, columns]: one tensor for those who
    pass values on without looking at them. Token numbers are exact in float64."""
    columns = [tokens[:, None], own[:, None], *([] if ids is None else [ids]), logprobs]
    return torch.cat([column.double() for column in columns], dim=1)


def taught_tokens(values: np.ndarray, outcomes: Outcomes) -> TaughtTokens:
    """What `packed_values` put side by side."""
    k = 0 if outcomes.whole else outcomes.likeliest
    ids = values[:, 2 : 2 + k].astype(np.int64) if k else None
    return TaughtTokens(values[:, 0].astype(np.int64), values[:, 1], ids, values[:, 2 + k :])


def side_by_side(taught: TaughtTokens) -> np.ndarray:
    """The same of what is taught, [tokens, columns] float64."""
    ids = [] if taught.ids is None else [taught.ids]
    columns = [taught.tokens[:, None], taught.own[:, None], *ids, taught.logprobs]
    return np.concatenate([column.astype(np.float64) for column in columns], axis=1)
