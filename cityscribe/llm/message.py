"""What is asked of a language model, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, TypedDict

from cityscribe.files import InputError, printable


class Message(TypedDict):
    """One message of a conversation, as chat templates and servers take it."""

    role: Literal["system", "user", "assistant"]
    content: str


Chat = Sequence[Message]


@dataclass(frozen=True, slots=True)
class ReplySampling:
    """How a reply is drawn. Temperature 0 is greedy."""

    temperature: float = 0.0
    max_tokens: int = 128
    seed: int = 0
    stop: tuple[str, ...] = ()  # the reply ends before the first of these


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said. `answered_as` is what a server calls the model that answered: an alias can stand for another
    one tomorrow."""

    text: str
    answered_as: str = ""


class NoReplyError(InputError):
    """A request that got no reply.

    - refused: this request, such as one that is too long
    - silent: no reply within the time and the tries
    - malformed: something came that is no reply
    - hopeless: no request would get one (a wrong key, address or model)
    """

    def __init__(self, message: str, why: Literal["refused", "silent", "malformed", "hopeless"]) -> None:
        super().__init__(message)
        self.why = why


class LanguageModel(Protocol):
    """A member of the seam `language-model`.

    `identity` is all that decides its replies beside the request: it is part of the key of the cache and of the record
    of what made a result. `place` names the model in messages.
    """

    identity: dict[str, str]
    place: str
    batch_size: int  # chats that one call takes
    calls_at_once: int  # calls that may be under way, each in a thread of its own

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply | NoReplyError]:
        """A reply to each chat, in order. Raises InputError where none can be asked."""
        ...


def request_digest(chat: Chat, sampling: ReplySampling) -> str:
    """The name of a request, whoever is asked: the SHA-256 of its messages and its sampling."""
    return _sha256([[[message["role"], message["content"]] for message in chat], asdict(sampling)])


def reply_digest(identity: dict[str, str], chat: Chat, sampling: ReplySampling) -> str:
    """The name of a reply: of a request and of the model that is asked."""
    return _sha256([identity, request_digest(chat, sampling)])


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()


def beginning(chat: Chat, characters: int = 60) -> str:
    """The first words of the last message, for error messages."""
    text = " ".join(printable(chat[-1]["content"] if chat else "").split())
    return text if len(text) <= characters else f"{text[:characters]}..."
