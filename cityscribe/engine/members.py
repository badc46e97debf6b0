"""The engines by name. Importing it needs no library of models.

    engine = open_engine("local", "runs/NAME/model", Setup())

A member is a function (checkpoint, setup, texts) -> Engine: `checkpoint` is a folder or hub id, `texts` are answers of
the training, which an engine may take drafts from. It raises InputError where it cannot be used with this setup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cityscribe.engine.request import Answer, Engine, Listener, Request, Score
from cityscribe.files import InputError
from cityscribe.registry import Registry


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server that answers in the place of a checkpoint."""

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str = ""  # its name on that server
    concurrency: int = 8  # requests under way at once
    tries: int = 6  # of each request
    timeout_s: float = 120.0  # for a whole reply


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine needs to know before it is asked."""

    batch_size: int = 8  # scenes that are answered together
    drafts: bool = True  # whether phrases of the training answers may be proposed
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    tiles: bool = True  # whether a model that cuts images into tiles may do so
    server: Server = Server()


Open = Callable[[Path | str, Setup, Iterable[str]], Engine]


def _check(name: str, member: Any) -> None:
    if not callable(member):
        raise InputError(f"engine {name}: expected a function (checkpoint, setup, texts) -> Engine, found {member!r}")


ENGINES: Registry[Open] = Registry("engine", "who answers the questions of a prediction", _check)
ENGINES.add("local", "cityscribe.engine.local:load", "a checkpoint on this machine, each image computed once")
ENGINES.add("remote", "cityscribe.engine.remote:load", "any OpenAI-compatible server; its key is OPENAI_API_KEY")


def open_engine(name: str, checkpoint: Path | str, setup: Setup, texts: Iterable[str] = ()) -> Engine:
    """The engine of a name, held to its contract. Raises InputError for a name that there is not and as the member."""
    engine = ENGINES[name](checkpoint, setup, texts)
    missing = [method for method in ("answer", "score", "forget") if not callable(getattr(engine, method, None))]
    if missing:
        raise InputError(f"engine {name}: has no method {missing[0]}")
    return Checked(name, engine)


class Checked:
    """An engine whose results are what was asked for, or an InputError says what they are instead."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        found = self.engine.answer(requests, listener)
        self._compare("answers", found, [request.samples for request in requests], Answer)
        return found

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        found = self.engine.score(requests, continuations, ended=ended)
        self._compare("scores", found, [len(texts) for texts in continuations], Score)
        return found

    def forget(self) -> None:
        self.engine.forget()

    def _compare(self, what: str, found: Any, wanted: list[int], kind: type) -> None:
        if not isinstance(found, Sequence) or not all(isinstance(each, Sequence) for each in found):
            raise InputError(f"engine {self.name}: gives no list of {what} for each request")
        if len(found) != len(wanted):
            raise InputError(f"engine {self.name}: gives {what} for {len(found)} of {len(wanted)} requests")
        for n, (each, count) in enumerate(zip(found, wanted, strict=True)):
            if len(each) != count:
                raise InputError(f"engine {self.name}: gives {len(each)} {what} for request {n}, which wants {count}")
            strange = next((one for one in each if not isinstance(one, kind)), None)
            if strange is not None:
                raise InputError(
                    f"engine {self.name}: gives {type(strange).__name__} for request {n}, not {kind.__name__}"
                )
