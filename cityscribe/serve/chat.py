"""Chat completions: OpenAI's request in, the model's answer out, whole or as a stream of server-sent events.

What would change the answer and is not supported is refused by name; what does not is taken and passed over.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol, TypeVar

from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, Response

from cityscribe import records
from cityscribe.engine import request as asking
from cityscribe.engine.grammars import json_schema, one_of
from cityscribe.files import InputError
from cityscribe.records import MessageBlock, image_block, message, text_block
from cityscribe.serve.chat_media import Medium, decode, receive
from cityscribe.serve.chat_request import ChatMessage, ChatRequest, ObjectFormat, SchemaFormat, TextFormat, TextPart
from cityscribe.serve.decoder import Decoder
from cityscribe.serve.log import log_bug
from cityscribe.serve.model_child import Finished, Piece
from cityscribe.serve.model_process import ModelProcess, whole
from cityscribe.serve.refusal import Refusal
from cityscribe.serve.settings import ServeSettings

T = TypeVar("T")
DEFAULT_TOKENS = 256


class RequestGuard(Protocol):
    """What looks at the words of a request before the model does."""

    def refuses(self, text: str) -> bool: ...


class ChatService:
    """Answers chat requests with one model under one name."""

    def __init__(
        self,
        name: str,
        model: ModelProcess,
        decoder: Decoder,
        settings: ServeSettings,
        folder: Path,
        guard: RequestGuard | None = None,
    ) -> None:
        self.name, self._model, self._decoder, self._settings, self._folder = name, model, decoder, settings, folder
        self._guard = guard
        self.created = int(time.time())

    def models(self) -> dict[str, object]:
        return {"object": "list", "data": [self.described()]}

    def described(self) -> dict[str, object]:
        return {"id": self.name, "object": "model", "created": self.created, "owned_by": "cityscribe"}

    async def complete(self, body: ChatRequest, request: Request) -> Response:
        """Raises Refusal for what cannot be asked, answered or decoded."""
        if body.model != self.name:
            words = f"there is no model of this name here, only {self.name}"
            raise Refusal(404, "model_not_found", words, param="model")
        answer = self._answer(body)
        head: dict[str, object] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.name,
        }
        if not body.stream:
            return JSONResponse(await until_gone(request, _whole(answer, head)))
        # The first piece is waited for, so that what is refused has its own status and not a broken stream.
        try:
            first = await until_gone(request, anext(answer))
        except BaseException:
            await answer.aclose()
            raise
        usage = body.stream_options is not None and body.stream_options.include_usage
        return event_stream(_streamed(first, answer, head, usage))

    async def _answer(self, body: ChatRequest) -> AsyncGenerator[Piece | Finished, None]:
        """The pieces of an answer. The request's images lie in a folder of their own until it is over."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            asked = await self._asked(body, folder)
            async with aclosing(self._model.ask(asked, timeout_s=self._settings.timeout_s)) as events:
                async for event in events:
                    yield event
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _asked(self, body: ChatRequest, folder: Path) -> asking.Request:
        limits = self._settings
        most = body.max_completion_tokens or body.max_tokens or min(DEFAULT_TOKENS, limits.max_tokens)
        if most > limits.max_tokens:
            raise Refusal(422, "max_tokens", f"up to {limits.max_tokens} tokens are answered", param="max_tokens")
        stop = tuple(body.stop or ())
        grammar = await asyncio.to_thread(answer_grammar, body, limits.max_characters)
        if body.messages[-1].role != "user":
            raise Refusal(422, "messages", "the last message must be the user's", param="messages")
        characters = sum(len(text) for entry in body.messages for text in _texts(entry))
        if characters > limits.max_characters:
            words = f"{characters} characters; up to {limits.max_characters} are taken"
            raise Refusal(422, "too_much_text", words, param="messages")
        await self._refuse_harmful(body)
        media = await receive(body, folder, self._decoder, limits)
        await self._check_context(media, most)
        images = await decode(media, folder, self._decoder, limits)
        sampling = asking.Sampling(
            body.temperature or 0.0, 1.0 if body.top_p is None else body.top_p, seed=body.seed or 0
        )
        return asking.Request(_messages(body, media), tuple(images), most, sampling, stop, grammar)

    async def _refuse_harmful(self, body: ChatRequest) -> None:
        """Raises Refusal (403) where the guard refuses what the user last asked."""
        if self._guard is None:
            return
        asked = "\n".join(_texts(body.messages[-1]))
        if await asyncio.to_thread(self._guard.refuses, asked):
            words = "the guard of this service refuses requests like this one"
            raise Refusal(403, "refused_by_guard", words, param="messages")

    async def _check_context(self, media: Sequence[Medium], most: int) -> None:
        """Raises Refusal (422) where the images alone are more than the model's context, before they are decoded.

        What the text takes is counted by the process that holds the model, before it computes anything.
        """
        sizes = [medium.size for medium in media for _ in range(medium.images)]
        tokens = await self._model.image_tokens(sizes) if sizes else 0
        context = self._model.context
        if context and tokens + most > context:
            words = f"{tokens} tokens of images alone with max_tokens {most} exceed {context}"
            raise Refusal(422, "context_length_exceeded", words, param="messages")


