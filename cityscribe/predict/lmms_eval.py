"""lmms-eval 0.7 runs its benchmarks on a checkpoint through the local engine.

    lmms-eval --model cityscribe --model_args pretrained=runs/NAME/model --tasks pope,mme --batch_size 8

The package announces `manifest` to lmms-eval by the entry point group `lmms_eval.models`; the extra `[lmms-eval]`
installs it. The answers are those of `cityscribe predict`: greedy unless a task asks for a temperature, questions about
one image share it, and a batch holds so many images. Arguments: `pretrained` (a folder or hub id), `frames` (that show
a video), `precision`, `tiles`, `device`.

Chat tasks are the default; `--force_simple` takes the older form, which also has tasks that compare likelihoods.
lmms-eval takes the smallest number as the answer there, so what is handed back is the loss, the mean over the tokens.
Audio, beams and conversations of several rounds are not offered.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL import Image
from tqdm import tqdm

from cityscribe.files import InputError
from cityscribe.media.images import as_shown
from cityscribe.media.kinds import is_image
from cityscribe.media.video import probe, read_frames
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.precision import resolve_dtype
from cityscribe.predict.local import Engine
from cityscribe.predict.options import score_options
from cityscribe.predict.prompts import Conversation
from cityscribe.project import settings_without_project
from cityscribe.records import image_block, message, text_block

IMAGE = "<image>"
MAX_NEW_TOKENS = 1024
"""Of an answer, where a task does not say, as lmms-eval's own models take it."""

CALL = 4
"""Batches that go to the engine in one call: enough to find the questions about an image, little enough to hold."""


def manifest() -> ModelManifest:
    """What lmms-eval learns of this model."""
    return ModelManifest(
        model_id="cityscribe", chat_class_path=f"{__name__}.ChatModel", simple_class_path=f"{__name__}.SimpleModel"
    )


