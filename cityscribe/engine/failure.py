"""One request that fails, among others that do not."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from cityscribe.engine.request import AnswerProblem
from cityscribe.files import InputError

T = TypeVar("T")

LONGEST_REASON = 500
"""Characters of a reason: messages of libraries may quote what they were given."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception leaves behind. The exception itself would keep the images alive that its frames hold."""

    problem: AnswerProblem
    reason: str
    at: tuple[str, ...] = ()


class StepError(Exception):
    """A step of several requests at once that raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failure_of(error: Exception, refusal: AnswerProblem = "refused") -> Failure:
    """What is told of an exception. `refusal` is the problem of what comes from outside, an InputError."""
    if isinstance(error, InputError):
        return Failure(refusal, one_line(str(error)))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, not imported here
        return Failure("out-of-memory", "there is not enough memory for it")
    reason = one_line(f"{type(error).__name__}: {error}")
    return Failure("failed", reason, (type(error).__name__, *places(error)))


def one_line(text: str) -> str:
    """A message of somebody else's as one printable line."""
    words = " ".join(text.split())
    return words.encode("utf-8", "backslashreplace").decode()[:LONGEST_REASON]


def places(error: BaseException) -> list[str]:
    """The lines of code that an exception came through, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


@contextmanager
def shared_step() -> Iterator[None]:
    """Whatever is raised within it becomes a StepError, which `apart` takes for the fault of one of its items."""
    try:
        yield
    except Exception as error:
        raise StepError(failure_of(error)) from None


def apart(
    items: Sequence[T],
    run: Callable[[Sequence[T], bool], None],
    fail: Callable[[T, Failure], None],
    is_done: Callable[[T], bool],
) -> None:
    """Run all items together. Where that raises a StepError, run those that are not done in two halves, and so on,
    until the one is alone that raises: its failure goes to `fail`, and all others are run without it.

    `run` gets items and whether they are together for the first time.
    """
    waiting: list[Sequence[T]] = [items]
    first = True
    while waiting:
        part = waiting.pop()
        failure = None
        try:
            run(part, first)
        except StepError as error:
            failure = error.failure  # the frames, and the memory that they hold, are free before the next run
        first = False
        left = [item for item in part if not is_done(item)]
        if failure is None or not left:
            continue
        if len(part) == 1:
            fail(left[0], failure)
            continue
        half = (len(left) + 1) // 2
        waiting += [each for each in (left[half:], left[:half]) if each]
