"""How the next token is found from the logits: as they are, or corrected by what the model would say blind.

    Request(messages, media, contrast=M3id().contrast())

A correction compares two passes of the model, with the media and without, which go through it together, each on the
prefixes that it shares with others. Where there is nothing to correct there is no second pass, and the answer is that
of the model as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cityscribe.registry import Registry
from cityscribe.settings import Fraction, Section

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Contrast:
    """Log-probabilities l with the media and b without become l + w (l - b), w = strength + exp(growth * t) - 1 for the
    t-th token, counted from 0; as they are where the likeliest token has at least the probability `confidence`."""

    strength: float = 0.0
    growth: float = 0.0
    confidence: float = 1.0

    def corrects(self) -> bool:
        """Whether it changes anything."""
        return (self.strength > 0 or self.growth > 0) and self.confidence > 0

    def correct(self, logits: Tensor, blind: Tensor, place: int) -> Tensor:
        """Logits [vocabulary] of the token number `place` of an answer, with the media and without, as corrected
        log-probabilities."""
        shown = logits.float().log_softmax(dim=0)
        weight = self.strength + math.expm1(min(self.growth * place, LARGEST))
        if weight == 0 or float(shown.max().exp()) >= self.confidence:
            return logits
        # What the model excludes stays excluded: it would be the difference of two infinities.
        corrected = shown + weight * (shown - blind.float().log_softmax(dim=0))
        return corrected.masked_fill(shown == float("-inf"), float("-inf"))


LARGEST = 30.0
"""The exponent of a weight at most: beyond it the media decide alone, and numbers stay finite."""


class Decoding(Section):
    """A member of `DECODINGS`. Its fields are settings, beside `kind`, which has its name as the default."""

    def contrast(self) -> Contrast | None:
        """How logits are corrected; None where they are not."""
        raise NotImplementedError


class PlainDecoding(Decoding):
    """The logits as they are."""

    kind: Literal["plain"] = "plain"

    def contrast(self) -> Contrast | None:
        return None


class M3id(Decoding):
    """Mutual-information decoding (Favero et al. 2024, Eq. 6): what the media make likelier is raised, the more the
    longer the answer is, since a model forgets them as it speaks."""

    kind: Literal["m3id"] = "m3id"
    forgetting: float = Field(
        0.02, ge=0, allow_inf_nan=False, description="how fast the image is forgotten along an answer, a token (lambda)"
    )
    confidence: Fraction = Field(
        0.9, description="a token is taken as it is where the model gives one at least this probability (alpha)"
    )

    def contrast(self) -> Contrast | None:
        found = Contrast(growth=self.forgetting, confidence=self.confidence)
        return found if found.corrects() else None


class AgainstBlind(Decoding):
    """Contrastive decoding against the model without the media: the same correction all along the answer."""

    kind: Literal["against-blind"] = "against-blind"
    strength: float = Field(0.5, ge=0, allow_inf_nan=False, description="weight of what the media make likelier")
    confidence: Fraction = Field(
        1.0, description="a token is taken as it is where the model gives one at least this probability"
    )

    def contrast(self) -> Contrast | None:
        found = Contrast(strength=self.strength, confidence=self.confidence)
        return found if found.corrects() else None


DECODINGS: Registry[type[Decoding]] = Registry("decoding", "how the next token is found (predict.decoding)")
DECODINGS.add("plain", PlainDecoding, "by the model as it is")
DECODINGS.add(
    "m3id", M3id, "what the image makes likelier is raised, the more the longer the answer", paper="Favero et al. 2024"
)
DECODINGS.add("against-blind", AgainstBlind, "what the image makes likelier is raised by a fixed weight")
