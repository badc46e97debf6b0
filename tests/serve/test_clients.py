"""Conversations of two turns, whole and streamed, as other people's clients hold them.

OpenAI's own client is always tried. LangChain and LiteLLM are where they are installed, or where CITYSCRIBE_CLIENTS
names a Python that has them: `make test-clients` makes one.
"""

from __future__ import annotations

import json
import os
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest

from tests.serve import clients
from tests.serve.clients import CLIENTS
from tests.serve.running import Running

PACKAGES = {"openai": "openai", "langchain": "langchain_openai", "litellm": "litellm"}


def said_by(client: str, address: str, model: str) -> dict[str, Any]:
    """What is said in a conversation of a client, here or in the Python that has it."""
    if find_spec(PACKAGES[client]) is not None:
        return CLIENTS[client](address, model)
    python = os.environ.get("CITYSCRIBE_CLIENTS", "")
    if not python:
        pytest.skip(f"{PACKAGES[client]} is not installed: make test-clients")
    command = [python, clients.__file__, client, address, model]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("client", PACKAGES)
def test_a_conversation_of_a_client(service: Running, client: str) -> None:
    said = said_by(client, f"{service.address}/v1", service.name)
    assert said["first"]
    assert said["second"] == said["streamed"] != said["first"]
    assert said["neutral"] == said["first"]
    assert said["image"] == said["image again"] != said["first"]
