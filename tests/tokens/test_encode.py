"""Tokens and answers of conversations, for the template of every family and for templates that make it hard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import image_block, message, text_block, text_of
from cityscribe.tokens.encode import Encoder
from tests.tiny_models import FAMILIES

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]

IMAGES = [Image.fromarray(np.full((40, 60, 3), shade, dtype=np.uint8)) for shade in (10, 200)]
ONE_ROUND = [
    message("user", image_block(), image_block(), text_block("Dry or wet? Dry.")),
    message("assistant", text_block("Dry.")),
]
TWO_ROUNDS = [
    *ONE_ROUND,
    message("user", text_block("Where is the vehicle? ")),
    message("assistant", text_block("The vehicle is on the left, 20 m away.")),
]
LLAVA_1_5 = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
    "{% for b in m['content'] %}"
    "{% if b['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ b['text'] + ' ' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
MARKED_LLAVA_1_5 = LLAVA_1_5.replace(
    "{{ b['text'] + ' ' }}",
    "{% if m['role'] == 'assistant' %}{% generation %}{{ b['text'] + ' ' }}{% endgeneration %}"
    "{% else %}{{ b['text'] + ' ' }}{% endif %}",
)


def answers(model: PreTrainedModel, processor: ProcessorMixin, messages: list) -> list[str]:
    """The stretches of tokens that are trained, as text."""
    images = IMAGES if any(block["type"] == "image" for block in messages[0]["content"]) else []
    conversation = Encoder(model, processor).teach("one", messages, images)
    edges = np.flatnonzero(np.diff(conversation.trained.astype(int), prepend=0, append=0))
    return [processor.tokenizer.decode(conversation.input_ids[a:b]) for a, b in edges.reshape(-1, 2)]


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_found_by_marks_and_by_differences(family: str, load: Load) -> None:
    model, processor = load(family)
    expected = [text_of(turn) + "<|im_end|>" for turn in TWO_ROUNDS if turn["role"] == "assistant"]
    assert answers(model, processor, TWO_ROUNDS) == expected
    processor.chat_template = processor.chat_template.replace("{%- generation -%}", "").replace(
        "{%- endgeneration -%}", ""
    )
    assert answers(model, processor, TWO_ROUNDS) == expected
    assert answers(model, processor, [message("user", text_block("Hello?")), *ONE_ROUND[1:]]) == expected[:1]


@pytest.mark.parametrize("family", FAMILIES)
def test_conversations_are_encoded_as_plain_transformers_does(family: str, load: Load) -> None:
    model, processor = load(family)
    encoder = Encoder(model, processor)
    for messages in (ONE_ROUND, TWO_ROUNDS):
        conversation = encoder.teach("one", messages, IMAGES)
        images = iter(IMAGES)
        filled = [
            {**turn, "content": [b if b["type"] == "text" else {**b, "image": next(images)} for b in turn["content"]]}
            for turn in messages
        ]
        expected = processor.apply_chat_template(filled, tokenize=True, return_dict=True, return_tensors="pt")
        assert conversation.input_ids.tolist() == expected.pop("input_ids")[0].tolist()
        del expected["attention_mask"]
        for name, values in conversation.token_inputs.items():
            assert values.tolist() == expected.pop(name)[0].tolist()
        assert conversation.media_inputs.keys() == expected.keys()
        for name, value in conversation.media_inputs.items():
            assert torch.equal(value, torch.as_tensor(expected[name])), name


@pytest.mark.parametrize("template", [LLAVA_1_5, MARKED_LLAVA_1_5])
def test_an_answer_that_the_template_leaves_open_is_ended(template: str, load: Load) -> None:
    model, processor = load("llava")
    processor.chat_template = template
    assert [answer.strip() for answer in answers(model, processor, ONE_ROUND)] == ["Dry.<|im_end|>"]
    first, last = answers(model, processor, TWO_ROUNDS)
    assert first.strip() == "Dry."
    assert last.strip() == "The vehicle is on the left, 20 m away.<|im_end|>"


def test_a_generation_prompt_that_opens_thoughts_is_no_part_of_the_answer(load: Load) -> None:
    model, processor = load("llava")
    processor.chat_template = LLAVA_1_5.replace("'ASSISTANT:'", "'ASSISTANT: <think>'")
    assert [answer.strip() for answer in answers(model, processor, ONE_ROUND)] == ["Dry.<|im_end|>"]


@pytest.mark.parametrize(
    ("template", "messages", "expected"),
    [
        (
            "{{ messages | length }}" + LLAVA_1_5.replace("{% if add_generation_prompt %}", "{% if false %}"),
            TWO_ROUNDS,
            "one: cannot tell where answer 1 stands",
        ),
        (
            "{{ raise_exception('no system turns here') }}",
            ONE_ROUND,
            "one: the chat template refuses .*no system turns",
        ),
        (LLAVA_1_5, ONE_ROUND[:1], "one: the assistant says nothing"),
        (LLAVA_1_5, [ONE_ROUND[0], message("assistant", text_block(" "))], "one: cannot tell where answer 1 stands"),
        (
            MARKED_LLAVA_1_5.replace("m['role'] == 'assistant'", "m['role'] == 'assistant' and 'far' in b['text']"),
            [*TWO_ROUNDS[:3], message("assistant", text_block("far."))],
            "one: the chat template marks 1 of its 2 answers",
        ),
        (LLAVA_1_5, [message("user", image_block()), ONE_ROUND[1]], "one: has 1 image blocks and 2 images"),
        (LLAVA_1_5, [message("user", *[image_block()] * 2, text_block("<image>")), ONE_ROUND[1]], "one: the processor"),
    ],
)
def test_what_cannot_be_located_is_an_error_that_names_the_sample(
    template: str, messages: list, expected: str, load: Load
) -> None:
    model, processor = load("llava")
    processor.chat_template = template
    with pytest.raises(InputError, match=expected):
        Encoder(model, processor).teach("one", messages, IMAGES)
