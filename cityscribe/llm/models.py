"""The kinds of language models that can be asked."""

from __future__ import annotations

from typing import Any

from cityscribe.files import InputError
from cityscribe.registry import Registry


def _check(name: str, member: Any) -> None:
    if not callable(member) or not hasattr(member, "answer"):
        raise InputError(f"language-model {name}: expected a class with the method answer(chats, sampling)")


LANGUAGE_MODELS: Registry[Any] = Registry("language-model", "what labels, judges and curates texts", _check)
LANGUAGE_MODELS.add("server", "cityscribe.llm.server:ServerModel", "a model on any OpenAI-compatible server")
LANGUAGE_MODELS.add("local", "cityscribe.llm.local:LocalModel", "a chat model on this machine: a folder or a GGUF file")
LANGUAGE_MODELS.add("script", "cityscribe.llm.script:ScriptedModel", "recorded replies, for runs that repeat exactly")