def _texts(entry: ChatMessage) -> list[str]:
    """The texts of a message."""
    content = entry.content or ""
    return [content] if isinstance(content, str) else [part.text for part in content if isinstance(part, TextPart)]


def _messages(body: ChatRequest, media: Sequence[Medium]) -> tuple[records.SampleMessage, ...]:
    """The messages as the engine takes them, with an image block for each image of the media."""
    remaining = iter(media)
    messages = []
    for entry in body.messages:
        content = entry.content or ""
        blocks: list[MessageBlock] = []
        for part in [TextPart(type="text", text=content)] if isinstance(content, str) else content:
            if isinstance(part, TextPart):
                blocks.append(text_block(part.text))
            else:
                blocks += [image_block()] * next(remaining).images
        messages.append(message("system" if entry.role == "developer" else entry.role, *blocks))
    return tuple(messages)


def answer_grammar(body: ChatRequest, most: int) -> str:
    """What the answer of a request can be; empty for anything. Raises Refusal (400) with the reason."""
    param, form = "response_format", body.response_format
    try:
        if body.structured_outputs is not None:
            param = "structured_outputs"
            if form is not None and not isinstance(form, TextFormat):
                raise Refusal(422, "invalid", "give response_format or structured_outputs, not both", param=param)
            return one_of(body.structured_outputs.choice)
        if isinstance(form, ObjectFormat):
            return json_schema({"type": "object"})
        if isinstance(form, SchemaFormat):
            if len(json.dumps(form.json_schema.schema_)) > most:
                raise Refusal(422, "too_much_text", f"a schema of up to {most} characters is taken", param=param)
            return json_schema(form.json_schema.schema_)
    except InputError as error:
        raise Refusal(400, "bad_schema", str(error), param=param) from error
    except (RecursionError, ValueError, TypeError) as error:
        raise Refusal(400, "bad_schema", "the schema cannot be read: nested too deeply", param=param) from error
    return ""


async def until_gone(request: Request, work: Awaitable[T]) -> T:
    """The result of work, which is cancelled when the client hangs up. The request's body must have been read."""
    task = asyncio.ensure_future(work)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watch = asyncio.create_task(gone())
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refusal(499, "client_gone", "the client has hung up")
        return task.result()
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _whole(answer: AsyncGenerator[Piece | Finished, None], head: dict[str, object]) -> dict[str, object]:
    text, said = await whole(answer)
    reply = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": reply, "finish_reason": said.finish, "logprobs": None}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(said)}


async def _streamed(
    first: Piece | Finished, answer: AsyncGenerator[Piece | Finished, None], head: dict[str, object], usage: bool
) -> AsyncGenerator[ServerSentEvent, None]:
    def chunk(delta: dict[str, object], finish: str | None = None) -> ServerSentEvent:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    async with aclosing(answer) as events:
        yield chunk({"role": "assistant", "content": ""})
        event = first
        try:
            while isinstance(event, Piece):
                yield chunk({"content": event.text})
                event = await anext(events)
            yield chunk({}, event.finish)
            if usage:
                yield sse({**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(event)})
        except Refusal as refusal:
            yield sse(refusal.body)
        except Exception as error:
            log_bug("stream", error)
            yield sse(Refusal(500, "internal", "an error of the service").body)
    yield ServerSentEvent(data="[DONE]", sep="\n")


def sse(value: Any, *, event: str | None = None, number: int | None = None) -> ServerSentEvent:
    """One server-sent event with JSON data."""
    id_ = None if number is None else str(number)
    return ServerSentEvent(data=json.dumps(value, ensure_ascii=False), event=event, id=id_, sep="\n")


def event_stream(events: AsyncGenerator[ServerSentEvent, None]) -> EventSourceResponse:
    """A response that sends events as they come, and a comment where none comes, so that the connection stays open."""
    return EventSourceResponse(events, sep="\n", headers={"Cache-Control": "no-store"})


def _usage(said: Finished) -> dict[str, int]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.tokens,
        "total_tokens": said.prompt_tokens + said.tokens,
    }
