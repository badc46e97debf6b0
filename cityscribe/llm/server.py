"""A language model on any server that speaks OpenAI's chat completions.

    ServerModel("http://127.0.0.1:8000/v1", "llama-3-8b-instruct")

What may pass (no connection, a timeout, 408, 409, 429, a fault of the server) is tried again by the openai client,
after growing pauses or those that the server asks for. A reply has to be whole within `timeout_s` and no larger than
`max_reply_kb`. The key is in the environment (OPENAI_API_KEY), never in the settings: those are kept beside results.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from cityscribe.files import InputError, printable
from cityscribe.llm.message import Chat, NoReplyError, Reply, ReplySampling

HOPELESS = (401, 403, 404)
"""HTTP states that every request will get: a wrong key, no permission, a wrong address or model."""


class ServerModel:
    """A member of the seam `language-model`."""

    batch_size = 1

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        concurrency: int = 8,
        tries: int = 6,
        timeout_s: float = 120.0,
        max_reply_kb: int = 4096,
    ) -> None:
        from httpx2 import InvalidURL
        from openai import OpenAI

        from cityscribe.engine.bounded import BoundedClient

        self.identity = {"kind": "server", "base_url": base_url, "model": model}
        self.place = f"{base_url} ({model})"
        self.model, self.tries, self.calls_at_once = model, tries, concurrency
        bounded = BoundedClient(deadline_s=timeout_s, max_bytes=max_reply_kb << 10)
        key = os.environ.get("OPENAI_API_KEY") or "none"  # servers of one's own ask for none
        try:
            self.client = OpenAI(base_url=base_url, api_key=key, max_retries=tries - 1, http_client=bounded)
        except InvalidURL as error:
            raise InputError(f"{base_url}: is no address of a server: {error}") from error

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply | NoReplyError]:
        return [self._ask(chat, sampling) for chat in chats]

    def _ask(self, chat: Chat, sampling: ReplySampling) -> Reply | NoReplyError:
        from openai import APIConnectionError, APIStatusError

        request: dict[str, Any] = {
            "model": self.model,
            "messages": list(chat),
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        try:
            # As it came: what is no reply of the protocol would end in errors of many kinds inside the client.
            reply = self.client.chat.completions.with_raw_response.create(**request)
        except APIStatusError as error:
            why: Literal["hopeless", "refused", "silent"] = (
                "hopeless" if error.status_code in HOPELESS else "refused" if error.status_code < 500 else "silent"
            )
            said = " ".join(printable(str(error)).split())[:300]
            return NoReplyError(f"{self.place}: {error.status_code}: {said}", why)
        except APIConnectionError as error:
            cause = error.__cause__ or error
            return NoReplyError(f"{self.place}: no answer after {self.tries} tries: {cause}", "silent")
        except UnicodeEncodeError as error:
            return NoReplyError(f"{self.place}: half of a surrogate pair cannot be sent: {error}", "refused")
        return self._read(reply.http_response.content)

    def _read(self, body: bytes) -> Reply | NoReplyError:
        try:
            found = _Completion.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the body"
            return NoReplyError(f"{self.place}: the reply is no chat completion: {where}: {fault['msg']}", "malformed")
        if not found.choices:
            return NoReplyError(f"{self.place}: the server answered without a choice", "malformed")
        return Reply(printable(found.choices[0].message.content or ""), printable(found.model))


class _Said(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Said


class _Completion(BaseModel):
    """As much of a chat completion as is read."""

    choices: list[_Choice]
    model: str = ""
