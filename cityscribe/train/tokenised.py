"""The samples of a training as tokens: encoded once, by all processes together, and kept on disk.

    tokenised = tokenise(groups, Teacher(encoder, image_root, settings), out / "tokens")
    conversations = tokenised[3]  # of the fourth group

Everything is encoded before the first step, so that a sample whose image cannot be read ends a run before it begins.
Each process encodes its share of the blocks, whole groups each; then all read what they need from the files. A run that
goes on does not encode again what is there. The folder is named by the digest of all that tokens depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
from torch import Tensor
from torch.utils.data import DataLoader

from cityscribe.files import InputError, remove_folder
from cityscribe.progress import Progress
from cityscribe.records import Messages, Sample, media_blocks, video_of
from cityscribe.tokens.corpus import TokenBlock, write_block
from cityscribe.tokens.encode import Encoded, Encoder
from cityscribe.tokens.shown import Media, read_media, without_media
from cityscribe.train import processes
from cityscribe.train.settings import TrainSettings

Inputs = dict[bytes, dict[str, Tensor]]
"""Content key -> what the model takes for an item of media."""

BLOCK = 64
"""Groups in a file."""

CACHE_BYTES = 512 * 2**20
"""How much memory the preprocessed images of all groups may take to be kept from one epoch to the next."""

FORMAT = 1
"""Of the files; another one names other folders."""


def load_media(sample: Sample, root: Path, settings: TrainSettings) -> list[Media]:
    """What a sample shows, none for a blind model. Raises InputError with the file that cannot be read."""
    return read_media(sample.name, sample.messages, sample.images, root) if settings.images else []


def shown_messages(sample: Sample, settings: TrainSettings) -> Messages:
    """The conversation of a sample as it is trained: without images and videos where the model is to be blind."""
    return sample.messages if settings.images else without_media(sample.messages)


def shown_files(sample: Sample, settings: TrainSettings) -> list[str]:
    """The files that a sample shows, relative to the folder of the images."""
    videos = [video_of(block).file for block in media_blocks(sample.messages) if block["type"] == "video"]
    return [*sample.images, *videos] if settings.images else []


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
            yield self.encoder.teach(sample.name, shown_messages(sample, self.settings), opened[shown])


@dataclass(slots=True, eq=False)
class Tokenised:
    """The conversations of groups, in memory or on disk, and the media inputs of some of them."""

    held: dict[int, list[Encoded]] = field(default_factory=dict)  # number of a group -> its conversations
    inputs: dict[int, Inputs] = field(default_factory=dict)  # number of a group -> of all its media
    sizes: Sequence[int] = ()  # samples in each group
    blocks: list[TokenBlock] = field(default_factory=list)
    cached: int = 0  # bytes of `inputs`

    def __getitem__(self, group: int) -> list[Encoded]:
        if group in self.held:
            return self.held[group]
        block, place = divmod(group, BLOCK)
        start = sum(self.sizes[block * BLOCK : block * BLOCK + place])
        return [self.blocks[block][start + n] for n in range(self.sizes[group])]

    def keep(self, group: int, inputs: Inputs) -> bool:
        """Keep the media inputs of a group where there is room; returns whether there is."""
        size = sum(value.nbytes for each in inputs.values() for value in each.values())
        fits = self.cached + size <= CACHE_BYTES
        if fits:
            self.cached += size
            self.inputs[group] = inputs
        return fits


def tokenise(
    groups: Sequence[Sequence[Sample]],
    teacher: Teacher,
    folder: Path | None = None,
    on_group: Progress | None = None,
) -> Tokenised:
    """Encode the samples of all groups. All processes have to call this where there is a folder, each does its share.

    Without one everything stays in memory. `on_group(done, total)` is called with what this process has to encode.
    Raises InputError, on all processes, for a sample that cannot be read and for files that cannot be written.
    """
    found = Tokenised(sizes=[len(group) for group in groups])
    if folder is None:
        for number, encoded in _encode(range(len(groups)), groups, teacher, on_group):
            found.keep(number, _inputs(encoded))
            found.held[number] = [each.without_inputs() for each in encoded]
        return found
    here = folder / corpus_key(groups, teacher)[:16]
    starts = range(0, len(groups), BLOCK)
    problem = ""
    try:
        _write_missing(here, starts[processes.rank() :: processes.count()], groups, teacher, found, on_group)
    except InputError as error:
        problem = str(error)
    if problems := [each for each in processes.from_all(problem) if each]:
        raise InputError(problems[0])
    _write_missing(here, starts, groups, teacher, found, None)  # what other machines wrote to disks of their own
    found.blocks = [TokenBlock(here / _block_name(start)) for start in starts]
    if processes.is_first():
        for other in folder.iterdir():
            if other != here and other.is_dir():
                remove_folder(other)
    return found


def corpus_key(groups: Sequence[Sequence[Sample]], teacher: Teacher) -> str:
    """The digest of what tokens depend on: conversations, files of images and videos (by size and time of writing), the
    processor's files, the model's configuration, and the version of transformers."""
    digest = hashlib.sha256(f"{FORMAT} {transformers.__version__} {teacher.settings.images} ".encode())
    digest.update(teacher.encoder.digest())
    files: set[str] = set()
    for group in groups:
        for sample in group:
            digest.update(json.dumps([sample.messages, sample.images], sort_keys=True).encode())
            files.update(shown_files(sample, teacher.settings))
        digest.update(b"\n")
    for name in sorted(files):
        try:
            stat = (teacher.root / name).stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns} ".encode("utf-8", "surrogateescape"))
        except (OSError, ValueError):
            digest.update(f"{name} missing ".encode("utf-8", "surrogateescape"))  # reading it says so, with the sample
    return digest.hexdigest()


def _inputs(conversations: Sequence[Encoded]) -> Inputs:
    return {item.key: item.inputs for conversation in conversations for item in conversation.media}


def _block_name(start: int) -> str:
    return f"groups-{start:08d}.safetensors"


def _write_missing(
    here: Path,
    starts: Sequence[int],
    groups: Sequence[Sequence[Sample]],
    teacher: Teacher,
    found: Tokenised,
    on_group: Progress | None,
) -> None:
    missing = [start for start in starts if not (here / _block_name(start)).exists()]
    numbers = [n for start in missing for n in range(start, min(start + BLOCK, len(groups)))]
    try:
        here.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{here}: cannot be made: {error.strerror or error}") from error
    block: list[Encoded] = []
    for number, encoded in _encode(numbers, groups, teacher, on_group):
        found.keep(number, _inputs(encoded))
        block += [each.without_inputs() for each in encoded]
        if number % BLOCK == BLOCK - 1 or number == len(groups) - 1:
            write_block(here / _block_name(number - number % BLOCK), block)
            block = []


def _encode(
    numbers: Sequence[int],
    groups: Sequence[Sequence[Sample]],
    teacher: Teacher,
    on_group: Progress | None,
) -> Iterator[tuple[int, list[Encoded]]]:
    """Groups by number with their conversations."""
    work = _Encoding([groups[number] for number in numbers], teacher)
    loader: Iterable[Any] = DataLoader(work, batch_size=None, num_workers=teacher.settings.workers)  # type: ignore[arg-type]
    for done, (number, encoded) in enumerate(zip(numbers, loader, strict=True), start=1):
        if isinstance(encoded, InputError):
            raise encoded
        yield number, encoded
        if on_group is not None:
            on_group(done, len(numbers))


@dataclass(frozen=True, slots=True)
class _Encoding:
    """Groups as a data set, so that worker processes can encode them. Errors are values here: a data loader would wrap
    what a worker raises in the traceback of that process."""

    groups: Sequence[Sequence[Sample]]
    teacher: Teacher

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, number: int) -> list[Encoded] | InputError:
        try:
            return list(self.teacher(self.groups[number]))
        except InputError as error:
            return error
