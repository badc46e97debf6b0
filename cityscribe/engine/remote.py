"""The remote engine: answers requests by any OpenAI-compatible server (vLLM, SGLang, a vendor).

    engine = RemoteEngine(Server("http://127.0.0.1:8000/v1", "qwen2.5-vl-7b"))
    answers = engine.answer([Request(messages, media), ...])

Images go as data URLs: the bytes of their files where these show the same to everybody, else as PNG. So many requests
are under way at once as the settings allow. What may pass (no connection, a timeout, 408, 409, 429, a fault of the
server) is tried again by the openai client, after growing pauses or those that the server asks for; a reply has to be
whole within `timeout_s`. The key is taken from the environment (OPENAI_API_KEY), never from the settings: those are
kept beside the results.

What a server says against one request (400, 413, 415, 422) is the problem of that request; what it says against all of
them, and a server that does not answer, is an InputError.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openai
from PIL import Image
from pydantic import BaseModel, Field, ValidationError

from cityscribe.engine.bounded import BoundedClient
from cityscribe.engine.failure import Failure, failure_of, one_line
from cityscribe.engine.members import Server, Setup
from cityscribe.engine.prompts import name_of, open_media
from cityscribe.engine.request import Answer, AnswerProblem, Listener, Request, Score
from cityscribe.files import InputError
from cityscribe.media.images import as_png, is_plain
from cityscribe.media.kinds import HEAD_BYTES, image_format
from cityscribe.tokens.shown import as_images

MAX_REPLY_BYTES = 32 * 2**20

OWN_FAULT = (400, 413, 415, 422)
"""HTTP states that say something about one request, and nothing about the next."""


class RemoteEngine:
    """A model on a server."""

    def __init__(self, server: Server) -> None:
        if not server.model:
            raise InputError("predict.remote.model: missing; name a model of the server at predict.remote.base_url")
        self.server = server
        self.place = f"{server.base_url} ({server.model})"
        try:
            self.client = openai.OpenAI(
                base_url=server.base_url,
                api_key=os.environ.get("OPENAI_API_KEY") or "none",  # servers of one's own ask for none
                max_retries=server.tries - 1,
                http_client=BoundedClient(deadline_s=server.timeout_s, max_bytes=MAX_REPLY_BYTES),
            )
        except (httpx.InvalidURL, openai.OpenAIError) as error:
            raise InputError(f"predict.remote.base_url: {server.base_url}: {error}") from error

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        """For each request, in their order, as many answers as it wants samples; equal ones are asked once.

        With a listener each answer is one piece. Raises InputError for a server that refuses all requests, does not
        answer after all tries, or answers in another form, naming it and what it said last.
        """
        distinct: dict[str, int] = {}
        places = [distinct.setdefault(_key(request), n) for n, request in enumerate(requests)]
        pool = ThreadPoolExecutor(self.server.concurrency)
        try:
            first = list(distinct.values())
            found = dict(zip(first, pool.map(self._ask, [requests[n] for n in first]), strict=True))
        finally:
            # After a failure the requests that have not begun are not sent.
            pool.shutdown(wait=True, cancel_futures=True)
        answers = [found[place] for place in places]
        for n, each in enumerate(answers if listener is not None else ()):
            assert listener is not None
            for sample, answer in enumerate(each):
                listener.piece(n, sample, answer.text)
            listener.finished(n, each)
        return answers

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        """Raises InputError: the protocol has no log-probabilities of a given answer."""
        raise InputError(f"{self.place}: a server is not asked how likely an answer is; use predict.engine local")

    def forget(self) -> None:
        """Nothing is kept from one call to the next."""

    def _ask(self, request: Request) -> list[Answer]:
        began = time.perf_counter()
        try:
            body = self._body(request)
        except Exception as error:
            return [_no_answer(failure_of(error))] * request.samples
        try:
            # The reply as it came: what is no reply of the protocol ends in errors of many kinds inside the client.
            reply = self.client.chat.completions.with_raw_response.create(**body).http_response.content
        except openai.APIStatusError as error:
            words = f"{error.status_code}: {one_line(str(error))[:300]}"
            if error.status_code in OWN_FAULT:
                return [_no_answer(Failure("refused", f"the server refuses it: {words}"))] * request.samples
            if error.status_code < 500:
                raise InputError(f"{self.place}: the server refuses: {words}") from error
            raise self._no_answer(words) from error
        except openai.APIConnectionError as error:  # a timeout is one as well
            raise self._no_answer(one_line(str(error.__cause__ or error))) from error
        except UnicodeEncodeError as error:
            reason = f"a message holds half of a surrogate pair, which cannot be sent: {error.reason}"
            return [_no_answer(Failure("refused", reason))] * request.samples
        return self._read(reply, request, time.perf_counter() - began)

    def _no_answer(self, words: str) -> InputError:
        return InputError(f"{self.place}: no answer after {self.server.tries} tries; the last said: {words}")

    def _body(self, request: Request) -> dict[str, Any]:
        """Raises InputError for media that cannot be read, for a grammar, and for a contrast with the model blind."""
        if request.grammar:
            raise InputError("a server is asked for free text only, without a grammar")
        if request.contrast is not None:
            raise InputError(
                "a server is asked for the answers of its model as it is; predict.decoding has to be plain"
            )
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.server.model,
            "messages": _with_data_urls(request),
            "max_tokens": request.max_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
        }
        # Only what is wanted: not every server knows every option.
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if sampling.repetition_penalty is not None:
            body["extra_body"] = {"repetition_penalty": sampling.repetition_penalty}
        if request.stop:
            body["stop"] = list(request.stop)
        if request.samples > 1:
            body["n"] = request.samples
        if request.logprobs:
            body["logprobs"] = True
        return body

    def _read(self, body: bytes, request: Request, seconds: float) -> list[Answer]:
        """Raises InputError for a reply that is not what the protocol says."""
        try:
            reply = _Completion.model_validate_json(body)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, fault["loc"])) or "the whole"
            raise InputError(f"{self.place}: the reply is no chat completion: {where}: {fault['msg']}") from error
        if len(reply.choices) != request.samples:
            raise InputError(f"{self.place}: the reply has {len(reply.choices)} choices, expected {request.samples}")
        prompt, tokens = (reply.usage.prompt_tokens, reply.usage.completion_tokens) if reply.usage else (0, 0)
        answers = []
        for choice in reply.choices:
            text = (choice.message.content or "").strip()
            problem: AnswerProblem = "cut" if choice.finish_reason == "length" else "" if text else "empty"
            logprobs = tuple(each.logprob for each in choice.logprobs.content) if choice.logprobs else ()
            count = tokens if request.samples == 1 else len(logprobs)  # the server counts all samples together
            answers.append(Answer(text, prompt, count, problem, steps=count, seconds=seconds, logprobs=logprobs))
        return answers


class _Message(BaseModel):
    content: str | None = None


class _TokenLogprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_TokenLogprob] = []


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """As much of a chat completion as is read."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def _no_answer(failure: Failure) -> Answer:
    return Answer("", 0, 0, failure.problem, failure.reason, at=failure.at)


