"""The shapes of what the service answers, for its OpenAPI description; requests have theirs beside the code that reads
them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cityscribe.serve.facts import FIELDS
from cityscribe.serve.jobs import Status


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(_Reply):
    message: str
    type: str
    param: str | None = Field(description="the part of the request that is wrong")
    code: str = Field(description="to act on; docs/serve.md lists them")


class ErrorReply(_Reply):
    """Why a request is not answered."""

    error: Error


class ServedModel(_Reply):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ServedModels(_Reply):
    object: Literal["list"]
    data: list[ServedModel]


class ReplyMessage(_Reply):
    role: Literal["assistant"]
    content: str
    refusal: None


class ReplyChoice(_Reply):
    index: int
    message: ReplyMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None


class Usage(_Reply):
    prompt_tokens: int = Field(description="image tokens counted")
    completion_tokens: int = Field(description="the end token counted")
    total_tokens: int


class Completion(_Reply):
    id: str
    created: int
    model: str
    object: Literal["chat.completion"]
    choices: list[ReplyChoice]
    usage: Usage


class CaptionReply(_Reply):
    text: str
    finish: Literal["stop", "length"]


class FactsReply(_Reply):
    values: dict[str, dict[str, str]] | None = Field(description=f"of {', '.join(FIELDS)}; null where cut off")
    finish: Literal["stop", "length", "context_length_exceeded"]


class DescribedPhase(_Reply):
    phase: str
    start_s: float
    end_s: float
    images: list[str] = Field(description="paths of the images that the model was shown, in their order")
    marked: list[str] = Field(description="the road users whose boxes are drawn on the images")
    note: str
    pedestrian: CaptionReply | None
    vehicle: CaptionReply | None
    facts: FactsReply | None = Field(None, description="where they were asked for")


class JobProgress(_Reply):
    done: int
    total: int


class Description(_Reply):
    """A job: how far it is, and what was said so far."""

    id: str
    object: Literal["description"]
    status: Status
    created_at: int
    expires_at: int | None = Field(description="when the result is forgotten; null while it is under way")
    progress: JobProgress
    phases: list[DescribedPhase]
    error: Error | None


class HealthReply(_Reply):
    status: str


REASONS = {
    400: "not JSON or not a form, or a schema that cannot be kept to",
    404: "no such model, job or image, or a job that is no longer kept",
    415: "a file that is no image or video of a kind that is read here",
    422: "a field that is wrong, or a file over a limit",
}
GUARDED = {401: "no token, or a wrong one", 403: "asked by a page of another site, or without a token from elsewhere"}
RECEIVED = {
    408: "the body did not arrive in time",
    413: "a body over the limit",
    429: "too much is being answered already; come again after Retry-After",
    503: "the model was started again, is out of memory or time, or the service stops; come again after Retry-After",
}


def refusals(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """How a route refuses: by REASONS, by who asks, and with `body` also by what is sent."""
    found = GUARDED | {status: REASONS[status] for status in statuses} | (RECEIVED if body else {})
    return {status: {"model": ErrorReply, "description": reason} for status, reason in sorted(found.items())}


def events(meaning: str) -> dict[str, Any]:
    """A stream of server-sent events."""
    field = {"type": "string"}
    event = {"type": "object", "properties": {"id": field, "event": field, "data": field}, "required": ["data"]}
    return {"description": meaning, "content": {"text/event-stream": {"schema": event}}}
