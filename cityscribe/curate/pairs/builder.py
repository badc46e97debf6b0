"""What a builder of pairs is: samples in, pairs or the reason why there is none out.

class OwnOutput(PairBuilder):                        # a member is a section of settings with one method
    kind: Literal["own-output"] = "own-output"

    def build(self, samples, answering, seed): ...   # an entry for each sample: a Pair, or a NoPair
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from cityscribe.records import Preference, Sample
from cityscribe.rewards.reward import answered
from cityscribe.settings import Section, check_section

if TYPE_CHECKING:
    from PIL.Image import Image

    from cityscribe.engine.request import MediaRegion


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with a chosen and rejected answers, and where they come from."""

    samples: tuple[Sample, ...]  # of one name of a pair
    chosen_from: str  # such as "reference"
    rejected_from: str
    changed: tuple[str, ...] = ()  # what tells the two apart, where it is known

    @property
    def name(self) -> str:
        preference = self.samples[0].preference
        return "" if preference is None else preference.pair


@dataclass(frozen=True, slots=True)
class NoPair:
    """A sample that no pair is made of."""

    sample: str
    why: str


class Answering(Protocol):
    """Asks the model that is to be trained."""

    root: Path  # the folder that the images of samples are named in

    def __call__(
        self,
        samples: Sequence[Sample],
        *,
        count: int = 1,
        temperature: float = 0.0,
        images: bool = True,
        contrast: float = 0.0,
    ) -> list[list[str]]:
        """`count` answers to the last question of each sample; an empty one where it gave none.

        `images=False` asks without them; `contrast` raises what the images make likelier, by the rate of M3ID.
        """
        ...

    def looks(self, samples: Sequence[Sample], regions: Sequence[MediaRegion]) -> list[float | None]:
        """Of the attention on images with which the model says the last answer of each sample, the share that lies on a
        region; None where that is not known."""
        ...

    def keep_picture(self, name: str, picture: Image) -> str:
        """Keep a picture that a builder has drawn, and return how samples name it."""
        ...


class PairBuilder(Section):
    """A member of `PAIR_BUILDERS`. Its fields are settings, beside `kind`, which has its name as the default."""

    asks: ClassVar[bool] = False  # whether it asks the model
    draws: ClassVar[bool] = False  # whether it draws pictures
    builds: ClassVar[bool] = True  # false: the samples stay as they are

    @property
    def name(self) -> str:
        """Its name in `PAIR_BUILDERS`."""
        return str(vars(self)["kind"])

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        """Pairs of samples that have no rejected answer, in their order. Equal arguments give equal pairs."""
        raise NotImplementedError


def pair_of(
    builder: str, sample: Sample, chosen: str, rejected: str, sources: tuple[str, str], changed: Sequence[str] = ()
) -> Pair | NoPair:
    """The pair of two answers to the question of a sample, left out where they say the same, or nothing."""
    if not chosen.strip() or not rejected.strip():
        return NoPair(sample.name, "an answer is empty")
    if " ".join(chosen.split()) == " ".join(rejected.split()):
        return NoPair(sample.name, "both answers say the same")
    name = f"{builder}:{sample.group}/{sample.name}"
    two = (answered(sample, chosen, Preference(name, True)), answered(sample, rejected, Preference(name, False)))
    return Pair(two, *sources, tuple(changed))


def check_builder(name: str, member: Any) -> None:
    """Raises InputError where a member of the registry is no builder of pairs."""
    check_section("pair-builder", name, member, PairBuilder)
