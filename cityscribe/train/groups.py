"""From samples to groups: samples that belong together, tokenised and merged into prefix trees.

    groups, skipped = plan_groups(samples, image_root, Encoder(model, processor), settings)

Everything is tokenised and outlined before the first step, so that a sample that does not fit or an image that cannot
be read ends a run before it begins. The trees of a group are built when a step asks for them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from cityscribe.files import InputError
from cityscribe.progress import Progress
from cityscribe.records import Sample
from cityscribe.tokens.branches import MediaForest, branches_of, merge
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.train import processes
from cityscribe.train.objectives.objective import SkippedSample
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tokenised import Inputs, Teacher, Tokenised, tokenise
from cityscribe.tree import Forest, split_branches, weigh

BUILT = 64
"""Groups whose trees stay in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples that belong together, as forests within the budget. They may show different media."""

    number: int  # among the groups of the training
    samples: tuple[Sample, ...]
    forests: tuple[Forest, ...]
    members: tuple[tuple[int, ...], ...]  # of each forest: whose branches it has, by their numbers in `samples`
    units: tuple[tuple[int, ...], ...]  # what the objective takes together, by numbers in `samples`
    media: tuple[tuple[bytes, ...], ...]  # of each forest the content keys in the order of their placeholders
    token_inputs: tuple[dict[str, np.ndarray], ...]  # one a forest where every sample is computed alone, else none
    inputs: Inputs | None  # None: made again when needed

    @property
    def length(self) -> int:
        """The distinct tokens that it takes to compute the group."""
        return sum(forest.length for forest in self.forests)

    @property
    def keys(self) -> frozenset[bytes]:
        """The content keys of all its media."""
        return frozenset(key for keys in self.media for key in keys)


def sample_name(sample: Sample) -> str:
    """A name to find a sample by."""
    return sample.name


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a group without building its trees."""

    samples: tuple[int, ...]  # which of the samples of its task fit
    units: tuple[tuple[int, ...], ...]  # by places in that list
    length: int  # distinct tokens that it takes to compute it
    effective: int  # tokens of its samples one by one
    longest: int  # tokens of its longest sample
    shows_media: bool
    repeats_media: bool  # whether an item stands in a tree more often than in any one sample


class Groups(Sequence[Group]):
    """The groups of a training. Their trees are built when they are asked for, from tokens that lie on disk."""

    def __init__(
        self,
        tasks: Sequence[Sequence[Sample]],
        numbers: Sequence[int],
        outlines: Sequence[Outline],
        tokenised: Tokenised,
        settings: TrainSettings,
    ) -> None:
        self.outlines = outlines
        self._tasks = tasks
        self._numbers = numbers  # of the tasks that have samples left
        self._tokenised = tokenised
        self._settings = settings
        self._built: OrderedDict[int, Group] = OrderedDict()

    def __len__(self) -> int:
        return len(self.outlines)

    @overload
    def __getitem__(self, number: int) -> Group: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Group]: ...

    def __getitem__(self, number: int | slice) -> Group | Sequence[Group]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        if number not in self._built:
            self._built[number] = self._build(number)
            if len(self._built) > BUILT:
                self._built.popitem(last=False)
        return self._built[number]

    def samples_of(self, number: int) -> tuple[Sample, ...]:
        """The samples of a group."""
        return tuple(self._tasks[self._numbers[number]][place] for place in self.outlines[number].samples)

    def keep(self, group: Group, inputs: Inputs) -> None:
        """Keep what the model takes for the media of a group for the next time, where there is room."""
        if group.inputs is None and self._tokenised.keep(self._numbers[group.number], inputs):
            self._built.pop(group.number, None)

    def _build(self, number: int) -> Group:
        outline, task = self.outlines[number], self._numbers[number]
        conversations = self._tokenised[task]
        kept = [conversations[place] for place in outline.samples]
        forests = _forests(kept, outline.units, self._settings)
        return Group(
            number=number,
            samples=self.samples_of(number),
            forests=tuple(each.forest for _, each in forests),
            members=tuple(members for members, _ in forests),
            units=outline.units,
            media=tuple(each.keys for _, each in forests),
            token_inputs=() if self._settings.share_prefix else tuple(each.token_inputs for each in kept),
            inputs=self._tokenised.inputs.get(task),
        )


