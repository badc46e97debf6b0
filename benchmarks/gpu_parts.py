"""The parts of `benchmarks.gpu`. Each notes its figures as it finds them, and raises what stops it."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from benchmarks import predict, preference, tree_training
from benchmarks.in_turns import update_seconds
from cityscribe.engine.local import LocalEngine
from cityscribe.files import InputError
from cityscribe.models.load import save_model
from cityscribe.models.parts import decoder_layers
from cityscribe.models.quantise.linear import PackedLinear
from cityscribe.models.quantise.rounding import Scheme, round_weight
from cityscribe.models.quantise.words import packed
from cityscribe.plan.work import DEVICES
from cityscribe.train.exact import check_tree
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import tree_attention


class Note(Protocol):
    def __call__(self, **figures: float | int | str) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part runs, how large it is, and where its figures go."""

    device: str
    tiny: bool
    folder: Path
    note: Note

    @property
    def shape(self) -> str:
        return "tiny" if self.tiny else self.device

    @property
    def precision(self) -> str:
        return "bf16" if self.device == "cuda" else "fp32"

    def clock(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def peak_gib(self) -> float:
        """The most memory of the GPU so far; on a CPU that of the process."""
        from benchmarks.in_turns import peak_bytes

        return peak_bytes(self.device) / 2**30

    def held_gib(self) -> float:
        """The memory of the GPU that is held now; on a CPU, 0."""
        return torch.cuda.memory_allocated() / 2**30 if self.device == "cuda" else 0.0

    def clear(self) -> None:
        """Free what nobody holds, and count the most memory anew."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def exact(place: Place) -> None:
    """Loss and gradient on trees against each sample alone, by the attention that this device gets."""
    shape = "tiny" if place.tiny else f"{place.device}-shallow"
    questions = 2 if place.tiny else 6
    for kind in ("llama", "gemma3", "hybrid"):
        samples = tree_training.make_samples(place.folder, 2, questions)
        model, processor = tree_training.make_model(
            samples,
            place.device,
            kind,
            dtype=torch.float32,
            shape=shape,
            image_size=56 if place.tiny else 336,
            lora=False,
        )
        attention = tree_attention(model, torch.device(place.device), tree_training.MOST_TOKENS)
        place.note(**{f"{kind}: attention": attention.backend})
        groups = [samples[:questions], samples[questions:]]
        try:
            apart = check_tree(model, attention, groups, place.folder, processor, TrainSettings())
            place.note(**{f"{kind}: apart, share of loss or gradient": apart})
        except InputError as error:
            place.note(**{f"{kind}: not exact": str(error)})
        del model
        place.clear()


def supervised(image_size: int, tiny_image_size: int) -> Callable[[Place], None]:
    """Supervised training on trees and row by row, with two images of this size."""

    def part(place: Place) -> None:
        questions, scenes = (2, 2) if place.tiny else (10, 3)
        budget = 4096 if image_size <= 336 else tree_training.MOST_TOKENS
        for way in ("trees", "rows"):
            folder = place.folder / way
            folder.mkdir()
            samples = tree_training.make_samples(folder, scenes, questions)
            size = tiny_image_size if place.tiny else image_size
            model, processor = tree_training.make_model(
                samples, place.device, shape=place.shape, image_size=size, lora=True
            )
            before, share = place.held_gib(), way == "trees"
            seen = tree_training.train_here(
                samples,
                folder,
                model,
                processor,
                place.precision,
                share,
                place.clock,
                budget_tokens=budget,
                max_tokens=budget,
            )
            best = update_seconds([moment for moment, _ in seen])[0]
            tokens = tree_training.tokens_of(samples[:questions], folder, model, processor, budget, budget)
            if way == "trees":
                place.note(**{"tokens of a scene": tokens["effective"], "of them distinct": tokens["distinct"]})
            place.note(
                **{
                    f"{way}: questions a second": questions / best,
                    f"{way}: tokens a second, of questions one by one": tokens["effective"] / best,
                    f"{way}: GiB above the model": place.peak_gib() - before,
                }
            )
            if way == "trees":
                place.note(**{"trees: distinct tokens a second": tokens["distinct"] / best})
                _utilisation(place, tree_training.operations_of(model, tokens) / best)
            del model, seen
            place.clear()

    return part


def _utilisation(place: Place, flops: float) -> None:
    """The share of what this device can do, and of what its maker says it can."""
    limit = tree_training.matrix_flops(place.device, *((256, 2) if place.tiny else ()))
    place.note(**{"TFLOP/s for distinct tokens": flops / 1e12, "TFLOP/s of a matrix product": limit / 1e12})
    place.note(**{"MFU of distinct tokens, of a matrix product": flops / limit})
    name = torch.cuda.get_device_name() if place.device == "cuda" else ""
    known = next((device for device in reversed(DEVICES) if device.name in name), None)
    if known is not None:
        place.note(**{f"MFU of distinct tokens, of {known.peak / 1e12:.0f} TFLOP/s as stated": flops / known.peak})


def dpo(place: Place) -> None:
    """Pairs of a chosen and a rejected answer, the reference counted as if there were one epoch."""
    scenes, words = (2, 8) if place.tiny else (3, 50)
    for way in ("trees", "rows"):
        folder = place.folder / way
        folder.mkdir()
        samples = preference.make_pairs(folder, scenes, words, 1)
        model, processor = tree_training.make_model(
            samples, place.device, shape=place.shape, image_size=56 if place.tiny else 336, lora=True
        )
        before = place.held_gib()
        clock, losses, reference = preference.train_here(
            samples, folder, model, processor, place.precision, way == "trees", place.clock
        )
        place.note(
            **{
                f"{way}: pairs a second": 1 / (update_seconds(clock)[0] + min(reference)),
                f"{way}: last loss": losses[-1],
                f"{way}: GiB above the model": place.peak_gib() - before,
            }
        )
        del model
        place.clear()


def _questions(place: Place) -> list[Any]:
    scenes, long_tokens, short_tokens = (1, 6, 3) if place.tiny else (4, 96, 8)
    found = predict.make_questions(place.folder, scenes, long_tokens, short_tokens)
    return found[:4] if place.tiny else found


def _model(place: Place) -> tuple[Any, Any]:
    device: Any = place.device
    return predict.make_model(device, shape=place.shape, image_size=56 if place.tiny else 336)


def _timed(place: Place, run: Callable[[], Any]) -> tuple[float, Any]:
    began = place.clock()
    found = run()
    return place.clock() - began, found


def answers(place: Place) -> None:
    """The local engine against `generate` of plain transformers on the same model."""
    model, processor = _model(place)
    questions = _questions(place)
    engine = LocalEngine(model, processor, batch_size=8)
    predict.answer(engine, questions[:1])  # the check on the first prompt belongs to no measurement
    ways: dict[str, Callable[[], list[list[int]]]] = {
        "cityscribe": lambda: predict.answer(engine, questions),
        "generate in batches of 8": lambda: predict.generate(model, processor, questions, 8),
        "generate one by one": lambda: predict.generate(model, processor, questions, 1),
    }
    said: dict[str, list[list[int]]] = {}
    for way, run in ways.items():
        place.clear()
        seconds, said[way] = _timed(place, run)
        place.note(**{f"{way}: answers a second": len(questions) / seconds, f"{way}: GiB at most": place.peak_gib()})
        if way != "cityscribe":
            same = sum(mine == theirs for mine, theirs in zip(said["cityscribe"], said[way], strict=True))
            place.note(**{f"{way}: equal answers of {len(questions)}": same})
    engine.forget()
    seconds, _ = _timed(place, lambda: predict.answer(engine, [predict.replace(questions[0], max_tokens=1)]))
    place.note(**{"cityscribe: first token of one question, ms": seconds * 1000})


def int4(place: Place) -> None:
    """The decoder's linear layers packed in four bits, in the place of those of the same model."""
    model, processor = _model(place)
    questions = _questions(place)
    engine = LocalEngine(model, processor, batch_size=8)
    predict.answer(engine, questions[:1])
    seconds, plain = _timed(place, lambda: predict.answer(engine, questions))
    place.note(**{f"{place.precision}: answers a second": len(questions) / seconds})
    place.note(**{f"{place.precision}: GiB of the decoder's layers": _gib(decoder_layers(model))})
    scheme = Scheme(4, 128 if not place.tiny else 32)
    off, unfit = [], 0
    for layer in decoder_layers(model):
        linears = [(name, part) for name, part in layer.named_modules() if isinstance(part, torch.nn.Linear)]
        for name, linear in linears:
            made, apart = _packed(linear, scheme)
            unfit += apart is None
            off += [apart] if apart is not None else []
            layer.set_submodule(name, made)
    place.clear()
    place.note(
        **{"int4: GiB of the decoder's layers": _gib(decoder_layers(model)), "int4: layers without kernel": unfit}
    )
    if off:
        place.note(**{"int4: product off by, share of the largest": max(off)})
    engine = LocalEngine(model, processor, batch_size=8)
    predict.answer(engine, questions[:1])
    seconds, rounded = _timed(place, lambda: predict.answer(engine, questions))
    same = sum(mine[:1] == its[:1] for mine, its in zip(plain, rounded, strict=True))
    place.note(**{"int4: answers a second": len(questions) / seconds, "int4: GiB at most": place.peak_gib()})
    place.note(**{f"int4: equal first tokens of {len(questions)}": same})


@torch.no_grad()
def _packed(linear: torch.nn.Linear, scheme: Scheme) -> tuple[PackedLinear, float | None]:
    """A layer with the weight of another one in few bits, and how far its kernel's products are from those of the same
    codes; None where there is no kernel."""
    rounded = round_weight(linear.weight, scheme)
    with torch.device(linear.weight.device):
        made = PackedLinear(
            linear.in_features, linear.out_features, linear.bias is not None, scheme, linear.weight.dtype
        )
        hidden = torch.randn(8, linear.in_features, dtype=linear.weight.dtype)
    made.weight_packed.data, made.weight_scale.data = packed(rounded.codes, scheme), rounded.scales
    if made.bias is not None:
        made.bias.data = linear.bias.data
    expected = made(hidden).float()
    if not made.use_kernel():
        return made, None
    return made, float((made(hidden).float() - expected).abs().max() / expected.abs().max())


def _gib(module: torch.nn.Module) -> float:
    return sum(value.nbytes for value in module.parameters()) / 2**30


def vllm(place: Place) -> None:
    """The same questions to a server of the same weights, all at once."""
    program = shutil.which("vllm")
    if program is None:
        place.note(**{"vLLM": "not installed"})
        return
    checkpoint = place.folder / "model"
    save_model(*_model(place), checkpoint)
    place.clear()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    given = ["--port", str(port), "--dtype", "bfloat16", "--limit-mm-per-prompt", '{"image": 2}']
    # What it says goes nowhere: a pipe that nobody reads would stop it.
    server = subprocess.Popen(
        [program, "serve", str(checkpoint), *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while server.poll() is None and not _answers(f"{url}/health"):
            time.sleep(1)
        if server.poll() is not None:
            place.note(**{"vLLM": f"ended with {server.returncode} before it answered"})
            return
        seconds, first_s, _ = predict.server_seconds(f"{url}/v1", _questions(place))
        place.note(**{"vLLM: answers a second": len(_questions(place)) / seconds})
        place.note(**{"vLLM: first token of one question, ms": first_s * 1000})
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


PARTS: dict[str, Callable[[Place], None]] = {
    "exact": exact,
    "sft-1152": supervised(336, 56),
    "sft-8192": supervised(896, 112),
    "dpo": dpo,
    "answers": answers,
    "int4": int4,
    "vllm": vllm,
}
