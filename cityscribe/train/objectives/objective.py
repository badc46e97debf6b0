"""What an objective is: which samples belong together, and a loss of the log-probabilities of their answers.

    class Dpo(Objective):                              # a member is a section of settings with three methods
        kind: Literal["dpo"] = "dpo"
        beta: Rate = 0.1

        def arrange(self, samples): ...                # pairs, and what has no place in one
        def denominator(self, forests, units): ...     # what the summed loss of an update is divided by
        def loss(self, scored): ...                    # the summed loss of some units

An objective never sees the trees. It sees, for each sample, the log-probability of each trained token as if the sample
were computed alone; a token that samples share counts in each of them. How the work is cut up (trees, rows,
micro-batches, accumulated steps, processes) must not change what is minimised: so the loss is a sum over units, its
denominator is known before the model runs, and a unit is never divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.settings import Rate, Section, check_section

if TYPE_CHECKING:
    from torch import Tensor

    from cityscribe.tree import Forest, Rows


@dataclass(frozen=True, slots=True)
class SkippedSample:
    """A sample that a training leaves out."""

    sample: str
    tokens: int  # its length, 0 where it was left out before it was tokenised
    why: str = "too long"


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The samples of a training as units, by their numbers in the list of all."""

    units: tuple[tuple[int, ...], ...]
    left_out: tuple[tuple[int, str], ...] = ()  # number and why


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What student and teacher give the outcomes that the teacher's distributions are kept as (`train.events`)."""

    student: Tensor  # [targets, outcomes], log-probabilities at the temperature of the objective
    teacher: Tensor  # [targets, outcomes]
    own: Tensor  # [targets], the teacher's log-probabilities of the trained tokens themselves, at temperature 1


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a model gives the trained tokens of some samples."""

    logprobs: Tensor  # [targets], of the distinct trained tokens; of a reward head, what it gives before each of them
    rows: Rows  # which of them stand in which sample: `edge_target`, `edge_branch`; `weights` of train.weighting
    samples: tuple[Sample, ...]  # [branches]
    units: tuple[tuple[int, ...], ...]  # branches, each unit in the order in which `arrange` gave its samples
    reference: Tensor | None  # [edges], the same of the model as it was before the training; None: not asked for
    compared: Compared | None = None  # with a teacher, where the objective needs one
    old: Tensor | None = None  # [edges], the same of the model that sampled the answers; None: it is this one
    advantages: Tensor | None = None  # [branches], of answers that were sampled and rewarded

    def edges(self) -> Tensor:
        """The log-probability of each trained token in each sample that has it, [edges], in the order of samples."""
        return self.logprobs.index_select(0, self.rows.edge_target)

    def sums(self) -> Tensor:
        """Of the trained tokens of each sample, [branches]."""
        return self.by_sample(self.edges())

    def reference_edges(self) -> Tensor:
        """What the reference gives each trained token in each sample that has it, [edges], in the type of `edges`."""
        if self.reference is None:
            raise ValueError("the objective does not say that it needs a reference")
        return self.reference.to(self.logprobs.dtype)

    def reference_sums(self) -> Tensor:
        """The same, summed over the trained tokens of each sample, [branches]."""
        return self.by_sample(self.reference_edges())

    def of_teacher(self) -> Compared:
        """What student and teacher give at the trained tokens."""
        if self.compared is None:
            raise ValueError("the objective does not say that it needs a teacher")
        return self.compared

    def teacher_sums(self) -> Tensor:
        """The teacher's log-probabilities of the trained tokens of each sample, [branches]."""
        return self.by_sample(self.of_teacher().own.index_select(0, self.rows.edge_target))

    def lengths(self) -> Tensor:
        """How many trained tokens each sample has, [branches], as numbers of the type of log-probabilities."""
        return self.by_sample(self.logprobs.new_ones(len(self.rows.edge_branch)))

    def token_counts(self) -> list[int]:
        """The same as a list; `edges` and `tokens` of the samples follow each other in these numbers."""
        counts: list[int] = self.rows.edge_branch.bincount(minlength=self.rows.branches).tolist()
        return counts

    def tokens(self) -> Tensor:
        """The ids of the trained tokens, [edges], in the order of `edges`."""
        return self.rows.target.index_select(0, self.rows.edge_target)

    def by_sample(self, values: Tensor) -> Tensor:
        """Values of trained tokens, [edges], summed for each sample: [branches]."""
        return values.new_zeros(self.rows.branches).index_add(0, self.rows.edge_branch, values)

    def last(self, values: Tensor) -> Tensor:
        """Values of trained tokens, [edges], at the last one of each sample: [branches]."""
        ends = self.rows.edge_branch.bincount(minlength=self.rows.branches).cumsum(0) - 1
        return values.index_select(0, ends)

    def of_units(self, values: Tensor) -> Tensor:
        """Values of samples, [branches], unit by unit where all have as many samples: [units, samples of a unit]."""
        flat = [branch for unit in self.units for branch in unit]
        return values.index_select(0, self.rows.edge_branch.new_tensor(flat)).reshape(len(self.units), -1)