def _with_data_urls(request: Request) -> list[dict[str, Any]]:
    """Messages in the words of the protocol: what the user says as parts, what the assistant said as text; videos as
    images with their times. Raises InputError for media that cannot be read."""
    # A file that is torn is found here, by name, and not by the server.
    media = open_media(request, {})
    files = iter(request.media)
    sources = {id(shown): next(files) for shown in media if isinstance(shown, Image.Image)}
    written, images = as_images(name_of(request), request.messages, media)
    remaining = iter(images)
    messages: list[dict[str, Any]] = []
    for entry in written:
        parts: list[dict[str, Any]] = []
        for block in entry["content"]:
            if block["type"] == "image":
                image = next(remaining)
                url = _data_url(image, sources.get(id(image)))
                parts.append({"type": "image_url", "image_url": {"url": url}})
            else:
                parts.append({"type": "text", "text": block["text"]})
        plain = all(part["type"] == "text" for part in parts)
        content = "".join(part["text"] for part in parts) if plain else parts
        messages.append({"role": entry["role"], "content": content})
    return messages


def _data_url(image: Image.Image, source: object) -> str:
    """An image as it is shown: the bytes of its file where every server sees the same in them, else those of a PNG."""
    content = source.read_bytes() if isinstance(source, Path) and is_plain(source) else as_png(image)
    kind = image_format(content[:HEAD_BYTES]).lower()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _key(request: Request) -> str:
    media = [str(medium) if isinstance(medium, Path) else id(medium) for medium in request.media]
    return repr(
        (
            request.messages,
            media,
            request.max_tokens,
            request.sampling,
            request.stop,
            request.samples,
            request.logprobs,
            request.grammar,
            request.contrast,
        )
    )


def load(checkpoint: Path | str, setup: Setup, texts: Iterable[str] = ()) -> RemoteEngine:
    """A server in the place of a checkpoint."""
    return RemoteEngine(setup.server)
