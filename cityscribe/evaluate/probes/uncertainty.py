"""Does a model know when it does not know? Its confidence in an answer beside how often the answer is right.

The confidence is the probability of the likeliest option among the options (a softmax over their log-likelihoods).
`overconfidence` is the mean confidence less the accuracy; `ECE` the expected calibration error over ten bins (Guo et
al. 2017); `AURC` the mean error of the k most confident answers over all k (Geifman and El-Yaniv 2017); `wrong of the
surest half` what is left of the errors where the model abstains on the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cityscribe.evaluate.probes.probe import (
    ProbedAnswers,
    ProbeLine,
    ProbeResult,
    accuracy,
    difference,
    judged,
)
from cityscribe.evaluate.resampling import CONFIDENCE, Interval

BINS = 10
DRAWS = 1000


class Uncertainty:
    """The member `uncertainty`."""

    needs_scores = True

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        sure, right = confidences(asked), likeliest_right(asked)
        outcomes = right.tolist()
        fault = difference("overconfidence", asked, sure.tolist(), outcomes, seed)
        finding, why = judged(fault, "confidence above accuracy")
        groups = [each.question.group for each in asked]
        measured = [
            _drawn("ECE", calibration_error, sure, right, groups, seed),
            _drawn("AURC", risk_under_coverage, sure, right, groups, seed),
            _drawn("wrong of all", lambda _, hit: float(1 - hit.mean()), sure, right, groups, seed),
            _drawn("wrong of the surest half", lambda s, hit: _risk(s, hit, 0.5), sure, right, groups, seed),
        ]
        order = np.argsort(-(sure - right), kind="stable")
        examples = [asked[n].question.key for n in order if not right[n] and sure[n] > 0.5]
        return ProbeResult(
            finding, why, (*accuracy(asked, seed), *measured, fault), tuple(examples), fault, tuple(sure - right)
        )


def confidences(asked: Sequence[ProbedAnswers]) -> np.ndarray:
    """How probable the likeliest option is among the options, [questions]; 0 where nothing was scored."""
    found = []
    for each in asked:
        logits = np.array(each.scores, dtype=np.float64)
        weights = np.exp(logits - logits.max()) if len(logits) else np.zeros(1)
        found.append(float(weights.max() / weights.sum()) if weights.sum() else 0.0)
    return np.array(found)


def likeliest_right(asked: Sequence[ProbedAnswers]) -> np.ndarray:
    """Whether the likeliest option is the right one, [questions]."""
    return np.array([float(bool(e.scores) and int(np.argmax(e.scores)) == e.question.right) for e in asked])


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over bins of equal width, each counted
    by its answers. A bin holds its upper end, the first one 0 as well."""
    bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    away = [abs(float(sure[bins == n].sum() - right[bins == n].sum())) for n in range(BINS)]
    return sum(away) / len(sure)


def risk_under_coverage(sure: np.ndarray, right: np.ndarray) -> float:
    """The area under the curve of risk against coverage: the mean over k of the share of wrong ones among the k
    answers with the highest confidence."""
    hit = right[np.argsort(-sure, kind="stable")]
    return float((1 - np.cumsum(hit) / np.arange(1, len(hit) + 1)).mean())


def _risk(sure: np.ndarray, right: np.ndarray, coverage: float) -> float:
    """The share of wrong answers among the surest ones, so many of all."""
    kept = np.argsort(-sure, kind="stable")[: max(1, round(coverage * len(sure)))]
    return float(1 - right[kept].mean())


def _drawn(
    name: str,
    measure: Callable[[np.ndarray, np.ndarray], float],
    sure: np.ndarray,
    right: np.ndarray,
    groups: Sequence[str],
    seed: int,
) -> ProbeLine:
    """A measure of all answers, which is no mean, with the interval over draws of groups with replacement."""
    names = sorted(set(groups))
    value = measure(sure, right)
    if len(names) < 2:
        return ProbeLine(name, value, None, len(groups))
    members = [np.flatnonzero(np.array([group == one for group in groups])) for one in names]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(DRAWS):
        kept = np.concatenate([members[n] for n in rng.integers(len(names), size=len(names))])
        values.append(measure(sure[kept], right[kept]))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return ProbeLine(name, value, Interval(float(low), float(high)), len(groups))


UNCERTAINTY = Uncertainty()
