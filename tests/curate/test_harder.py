"""A round of CoMD's loop: the worst answers, questions like them, and a teacher that answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from cityscribe.curate.harder import (
    TextTeacher,
    assess,
    beside,
    known_of,
    like,
    parted,
    question_of,
    questions_in,
    taught,
)
from cityscribe.curate.harder_run import HarderSettings, write_round
from cityscribe.engine.request import Answer, Request
from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.script import write_script
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block, text_of
from cityscribe.rewards import REWARDS
from cityscribe.sources.messages import read_messages
from tests.curate.test_instructions import Writer
from tests.sources.conversations import picture

TRUTH = {
    "What colour is the bus?": "blue",
    "And the tram?": "grey",
    "How many people wait?": "two",
    "Is it raining?": "yes",
}


def asks(question: str, image: str, answer: str = "") -> Sample:
    said = (message("assistant", text_block(answer)),) if answer else ()
    return Sample((message("user", image_block(), text_block(question)), *said), (image,), image, SampleMeta())


def answers(known: dict[str, str]) -> object:
    return lambda samples: [known.get(text_of(sample.messages[0]), "") for sample in samples]


ASKED = {
    "a.png": ("What colour is the bus?", "How many people wait?", "Is it raining?"),
    "b.png": ("And the tram?", "How many people wait?", "Is it raining?"),
}
SAMPLES = [asks(question, image, "of the data") for image, questions in ASKED.items() for question in questions]


def assessed() -> object:
    student = TRUTH | {"What colour is the bus?": "red", "And the tram?": "green"}
    return assess(SAMPLES, answers(student), answers(TRUTH), REWARDS["overlap"]())  # type: ignore[arg-type]


def test_the_student_is_measured_by_its_teacher() -> None:
    found, left_out = assessed()  # type: ignore[misc]
    assert left_out == Counter()
    assert [each.worth for each in found] == [0, 1, 1, 0, 1, 1]
    assert {text_of(each.sample.messages[-1]) for each in found} == set(TRUTH.values()), "the teacher's answers count"
    hard, easy = parted(found, 0.5, 1)
    assert [each.said for each in hard] == ["red"]
    assert len(easy) == 4
    silent = {name: text for name, text in TRUTH.items() if name != "Is it raining?"}
    kept, counted = assess(SAMPLES, answers(TRUTH), answers(silent), REWARDS["overlap"]())  # type: ignore[arg-type]
    assert (len(kept), counted) == (4, Counter({"the teacher has no answer": 2}))


def test_questions_like_the_hard_ones_are_new_and_taught() -> None:
    found, _ = assessed()  # type: ignore[misc]
    hard, easy = parted(found, 0.5, 9)
    writer = Writer("Q: What colour is the car?\nQ: what colour is the BUS\nQ: And the van?\nQ: One too many?", "None.")
    made = like(Client(writer), hard, 3)
    assert "What colour is the bus?\nA: blue" in writer.read[0]
    assert [text_of(each.messages[-1]) for each in made.samples] == ["What colour is the car?", "And the van?"]
    assert made.left_out == Counter({"a question that is asked already": 1, "no question that can be read": 1})
    assert {each.images for each in made.samples} == {("a.png",)}
    done = taught(made.samples, answers({"What colour is the car?": " green "}))  # type: ignore[arg-type]
    assert [text_of(each.messages[-1]) for each in done.samples] == ["green"]
    assert done.left_out == Counter({"the teacher has no answer": 1})
    assert len(beside(easy, 0.5, 3, 0)) == 3
    assert beside(easy, 0.5, 3, 0) == beside(easy, 0.5, 3, 0)
    with pytest.raises(InputError, match="below 1"):
        beside(easy, 1.0, 3, 0)


def test_a_teacher_that_sees_nothing_answers_from_what_is_known() -> None:
    known = known_of([asks("What colour is the bus?", "a.png", "It is blue."), asks("Wet?", "a.png", "Yes.")])
    writer = Writer("A: Blue.", "Unknown.", "There are seven of them.", " ")
    teacher = TextTeacher(Client(writer), known)
    new: Sequence[Sample] = [asks(f"Question {n}?", "a.png") for n in range(4)]
    assert teacher([*new, asks("Elsewhere?", "c.png")]) == ["Blue.", "", "", "", ""]
    assert "What colour is the bus? It is blue." in writer.read[0]
    assert teacher.left_out == Counter(
        {
            "nothing is known of the picture": 1,
            "it does not know": 1,
            "a number that nothing gives": 1,
            "no reply that can be read": 1,
        }
    )


def test_questions_are_lines_of_their_own() -> None:
    assert questions_in("Sure:\nQ: One?\n  Q:  Two  parts?\nA: no\nQ:\n") == ["One?", "Two parts?"]


class Saying:
    """An engine that knows some answers."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def forget(self) -> None:
        pass

    def answer(self, requests: Sequence[Request], listener: object = None) -> list[list[Answer]]:
        return [[Answer(self.known.get(text_of(one.messages[-1]), "?"), 0, 0)] for one in requests]


def test_a_round_is_a_data_set_of_the_teachers_answers(tmp_path: Path) -> None:
    for image in ASKED:
        picture(tmp_path / "prepared" / image)
    new = {"What colour is the car?": "green", "Which roof is red?": "the left one"}
    engines = {"student": Saying(TRUTH | {"What colour is the bus?": "red"}), "teacher": Saying(TRUTH | new)}
    writer = Writer("Q: What colour is the car?\nQ: Which roof is red?")
    client = Client(writer)
    hard, _ = parted(assess(SAMPLES, _of(engines["student"]), _of(engines["teacher"]), REWARDS["overlap"]())[0], 0.5, 9)
    like(client, hard, 2, ReplySampling(0.7))
    write_script(tmp_path / "replies.json", client.recorded)
    settings = HarderSettings.model_validate(
        {"teacher": "teacher", "language_model": {"kind": "script", "path": str(tmp_path / "replies.json")}}
    )
    given = (settings, SAMPLES, tmp_path / "prepared", "student", engines.__getitem__, tmp_path / "round")
    assert write_round(*given) == {"hard": 1, "like them": 2, "easy": 3}  # type: ignore[arg-type]
    samples, problems = read_messages(tmp_path / "round")
    assert [each.level for each in problems] == []
    said = {question_of(each): text_of(each.messages[-1]) for each in samples}
    assert said.items() <= (TRUTH | new).items()
    assert {"What colour is the bus?", *new} <= said.keys()
    assert {each.meta.split for each in samples} == {"train"}
    assert all((tmp_path / "round" / image).is_file() for each in samples for image in each.images)
    assert not (tmp_path / "round.asked").exists()
    with pytest.raises(InputError, match="exists already"):
        write_round(*given)  # type: ignore[arg-type]
    able = (settings, SAMPLES, tmp_path / "prepared", "teacher", engines.__getitem__, tmp_path / "other")
    with pytest.raises(InputError, match="nothing is hard"):
        write_round(*able)  # type: ignore[arg-type]
    assert not (tmp_path / "other").exists()


def _of(engine: Saying) -> object:
    return answers(engine.known)
