"""From samples to groups: samples about the same images, tokenised and merged into prefix trees.

    groups, skipped = plan_groups(samples, image_root, processor, model, settings)

Everything is tokenised once, before the first step, so that a sample that does not fit or an image that cannot be read
ends a run before it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.media.images import open_image
from cityscribe.models.inputs import position_rule
from cityscribe.records import Sample
from cityscribe.settings import TrainSettings
from cityscribe.train.encode import Conversation, EncodedGroup, Messages, encode_group
from cityscribe.train.objectives.objective import Skipped
from cityscribe.tree import Branch, Forest, build_forest, split_branches, weigh

CACHE_BYTES = 512 * 2**20
"""How much memory the preprocessed images of all groups may take to be kept from one epoch to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples about the same images, as forests within the budget."""

    samples: tuple[Sample, ...]
    forests: tuple[Forest, ...]
    members: tuple[tuple[int, ...], ...]  # of each forest: whose branches it has, by their numbers in `samples`
    units: tuple[tuple[int, ...], ...]  # what the objective takes together, by numbers in `samples`
    copies: tuple[int, ...]  # how often the images occur in each forest: once where all its samples share them
    conversations: tuple[Conversation, ...]  # one a forest where every sample is computed alone, else none
    image_inputs: dict[str, Tensor] | None  # None: preprocessed again when needed

    @property
    def length(self) -> int:
        """The distinct tokens that it takes to compute the group."""
        return sum(forest.length for forest in self.forests)


def sample_name(sample: Sample) -> str:
    """A name to find a sample by."""
    return sample.name


def plan_groups(
    samples: Sequence[Sample],
    image_root: Path,
    processor: ProcessorMixin,
    model: PreTrainedModel,
    settings: TrainSettings,
    on_group: Callable[[int, int], None] | None = None,
    units: Sequence[tuple[int, ...]] | None = None,
) -> tuple[list[Group], list[Skipped]]:
    """Tokenise samples and merge each group, in the order in which the groups first appear.

    `units` are the samples that belong together, by their numbers; one that is in none is left out without a word.
    None: each is one. `on_group(done, total)` is called as it goes. Raises InputError that names the sample for one
    that is too long (where the settings do not skip it), whose answers cannot be located, whose images cannot be read
    or are not those of its group; and where nothing is left to train on.
    """
    planned = _grouped(samples, units)
    tasks = [[samples[number] for number in numbers] for numbers, _ in planned]
    for first, *others in tasks:
        for sample in others:
            if settings.images and sample.images != first.images:
                raise InputError(
                    f"{sample_name(sample)}: is in the group of {sample_name(first)} but does not show the same images"
                )

    positions = position_rule(model)
    image_token: int = model.config.image_token_id
    groups: list[Group] = []
    skipped: list[Skipped] = []
    cached = 0
    for number, encoded in enumerate(_encode_all(tasks, image_root, processor, settings)):
        fitting: list[int] = []
        for place, (sample, conversation) in enumerate(zip(tasks[number], encoded.conversations, strict=True)):
            length = len(conversation.input_ids)
            if length > settings.max_tokens:
                skipped.append(Skipped(sample_name(sample), length))
            elif length > settings.budget_tokens:
                raise InputError(
                    f"{sample_name(sample)}: has {length} tokens, train.budget_tokens allows {settings.budget_tokens} "
                    "in a row; raise it, or lower train.max_tokens"
                )
            else:
                fitting.append(place)
        whole = [unit for unit in planned[number][1] if set(unit) <= set(fitting)]
        for place in sorted(set(fitting).difference(*whole)):
            fitting.remove(place)
            length = len(encoded.conversations[place].input_ids)
            skipped.append(Skipped(sample_name(tasks[number][place]), length, "what it is compared with is too long"))
        if fitting:
            kept = tuple(encoded.conversations[place] for place in fitting)
            kept_units = tuple(tuple(fitting.index(place) for place in unit) for unit in whole)
            numbered = [positions(conversation.tensors(), encoded.image_inputs) for conversation in kept]
            try:
                forests = _forests(kept, kept_units, numbered, image_token, settings)
            except ValueError as reason:
                raise InputError(
                    f"{sample_name(tasks[number][0])}: samples that train.objective takes together do not fit into "
                    f"one row: {reason}; raise train.budget_tokens"
                ) from reason
            size = sum(value.nbytes for value in encoded.image_inputs.values())
            keep = cached + size <= CACHE_BYTES
            cached += size if keep else 0
            groups.append(
                Group(
                    samples=tuple(tasks[number][place] for place in fitting),
                    forests=tuple(forest for forest, _, _ in forests),
                    members=tuple(members for _, members, _ in forests),
                    units=kept_units,
                    copies=tuple(copies for _, _, copies in forests),
                    conversations=() if settings.share_prefix else kept,
                    image_inputs=encoded.image_inputs if keep else None,
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


def load_images(sample: Sample, image_root: Path) -> list[Image.Image]:
    """The images of a sample, RGB. Raises InputError with the file that cannot be read."""
    images = []
    for name in sample.images:
        try:
            images.append(open_image(image_root / name))
        except InputError as error:
            raise InputError(f"{error} ({sample_name(sample)})") from error
    return images


def shown_messages(sample: Sample, settings: TrainSettings) -> Messages:
    """The conversation of a sample as it is trained: without its image blocks where the model is to be blind."""
    if settings.images:
        return sample.messages
    return [
        {**message, "content": [block for block in message["content"] if block["type"] != "image"]}
        for message in sample.messages
    ]


def _encode_all(
    tasks: Sequence[Sequence[Sample]], image_root: Path, processor: ProcessorMixin, settings: TrainSettings
) -> Iterator[EncodedGroup]:
    work = _Encoding(tasks, image_root, processor, settings)
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
    image_root: Path
    processor: ProcessorMixin
    settings: TrainSettings

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, number: int) -> EncodedGroup | InputError:
        group = self.tasks[number]
        try:
            images = load_images(group[0], self.image_root) if self.settings.images else []
            named = [(sample_name(sample), shown_messages(sample, self.settings)) for sample in group]
            return encode_group(self.processor, named, images)
        except InputError as error:
            return error


def _forests(
    conversations: Sequence[Conversation],
    units: Sequence[tuple[int, ...]],
    positions: Sequence[np.ndarray],
    image_token: int,
    settings: TrainSettings,
) -> list[tuple[Forest, tuple[int, ...], int]]:
    """The forests of a group within the budget, whose branches each has, and how often the images occur in it."""
    trained = [conversation.trained for conversation in conversations]
    if settings.objective.answers == "last":
        trained = [last_run(places) for places in trained]
    weights = weigh(trained, settings.weighting)
    branches = []
    for conversation, position_ids, share in zip(conversations, positions, weights, strict=True):
        image = conversation.input_ids == image_token
        image_ids = np.where(image, np.cumsum(image) - 1, -1)
        branches.append(Branch(conversation.input_ids, position_ids, share, image_ids))
    if not settings.share_prefix:
        return [(build_forest([branch]), (number,), 1) for number, branch in enumerate(branches)]
    forests = []
    for part in split_branches(branches, settings.budget_tokens, units):
        forest, copies = _merge_whole_sets([branches[number] for number in part])
        forests.append((forest, tuple(part), copies))
    return forests


def last_run(places: np.ndarray) -> np.ndarray:
    """Of places that are marked, bool [length], the last ones that follow each other."""
    starts = np.flatnonzero(places & ~np.append(False, places[:-1]))
    return places & (np.arange(len(places)) >= starts[-1])


def _merge_whole_sets(branches: list[Branch]) -> tuple[Forest, int]:
    """Merge branches so that the images of the group occur as whole sets, one after the other; and how many sets.

    They do where the branches part before the first image or after the last. Where they part in between, a later image
    would occur more often than an earlier one: nothing from the first image on is shared then.
    """
    forest = build_forest(branches)
    occurrences = np.bincount(forest.image_ids[forest.image_ids >= 0])
    if not len(occurrences):
        return forest, 0
    if (occurrences == occurrences[0]).all():
        return forest, int(occurrences[0])
    own = [
        replace(branch, image_ids=np.where(branch.image_ids >= 0, branch.image_ids + number * len(occurrences), -1))
        for number, branch in enumerate(branches)
        if branch.image_ids is not None
    ]
    return build_forest(own), len(own)
