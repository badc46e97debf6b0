"""Instruction data by a language model, and what is not believed of what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from cityscribe.curate.instructions import (
    DescribedImage,
    InstructionKind,
    box_questions,
    formatted,
    instruct,
    mixed,
    parsed,
    ungrounded,
)
from cityscribe.files import InputError
from cityscribe.llm import Client, Reply, ReplySampling
from cityscribe.llm.message import Chat
from cityscribe.records import Sample, message, text_block, text_of

STREET = DescribedImage(
    "street.png",
    ("Two cars wait at a crossing while a woman pushes a pram.", "It is raining."),
    (("car", (0.1, 0.5, 0.3, 0.7)), ("car", (0.4, 0.5, 0.6, 0.7)), ("pram", (0.70, 0.61, 0.755, 0.9))),
)
PARK = DescribedImage("park.png", ("A dog sleeps under a bench.",), (("dog", (0.2, 0.2, 0.4, 0.4)),))
TALK = (
    "Q: How many cars wait?\nA: Two of them.\nQ: Is there a dog?\nA: A dog sits by the kerb.\nQ: Rain?\nA: Yes, rain."
)


class Writer:
    """Writes what it was told to, by the picture and the task."""

    identity, place = {"kind": "writer"}, "the writer"
    batch_size = calls_at_once = 1

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.read: list[str] = []

    def answer(self, chats: Sequence[Chat], sampling: ReplySampling) -> list[Reply]:
        self.read += [chat[-1]["content"] for chat in chats]
        return [Reply(self.replies.pop(0)) for _ in chats]


def test_turns_that_rest_on_captions_and_boxes_are_kept_and_the_others_counted() -> None:
    writer = Writer(
        TALK,
        "A: Two cars wait in the rain.\nBehind them a woman pushes a pram.",
        "Q: What should the drivers heed?\nA: The wet road, since it is raining.",
        "A nice picture.",
        "A: The caption says that a dog sleeps.",
        "Q: Why does it rest?\nA: Perhaps it is warm; three more dogs could join.",
        "A nice picture once more.",
    )
    made = instruct(Client(writer), [STREET, PARK])
    assert "car: [0.10, 0.50, 0.30, 0.70]" in writer.read[0]
    assert "Two cars wait at a crossing" in writer.read[0]
    assert [sample.meta.question for sample in made.samples] == ["conversation", "description", "reasoning"]
    assert {sample.group for sample in made.samples} == {"street.png"}, "what is about one picture shares it"
    talk, described, _ = made.samples
    assert [text_of(each) for each in talk.messages] == ["How many cars wait?", "Two of them.", "Rain?", "Yes, rain."]
    assert [block["type"] for each in talk.messages for block in each["content"]].count("image") == 1
    assert text_of(described.messages[1]).endswith("Behind them a woman pushes a pram.")
    assert made.skipped == Counter(
        {
            "names what is not there": 1,
            "no reply that can be read": 1,
            "talks of what it was given": 1,
            "a number that nothing gives": 1,
        }
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Two cars stand there, and one pram.", ""),
        ("2 cars", ""),
        ("There are three cars.", "a number that nothing gives"),
        ("Dogs bark.", "names what is not there"),
        ("The boxes given show it.", "talks of what it was given"),
        ("At these coordinates.", "talks of what it was given"),
        ("Nobody has a doghouse.", ""),
    ],
)
def test_what_an_answer_rests_on(answer: str, reason: str) -> None:
    assert ungrounded(answer, STREET, {"car", "dog", "pram"}) == reason


@pytest.mark.parametrize(
    ("kind", "text", "turns"),
    [
        ("description", "A: A dog.\n\nIt sleeps.", [("", "A dog. It sleeps.")]),
        ("description", "A dog.", []),
        ("reasoning", "Q: Why?\nA: So.\nQ: And?\nA: Then.", [("Why?", "So.")]),
        ("conversation", "A: So.\nQ: Why?", []),
        ("conversation", "Q: Why?\nA:", []),
        ("conversation", "", []),
    ],
)
def test_replies_have_one_form(kind: InstructionKind, text: str, turns: list[tuple[str, str]]) -> None:
    assert parsed(kind, text) == turns


def test_boxes_are_asked_for_where_one_thing_has_the_name() -> None:
    (sample,) = box_questions(STREET)
    assert text_of(sample.messages[0]).startswith("pram\n")
    assert text_of(sample.messages[1]) == "[0.70, 0.61, 0.76, 0.90]" or text_of(sample.messages[1]).startswith("[0.70")
    assert formatted("Which?", "letter").splitlines()[0] == "Which?"
    with pytest.raises(InputError, match="haiku: no form of answers; expected phrase"):
        formatted("Which?", "haiku")


def texts(name: str, count: int) -> list[Sample]:
    said = (message("user", text_block("?")), message("assistant", text_block("!")))
    return [Sample(said, (), f"{name}/{number}") for number in range(count)]


def test_mixtures_keep_their_shares_and_take_nothing_twice() -> None:
    sets = {"pictures": texts("pictures", 50), "texts": texts("texts", 9)}
    taken = mixed(sets, {"pictures": 3, "texts": 1}, 31, seed=1)
    assert Counter(sample.group.partition("/")[0] for sample in taken) == {"pictures": 23, "texts": 8}
    assert len({sample.group for sample in taken}) == 31
    assert mixed(sets, {"pictures": 3, "texts": 1}, 31, seed=1) == taken
    assert mixed(sets, {"pictures": 3, "texts": 1}, 31, seed=2) != taken
    with pytest.raises(InputError, match="texts: has 9 samples; its share of 40 is 10"):
        mixed(sets, {"pictures": 3, "texts": 1}, 40)
    with pytest.raises(InputError, match="shares: sounds; expected shares of pictures, texts"):
        mixed(sets, {"sounds": 1}, 4)
