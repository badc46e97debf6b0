"""A language model as judge: reading replies, the cache, and the two kinds of judges with real counterparts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cityscribe.evaluate.judge import (
    SAMPLING,
    VIDEO_CHATGPT,
    Rubric,
    judge_items,
    load_rubrics,
    read_verdict,
    summarise,
)
from cityscribe.evaluate.judge_files import read_items, read_verdicts
from cityscribe.evaluate.verdict import JudgeItem, Verdict
from cityscribe.files import InputError
from cityscribe.llm.client import Client
from cityscribe.llm.local import LocalModel
from cityscribe.llm.message import LanguageModel
from cityscribe.llm.server import ServerModel
from cityscribe.models.tokenizer import train_tokenizer
from tests.evaluate.answered import choice, open_line, write_lines
from tests.llm.chat_server import chat_server

RUBRICS = load_rubrics()
ITEMS = [
    JudgeItem("What drives?", "a car", "a red car"),
    JudgeItem("What drives?", "a car", "a bus"),
    JudgeItem("Is it day?", "yes", "I am a candidate who ignores {reference} and its {braces}"),
]


@pytest.mark.parametrize(
    ("reply", "correct", "score"),
    [
        ('{"pred": "yes", "score": 4}', True, 4),
        ("{'pred': 'yes', 'score': 4.8}", True, 4),
        ("{'pred': 'no', 'score': 0}", False, 0),
        ('Sure! Here it is: {"pred": "No.", "score": "2"} I hope that helps.', False, 2),
        ('```json\n{"Pred": "YES", "Score": 5}\n```', True, 5),
        ("{''pred'': yes, ''score'': 3}", True, 3),
        ("pred: no\nscore: 1", False, 1),
        ("{'pred': 'yes and no', 'score': 3}", True, 3),
        ('{"pred": "yes"}', None, None),
        ('{"score": 3}', None, None),
        ('{"pred": "maybe", "score": 3}', None, None),
        ('{"pred": "yes", "score": 7}', None, None),
        ('{"pred": "yes", "score": -1}', None, None),
        ('{"pred": "yes", "score": NaN}', None, None),
        ('{"pred": "yes", "score": 1e999}', None, None),
        ("The answer is right.", None, None),
        ("{" * 3000, None, None),
        ("", None, None),
    ],
)
def test_replies_are_read_as_the_official_script_does_or_counted(
    reply: str, correct: bool | None, score: int | None
) -> None:
    assert read_verdict(reply, RUBRICS["answer"]) == Verdict(correct, score, reply)


def test_a_rubric_of_scores_alone_wants_no_verdict() -> None:
    assert read_verdict("{''score'': 4.8}", RUBRICS["detail"]).score == 4
    assert read_verdict('{"pred": "yes", "score": 2}', RUBRICS["detail"]).correct is None


@given(st.text(max_size=80))
def test_no_reply_is_fatal(reply: str) -> None:
    verdict = read_verdict(reply, RUBRICS["answer"])
    assert (verdict.correct is None) == (verdict.score is None)


def test_the_prompts_show_all_that_is_judged_and_nothing_is_filled_in_twice() -> None:
    assert list(RUBRICS) == ["answer", "correctness", "detail", "context", "temporal", "consistency"]
    item = JudgeItem("q one", "the {answer}", "said {reference}", "q two", "said again")
    for name, rubric in RUBRICS.items():
        system, user = rubric.messages(item)
        assert (system["role"], user["role"]) == ("system", "user")
        wanted = ["q one", "the {answer}", "said {reference}"]
        wanted += ["q two", "said again"] if name == "consistency" else []
        assert all(text in user["content"] for text in wanted)
    assert len({rubric.sha256 for rubric in RUBRICS.values()}) == len(RUBRICS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("answer: {verdict: true, system: s, user: '{answer}'}", "answer.user: does not show {reference}"),
        ("answer: {verdict: true, user: '{answer}{reference}'}", "answer.system: "),
        ("answer: [", "not YAML"),
        ("- a", "p.yaml: "),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        load_rubrics(tmp_path / "p.yaml")


def judged(
    items: list[JudgeItem], model: LanguageModel, rubric: Rubric = RUBRICS["answer"], *, cache: Path | None = None
) -> tuple[list[Verdict], dict[str, str]]:
    return judge_items(items, Client(model, cache=cache), VIDEO_CHATGPT, rubric)


def by_the_words(asked: str) -> str:
    return '{"pred": "yes", "score": 5}' if "Candidate: a red car" in asked else "{'pred': 'no', 'score': 1.9}"


def test_a_server_judges_once_and_the_cache_remembers(tmp_path: Path) -> None:
    with chat_server(by_the_words) as server:
        server.faults = {0: 429, 2: 408}
        judge = ServerModel(server.url, "m", concurrency=1, tries=3)
        cache = tmp_path / "cache"
        items = [*ITEMS, ITEMS[0]]
        found, judged_by = judged(items, judge, cache=cache)
        assert [(v.correct, v.score) for v in found] == [(True, 5), (False, 1), (False, 1), (True, 5)]
        assert len(server.asked) == 5
        body = server.asked[0]
        assert (body["temperature"], body["model"], body["max_tokens"]) == (0, "m", 128)
        assert [entry["role"] for entry in body["messages"]] == ["system", "user"]
        assert judged_by == {
            "kind": "server",
            "base_url": server.url,
            "model": "m",
            "temperature": "0",
            "seed": "0",
            "max_tokens": "128",
            "answered_as": "judge-2026",
        }
        again = judged(items, ServerModel(server.url, "m"), cache=cache)
        assert (again, len(server.asked)) == ((found, judged_by), 5)
        judged(ITEMS[:1], judge, RUBRICS["detail"], cache=cache)
        judged(ITEMS[:1], ServerModel(server.url, "other", tries=1), cache=cache)
        assert len(server.asked) == 7, "another prompt and another judge are asked anew"


def test_a_stopped_judgement_goes_on_from_what_is_in_the_cache(tmp_path: Path) -> None:
    with chat_server(by_the_words) as server:
        server.faults = {2: 400}
        judge = ServerModel(server.url, "m", concurrency=1, tries=1)
        with pytest.raises(InputError, match=r"\(m\): 400: .*not this time"):
            judged(ITEMS, judge, cache=tmp_path)
        found, _ = judged(ITEMS, judge, cache=tmp_path)
        assert [v.score for v in found] == [5, 1, 1]
        assert len(server.asked) == 4


TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>"
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama that has learned to say one thing, whatever it is asked."""
    folder = tmp_path_factory.mktemp("judge")
    reply = '{"pred": "yes", "score": 4}'
    # Repeated, so that it becomes a few tokens of the vocabulary.
    tokenizer = train_tokenizer([*(rubric.system for rubric in RUBRICS.values()), *[reply] * 300], 400)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    said = [*tokenizer.encode(reply, add_special_tokens=False), tokenizer.eos_token_id]
    for step in range(70):
        asked = RUBRICS["answer"].messages(JudgeItem("which " * (step % 5), f"item {step}", "said"))
        text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        ids = torch.tensor([prompt + said])
        labels = torch.tensor([[-100] * len(prompt) + said])
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_of_this_machine_judges_as_plain_generate_does(llama: Path, tmp_path: Path) -> None:
    found, judged_by = judged(ITEMS, LocalModel(llama, batch_size=2), cache=tmp_path)
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    for item, verdict in zip(ITEMS, found, strict=True):
        text = tokenizer.apply_chat_template(
            RUBRICS["answer"].messages(item), tokenize=False, add_generation_prompt=True
        )
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
        alone = model.generate(
            ids, max_new_tokens=SAMPLING.max_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )
        assert verdict.reply == tokenizer.decode(alone[0, ids.shape[1] :], skip_special_tokens=True).strip()
    assert [(v.correct, v.score) for v in found] == [(True, 4)] * 3
    assert len(judged_by["sha256"]) == 64
    again = LocalModel(llama)
    again.model = None  # whatever is in the cache is not asked
    assert judged(ITEMS, again, cache=tmp_path) == (found, judged_by)


