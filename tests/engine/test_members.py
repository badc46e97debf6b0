"""An engine of somebody else's: registered in one line, it is listed, set, asked, and held to its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cityscribe.engine.members import ENGINES, Setup, open_engine
from cityscribe.engine.request import Answer, Listener, Request, Score
from cityscribe.files import InputError
from cityscribe.predict.conversations import predict_conversations
from cityscribe.predict.stage import predict
from cityscribe.project import Settings, resolve
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block, text_of
from cityscribe.registry import registry
from cityscribe.traffic.meta import TrafficMeta
from tests.models.test_load import picture


class Echo:
    """Says the question backwards."""

    def answer(self, requests: Sequence[Request], listener: Listener | None = None) -> list[list[Answer]]:
        return [[Answer(text_of(each.messages[-1])[::-1], 1, 2)] * each.samples for each in requests]

    def score(
        self, requests: Sequence[Request], continuations: Sequence[Sequence[str]], *, ended: bool = False
    ) -> list[list[Score]]:
        return [[Score((-float(len(text)),)) for text in texts] for texts in continuations]

    def forget(self) -> None:
        pass


def open_echo(checkpoint: Path | str, setup: Setup, texts: Iterable[str]) -> Echo:
    return Echo()


@pytest.fixture
def added() -> Iterator[Callable[[Any], None]]:
    def add(target: Any) -> None:
        ENGINES.add("echo", target, "says the question backwards")

    yield add
    ENGINES.remove("echo")


def settings_with(**predict: Any) -> Settings:
    return resolve({"data": {"path": "data"}, "predict": {"engine": "echo", "batch_size": 2, **predict}})


def samples_in(folder: Path) -> list[Sample]:
    picture(0).save(folder / "a.png")
    question = message("user", image_block(), text_block("Describe the vehicle."))
    return [Sample((question,), ("a.png",), "g", TrafficMeta(scenario="event", phase=2, target="vehicle"))]


def test_it_is_listed_set_and_asked(added: Callable[[Any], None], tmp_path: Path) -> None:
    added(open_echo)
    assert "echo" in registry("engine").names()
    out = tmp_path / "predictions.json"
    predict(samples_in(tmp_path), tmp_path, "nowhere", settings_with(), out)
    (phase,) = json.loads(out.read_text())["event"]
    assert phase["caption_vehicle"] == ".elcihev eht ebircseD"
    choice = Sample(
        (message("user", text_block("Who?")),), (), "c", SampleMeta(kind="choice", question="q", options=("x", "y"))
    )
    predict_conversations([choice], tmp_path, "nowhere", settings_with(choices="likelihood"), tmp_path / "out.jsonl")
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (row["answer"], row["chosen"], row["scores"]) == ("a", "a", [-1.0, -1.0])


def test_an_unknown_engine_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(InputError, match=r"predict\.engine: .*local.*remote"):
        settings_with(engine="locl")
    with pytest.raises(InputError, match="did you mean local"):
        open_engine("locl", "nowhere", Setup())


def broken(**methods: Any) -> Callable[..., Any]:
    return lambda checkpoint, setup, texts: type("Broken", (Echo,), methods)()


BROKEN: dict[str, tuple[Any, str]] = {
    "no function": (3, "expected a function"),
    "no engine": (lambda checkpoint, setup, texts: object(), "has no method answer"),
    "too few": (broken(answer=lambda self, requests, listener=None: []), "answers for 0 of 1 requests"),
    "no sample": (broken(answer=lambda self, requests, listener=None: [[]]), "gives 0 answers for request 0"),
    "text": (broken(answer=lambda self, requests, listener=None: [["yes"]]), "gives str for request 0, not Answer"),
    "nothing": (broken(answer=lambda self, requests, listener=None: None), "no list of answers"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_one_that_breaks_its_contract_is_refused(fault: str, added: Callable[[Any], None], tmp_path: Path) -> None:
    target, words = BROKEN[fault]
    added(target)
    with pytest.raises(InputError, match=f"engine echo: .*{words}"):
        predict(samples_in(tmp_path), tmp_path, "nowhere", settings_with(), tmp_path / "out.json")


def test_scores_are_held_to_it_too(added: Callable[[Any], None]) -> None:
    added(broken(score=lambda self, requests, continuations, ended=False: [[]]))
    with pytest.raises(InputError, match="gives 0 scores for request 0, which wants 2"):
        open_engine("echo", "nowhere", Setup()).score([Request(())], [["a", "b"]])
