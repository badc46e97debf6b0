"""A conversation of two turns, whole and streamed, with a client of its own environment; prints what was said as JSON.

    python tests/serve/clients.py litellm http://127.0.0.1:8080/v1 MODEL

In the second turn the first reply is given back as the client has it; neutral are options that change nothing.
"""

from __future__ import annotations

import json
import sys
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC"
URL = f"data:image/png;base64,{PNG}"
WHERE, AND_NOW = "Where is the vehicle?", "Describe the weather conditions."
TEXT = {"type": "text", "text": WHERE}
LIMIT = 12


def openai(address: str, model: str) -> dict[str, Any]:
    import openai as client

    server = client.OpenAI(base_url=address, api_key="none", max_retries=0)
    assert [found.id for found in server.models.list()] == [model] == [server.models.retrieve(model).id]

    def ask(*messages: Any, **options: Any) -> Any:
        return server.chat.completions.create(model=model, messages=list(messages), max_tokens=LIMIT, **options)

    def asked(content: Any) -> dict[str, Any]:
        return {"role": "user", "content": content}

    first = ask(asked(WHERE)).choices[0].message
    turns = (asked(WHERE), first, asked(AND_NOW))
    with server.chat.completions.stream(model=model, messages=list(turns), max_tokens=LIMIT) as stream:
        for _ in stream:
            pass
        streamed = stream.current_completion_snapshot.choices[0].message.content
    neutral = {"tools": [], "tool_choice": "none", "logit_bias": {}, "n": 1, "parallel_tool_calls": False}
    shown = [{"type": "image_url", "image_url": {"url": URL, "detail": "auto"}}, TEXT]
    return {
        "first": first.content,
        "second": ask(*turns).choices[0].message.content,
        "streamed": streamed,
        "neutral": ask(asked(WHERE), **neutral).choices[0].message.content,
        "image": ask(asked(shown)).choices[0].message.content,
        "image again": "".join(
            chunk.choices[0].delta.content or "" for chunk in ask(asked(shown), stream=True) if chunk.choices
        ).strip(),
    }


def langchain(address: str, model: str) -> dict[str, Any]:
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI

    def chat(**options: Any) -> Any:
        return ChatOpenAI(base_url=address, api_key="none", model=model, max_tokens=LIMIT, max_retries=0, **options)

    first = chat().invoke([HumanMessage(WHERE)])
    turns = [HumanMessage(WHERE), first, HumanMessage(AND_NOW)]
    block = HumanMessage(content=[{"type": "image", "base64": PNG, "mime_type": "image/png"}, TEXT])
    usual = HumanMessage(content=[{"type": "image_url", "image_url": {"url": URL}}, TEXT])
    return {
        "first": first.content,
        "second": chat().invoke(turns).content,
        "streamed": "".join(str(chunk.content) for chunk in chat().stream(turns)).strip(),
        "neutral": chat(n=1, presence_penalty=0.0, temperature=0.0).invoke([HumanMessage(WHERE)]).content,
        "image": chat().invoke([block]).content,
        "image again": chat().invoke([usual]).content,
    }


def litellm(address: str, model: str) -> dict[str, Any]:
    import litellm as client

    def ask(*messages: Any, **options: Any) -> Any:
        named = {"model": f"openai/{model}", "api_base": address, "api_key": "none", "max_tokens": LIMIT}
        return client.completion(**named, messages=list(messages), **options)

    def asked(content: Any) -> dict[str, Any]:
        return {"role": "user", "content": content}

    first = ask(asked(WHERE)).choices[0].message
    as_dict = (asked(WHERE), first.model_dump(), asked(AND_NOW))
    chunks = list(ask(*as_dict, stream=True))
    return {
        "first": first.content,
        "second": ask(asked(WHERE), first, asked(AND_NOW)).choices[0].message.content,
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip(),
        "neutral": ask(asked(WHERE), temperature=0, n=1, presence_penalty=0).choices[0].message.content,
        "image": ask(asked([{"type": "image_url", "image_url": URL}, TEXT])).choices[0].message.content,
        "image again": ask(asked([{"type": "image_url", "image_url": {"url": URL}}, TEXT])).choices[0].message.content,
    }


CLIENTS = {"openai": openai, "langchain": langchain, "litellm": litellm}

if __name__ == "__main__":
    name, *served = sys.argv[1:]
    print(json.dumps(CLIENTS[name](*served)))