def test_a_template_without_system_message_still_shows_its_words(llama: Path) -> None:
    judge = LocalModel(llama)
    messages = RUBRICS["answer"].messages(ITEMS[0])
    judge.tokenizer.chat_template = NO_SYSTEM
    prompt = judge._prompt(messages)
    assert messages[0]["content"] in prompt
    assert messages[1]["content"] in prompt
    assert "<system>" not in prompt


def test_what_is_no_chat_model_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no language model that can be loaded"):
        LocalModel(str(tmp_path))
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    tokenizer.chat_template = None
    model.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    with pytest.raises(InputError, match="no chat template"):
        LocalModel(str(tmp_path / "plain"))


def test_both_accuracies_and_the_mean_score() -> None:
    verdicts = [Verdict(True, 5), Verdict(True, 4), Verdict(False, 0), Verdict(None, None, "?")]
    found = summarise(verdicts, ["a", "b", "c", "d"], seed=0)
    assert (found.items, found.unparsed, found.yes, found.no) == (4, 1, 2, 1)
    assert (found.accuracy, found.accuracy_over_all) == (pytest.approx(2 / 3), 0.5)
    assert (found.score, found.score_over_all) == (3, 2.25)
    assert found.accuracy_interval is not None
    low, high = found.accuracy_interval
    assert low < 0.5 < high
    none = summarise([Verdict(None, None, "?")], ["a"], seed=0)
    assert (none.score, none.unparsed, "accuracy" in none.to_json()) == (None, 1, False)


def test_items_of_both_forms(tmp_path: Path) -> None:
    lines = [
        choice("1", ("standing", "walking"), "walking", "b."),
        open_line("2", "a car", "a bus"),
        open_line("3", "", ""),
    ]
    (first, second) = read_items(write_lines(tmp_path / "p.jsonl", lines))
    assert (first[2].reference, first[2].answer) == ("walking", "walking")
    assert second == ("2", "2", JudgeItem("Which?", "a car", "a bus"))
    official = [{"video_name": "v1", "Q": "q", "A": "a", "pred": "p"}]
    (tmp_path / "o.json").write_text(json.dumps(official))
    assert read_items(tmp_path / "o.json") == [("v1/0", "v1", JudgeItem("q", "a", "p"))]
    twice = [{"video_name": "v1", "Q1": "q", "Q2": "r", "A": "a", "pred1": "p", "pred2": "s"}]
    (tmp_path / "o.json").write_text(json.dumps(twice))
    assert read_items(tmp_path / "o.json")[0][2] == JudgeItem("q", "a", "p", "r", "s")
    (tmp_path / "o.json").write_text(json.dumps([{"Q": "q", "A": "a"}]))
    with pytest.raises(InputError, match=r"\[0\].pred"):
        read_items(tmp_path / "o.json")
    with pytest.raises(InputError, match="none of its answers has a reference"):
        read_items(write_lines(tmp_path / "n.jsonl", lines[2:]))
    (tmp_path / "v.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(InputError, match="line 1: is no verdict"):
        read_verdicts(tmp_path / "v.jsonl")
