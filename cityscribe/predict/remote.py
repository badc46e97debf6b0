"""The remote engine: answers conversations by any OpenAI-compatible server (vLLM, SGLang, a vendor).

    engine = RemoteEngine(settings.predict, seed=0)
    answers = engine.answer([Conversation(messages, images), ...])

Images go as data URLs, with the bytes of their files. So many requests are under way at once as the settings allow.
What may pass (no connection, a timeout, 408, 409, 429, a fault of the server) is tried again after a growing pause, or
after the one that the server asks for; what will not pass is an InputError. The key is taken from the environment
(OPENAI_API_KEY), never from the settings: those are kept beside the results.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import openai

from cityscribe.files import InputError
from cityscribe.media.images import as_png, is_plain, open_image
from cityscribe.media.kinds import HEAD_BYTES, image_format
from cityscribe.predict.answers import Answer
from cityscribe.predict.prompts import Conversation
from cityscribe.predict.settings import PredictSettings

PASSING = (408, 409, 425, 429)
"""Statuses below 500 that may be another one the next time."""

LONGEST_PAUSE_S = 60.0


class RemoteEngine:
    """A model on a server. `pause_s` is the first pause after a fault; each further one is twice as long."""

    def __init__(self, settings: PredictSettings, seed: int = 0, *, pause_s: float = 1.0) -> None:
        if not settings.remote.model:
            raise InputError("predict.remote.model: missing; name a model of the server at predict.remote.base_url")
        self.settings = settings
        self.seed = seed
        self.pause_s = pause_s
        self.place = f"{settings.remote.base_url} ({settings.remote.model})"
        self.client = openai.OpenAI(
            base_url=settings.remote.base_url,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",  # servers of one's own ask for none
            timeout=settings.remote.timeout_s,
            max_retries=0,
        )

    def answer(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Answers in the order of the conversations; equal ones are asked once.

        Raises InputError for an image that cannot be read, and for a server that refuses or does not answer after all
        tries, naming it and what it said last.
        """
        distinct = list(dict.fromkeys(_key(conversation) for conversation in conversations))
        first = {_key(conversation): conversation for conversation in reversed(conversations)}
        pool = ThreadPoolExecutor(self.settings.remote.concurrency)
        try:
            said = dict(zip(distinct, pool.map(self._ask, [first[key] for key in distinct]), strict=True))
        finally:
            # After a failure the requests that have not begun are not sent.
            pool.shutdown(wait=True, cancel_futures=True)
        return [said[_key(conversation)] for conversation in conversations]

    def forget(self) -> None:
        """Nothing is kept from one call to the next."""

    def _ask(self, conversation: Conversation) -> Answer:
        request = self._request(conversation)
        tries = self.settings.remote.tries
        for n in range(tries):
            began = time.perf_counter()
            try:
                reply = self.client.chat.completions.create(**request)
                return replace(self._read(reply), seconds=time.perf_counter() - began)
            except openai.APIStatusError as error:
                status, problem = error.status_code, f"{error.status_code}: {' '.join(str(error).split())[:300]}"
                if status < 500 and status not in PASSING:
                    raise InputError(f"{self.place}: the server refuses: {problem}") from error
                asked = error.response.headers.get("retry-after", "")
                pause_s = float(asked) if asked.isdigit() else self.pause_s * 2**n
            except openai.APIConnectionError as error:  # a timeout is one as well
                problem, pause_s = str(error), self.pause_s * 2**n
            if n + 1 < tries:
                time.sleep(min(pause_s, LONGEST_PAUSE_S))
        raise InputError(f"{self.place}: no answer after {tries} tries; the last said: {problem}")

    def _request(self, conversation: Conversation) -> dict[str, Any]:
        return {
            "model": self.settings.remote.model,
            "messages": _with_data_urls(conversation),
            "max_tokens": conversation.max_new_tokens or self.settings.max_new_tokens,
            "temperature": self.settings.temperature,
            "seed": self.seed,
        }

    def _read(self, reply: Any) -> Answer:
        """Raises InputError for a reply that is not what the protocol says."""
        if not reply.choices or reply.choices[0].message is None:
            raise InputError(f"{self.place}: the server answered without a choice")
        choice = reply.choices[0]
        text = (choice.message.content or "").strip()
        problem: Literal["", "empty", "cut"] = ""
        if choice.finish_reason == "length":
            problem = "cut"
        elif not text:
            problem = "empty"
        prompt, said = (reply.usage.prompt_tokens, reply.usage.completion_tokens) if reply.usage else (0, 0)
        return Answer(text, prompt, said, problem, said)


def _with_data_urls(conversation: Conversation) -> list[dict[str, Any]]:
    """Messages in the words of the protocol: what the user says as parts, what the assistant said as text."""
    images = iter(conversation.images)
    messages: list[dict[str, Any]] = []
    for entry in conversation.messages:
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_url(next(images))}}
            if block["type"] == "image"
            else {"type": "text", "text": block["text"]}
            for block in entry["content"]
        ]
        plain = all(part["type"] == "text" for part in parts)
        content = "".join(part["text"] for part in parts) if plain else parts
        messages.append({"role": entry["role"], "content": content})
    return messages


def _data_url(path: Path) -> str:
    """An image as it is shown: its own bytes where every server sees the same in them, else those of a PNG."""
    image = open_image(path)  # a file that is torn is found here, by name, and not by the server
    content = path.read_bytes() if is_plain(path) else as_png(image)
    kind = image_format(content[:HEAD_BYTES]).lower()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _key(conversation: Conversation) -> str:
    return repr((conversation.messages, conversation.images, conversation.max_new_tokens))
