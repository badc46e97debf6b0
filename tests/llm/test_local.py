"""The member `local` with a real chat model, against plain `generate` of transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cityscribe.files import InputError
from cityscribe.llm import Client, NoReplyError, Reply, ReplySampling
from cityscribe.llm.local import LocalModel
from cityscribe.llm.settings import LocalSettings
from cityscribe.prepare.labeller import label_captions
from tests.llm.real_model import smollm2
from tests.llm.test_client import chats, whole

SHORT = ReplySampling(max_tokens=6)
CAPITALS = chats("What is the capital of France? One word.", "What is the capital of Japan, in one word, please?")


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel(smollm2())


def test_several_chats_at_once_are_answered_as_plain_generate_answers_each(model: LocalModel) -> None:
    found = Client(model).ask(CAPITALS, SHORT, whole)
    inputs = model.tokenizer.apply_chat_template(
        CAPITALS[0], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    alone = model.model.generate(**inputs, max_new_tokens=SHORT.max_tokens, do_sample=False)
    said = model.tokenizer.decode(alone[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert found.texts[0] == said.strip()
    assert "Paris" in said


def test_a_drawn_reply_depends_on_its_seed_alone(model: LocalModel) -> None:
    def drawn(seed: int, *asked: int) -> list[str]:
        torch.manual_seed(len(asked))
        replies = model.answer([CAPITALS[n] for n in asked], ReplySampling(temperature=1.5, max_tokens=3, seed=seed))
        return [reply.text for reply in replies if isinstance(reply, Reply)]

    both = drawn(1, 0, 1)
    assert drawn(1, 1) == both[1:]
    assert drawn(2, 0, 1) != both


def test_what_is_longer_than_the_context_is_refused_and_the_rest_answered(model: LocalModel) -> None:
    long, short = model.answer([chats("car " * 9000)[0], CAPITALS[0]], SHORT)
    assert isinstance(long, NoReplyError)
    assert "over its limit of 8192: car car" in str(long)
    assert isinstance(short, Reply)


def test_a_model_that_does_not_keep_to_the_form_leaves_the_sentences_to_the_rules_and_is_counted(
    model: LocalModel, tmp_path: Path
) -> None:
    settings = LocalSettings(model=str(smollm2()))
    caption = ("pedestrian", "He walks slowly.")
    labels = label_captions([caption], settings, cache=tmp_path, client=Client(model, cache=tmp_path))
    again = label_captions([caption], settings, cache=tmp_path, client=Client(model, cache=tmp_path))
    assert labels == again
    assert len(list(tmp_path.rglob("*.json"))) == 1
    assert (labels.unparsed + labels.unanswered <= 1, len(labels.by_caption[caption])) == (True, 1)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    for place in (tmp_path, tmp_path / "m.gguf", tmp_path / "missing.gguf"):
        with pytest.raises(InputError, match=r"no language model that can be loaded|no such file"):
            LocalModel(place)