def plan_groups(
    samples: Sequence[Sample],
    image_root: Path,
    encoder: Encoder,
    settings: TrainSettings,
    on_group: Progress | None = None,
    units: Sequence[tuple[int, ...]] | None = None,
    folder: Path | None = None,
) -> tuple[Groups, list[SkippedSample]]:
    """Tokenise samples and plan their groups, in the order in which these first appear.

    `units` are the samples that belong together, by their numbers; one that is in none is left out without a word.
    None: each is one. `on_group(done, total)` is called as it goes. With a `folder` tokens are kept there, and all
    processes share the work. Raises InputError that names the sample for one that is too long (where the settings do
    not skip it), whose answers cannot be located or whose images cannot be read; and where nothing is left to train on.
    """
    planned = _grouped(samples, units)
    tasks = [[samples[number] for number in numbers] for numbers, _ in planned]
    tokenised = tokenise(tasks, Teacher(encoder, image_root, settings), folder, on_group)
    outlines, skipped = _outlines(tasks, [units for _, units in planned], tokenised, settings, folder is not None)
    if skipped and settings.too_long == "error":
        worst = max(skipped, key=lambda one: one.tokens)
        raise InputError(
            f"{worst.sample}: has {worst.tokens} tokens with its images, train.max_tokens allows {settings.max_tokens} "
            f"({len(skipped)} of {len(samples)} samples are too long); raise it, or set train.too_long to skip"
        )
    if not outlines:
        raise InputError(f"none of {len(samples)} samples is left to train on ({len(skipped)} are too long)")
    return Groups(tasks, list(outlines), list(outlines.values()), tokenised, settings), skipped


def _outlines(
    tasks: Sequence[Sequence[Sample]],
    units: Sequence[Sequence[tuple[int, ...]]],
    tokenised: Tokenised,
    settings: TrainSettings,
    shared: bool,
) -> tuple[dict[int, Outline], list[SkippedSample]]:
    """The outlines of the tasks that have samples left, by number, and what is left out. Each process makes its share
    of them where the work is shared."""
    mine = range(processes.rank(), len(tasks), processes.count()) if shared else range(len(tasks))
    made: list[tuple[int, Outline | None, list[SkippedSample]]] = []
    problem = ""
    try:
        for number in mine:
            made.append((number, *_outline(tasks[number], units[number], tokenised[number], settings)))
    except InputError as error:
        problem = str(error)
    everybody = processes.from_all((made, problem)) if shared else [(made, problem)]
    for _, found in everybody:
        if found:
            raise InputError(found)
    whole = sorted((each for part, _ in everybody for each in part), key=lambda each: each[0])
    outlines = {number: outline for number, outline, _ in whole if outline is not None}
    return outlines, [one for _, _, skipped in whole for one in skipped]


def _outline(
    task: Sequence[Sample], units: Sequence[tuple[int, ...]], encoded: Sequence[Encoded], settings: TrainSettings
) -> tuple[Outline | None, list[SkippedSample]]:
    """The outline of one group, none where no sample is left, and the samples that are left out."""
    fitting: list[int] = []
    skipped: list[SkippedSample] = []
    for place, (sample, conversation) in enumerate(zip(task, encoded, strict=True)):
        if conversation.length > settings.max_tokens:
            skipped.append(SkippedSample(sample.name, conversation.length))
        elif conversation.length > settings.budget_tokens:
            raise InputError(
                f"{sample.name}: has {conversation.length} tokens, train.budget_tokens allows "
                f"{settings.budget_tokens} in a row; raise it, or lower train.max_tokens"
            )
        else:
            fitting.append(place)
    whole = [unit for unit in units if set(unit) <= set(fitting)]
    for place in sorted(set(fitting).difference(*whole)):
        fitting.remove(place)
        skipped.append(SkippedSample(task[place].name, encoded[place].length, "what it is compared with is too long"))
    if not fitting:
        return None, skipped
    kept_units = tuple(tuple(fitting.index(place) for place in unit) for unit in whole)
    try:
        forests = [each for _, each in _forests([encoded[place] for place in fitting], kept_units, settings)]
    except ValueError as reason:
        raise InputError(
            f"{task[0].name}: samples that train.objective takes together do not fit into one row: {reason}; "
            "raise train.budget_tokens"
        ) from reason
    outline = Outline(
        samples=tuple(fitting),
        units=kept_units,
        length=sum(each.forest.length for each in forests),
        effective=sum(each.forest.effective for each in forests),
        longest=max(encoded[place].length for place in fitting),
        shows_media=any(each.keys for each in forests),
        repeats_media=any(_repeats(each.keys, [encoded[place] for place in fitting]) for each in forests),
    )
    return outline, skipped


