"""A recorded script in the place of a model: the reply to each request, known by the digest of the request.

    write_script(Path("replies.json"), client.recorded)        after a run with a real model
    ScriptedModel(Path("replies.json"))                        the same run again, anywhere

A file is one JSON object: SHA-256 of messages and sampling (`request_digest`) -> reply.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cityscribe.files import InputError, read_json, write_json
from cityscribe.llm.message import Chat, NoReplyError, Reply, ReplySampling, beginning, request_digest


class ScriptedModel:
    """A member of the seam `language-model`. A request that is not in the script gets no reply."""

    batch_size = 1
    calls_at_once = 1

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        try:
            self.replies = TypeAdapter(dict[str, str]).validate_python(read_json(path))
        except ValidationError as error:
            raise InputError(f"{path}: expected one object, the digest of each request with its reply") from error
        content = json.dumps(self.replies, sort_keys=True).encode("ascii")
        self.identity = {"kind": "script", "sha256": hashlib.sha256(content).hexdigest()}

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply | NoReplyError]:
        return [self._reply(chat, request_digest(chat, sampling)) for chat in chats]

    def _reply(self, chat: Chat, digest: str) -> Reply | NoReplyError:
        if digest in self.replies:
            return Reply(self.replies[digest])
        return NoReplyError(f"{self.place}: has no reply to the request {digest[:12]}: {beginning(chat)}", "refused")


def write_script(path: Path, replies: Mapping[str, str]) -> None:
    """Write replies by the digest of their request, as `Client.recorded` holds them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(replies))
