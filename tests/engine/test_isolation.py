"""What fails, fails alone: each other request gets what it gets alone, wherever the fault is planted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from cityscribe.engine.constrain import Guide
from cityscribe.engine.drafts import Drafts
from cityscribe.engine.failure import Failure, StepError, apart
from cityscribe.engine.grammars import one_of
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Answer, Listener, Request, Sampling
from cityscribe.engine.sampling import Sampler
from cityscribe.records import image_block, text_block
from tests.engine.test_local import answers_of, ask, engine_of
from tests.models.test_load import picture
from tests.tiny_models import ONE_BY_ONE

Checkpoint = Callable[[str], Path]
Plant = Callable[[LocalEngine, pytest.MonkeyPatch], None]
BAD = "Z"
"""Stands in the text of the request that fails, and nowhere else."""


def batch() -> list[Request]:
    """Five requests about two scenes and none, of which the third fails where a fault is planted."""
    scenes = [picture(n, size=(40 + 8 * n, 32)) for n in range(2)]
    texts = ["Where?", "Who?", f"Why {BAD} now?", "When?"]
    shown = [ask(image_block(), text_block(text), media=(scenes[n // 3],)) for n, text in enumerate(texts)]
    return [*shown, ask(text_block("And the weather?"))]


def token_of(engine: LocalEngine) -> int:
    (token,) = engine.processor.tokenizer.encode(BAD, add_special_tokens=False)
    return int(token)


def plant_template(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    template = "{% for m in messages %}{% for b in m.content %}{% if 'Z' in (b.text or '') %}{{ 1 // 0 }}{% endif %}"
    patch.setattr(
        engine.processor, "chat_template", template + "{% endfor %}{% endfor %}" + engine.processor.chat_template
    )


def plant_forward(error: Callable[[], Exception]) -> Plant:
    """Wherever the token comes along: while the scene is computed, and in each step after it."""

    def plant(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
        token = token_of(engine)

        def hook(module: Any, args: tuple[Tensor, ...]) -> None:
            if (args[0] == token).any():
                raise error()

        engine.model.get_input_embeddings().register_forward_pre_hook(hook)

    return plant


def plant_late(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    """In a step in which several are decoded together, after some tokens."""
    (answer,) = answers_of(engine, [batch()[2]])
    engine.forget()
    generated = list(answer.token_ids)
    steps: list[list[int]] = []

    def hook(module: Any, args: tuple[Tensor, ...]) -> None:
        steps.append(args[0].flatten().tolist())
        fed = [token for step in steps for token in step if len(step) < 9]
        if generated[4] in fed and all(token in fed for token in generated[:4]):
            steps.clear()
            raise RuntimeError("planted")

    # The tokens of all rows are seen here, so that others may set it off as well: only the time of it is certain.
    engine.model.get_input_embeddings().register_forward_pre_hook(hook)


def plant_sampler(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    token, choose = token_of(engine), Sampler.choose

    def broken(sampler: Sampler, logits: Tensor) -> int:
        if token in sampler._prompt.input_ids:
            raise RuntimeError("planted")
        return choose(sampler, logits)

    patch.setattr(Sampler, "choose", broken)


def plant_guide(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    mask, masks = Guide.mask, []

    def broken(guide: Guide, logits: Tensor) -> Tensor | None:
        masks.append(guide)
        if len(masks) == 3:
            raise RuntimeError("planted")
        return mask(guide, logits)

    patch.setattr(Guide, "mask", broken)


def plant_text(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    (answer,) = answers_of(engine, [batch()[2]])
    engine.forget()
    text = engine.text

    def broken(token_ids: Sequence[int]) -> str:
        if list(token_ids[:4]) == list(answer.token_ids[:4]):
            raise RuntimeError("planted")
        return text(token_ids)

    patch.setattr(engine, "text", broken)


def planted() -> Exception:
    return RuntimeError("planted")


PLANTS: dict[str, tuple[Plant, dict[str, Any], str]] = {
    "template": (plant_template, {}, "refused"),
    "forward": (plant_forward(planted), {}, "failed"),
    "memory": (plant_forward(torch.OutOfMemoryError), {}, "out-of-memory"),
    "sampler": (plant_sampler, {"sampling": Sampling(temperature=1.0)}, "failed"),
    "guide": (plant_guide, {"grammar": one_of(["on the left", "on the right"])}, "failed"),
    "text": (plant_text, {}, "failed"),
}


@pytest.mark.parametrize(
    ("family", "plant"),
    [("llava", plant) for plant in PLANTS] + [(ONE_BY_ONE, plant) for plant in PLANTS if plant != "sampler"],
)
def test_a_fault_at_any_step_is_that_of_one_request(
    family: str, plant: str, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny(family))
    sow, options, problem = PLANTS[plant]
    requests = batch()
    requests[2] = replace(requests[2], **options)
    if plant == "sampler":
        requests[1] = replace(requests[1], **options)
    alone = [answers_of(engine, [request])[0] for request in requests]
    engine.forget()
    sow(engine, monkeypatch)
    heard = Pieces(len(requests))
    answers = [answer for (answer,) in engine.answer(requests, heard)]
    assert [answers[n] for n in (0, 1, 3, 4)] == [alone[n] for n in (0, 1, 3, 4)]
    assert (answers[2].problem, answers[2].text) == (problem, "")
    assert answers[2].reason
    assert heard.ended == [[answer] for answer in answers]
    assert [heard.text[n] for n in (0, 1, 3, 4)] == [answers[n].text for n in (0, 1, 3, 4)]
    if problem == "failed":
        assert "RuntimeError: planted" in answers[2].reason
        assert answers[2].at[0] == "RuntimeError"
        assert answers_of(engine, [requests[0]]) == [alone[0]]


def test_a_pass_that_fails_once_in_the_middle_costs_nobody_anything(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(tiny("llava"))
    requests = [replace(request, max_tokens=14) for request in batch()]
    requests[1] = replace(requests[1], sampling=Sampling(temperature=1.5))
    expected = [answers_of(engine, [request])[0] for request in requests]
    engine.forget()
    plant_late(engine, monkeypatch)
    heard = Pieces(len(requests))
    answers = [answer for (answer,) in engine.answer(requests, heard)]
    assert [answer.token_ids for answer in answers] == [answer.token_ids for answer in expected]
    assert heard.text == [answer.text for answer in answers]


def test_drafts_that_fail_harm_who_they_are_made_for(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(tiny("llava"))
    requests = batch()
    alone = [answers_of(engine, [request])[0] for request in requests]
    engine.forget()
    engine.drafts = Drafts([[1, 2, 3]])
    calls: list[int] = []

    def broken(token_ids: Sequence[int], longest: int = 0) -> list[int]:
        calls.append(len(token_ids))
        if len(calls) == 3:
            raise RuntimeError("planted")
        return []

    monkeypatch.setattr(engine.drafts, "propose", broken)
    answers = answers_of(engine, requests)
    assert [answer == before for answer, before in zip(answers, alone, strict=True)].count(False) == 1
    assert [answer.problem for answer in answers].count("failed") == 1


@pytest.mark.parametrize("method", ["answer", "score"])
def test_what_cannot_be_asked_is_refused_by_name(method: str, tiny: Checkpoint, tmp_path: Path) -> None:
    engine = engine_of(tiny("qwen2.5-vl"))
    (tmp_path / "torn.png").write_bytes(b"\x89PNG torn")
    Image.new("RGB", (1000, 4)).save(tmp_path / "wide.png")
    good = ask(image_block(), text_block("Where?"), media=(picture(0),))
    wrong = {
        r"torn\.png: not an image": replace(good, media=(tmp_path / "torn.png",)),
        r"nowhere\.png: no such image": replace(good, media=(tmp_path / "nowhere.png",)),
        r"`Where\?`: .*aspect ratio": replace(good, media=(tmp_path / "wide.png",)),
        r"1 image blocks and 0 images": replace(good, media=()),
        "surrogates|utf-8|TextEncodeInput": ask(text_block("half \ud800 of a pair")),
    }
    requests = [good, *wrong.values(), ask(text_block("Who?"))]
    if method == "score":
        scores = engine.score(requests, [["left", "right"]] * len(requests))
        found = [(each[0].problem, each[0].reason) for each in scores]
        alone = engine.score([good], [["left", "right"]])[0]
        assert [score.sum for score in scores[0]] == pytest.approx([score.sum for score in alone], abs=1e-5)
    else:
        answers = answers_of(engine, requests)
        found = [(answer.problem, answer.reason) for answer in answers]
        assert answers[0] == answers_of(engine, [good])[0]
    assert found[0] == found[-1] == ("", "") or found[0][0] in ("cut", "empty")
    for (problem, reason), pattern in zip(found[1:-1], wrong, strict=True):
        assert problem == "refused"
        assert re.search(pattern, reason), reason
        assert "\n" not in reason


def test_scores_beside_one_that_raises(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for family in ("llava", ONE_BY_ONE):
        engine = engine_of(tiny(family))
        texts = [["left", "on the right"]] * 5
        alone = engine.score(batch(), texts)
        engine.forget()
        plant_forward(planted)(engine, monkeypatch)
        scores = engine.score(batch(), texts)
        assert [score.problem for score in scores[2]] == ["failed"] * 2
        for n in (0, 1, 3, 4):
            assert [score.sum for score in scores[n]] == pytest.approx([score.sum for score in alone[n]], abs=1e-5)


def test_a_request_that_is_too_long_for_the_context_is_refused(tiny: Checkpoint) -> None:
    engine = engine_of(tiny("llava"))
    short, long = ask(text_block("Where?")), ask(text_block("Where? " * 50))
    engine.context = 60
    assert [answer.problem for answer in answers_of(engine, [short, long])][1] == "too-long"
    assert "exceed 60" in answers_of(engine, [long])[0].reason
    assert answers_of(engine, [replace(short, max_tokens=0)])[0].problem == "refused"


def test_halves_find_who_raises_and_run_all_others() -> None:
    done: dict[int, int] = {}
    failed: dict[int, Failure] = {}

    def run(part: Sequence[int], first: bool) -> None:
        for item in part:
            if item % 7 == 3:
                raise StepError(Failure("failed", str(item)))
        done.update({item: len(part) for item in part})

    def fail(item: int, failure: Failure) -> None:
        failed[item] = failure

    apart(range(20), run, fail, lambda item: item in done or item in failed)
    assert {item: failure.reason for item, failure in failed.items()} == {3: "3", 10: "10", 17: "17"}
    assert sorted(done) == [item for item in range(20) if item % 7 != 3]


class Pieces(Listener):
    """Keeps what it is told."""

    def __init__(self, requests: int) -> None:
        self.text = [""] * requests
        self.ended: list[list[Answer]] = [[] for _ in range(requests)]

    def piece(self, request: int, sample: int, text: str) -> None:
        assert not self.ended[request]
        self.text[request] += text

    def finished(self, request: int, answers: Sequence[Answer]) -> None:
        assert not self.ended[request], "told once"
        self.ended[request] = list(answers)
