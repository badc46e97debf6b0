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

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL import Image
from tqdm import tqdm

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Answer, Request, Sampling
from cityscribe.files import InputError
from cityscribe.media.kinds import is_image
from cityscribe.media.video import probe, read_frames
from cityscribe.models.load import load_model, load_processor
from cityscribe.models.precision import resolve_dtype
from cityscribe.records import MessageBlock, image_block, message, text_block

log = logging.getLogger(__name__)

IMAGE = "<image>"
Precision = Literal["auto", "bf16", "fp32"]

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
        precision: Precision = "auto",
        tiles: bool = True,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal():
            raise InputError(f"--batch_size {batch_size}: expected a number of images")
        if precision not in get_args(Precision):
            raise InputError(f"precision={precision}: expected one of {', '.join(get_args(Precision))}")
        local_rank = os.environ.get("LOCAL_RANK", "0")
        self.device = torch.device(device or (f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"))
        model = load_model(pretrained, dtype=resolve_dtype(precision), tiles=tiles)
        processor = load_processor(pretrained, tiles=tiles)
        self.engine = LocalEngine(model.to(self.device), processor, batch_size=int(batch_size))  # type: ignore[arg-type]
        self.frames = frames

    @property
    def batch_size(self) -> int:
        """Images answered together."""
        return self.engine.batch_size

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """The answers in the order of the requests, each cut before the first of its stop texts."""
        results: list[GenerationResult] = []
        for part in self._parts(requests):
            for answer in self._answer([self._request(instance) for instance in part]):
                results.append(GenerationResult(answer.text, TokenCounts(output_tokens=answer.tokens)))
        return results

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """The mean loss of a continuation in nats a token, and whether the greedy answer begins with it.

        The pair is wrapped, because the evaluator of 0.7.3 makes text of a bare one and then fails on it.
        """
        results: list[GenerationResult] = []
        for part in self._parts(requests):
            asked, continuations = [], []
            for instance in part:
                context, target, visuals_of, doc_id, task, split = instance.args
                document = self.task_dict[task][split][doc_id]
                visuals = visuals_of(document) if visuals_of else []
                asked.append(self._conversation([("user", self._marked(context, visuals))]))
                continuations.append((target if isinstance(target, str) else target(document)).strip())
            scores = [score for (score,) in self.engine.score(asked, [[text] for text in continuations])]
            self._warn([score.reason for score in scores])
            longest = max(len(score.logprobs) for score in scores) or 1
            greedy = self._answer([replace(request, max_tokens=longest) for request in asked])
            for score, text, answer in zip(scores, continuations, greedy, strict=True):
                loss = float("inf") if score.problem else -score.mean
                results.append(GenerationResult((loss, answer.text.startswith(text))))
        return results

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Raises NotImplementedError."""
        raise NotImplementedError("cityscribe answers lmms-eval one round at a time; this task has several")

    def _request(self, instance: Instance) -> Request:
        """What a task asks, and how its answer is to be made."""
        raise NotImplementedError

    def _parts(self, requests: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
        size = CALL * self.batch_size
        with tqdm(total=len(requests), disable=self.rank != 0, desc="cityscribe") as bar:
            for start in range(0, len(requests), size):
                part = requests[start : start + size]
                yield part
                bar.update(len(part))

    def _answer(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer to each; that to a request which cannot be answered is empty, and is said."""
        answers = [answer for (answer,) in self.engine.answer(requests)]
        self.engine.forget()
        self._warn([answer.reason for answer in answers])
        return answers

    def _warn(self, reasons: Sequence[str]) -> None:
        for reason in reasons:
            if reason:
                log.warning("not answered: %s", reason)

    def _conversation(self, turns: Sequence[tuple[str, list[Any]]]) -> Request:
        """Turns of texts and visuals."""
        media: list[Path | Image.Image] = []
        messages = []
        for role, parts in turns:
            blocks: list[MessageBlock] = []
            for part in parts:
                if isinstance(part, _Text):
                    blocks.append(text_block(part))
                    continue
                shown = self._media(part)
                media += shown
                blocks += [image_block() for _ in shown]
            messages.append(message(role, *blocks))
        return Request(tuple(messages), tuple(media), MAX_NEW_TOKENS)

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

    def _media(self, visual: Any) -> list[Path | Image.Image]:
        """The images that show an image or a video. Equal ones are shared by the engine wherever they come from."""
        if isinstance(visual, Image.Image):
            return [visual]
        if isinstance(visual, str | os.PathLike):
            path = Path(visual)
            if path.is_file() and is_image(path):
                return [path]
            count = probe(path).frames
            numbers = [(2 * n + 1) * count // (2 * self.frames) for n in range(self.frames)]
            frames = read_frames(path, sorted(set(numbers)))
            images = {number: Image.fromarray(frame) for number, frame in frames.items()}
            return [images[number] for number in numbers]
        raise InputError(f"cityscribe takes images and videos from lmms-eval, not {type(visual).__name__}")


class ChatModel(_Model):
    """For tasks that give messages."""

    is_simple = False

    def _request(self, instance: Instance) -> Request:
        _, messages_of, options, doc_id, task, split = instance.args
        turns = []
        for entry in messages_of(self.task_dict[task][split][doc_id]):
            parts: list[Any] = []
            for block in entry["content"]:
                kind = block["type"]
                if kind not in ("text", "image", "video"):
                    raise InputError(f"task {task}: shows {kind}, which cityscribe does not take")
                parts.append(_Text(block["text"]) if kind == "text" else block["url"])
            turns.append((entry["role"], parts))
        return _with_options(self._conversation(turns), options)


class SimpleModel(_Model):
    """For tasks that give a text and its visuals."""

    is_simple = True

    def _request(self, instance: Instance) -> Request:
        context, options, visuals_of, doc_id, task, split = instance.args
        visuals: Callable[[Any], list[Any]] | None = visuals_of
        shown = visuals(self.task_dict[task][split][doc_id]) if visuals else []
        return _with_options(self._conversation([("user", self._marked(context, shown))]), options)


class _Text(str):
    """What is said, among the visuals of a turn, some of which are paths."""


def _with_options(request: Request, options: dict[str, Any]) -> Request:
    """A request as the generation options of a task want it answered."""
    if (options.get("num_beams") or 1) > 1:
        raise InputError(f"num_beams={options['num_beams']}: cityscribe has no beams; --gen_kwargs num_beams=1")
    stops = options.get("until") or ()
    return replace(
        request,
        max_tokens=int(options.get("max_new_tokens") or MAX_NEW_TOKENS),
        sampling=Sampling(float(options.get("temperature") or 0.0) if options.get("do_sample", True) else 0.0),
        stop=tuple(stop for stop in ([stops] if isinstance(stops, str) else stops) if stop),
    )