def _repeats(keys: Sequence[bytes], shown: Sequence[Encoded]) -> bool:
    """Whether an item stands in a tree more often than any of its conversations shows it."""
    most: Counter[bytes] = Counter()
    for conversation in shown:
        most |= Counter(item.key for item in conversation.media)
    return Counter(keys) > most


def _grouped(
    samples: Sequence[Sample], units: Sequence[tuple[int, ...]] | None
) -> list[tuple[list[int], list[tuple[int, ...]]]]:
    """The numbers of the samples of each group, and its units, by places in that list.

    Groups that have a unit in common are one: those of a pair of images.
    """
    units = [(number,) for number in range(len(samples))] if units is None else units
    joined: dict[str, str] = {}  # group -> another one of the same set, itself at the root

    def root(group: str) -> str:
        while joined.setdefault(group, group) != group:
            group = joined[group]
        return group

    for unit in units:
        for number in unit:
            joined[root(samples[number].group)] = root(samples[unit[0]].group)
    members: dict[str, list[int]] = {}
    for number in sorted(number for unit in units for number in unit):
        members.setdefault(root(samples[number].group), []).append(number)
    of_group: dict[str, list[tuple[int, ...]]] = {group: [] for group in members}
    places = {number: place for numbers in members.values() for place, number in enumerate(numbers)}
    for unit in units:
        of_group[root(samples[unit[0]].group)].append(tuple(places[number] for number in unit))
    return [(numbers, of_group[group]) for group, numbers in members.items()]


def media_inputs(group: Group, encoder: Encoder, image_root: Path, settings: TrainSettings) -> Inputs:
    """What the model takes for the media of a group by content key, from memory or made again from the samples.

    Raises InputError where an image cannot be read any more, or shows something else than when it was tokenised.
    """
    if group.inputs is not None:
        return group.inputs
    found: Inputs = {}
    for encoded in Teacher(encoder, image_root, settings)(group.samples):
        found |= {item.key: item.inputs for item in encoded.media}
        if found.keys() >= group.keys:
            break
    if missing := group.keys - found.keys():
        raise InputError(
            f"{sample_name(group.samples[0])}: {len(missing)} of its images are not what they were when it was "
            "tokenised; start the run again"
        )
    return found


def _forests(
    conversations: Sequence[Encoded], units: Sequence[tuple[int, ...]], settings: TrainSettings
) -> list[tuple[tuple[int, ...], MediaForest]]:
    """The forests of a group within the budget, and whose branches each has."""
    trained = [conversation.trained for conversation in conversations]
    if settings.objective.answers == "last":
        trained = [last_run(places) for places in trained]
    branches, numbers = branches_of(conversations, weigh(trained, settings.weighting))
    parts = [[number] for number in range(len(branches))]
    if settings.share_prefix:
        parts = split_branches(branches, settings.budget_tokens, units)
    return [(tuple(part), merge([branches[number] for number in part], numbers)) for part in parts]


def last_run(places: np.ndarray) -> np.ndarray:
    """Of places that are marked, bool [length], the last ones that follow each other."""
    starts = np.flatnonzero(places & ~np.append(False, places[:-1]))
    return places & (np.arange(len(places)) >= starts[-1])