class _Model(lmms):
    """A checkpoint behind lmms-eval's interface."""

    def __init__(
        self,
        pretrained: str,
        *,
        batch_size: int | str = 8,
        max_batch_size: int | None = None,
        device: str | None = None,
        frames: int = 8,
        precision: str = "auto",
        tiles: bool = True,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal():
            raise InputError(f"--batch_size {batch_size}: expected a number of images")
        settings = settings_without_project([f"predict.batch_size={batch_size}", f"predict.precision={precision}"])
        local_rank = os.environ.get("LOCAL_RANK", "0")
        self.device = torch.device(device or (f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"))
        model = load_model(pretrained, dtype=resolve_dtype(settings.predict.precision), tiles=tiles)
        processor = load_processor(pretrained, tiles=tiles)
        self.engine = Engine(model.to(self.device), processor, settings.predict)  # type: ignore[arg-type]
        self.frames = frames
        self._folder = tempfile.TemporaryDirectory(prefix="cityscribe-")

    @property
    def batch_size(self) -> int:
        """Images answered together."""
        return self.engine.settings.batch_size

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """The answers in the order of the requests, each cut before the first of its stop texts."""
        results: list[GenerationResult] = []
        for part in self._parts(requests):
            asked = [self._asked(request) for request in part]
            answers = self._answer([talk for talk, _ in asked], [options for _, options in asked])
            for (_, options), (text, tokens) in zip(asked, answers, strict=True):
                results.append(GenerationResult(_until(text, options.get("until")), TokenCounts(output_tokens=tokens)))
        return results

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """The mean loss of a continuation in nats a token, and whether the greedy answer begins with it.

        The pair is wrapped, because the evaluator of 0.7.3 makes text of a bare one and then fails on it.
        """
        results: list[GenerationResult] = []
        for part in self._parts(requests):
            talks, continuations = [], []
            for request in part:
                context, target, visuals_of, doc_id, task, split = request.args
                document = self.task_dict[task][split][doc_id]
                visuals = visuals_of(document) if visuals_of else []
                talks.append(self._conversation([("user", self._marked(context, visuals))], MAX_NEW_TOKENS))
                continuations.append((target if isinstance(target, str) else target(document)).strip())
            scores = score_options(self.engine, talks, [[text] for text in continuations])
            longest = max(found.tokens for (found,) in scores)
            greedy = self._answer(talks, [{"max_new_tokens": longest}] * len(talks))
            for (found,), text, (said, _) in zip(scores, continuations, greedy, strict=True):
                results.append(GenerationResult((-found.mean, said.startswith(text))))
        return results

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Raises NotImplementedError."""
        raise NotImplementedError("cityscribe answers lmms-eval one round at a time; this task has several")

    def _asked(self, request: Instance) -> tuple[Conversation, dict[str, Any]]:
        """A request as a conversation, and how its answer is to be made."""
        raise NotImplementedError

    def _parts(self, requests: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
        size = CALL * self.batch_size
        with tqdm(total=len(requests), disable=self.rank != 0, desc="cityscribe") as bar:
            for start in range(0, len(requests), size):
                part = requests[start : start + size]
                yield part
                bar.update(len(part))

    def _answer(self, talks: Sequence[Conversation], options: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
        """Text and number of tokens of each answer; those of one temperature go to the engine together."""
        answers: dict[int, tuple[str, int]] = {}
        settings = self.engine.settings
        wanted = [_temperature(each) for each in options]
        for temperature in dict.fromkeys(wanted):
            self.engine.settings = settings.model_copy(update={"temperature": temperature})
            places = [place for place, value in enumerate(wanted) if value == temperature]
            asked = [_limited(talks[place], options[place]) for place in places]
            for place, answer in zip(places, self.engine.answer(asked), strict=True):
                answers[place] = (answer.text, answer.tokens)
        self.engine.settings = settings
        self.engine.forget()
        return [answers[place] for place in range(len(talks))]

    def _conversation(self, turns: Sequence[tuple[str, list[Any]]], max_new_tokens: int) -> Conversation:
        """Turns of texts and visuals as a conversation whose images are files."""
        files: list[Path] = []
        messages = []
        for role, parts in turns:
            blocks: list[dict[str, Any]] = []
            for part in parts:
                if isinstance(part, _Text):
                    blocks.append(text_block(part))
                    continue
                shown = self._files(part)
                files += shown
                blocks += [image_block() for _ in shown]
            messages.append(message(role, *blocks))
        return Conversation(tuple(messages), tuple(files), max_new_tokens)

    def _marked(self, text: str, visuals: Sequence[Any]) -> list[Any]:
        """Text and visuals in their order: at the marks of the text where it has one for each, or else before it."""
        parts = text.split(IMAGE)
        if visuals and len(parts) == len(visuals) + 1:
            mixed: list[Any] = []
            for part, visual in zip(parts, [*visuals, None], strict=True):
                mixed += [_Text(part)] if part else []
                mixed += [visual] if visual is not None else []
            return mixed
        return [*visuals, _Text(text)]

    def _files(self, visual: Any) -> list[Path]:
        """The files that show an image or a video. Equal images are one file, which is how the engine shares them."""
        if isinstance(visual, Image.Image):
            return [self._store(visual)]
        if isinstance(visual, str | os.PathLike):
            path = Path(visual)
            if path.is_file() and is_image(path):
                return [path]
            count = probe(path).frames
            numbers = [(2 * n + 1) * count // (2 * self.frames) for n in range(self.frames)]
            frames = read_frames(path, sorted(set(numbers)))
            return [self._store(Image.fromarray(frames[number])) for number in numbers]
        raise InputError(f"cityscribe takes images and videos from lmms-eval, not {type(visual).__name__}")

    def _store(self, image: Image.Image) -> Path:
        plain = as_shown(image)
        name = hashlib.sha256(f"{plain.size}".encode() + plain.tobytes()).hexdigest()
        path = Path(self._folder.name, f"{name}.png")
        if not path.is_file():
            plain.save(path, compress_level=1)
        return path


class ChatModel(_Model):
    """For tasks that give messages."""

    is_simple = False

    def _asked(self, request: Instance) -> tuple[Conversation, dict[str, Any]]:
        _, messages_of, options, doc_id, task, split = request.args
        turns = []
        for entry in messages_of(self.task_dict[task][split][doc_id]):
            parts: list[Any] = []
            for block in entry["content"]:
                kind = block["type"]
                if kind not in ("text", "image", "video"):
                    raise InputError(f"task {task}: shows {kind}, which cityscribe does not take")
                parts.append(_Text(block["text"]) if kind == "text" else block["url"])
            turns.append((entry["role"], parts))
        return self._conversation(turns, MAX_NEW_TOKENS), options


class SimpleModel(_Model):
    """For tasks that give a text and its visuals."""

    is_simple = True

    def _asked(self, request: Instance) -> tuple[Conversation, dict[str, Any]]:
        context, options, visuals_of, doc_id, task, split = request.args
        visuals: Callable[[Any], list[Any]] | None = visuals_of
        shown = visuals(self.task_dict[task][split][doc_id]) if visuals else []
        return self._conversation([("user", self._marked(context, shown))], MAX_NEW_TOKENS), options


class _Text(str):
    """What is said, among the visuals of a turn, some of which are paths."""


def _limited(talk: Conversation, options: dict[str, Any]) -> Conversation:
    return Conversation(talk.messages, talk.images, int(options.get("max_new_tokens") or MAX_NEW_TOKENS))


def _temperature(options: dict[str, Any]) -> float:
    if (options.get("num_beams") or 1) > 1:
        raise InputError(f"num_beams={options['num_beams']}: cityscribe has no beams; --gen_kwargs num_beams=1")
    return float(options.get("temperature") or 0.0) if options.get("do_sample", True) else 0.0


def _until(text: str, stops: str | Sequence[str] | None) -> str:
    for stop in [stops] if isinstance(stops, str) else stops or ():
        text = text.partition(stop)[0] if stop else text
    return text
