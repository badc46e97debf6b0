"""A search tries texts by what answers are worth, asks nothing twice, and leaves a trace."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cityscribe.files import InputError
from cityscribe.llm import Client
from cityscribe.llm.message import Chat, Reply, ReplySampling
from cityscribe.prompts.fitness import Fitness, usable
from cityscribe.prompts.glov import GlovSettings, glov, mean_state, steered
from cityscribe.prompts.library import PromptLibrary, load_library
from cityscribe.prompts.optimise import Optimised, optimise, write_found
from cityscribe.records import Sample, text_of
from cityscribe.rewards.reward import Reward
from tests.prompts.test_library import sample

WORDS = ("red", "green")


def library() -> PromptLibrary:
    return PromptLibrary.model_validate(
        {
            "tasks": {
                "light": {
                    "ask": "Look. What is it?",
                    "add": [{"when": {"dark": "yes"}, "say": "It is dark: {dark}."}],
                    "wordings": ["Name the colour.", "Be brief."],
                }
            }
        }
    )


class Answering:
    """A model that answers right where it is asked for the colour, and shortly."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, samples: Sequence[Sample]) -> list[str]:
        texts = [text_of(each.messages[0]) for each in samples]
        self.asked += [(text, each.images) for text, each in zip(texts, samples, strict=True)]
        return ["red" if "colour" in text and "Look" not in text else "a car" for text in texts]


class Exact(Reward):
    kind: str = "exact"
    needs_reference = True

    def score(self, sample: Sample, answers: Sequence[str]) -> list[float]:
        return [float(answer == text_of(sample.messages[-1])) for answer in answers]


SAMPLES = [sample("light", f"{n}.jpg") for n in range(4)]
SHOWN = {("0.jpg",): {"dark": "yes"}, ("1.jpg",): {"dark": "no"}}


def found(method: str = "search", tries: int = 30, **options: object) -> tuple[Optimised, Answering]:
    model = Answering()
    return optimise(library(), SAMPLES, SHOWN, model, Exact(), method=method, tries=tries, **options), model


def test_the_search_finds_what_the_model_wants_and_asks_nothing_twice() -> None:
    made, model = found(held_out=[sample("light", "9.jpg")])
    assert (made.tries[0].score, made.best.score, made.held_out) == (0.0, 1.0, (0.0, 1.0))
    assert made.tasks == {"light": (0.0, 1.0)}
    assert len(set(model.asked)) == len(model.asked)
    texts = [tuple(sorted(each.texts.items())) for each in made.tries]
    assert len(set(texts)) == len(texts) <= 30
    again, _ = found(held_out=[sample("light", "9.jpg")])
    assert again == made
    assert sum(each.asked for each in made.tries) + 2 == len(model.asked)


def test_the_library_the_trace_and_the_page_say_what_was_found(tmp_path: Path) -> None:
    made, _ = found()
    trace, page = write_found(made, tmp_path / "better.yaml")
    assert load_library(tmp_path / "better.yaml") == made.library
    assert made.library.texts() == made.best.texts
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [line["score"] for line in lines] == [each.score for each in made.tries]
    html = page.read_text()
    assert all(each.why in html for each in made.tries)


@pytest.mark.parametrize(
    ("text", "good"), [("Any {b}.", True), ("None.", False), ("{b} {c}", False), ("{b} {", False), ("", False)]
)
def test_a_text_keeps_the_slots_of_the_one_whose_place_it_takes(text: str, good: bool) -> None:
    assert usable(text, "Some {b}.") is good


class Proposing:
    """A language model that proposes what it is given, and keeps what it was shown."""

    identity, place, batch_size, calls_at_once = {"kind": "proposing"}, "the proposing model", 1, 1

    def __init__(self, reply: str) -> None:
        self.reply, self.seen = reply, []

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply]:
        self.seen += [chat[-1]["content"] for chat in chats]
        return [Reply(self.reply)] * len(chats)


def test_glov_is_shown_the_best_and_the_worst_and_its_proposals_are_tried() -> None:
    model = Proposing("Sure:\n1. Tell the colour.\n2) Wait for {rain}.\n- Say what is there.\n")
    made, _ = found("glov", tries=3, client=Client(model), options=GlovSettings(shown=1))
    assert [each.texts["light"] for each in made.tries[1:]] == ["Tell the colour.", "Say what is there."]
    assert made.best.score == 1.0
    assert "Look. What is it? (0 %)" in model.seen[0]
    fitness = Fitness(library(), SAMPLES, SHOWN, Answering(), Exact(), most=9)
    with pytest.raises(InputError, match="the proposing model: proposed no text"):
        glov(fitness, client=Client(Proposing("I cannot.")))
    with pytest.raises(InputError, match="needs a language model"):
        glov(fitness)


def test_steering_adds_the_difference_of_good_and_bad_texts_behind_its_layer(tiny: Callable[[str], Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("llava"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 5}
    decoder = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).eval()
    model = SimpleNamespace(model=decoder, tokenizer=tokenizer)
    good, bad = ["Name the colour of the light."], ["Say anything."]
    ids = tokenizer("A light.", return_tensors="pt").input_ids
    seen: list[torch.Tensor] = []
    decoder.model.layers[4].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    wanted = 0.5 * (mean_state(model, good, 3) - mean_state(model, bad, 3))
    seen.clear()
    logits = decoder(ids).logits
    with steered(model, good, bad, GlovSettings(steer=0.5, layer=3)) as vector:
        assert torch.equal(vector, wanted)
        seen[1:] = []
        decoder(ids)
    assert torch.allclose(seen[1], seen[0] + vector, atol=1e-6)
    assert torch.equal(decoder(ids).logits, logits)
    with pytest.raises(InputError, match="layer 9: the model has 5"), steered(model, good, bad, GlovSettings(layer=9)):
        pass


@pytest.mark.skipif(importlib.util.find_spec("gepa") is None, reason="needs the extra gepa")
def test_gepa_tries_what_the_model_reflects() -> None:
    model = Proposing("```\nName the colour.\n```")
    made, _ = found("gepa", tries=4, client=Client(model))
    assert made.best.score == 1.0
    assert made.best.why == "reflection"
    assert any("a car" in text for text in model.seen)


def test_samples_of_no_task_of_the_library_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="no sample is of a task"):
        Fitness(library(), [sample("speed")], {}, Answering(), Exact())
