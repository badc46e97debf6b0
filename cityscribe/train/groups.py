"""From samples to groups: samples about the same images, tokenised and merged into prefix trees.

    groups, skipped = plan_groups(samples, image_root, Encoder(model, processor), settings)

Everything is tokenised once, before the first step, so that a sample that does not fit or an image that cannot be read
ends a run before it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from cityscribe.files import InputError
from cityscribe.records import Sample
from cityscribe.tokens.answers import Messages
from cityscribe.tokens.branches import MediaForest, branches_of, merge
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.tokens.shown import Media, media_blocks, read_media, without_media
from cityscribe.train.objectives.objective import Skipped
from cityscribe.train.settings import TrainSettings
from cityscribe.tree import Forest, split_branches, weigh

CACHE_BYTES = 512 * 2**20
"""How much memory the preprocessed images of all groups may take to be kept from one epoch to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples about the same images, as forests within the budget."""

    samples: tuple[Sample, ...]
    forests: tuple[Forest, ...]
    members: tuple[tuple[int, ...], ...]  # of each forest: whose branches it has, by their numbers in `samples`
    units: tuple[tuple[int, ...], ...]  # what the objective takes together, by numbers in `samples`
    media: tuple[tuple[bytes, ...], ...]  # of each forest the content keys in the order of their placeholders
    token_inputs: tuple[dict[str, np.ndarray], ...]  # one a forest where every sample is computed alone, else none
    inputs: dict[bytes, dict[str, Tensor]] | None  # content key -> model inputs; None: made again when needed

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


def plan_groups(
    samples: Sequence[Sample],
    image_root: Path,
    encoder: Encoder,
    settings: TrainSettings,
    on_group: Callable[[int, int], None] | None = None,
    units: Sequence[tuple[int, ...]] | None = None,
) -> tuple[list[Group], list[Skipped]]:
    """Tokenise samples and merge each group, in the order in which the groups first appear.

    `units` are the samples that belong together, by their numbers; one that is in none is left out without a word.
    None: each is one. `on_group(done, total)` is called as it goes. Raises InputError that names the sample for one
    that is too long (where the settings do not skip it), whose answers cannot be located or whose images cannot be
    read; and where nothing is left to train on.
    """
    planned = _grouped(samples, units)
    tasks = [[samples[number] for number in numbers] for numbers, _ in planned]
    groups: list[Group] = []
    skipped: list[Skipped] = []
    cached = 0
    for number, encoded in enumerate(_encode_all(tasks, image_root, encoder, settings)):
        fitting: list[int] = []
        for place, (sample, conversation) in enumerate(zip(tasks[number], encoded, strict=True)):
            if conversation.length > settings.max_tokens:
                skipped.append(Skipped(sample_name(sample), conversation.length))
            elif conversation.length > settings.budget_tokens:
                raise InputError(
                    f"{sample_name(sample)}: has {conversation.length} tokens, train.budget_tokens allows "
                    f"{settings.budget_tokens} in a row; raise it, or lower train.max_tokens"
                )
            else:
                fitting.append(place)
        whole = [unit for unit in planned[number][1] if set(unit) <= set(fitting)]
        for place in sorted(set(fitting).difference(*whole)):
            fitting.remove(place)
            length = encoded[place].length
            skipped.append(Skipped(sample_name(tasks[number][place]), length, "what it is compared with is too long"))
        if fitting:
            kept = [encoded[place] for place in fitting]
            kept_units = tuple(tuple(fitting.index(place) for place in unit) for unit in whole)
            try:
                forests = _forests(kept, kept_units, settings)
            except ValueError as reason:
                raise InputError(
                    f"{sample_name(tasks[number][0])}: samples that train.objective takes together do not fit into "
                    f"one row: {reason}; raise train.budget_tokens"
                ) from reason
            inputs = {item.key: item.inputs for conversation in kept for item in conversation.media}
            size = sum(value.nbytes for each in inputs.values() for value in each.values())
            keep = cached + size <= CACHE_BYTES
            cached += size if keep else 0
            groups.append(
                Group(
                    samples=tuple(tasks[number][place] for place in fitting),
                    forests=tuple(each.forest for _, each in forests),
                    members=tuple(members for members, _ in forests),
                    units=kept_units,
                    media=tuple(each.keys for _, each in forests),
                    token_inputs=() if settings.share_prefix else tuple(each.token_inputs for each in kept),
                    inputs=inputs if keep else None,
                )
            )
        if on_group is not None:
            on_group(number + 1, len(tasks))
    if skipped and settings.too_long == "error":
        worst = max(skipped, key=lambda one: one.tokens)
        raise InputError(
            f"{worst.sample}: has {worst.tokens} tokens with its images, train.max_tokens allows {settings.max_tokens} "
            f"({len(skipped)} of {len(samples)} samples are too long); raise it, or set train.too_long to skip"
        )
    if not groups:
        raise InputError(f"none of {len(samples)} samples is left to train on ({len(skipped)} are too long)")
    return groups, skipped


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


def load_media(sample: Sample, root: Path, settings: TrainSettings) -> list[Media]:
    """What a sample shows, none for a blind model. Raises InputError with the file that cannot be read."""
    return read_media(sample_name(sample), sample.messages, sample.images, root) if settings.images else []


def shown_messages(sample: Sample, settings: TrainSettings) -> Messages:
    """The conversation of a sample as it is trained: without images and videos where the model is to be blind."""
    return sample.messages if settings.images else without_media(sample.messages)


@dataclass(frozen=True, slots=True)
class Teacher:
    """Encodes the samples of a group; what several of them show is read once."""

    encoder: Encoder
    root: Path  # the folder of the images
    settings: TrainSettings

    def __call__(self, samples: Sequence[Sample]) -> Iterator[Encoded]:
        """Raises InputError, naming the sample, for one whose media or answers cannot be read."""
        opened: dict[str, list[Media]] = {}
        for sample in samples:
            shown = repr((sample.images, media_blocks(sample.messages)))
            if shown not in opened:
                opened[shown] = load_media(sample, self.root, self.settings)
            yield self.encoder.teach(sample_name(sample), shown_messages(sample, self.settings), opened[shown])


def media_inputs(
    group: Group, encoder: Encoder, image_root: Path, settings: TrainSettings
) -> dict[bytes, dict[str, Tensor]]:
    """What the model takes for the media of a group by content key, from memory or made again from the samples.

    Raises InputError where an image cannot be read any more, or shows something else than when it was tokenised.
    """
    if group.inputs is not None:
        return group.inputs
    found: dict[bytes, dict[str, Tensor]] = {}
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


def _encode_all(
    tasks: Sequence[Sequence[Sample]], image_root: Path, encoder: Encoder, settings: TrainSettings
) -> Iterator[list[Encoded]]:
    work = _Encoding(tasks, Teacher(encoder, image_root, settings))
    for encoded in DataLoader(work, batch_size=None, num_workers=settings.workers):  # type: ignore[arg-type]
        if isinstance(encoded, InputError):
            raise encoded
        yield encoded


@dataclass(frozen=True, slots=True)
class _Encoding:
    """The tasks as a data set, so that worker processes can encode them. Errors are values here: a data loader would

    wrap what a worker raises in the traceback of that process.
    """

    tasks: Sequence[Sequence[Sample]]
    teacher: Teacher

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, number: int) -> list[Encoded] | InputError:
        try:
            return list(self.teacher(self.tasks[number]))
        except InputError as error:
            return error


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