class Objective(Section):
    """A member of `OBJECTIVES`. Its fields are settings, beside `kind`, which has its name as the default."""

    answers: ClassVar[Literal["all", "last"]] = "all"  # which answers of a conversation are trained tokens
    needs_reference: ClassVar[bool] = False  # log-probabilities of the trained tokens before the training; then the
    # objective has a field `reference: Path | None`, the file of another training that has them
    needs_teacher: ClassVar[bool] = False  # what another model says at the trained tokens; then it is a `Taught`
    head: ClassVar[Literal["vocabulary", "reward"]] = "vocabulary"  # what is read at the trained tokens
    samples_answers: ClassVar[bool] = False  # it is a `SampledObjective`, which learns from answers of the model itself

    @property
    def name(self) -> str:
        """Its name in `OBJECTIVES`."""
        return str(vars(self)["kind"])

    @property
    def reference_file(self) -> Path | None:
        """The file of another training that has the reference; None computes it, or none is needed."""
        return vars(self).get("reference")

    def arrange(self, samples: Sequence[Sample]) -> Arrangement:
        """Which samples belong together. Raises InputError where the samples cannot be learned from in this way."""
        raise NotImplementedError

    def denominator(self, forests: Sequence[Forest], units: int) -> float:
        """What the loss of an update is divided by, of the trees of some groups and the number of their units.

        It is summed over the batches and processes of the update.
        """
        raise NotImplementedError

    def loss(self, scored: Scored) -> Tensor:
        """The summed loss of some units, a number with a gradient."""
        raise NotImplementedError


class Taught(Objective):
    """An objective that compares with a teacher, whose outputs are computed once and stored."""

    needs_teacher: ClassVar[bool] = True

    teacher: str = Field("", description="folder or hub id of the model that is learned from; also a run's model")
    outputs: Path | None = Field(
        None, description="teacher.parquet of another training with the same teacher and samples; null computes it"
    )
    likeliest: int = Field(64, ge=0, description="tokens whose shares are stored one by one, all others as one; 0: all")
    temperature: Rate = Field(
        1.0, description="what logits of both are divided by; gradients are multiplied by its square"
    )


def check_objective(name: str, member: Any) -> None:
    """Raises InputError where a member of the registry is no objective: what can be told before it is used."""
    check_section("objective", name, member, Objective)
    lacking = [part for part in ("arrange", "denominator", "loss") if getattr(member, part) is getattr(Objective, part)]
    if lacking:
        raise InputError(f"objective {name}: has no {', '.join(lacking)}")
    if member.needs_reference and "reference" not in member.model_fields:
        raise InputError(f"objective {name}: needs a reference and has no setting `reference` for a file of it")
    if member.needs_teacher and not issubclass(member, Taught):
        raise InputError(f"objective {name}: needs a teacher and is no class derived from Taught")
