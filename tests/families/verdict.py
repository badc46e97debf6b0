"""What works with a family, found by running it: from its saved checkpoint to trees, answers, blocks and adapters."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError
from cityscribe.media.images import open_image
from cityscribe.models.families import Family
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import BlockExpansionSettings, LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.records import Sample, image_block, message, text_block
from cityscribe.tokens.encode import Encoder, with_media
from cityscribe.traffic.meta import TrafficMeta
from cityscribe.train.exact import check_rows, check_tree
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import tree_attention

CPU = torch.device("cpu")
GROUPS = (((60, 40), (30, 44)), ((64, 64),))  # sizes of the images of a group, in pixels
ASKED = (
    ("Where is the vehicle?", "On the left side of the pedestrian."),
    ("Where is the pedestrian?", "On the left side, far away."),
    ("Describe the weather.", "Dry."),
)


ONE_IMAGE = ("blip-2", "instructblip")
"""Families whose processors know one image a conversation."""


def make_samples(root: Path, most: int) -> list[Sample]:
    """A group that shows two images (or as many as a conversation may have) and one that shows one, three questions
    each."""
    random = np.random.default_rng(0)
    samples = []
    for group, every in enumerate(GROUPS):
        sizes = every[:most]
        names = tuple(f"{group}-{number}.png" for number in range(len(sizes)))
        for name, (width, height) in zip(names, sizes, strict=True):
            Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(root / name)
        for question, answer in ASKED:
            said = [
                message("user", *(image_block() for _ in names), text_block(question)),
                message("assistant", text_block(answer)),
            ]
            meta = TrafficMeta(scenario=f"event_{group}", view="overhead", phase=group, kind="short")
            samples.append(Sample(tuple(said), names, f"group_{group}", meta))
    return samples


def verdict(kind: str, made: tuple[PreTrainedModel, ProcessorMixin], folder: Path) -> Family:
    """Run everything. Raises what is neither InputError nor an answer that says why it was not given: a bug."""
    model, processor = made
    save_model(model, processor, folder / "model")
    model, processor = load_model(folder / "model", dtype=torch.float32), load_processor(folder / "model")
    samples = make_samples(folder, 1 if kind in ONE_IMAGE else 2)
    groups = [samples[: len(ASKED)], samples[len(ASKED) :]]
    trees, why = "exact", []
    try:
        attention = tree_attention(model, CPU, 10**4)
        check_tree(model, attention, groups, folder, processor, TrainSettings())
    except InputError as error:
        trees = "refused"
        why.append(f"trees: {shortened(error)}")
        for pads in (True, False):
            try:
                check_rows(model, groups, folder, processor, TrainSettings(share_prefix=False), pads=pads)
                trees = "row by row"
                if not pads:
                    why.append("rows: not padded, which would change them")
                break
            except InputError as other:
                if not pads:
                    why.append(f"rows: {shortened(other)}")
    model.zero_grad()
    answers, reason = _answers(model, processor, samples, folder)
    if reason:
        why.append(f"answers: {shortened(reason)}")
    blocks = _expanded(folder, samples)
    adapters = _adapted(folder, samples)
    why += [
        f"{name}: {shortened(found)}"
        for name, found in (("blocks", blocks), ("adapters", adapters))
        if found != "exact"
    ]
    return Family(
        trees=trees,
        answers=answers,
        blocks="exact" if blocks == "exact" else "refused",
        adapters="exact" if adapters == "exact" else "refused",
        why="; ".join(why),
    )


def shortened(reason: object) -> str:
    """A message without the name of the model, and without advice."""
    text = str(reason)
    name, _, rest = text.partition(": ")
    text = rest if name.isidentifier() else text
    return re.split(r" \(rounding explains|; set |; lower |, in which a token|: it would learn", text)[0][:200]


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _answers(
    model: PreTrainedModel, processor: ProcessorMixin, samples: Sequence[Sample], folder: Path
) -> tuple[str, str]:
    """How the engine answers, and why not on shared prefixes. Raises AssertionError where it says another thing than
    `generate`."""
    requests = [
        Request(tuple(sample.messages[:1]), tuple(folder / name for name in sample.images), 8) for sample in samples
    ]
    first = requests[0]
    told = message("assistant", text_block("On the left side."))
    requests.append(replace(first, messages=(*first.messages, told, message("user", text_block("And where is it?")))))
    said, log = _Said(), logging.getLogger("cityscribe.engine.local")
    log.addHandler(said)
    engine = LocalEngine(model, processor, batch_size=4)
    try:
        found = [answer for (answer,) in engine.answer(requests)]
    finally:
        log.removeHandler(said)
    failed = [answer.reason for answer in found if answer.reason]
    if failed:
        return "refused", failed[0]
    expected = [plain(engine, request) for request in requests]
    assert [list(answer.token_ids) for answer in found] == expected
    if engine.shares([]):
        return "shared", ""
    return "one by one", said.lines[0].partition("shared prefixes: ")[2] if said.lines else ""


@torch.inference_mode()
def plain(engine: LocalEngine, request: Request) -> list[int]:
    """What `generate` of plain transformers says to one conversation, given all that the processor gives."""
    images = [open_image(path) for path in request.media]
    model: Any = engine.model
    inputs = engine.processor.apply_chat_template(
        with_media("request", request.messages, images),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    inputs = inputs.to(dtype=model.dtype)  # pixels
    ids = model.generate(**inputs, max_new_tokens=request.max_tokens, do_sample=False)
    return ids[0, inputs["input_ids"].shape[1] :].tolist()


@torch.inference_mode()
def _logits(model: Any, folder: Path, samples: Sequence[Sample]) -> torch.Tensor:
    processor = load_processor(folder / "model")
    images = [open_image(folder / name) for name in samples[0].images]
    prompt = Encoder(model, processor).ask("sample", samples[0].messages[:1], images)
    return model(**prompt.tensors(), **prompt.media_inputs, use_cache=False).logits


def _expanded(folder: Path, samples: Sequence[Sample]) -> str:
    """`exact` where inserted blocks change no bit and plain transformers loads the model again; else why not."""
    model = load_model(folder / "model", dtype=torch.float32)
    before = _logits(model, folder, samples)
    try:
        prepare_tuning(model, ModelSettings(block_expansion=BlockExpansionSettings(blocks=1)))
        save_model(model, load_processor(folder / "model"), folder / "deeper")
    except InputError as error:
        return str(error)
    again = AutoModelForImageTextToText.from_pretrained(folder / "deeper", dtype=torch.float32).eval()
    assert torch.equal(_logits(model, folder, samples), before)
    assert torch.equal(_logits(again, folder, samples), before)
    return "exact"


def _adapted(folder: Path, samples: Sequence[Sample]) -> str:
    """`exact` where adapters change nothing before the first step; else why not."""
    model = load_model(folder / "model", dtype=torch.float32)
    before = _logits(model, folder, samples)
    try:
        prepare_tuning(model, ModelSettings(method="lora", lora=LoraSettings(rank=2)))
    except InputError as error:
        return str(error)
    assert torch.equal(_logits(model, folder, samples), before)
    return "exact"
