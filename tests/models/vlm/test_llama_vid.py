"""LLaMA-VID: its tokens are those of the published formulas, and it trains and answers exactly in both orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cityscribe.files import InputError
from cityscribe.models.vlm.compose import compose
from cityscribe.models.vlm.guides import CONTENT, CONTEXT, WHOLE, arrange
from cityscribe.tokens.encode import Encoder
from tests.models.test_load import picture
from tests.models.vlm.composed import CLIP, SIGLIP, TOKENIZER, parts
from tests.models.vlm.llama_vid import BERT, CONNECTOR, EVA, llama_vid, plain_tokens
from tests.models.vlm.test_trees import assert_trains_and_answers_exactly


def chat(*questions: str, images: int = 1, answer: str = "Dry.") -> list[dict[str, Any]]:
    """Questions with images before the first, and answers between them."""
    turns: list[dict[str, Any]] = []
    for number, question in enumerate(questions):
        shown = [{"type": "image", "image": picture(n)} for n in range(images if number == 0 else 0)]
        turns.append({"role": "user", "content": [*shown, {"type": "text", "text": question}]})
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return turns[:-1]


def given(processor: Any, messages: list[dict[str, Any]]) -> Any:
    return processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def image_tokens(model: Any, inputs: Any) -> torch.Tensor:
    """What stands in the places of images when the decoder begins."""
    found = []
    handle = model.model.language_model.register_forward_pre_hook(
        lambda _, __, kwargs: found.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.inference_mode():
        model(**inputs)
    handle.remove()
    return found[0][inputs["input_ids"] == model.config.image_token_id]


@pytest.mark.parametrize("pooling", ["mean", "grid:2", "none"])
def test_tokens_are_those_of_the_published_formulas(pooling: str) -> None:
    cells = {"mean": 1, "grid:2": 2, "none": 4}[pooling]
    model, processor = llama_vid(pooling=pooling)
    model = model.double()
    inputs = given(processor, chat("Where is the vehicle?", images=2))
    inputs["pixel_values"] = inputs["pixel_values"].double()
    found = image_tokens(model, inputs)
    tower = model.model.vision_tower[0].model
    ids, mask = inputs["question_ids"][0], inputs["question_mask"][0]
    assert TOKENIZER.decode(ids[mask == 1]) == "Where is the vehicle?"
    with torch.inference_mode():
        states = tower(inputs["pixel_values"], output_hidden_states=True).hidden_states[-1]
        weights = dict(model.model.connector.state_dict())
        expected = torch.cat([plain_tokens(weights, seen, ids[:40], mask[:40], cells) for seen in states])
    assert found.shape == expected.shape == (2 * (1 + cells**2), 32)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    other = given(processor, chat("Describe the weather.", images=2))
    other["pixel_values"] = other["pixel_values"].double()
    change = (image_tokens(model, other) - found).reshape(2, -1, 32).abs().amax((0, 2)) / found.abs().max()
    assert change[0] > 1e-3, "the context token reads the question"
    assert (change[1:] < 1e-12).all(), "content tokens do not"


@pytest.mark.parametrize("order", ["interleaved", "content-first"])
def test_it_trains_on_trees_and_answers_exactly(order: str, tmp_path: Path) -> None:
    model, processor = llama_vid(order=order, pooling="grid:2")
    saves = {"interleaved": 1.0, "content-first": 1.1}[order]
    assert_trains_and_answers_exactly(model, processor, tmp_path, saves=saves)


@pytest.mark.parametrize(
    ("towers", "text_decoder"),
    [((CLIP,), BERT), ((SIGLIP,), CONNECTOR["text_decoder"]), ((EVA, CLIP), CONNECTOR["text_decoder"])],
    ids=["clip, bert", "siglip, qformer", "eva beside clip, qformer"],
)
def test_towers_and_text_decoders_are_settings(
    towers: tuple[dict[str, Any], ...], text_decoder: dict[str, Any]
) -> None:
    chosen = parts(*towers, connector={**CONNECTOR, "text_decoder": text_decoder})
    model, processor = compose(chosen, TOKENIZER)
    first, second = (
        image_tokens(model, given(processor, chat(words))) for words in ("Where?", "Describe the weather.")
    )
    assert first.shape == (2, 32)
    assert (first[0] - second[0]).abs().max() > 1e-4 * first[0].abs().max()
    assert torch.equal(first[1], second[1])


def test_what_stands_beside_a_question_does_not_change_its_context_token() -> None:
    """A short question in a batch with a long one: padding counts for nothing."""
    model, processor = llama_vid()
    alone = given(processor, chat("Where?"))
    ids, mask = processor.read_questions(["Where?", "Describe the weather conditions and the road environment."])
    features, seen = model.model.features(alone["pixel_values"].repeat(2, 1, 1, 1))
    together, _ = model.model.connector.context(features, ids, mask, seen)
    expected = image_tokens(model, alone)[0]
    assert (together[0] - expected).abs().max() < 1e-5 * expected.abs().max()


def test_without_a_context_token_it_shares_images_as_any_other() -> None:
    model, processor = llama_vid(context=False)
    assert not model.reads_text
    assert "question_ids" not in given(processor, chat("Where?"))


SUBTITLED = [
    {"role": "user", "content": [
        {"type": "image"}, {"type": "text", "text": "Hello."},
        {"type": "image"}, {"type": "text", "text": "Who\nspeaks?"},
    ]},
    {"role": "assistant", "content": [{"type": "text", "text": "A man."}]},
    {"role": "user", "content": "Why?"},
]  # fmt: skip

RULES: dict[str, tuple[list[int], list[str]]] = {  # images a message, and the text that guides each
    "each-turn": ([2, 2], ["Hello. Whospeaks?"] * 2 + ["Why?"] * 2),
    "last-turn": ([0, 2], ["Why?"] * 2),
    "first-turn": ([2, 0], ["Hello. Who\nspeaks?"] * 2),
    "bare-question": ([2, 0], ["Who\nspeaks?"] * 2),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_published_program_guides_by_its_own_text(rule: str) -> None:
    images, texts = RULES[rule]
    found = arrange(SUBTITLED, rule, "interleaved")
    counts = [
        sum(block["type"] == "image" for block in message["content"]) if isinstance(message["content"], list) else 0
        for message in found.messages
    ]
    assert counts == [images[0], 0, images[1]]
    assert found.texts == texts
    assert found.parts == [WHOLE] * len(texts)
    assert SUBTITLED[2]["content"] == "Why?", "messages of others are not changed"


def test_content_first_puts_what_reads_the_question_behind_the_last_image() -> None:
    found = arrange(SUBTITLED, "each-turn", "content-first")
    kinds = [block["type"] for block in found.messages[0]["content"]]
    assert kinds == ["image", "text", "image", "image", "image", "text"]
    assert [block["type"] for block in found.messages[2]["content"]] == ["image", "image", "text"]
    assert found.parts == [CONTENT, CONTENT, CONTEXT, CONTEXT, CONTEXT, CONTEXT]
    assert found.texts == ["", "", *["Hello. Whospeaks?"] * 2, *["Why?"] * 2]


@pytest.mark.parametrize("order", ["interleaved", "content-first"])
def test_rounds_are_taught_as_they_are_asked(order: str) -> None:
    """The second question of a conversation is seen with images of its own guide, in training as in asking."""
    model, processor = llama_vid(order=order)
    encoder = Encoder(model, processor)
    conversation = chat("Where?", "And the weather?", images=2)
    messages = [{**turn, "content": [_plain(block) for block in turn["content"]]} for turn in conversation]
    images = [block["image"] for block in conversation[0]["content"] if block["type"] == "image"]
    answered = [*messages, {"role": "assistant", "content": [{"type": "text", "text": "Dry."}]}]
    taught = encoder.teach("two rounds", answered, images)
    asked = encoder.ask("the second", messages, images)
    assert [item.key for item in taught.media] == [item.key for item in asked.media]
    assert (taught.input_ids[: asked.length] == asked.input_ids).all()
    first = encoder.ask("the first", messages[:1], images)
    assert [item.key for item in first.media] == [item.key for item in asked.media][: len(first.media)]
    assert len(asked.media) == len(first.media) + 2
    assert first.unguided == (2 if order == "content-first" else 0)


def test_a_rule_that_moves_images_teaches_no_rounds() -> None:
    model, processor = llama_vid(guide="last-turn")
    messages = [{**turn, "content": [_plain(block) for block in turn["content"]]} for turn in chat("Where?", "When?")]
    messages.append({"role": "assistant", "content": [{"type": "text", "text": "Now."}]})
    with pytest.raises(InputError, match="two: the model reads its images together with the text up to each answer"):
        Encoder(model, processor).teach("two", messages, [Image.new("RGB", (32, 32))])


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "image"} if block["type"] == "image" else block


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "pooling of none": ({"pooling": "grid:0"}, "connector llama-vid: pooling: grid:0; expected mean, grid:N or none"),
    "more cells than patches": ({"pooling": "grid:5"}, "llama-vid: .*5 cells across a grid of 4 x 4"),
    "no text decoder": ({"text_decoder": None}, "text_decoder: missing"),
    "an unknown one": ({"text_decoder": {"kind": "t5"}}, "text-decoder t5: there is none"),
    "an order of none": ({"order": "reversed"}, "order: reversed; expected one of interleaved, content-first"),
    "an order without a context token": (
        {"order": "content-first", "context": False},
        "no tokens apart that read text",
    ),
    "a guide of none": ({"guide": "every-turn"}, "guide: every-turn; expected one of each-turn"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_options_that_cannot_be_are_refused_by_name(fault: str) -> None:
    options, why = BROKEN[fault]
    arrangement = {name: options[name] for name in ("order", "guide") if name in options}
    own = {name: value for name, value in options.items() if name not in arrangement}
    with pytest.raises(InputError, match=why):
        compose(parts(EVA, connector={**CONNECTOR, **own}, **arrangement), TOKENIZER)
