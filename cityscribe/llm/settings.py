"""The settings of a language model, one section a kind, and the client that they give."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.models import LANGUAGE_MODELS
from cityscribe.settings import Positive, Rate, Section


class ServerSettings(Section):
    """A model on a server; its key is OPENAI_API_KEY."""

    kind: Literal["server"] = "server"
    base_url: str = Field("http://127.0.0.1:8000/v1", description="of any OpenAI-compatible server")
    model: str = Field("", description="name of the model on that server")
    concurrency: Positive = Field(8, description="requests under way at once")
    tries: Positive = Field(6, description="of each request, with growing pauses between them")
    timeout_s: Rate = Field(120.0, description="seconds for a whole reply")
    max_reply_kb: Positive = Field(4096, description="largest reply that is read")


class LocalSettings(Section):
    """A chat model on this machine."""

    kind: Literal["local"] = "local"
    model: str = Field("", description="folder, hub id or GGUF file of a chat model")
    batch_size: Positive = Field(8, description="chats answered together")


class ScriptSettings(Section):
    """Recorded replies."""

    kind: Literal["script"] = "script"
    path: Path = Field(Path("replies.json"), description="file of the replies by the digests of their requests")


def language_model_client(settings: Section, where: str, *, cache: Path | None = None) -> Client:
    """A client of the model that a section names by its `kind`; every other setting is an argument of the member.

    `where` is the place of the section, for messages. Raises InputError for a model that is not named or cannot be
    used.
    """
    options = settings.model_dump()
    kind = options.pop("kind")
    if options.get("model") == "":
        raise InputError(f"{where}.model: missing; name the model that is asked")
    return Client(LANGUAGE_MODELS[kind](**options), cache=cache)
