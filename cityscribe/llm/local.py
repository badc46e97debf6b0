"""A chat model on this machine: a folder or hub id of Hugging Face, or a GGUF file.

    LocalModel("meta-llama/Meta-Llama-3-8B-Instruct")
    LocalModel("models/SmolLM2-135M-Instruct.Q4_1.gguf")       its weights are unpacked to what transformers computes in

Greedy chats are answered several at once; drawn ones one by one, each from the seed of its sampling, so that a reply
does not depend on what else is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cityscribe.files import InputError
from cityscribe.llm.message import Chat, NoReplyError, Reply, ReplySampling, beginning
from cityscribe.models.gguf_file import read_once

GGUF = ".gguf"


class LocalModel:
    """A member of the seam `language-model`. Reads safetensors and GGUF, no other files of weights."""

    calls_at_once = 1

    def __init__(self, model: str | Path, *, batch_size: int = 8) -> None:
        import torch

        self.place = str(model)
        self.batch_size = batch_size
        self.tokenizer, self.model = _loaded(str(model))
        if self.tokenizer.chat_template is None:
            raise InputError(f"{model}: has no chat template; it has to be a model that follows instructions")
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self.context = int(getattr(self.model.config, "max_position_embeddings", 0)) or None
        self.identity = {
            "kind": "local",
            "model": Path(model).resolve().name if Path(model).exists() else str(model),
            "sha256": _digest(str(model)),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "transformers": version("transformers"),
        }

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply | NoReplyError]:
        prompts = [self._prompt(chat) for chat in chats]
        # The template has written the special tokens.
        lengths = [len(ids) for ids in self.tokenizer(prompts, add_special_tokens=False)["input_ids"]]
        fits = [self.context is None or length + sampling.max_tokens <= self.context for length in lengths]
        asked = [prompt for prompt, fit in zip(prompts, fits, strict=True) if fit]
        if sampling.temperature > 0:
            texts = [text for prompt in asked for text in self._generated([prompt], sampling)]
        else:
            texts = self._generated(asked, sampling) if asked else []
        said = iter(texts)
        return [
            Reply(next(said))
            if fit
            else NoReplyError(
                f"{self.place}: {length} tokens and {sampling.max_tokens} more are over its limit of {self.context}: "
                f"{beginning(chat)}",
                "refused",
            )
            for chat, fit, length in zip(chats, fits, lengths, strict=True)
        ]

    def _generated(self, prompts: Sequence[str], sampling: ReplySampling) -> list[str]:
        import torch

        inputs = self.tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        drawn: dict[str, object] = {
            "do_sample": False,
            "num_beams": 1,
            "temperature": None,
            "top_p": None,
            "top_k": None,
        }
        if sampling.temperature > 0:
            drawn |= {"do_sample": True, "temperature": sampling.temperature, "top_p": 1.0, "top_k": 0}
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(sampling.seed)
            said = self.model.generate(
                **inputs.to(self.model.device),
                max_new_tokens=sampling.max_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                **drawn,
            )
        texts = self.tokenizer.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [_before(text, sampling.stop).strip() for text in texts]

    def _prompt(self, chat: Chat) -> str:
        from jinja2 import TemplateError

        try:
            return self._written(chat)
        except TemplateError as error:  # some templates know no system message
            if len(chat) < 2 or chat[0]["role"] != "system":
                raise InputError(f"{self.place}: its chat template refuses the messages: {error}") from error
            first: Chat = [{"role": "user", "content": f"{chat[0]['content']}\n\n{chat[1]['content']}"}]
            return self._written([*first, *chat[2:]])

    def _written(self, chat: Chat) -> str:
        return str(self.tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True))


def _loaded(model: str) -> tuple[Any, Any]:
    """Tokenizer and model. Raises InputError for what is no language model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    packed = model.endswith(GGUF)
    place, file = (str(Path(model).parent), {"gguf_file": Path(model).name}) if packed else (model, {})
    if packed and not Path(model).is_file():
        raise InputError(f"{model}: no such file")
    try:
        with read_once() if packed else contextlib.nullcontext():
            tokenizer = AutoTokenizer.from_pretrained(place, **file)
            found = AutoModelForCausalLM.from_pretrained(place, dtype="auto", use_safetensors=not packed, **file)
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{model}: no language model that can be loaded: {first}") from error
    except ImportError as error:
        raise InputError(f"{model}: to read GGUF files, pip install 'cityscribe[gguf]': {error}") from error
    return tokenizer, found.eval()


def _before(text: str, stop: Sequence[str]) -> str:
    places = [place for word in stop if (place := text.find(word)) >= 0]
    return text[: min(places)] if places else text


def _digest(model: str) -> str:
    """A hash of the GGUF file, or of everything in the folder of the model; of a hub id, of its snapshot here."""
    from transformers.utils import cached_file

    if Path(model).is_file():
        with Path(model).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    folder = Path(str(cached_file(model, "config.json"))).parent
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            whole.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
