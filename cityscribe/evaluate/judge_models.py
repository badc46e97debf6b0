"""Who judges: a model on any OpenAI-compatible server, or a chat model of Hugging Face on this machine. Both at
temperature 0.

    ServerJudge("http://127.0.0.1:8000/v1", "llama-3-8b-instruct")
    LocalJudge("meta-llama/Meta-Llama-3-8B-Instruct")         a folder, or a hub id
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cityscribe.files import InputError

MAX_TOKENS = 128
SEED = 0

Messages = list[dict[str, str]]


class ServerJudge:
    """A model on a server. What may pass (no connection, a timeout, 408, 409, 429, a fault of the server) is tried
    again after growing pauses, or those that the server asks for. The key is in the environment (OPENAI_API_KEY)."""

    def __init__(
        self, base_url: str, model: str, *, concurrency: int = 8, tries: int = 6, timeout_s: float = 120.0
    ) -> None:
        from openai import OpenAI

        self.identity = {
            "kind": "server",
            "base_url": base_url,
            "model": model,
            "temperature": "0",
            "seed": str(SEED),
            "max_tokens": str(MAX_TOKENS),
        }
        self.seen: dict[str, str] = {}
        self.place = f"{base_url} ({model})"
        self.model, self.concurrency, self.tries = model, concurrency, tries
        key = os.environ.get("OPENAI_API_KEY") or "none"  # servers of one's own ask for none
        self.client = OpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=tries - 1)

    def replies(self, conversations: Sequence[Messages]) -> Iterator[str]:
        """In order. Raises InputError for a server that refuses, or that does not answer after all tries."""
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            yield from pool.map(self._ask, conversations)
        finally:
            # After a failure the requests that have not begun are not sent.
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, messages: Messages) -> str:
        from openai import APIConnectionError, APIStatusError

        request: Any = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS}
        try:
            reply = self.client.chat.completions.create(**request, seed=SEED)
        except APIStatusError as error:
            raise InputError(f"{self.place}: {error.status_code}: {' '.join(str(error).split())[:300]}") from error
        except APIConnectionError as error:
            raise InputError(f"{self.place}: no answer after {self.tries} tries: {error.__cause__ or error}") from error
        if not reply.choices or reply.choices[0].message is None:
            raise InputError(f"{self.place}: the server answered without a choice")
        # An alias can stand for another model tomorrow: what the server calls itself is part of the result.
        self.seen["answered_as"] = str(reply.model)
        return reply.choices[0].message.content or ""


class LocalJudge:
    """A causal language model with a chat template, asked greedily, several conversations at once."""

    def __init__(self, model: str, *, batch_size: int = 8) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import cached_file

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
            self.model = AutoModelForCausalLM.from_pretrained(model, dtype="auto", use_safetensors=True).eval()
        except (OSError, ValueError) as error:
            raise InputError(f"{model}: no language model that can be loaded: {str(error).splitlines()[0]}") from error
        if self.tokenizer.chat_template is None:
            raise InputError(f"{model}: has no chat template; a judge has to be a model that follows instructions")
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.batch_size = batch_size
        # Of a hub id this is the folder of its snapshot on this machine.
        folder = Path(str(cached_file(model, "config.json"))).parent
        self.identity = {
            "kind": "local",
            "model": Path(model).resolve().name if Path(model).is_dir() else model,
            "sha256": _digest(folder),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "transformers": version("transformers"),
            "temperature": "0",
            "max_tokens": str(MAX_TOKENS),
        }
        self.seen: dict[str, str] = {}

    def replies(self, conversations: Sequence[Messages]) -> Iterator[str]:
        """In order, a batch after the other."""
        for start in range(0, len(conversations), self.batch_size):
            yield from self._batch(conversations[start : start + self.batch_size])

    def _batch(self, conversations: Sequence[Messages]) -> list[str]:
        import torch

        prompts = [self._prompt(messages) for messages in conversations]
        # The template has written the special tokens.
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        greedy: dict[str, Any] = {"do_sample": False, "num_beams": 1, "temperature": None, "top_p": None, "top_k": None}
        with torch.inference_mode():
            said = self.model.generate(
                **inputs.to(self.model.device),
                max_new_tokens=MAX_TOKENS,
                pad_token_id=self.tokenizer.pad_token_id,
                **greedy,
            )
        replies = self.tokenizer.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [reply.strip() for reply in replies]

    def _prompt(self, messages: Messages) -> str:
        from jinja2 import TemplateError

        try:
            return self._written(messages)
        except TemplateError:  # some templates know no system message
            system, user = messages
            return self._written([{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}])

    def _written(self, messages: Messages) -> str:
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _digest(folder: Path) -> str:
    """A hash of everything in the folder of a model."""
    told = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            told.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return told.hexdigest()
