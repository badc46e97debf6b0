"""ROUGE-L of a caption against its references, as the profile `coco` computes it."""

from __future__ import annotations

from collections.abc import Sequence

from cityscribe.evaluate.rouge import common_length

BETA = 1.2


def rouge_l(prediction: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """ROUGE-L in [0, 1] (Lin, 2004) with beta 1.2, from the largest precision and the largest recall.

    The two may come from different references. A caption without a token counts as one empty token.
    """
    tokens = prediction or [""]
    truths = [reference or [""] for reference in references]
    common = [common_length(tokens, truth) for truth in truths]
    precision = max(common) / len(tokens)
    recall = max(length / len(truth) for length, truth in zip(common, truths, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
