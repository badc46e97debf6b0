"""What the process that holds the model keeps from one batch to the next: nothing that grows."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from cityscribe.engine.grammars import one_of
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request, Sampling
from cityscribe.models.load import load_model, load_processor
from cityscribe.records import image_block, message, text_block
from cityscribe.serve.model_child import Finished, NumberedRequest, Piece, RequestRefused, answer_batch
from tests.serve.running import picture
from tests.tiny_models import ONE_BY_ONE


class Pipe:
    """The other end of it, as `answer_batch` sees it."""

    def __init__(self, *given_up: int) -> None:
        self.said: list[Any] = []
        self.given_up = list(given_up)  # ids of requests, one of which comes with each poll

    def send(self, event: Any) -> None:
        self.said.append(event)

    def poll(self) -> bool:
        return bool(self.given_up)

    def recv(self) -> int:
        return self.given_up.pop(0)


def alive() -> Counter[str]:
    """How many objects of each kind there are. The collector does not run: what only it could free would stay for long
    where every object of it holds images."""
    return Counter(type(each).__name__ for each in gc.get_objects())


def kept(checkpoint: Path, folder: Path) -> dict[str, int]:
    """Objects of each kind that four batches leave behind, where there is one of them or more a batch."""
    engine = LocalEngine(load_model(checkpoint, dtype=torch.float32), load_processor(checkpoint))
    special = engine.processor.tokenizer.all_special_tokens[0]
    images = [folder / f"{n}.png" for n in range(3)]
    for n, path in enumerate(images):
        picture(n).save(path)

    def round_of(number: int) -> None:
        pipe = Pipe()
        asked = []
        for n, path in enumerate(images):
            messages = (message("user", image_block(), text_block(f"{number} {'where? ' * (n + 1)}")),)
            grammar = one_of(["left", "right"]) if n == 1 else ""
            sampling = Sampling(temperature=float(n == 2))
            request = Request(messages, (path,), 5, sampling, stop=("never said",), grammar=grammar)
            asked.append(NumberedRequest(3 * number + n, request))
        nothing = message("user", text_block(f"a {special} of nothing"))
        asked.append(NumberedRequest(-number, Request((nothing,), max_tokens=5)))
        what = message("user", text_block("what?"))
        asked.append(NumberedRequest(-1000 - number, Request((what,), max_tokens=5, grammar="start: /(")))
        answer_batch(cast(Connection, pipe), engine, asked)
        assert Counter(type(event) for event in pipe.said if not hasattr(event, "text")) == {
            Finished: 3,
            RequestRefused: 2,
        }

    for number in range(1, 3):
        round_of(number)
    gc.collect()
    gc.disable()
    before = alive()
    for number in range(3, 7):
        round_of(number)
    if checkpoint.name == ONE_BY_ONE:
        gc.collect()  # `generate` of transformers leaves circles of its own
    return {name: count - before[name] for name, count in alive().items() if count - before[name] >= 4}


@pytest.mark.usefixtures("preloaded_children")
def test_batches_leave_nothing_behind(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    # In a process of its own: what other tests left running here makes objects too.
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        for family in ("llava", ONE_BY_ONE):
            assert not process.submit(kept, tiny(family), tmp_path).result(), family


@pytest.mark.parametrize("family", ["llava", ONE_BY_ONE])
def test_what_is_given_up_is_not_answered_to_its_end(family: str, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    said = {said.id: said.tokens for said in answered(tiny(family), tmp_path, Pipe(2), asked(1), asked(2))}
    assert said == {1: 12, 2: 0}


@pytest.mark.parametrize("family", ["llava", ONE_BY_ONE])
def test_draws_come_from_the_likeliest_tokens_that_make_up_top_p(
    family: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    def text(**options: Any) -> str:
        pipe = Pipe()
        answered(tiny(family), tmp_path, pipe, asked(1, **options))
        return "".join(event.text for event in pipe.said if isinstance(event, Piece))

    greedy = text()
    assert text(sampling=Sampling(temperature=2.0, top_p=1e-6, seed=1)) == greedy
    assert text(sampling=Sampling(temperature=2.0, seed=1)) != greedy


def asked(id_: int, **options: Any) -> NumberedRequest:
    messages = (message("user", image_block(), text_block(f"where is {id_}?")),)
    return NumberedRequest(id_, Request(messages, (Path("picture.png"),), 12, **options))


def answered(checkpoint: Path, folder: Path, pipe: Pipe, *batch: NumberedRequest) -> list[Finished]:
    """How the answers of a model end that has no token to end with."""
    picture(0).save(folder / "picture.png")
    model = load_model(checkpoint, dtype=torch.float32)
    engine = LocalEngine(model, load_processor(checkpoint))
    engine.ends = [len(engine.processor.tokenizer) - 1]
    model.get_output_embeddings().weight.data[engine.ends[0]] = 0.0
    media = (folder / "picture.png",)
    answer_batch(
        cast(Connection, pipe), engine, [NumberedRequest(each.id, replace(each.request, media=media)) for each in batch]
    )
    assert not [event for event in pipe.said if isinstance(event, RequestRefused)]
    return [event for event in pipe.said if isinstance(event, Finished)]
