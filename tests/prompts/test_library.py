"""A library puts a prompt together for what a frame shows; looks are asked in rounds, on the image that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cityscribe.engine.request import Answer, Request
from cityscribe.files import InputError
from cityscribe.prompts import LIBRARIES
from cityscribe.prompts.library import PromptLibrary, load_library
from cityscribe.prompts.model_reader import ModelReader
from cityscribe.prompts.object_reader import ObjectReader
from cityscribe.prompts.reader import FrameReading
from cityscribe.prompts.samples import check_tasks, prompted, question_of, with_question
from cityscribe.prompts.settings import PromptSettings
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block, text_of
from cityscribe.sources.choices import choice_turns

LIBRARY = """
looks:
  light: {ask: "Is there a light?", values: {yes: yes, no: no}}
  state: {ask: "What does the {light} light show?", when: {light: yes}, values: {red: red, green: [green, go]}}
  number: {ask: "Which number?", values: {30: 30}}
tasks:
  light:
    ask: Name the state.
    add:
      - {when: {state: [red, green]}, say: "It seems to be {state}."}
      - {when: {light: no}, say: There seems to be none.}
  speed:
    add:
      - {when: {number: 30}, say: "A sign says {number}."}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "library.yaml").write_text(text)
    return folder / "library.yaml"


@pytest.fixture
def library(tmp_path: Path) -> PromptLibrary:
    return load_library(written(tmp_path, LIBRARY))


def sample(task: str, image: str = "a.jpg", question: str = "What is it?", split: str = "val") -> Sample:
    messages = (message("user", image_block(), text_block(question)), message("assistant", text_block("red")))
    return Sample(messages, (image,), image, SampleMeta(scenario=image, dimension=task, split=split))


@pytest.mark.parametrize(
    ("task", "shown", "text", "parts"),
    [
        ("light", {"state": "red"}, "Name the state. It seems to be red.", ("light", "light.add[0]")),
        ("light", {"light": "no"}, "Name the state. There seems to be none.", ("light", "light.add[1]")),
        ("light", {"light": "yes"}, "Name the state.", ("light",)),
        ("light", {}, "Name the state.", ("light",)),
        ("speed", {"number": "30"}, "How fast? A sign says 30.", ("speed", "speed.add[0]")),
        ("speed", {}, "How fast?", ("speed",)),
    ],
)
def test_a_prompt_is_what_the_frame_calls_for(
    library: PromptLibrary, task: str, shown: dict[str, str], text: str, parts: tuple[str, ...]
) -> None:
    found = library.put_together(task, "How fast?", shown)
    assert (found.text, found.parts) == (text, parts)


class Recorded:
    """An engine that says what a table has for a question, and keeps its calls."""

    def __init__(self, said: dict[str, str]) -> None:
        self.said, self.calls = said, []

    def answer(self, requests: Sequence[Request], listener: object = None) -> list[list[Answer]]:
        self.calls.append([(text_of(each.messages[-1]), each.media) for each in requests])
        return [[Answer(self.said.get(text_of(each.messages[-1]), ""), 0, 0)] for each in requests]

    def score(self, *_: object, **__: object) -> list[list[object]]:
        raise AssertionError

    def forget(self) -> None:
        pass


def test_looks_that_wait_come_in_the_next_round_and_only_where_they_can_be_asked(library: PromptLibrary) -> None:
    asked = {"Is there a light?": "Yes, there is.", "What does the yes light show?": "go", "Which number?": "I see 30."}
    engine = Recorded(asked)
    reading = FrameReading(library, Path("root"), Path(), lambda _: engine)
    first = [(text, (Path("root/a.jpg"),)) for text in ("Is there a light?", "Which number?")]
    assert ModelReader().read([("a.jpg",)], reading) == [{"light": "yes", "state": "green", "number": "30"}]
    assert engine.calls == [first, [("What does the yes light show?", (Path("root/a.jpg"),))]]
    engine = Recorded({**asked, "Is there a light?": "No."})
    both = ModelReader().read([("a.jpg",), ("b.jpg",)], FrameReading(library, Path("root"), Path(), lambda _: engine))
    assert both == [{"light": "no", "number": "30"}] * 2
    assert [len(call) for call in engine.calls] == [4]


def test_objects_that_the_data_name_are_there_and_others_are_not(library: PromptLibrary, tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/objects.json").write_text('{"images/a.jpg": ["cone"], "images/b.jpg": ["bus", "cone"]}')
    reading = FrameReading(library, tmp_path, tmp_path, lambda _: Recorded({}))
    frames = [("images/images/a.jpg",), ("images/images/b.jpg",), ("images/c.jpg",)]
    assert ObjectReader().read(frames, reading) == [{"bus": "no", "cone": "yes"}, {"bus": "yes", "cone": "yes"}, {}]
    with pytest.raises(InputError, match="names none of the images"):
        ObjectReader().read([("images/c.jpg",)], reading)


@pytest.mark.parametrize(
    ("text", "message_"),
    [
        ("tasks: {}", "tasks: "),
        ("tasks: {a: {ask: x, say: y}}", r"tasks\.a\.say"),
        ("tasks: {a: {ask: 'x {b}'}}", r"tasks\.a\.ask: \{b\} is neither"),
        ("looks: {a: {ask: 'x {b}'}, b: {ask: y, when: {a: yes}}}\ntasks: {c: {}}", "waits for itself"),
        ("", "tasks: "),
        ("- a", "file: "),
    ],
)
def test_what_is_no_library_is_refused_by_its_place(tmp_path: Path, text: str, message_: str) -> None:
    with pytest.raises(InputError, match=f"library.yaml: .*{message_}"):
        load_library(written(tmp_path, text))


def test_every_shipped_library_loads() -> None:
    assert [load_library(name).tasks.keys() for name in LIBRARIES]


def test_a_task_that_no_sample_is_of_is_refused(library: PromptLibrary) -> None:
    with pytest.raises(
        InputError, match=r"own\.yaml: tasks\.speed: no sample is of this task; there are: light, other"
    ):
        check_tasks(library, [sample("light"), sample("other")], "own.yaml")


def test_only_the_question_changes() -> None:
    turns = [message(role, *blocks) for role, blocks in choice_turns("Which?", ("red", "green"), "a")]
    asked = message("user", image_block(), text_block(text_of(turns[0])))
    choice = Sample((asked, turns[1]), ("a.jpg",), "a", SampleMeta(kind="choice", options=("red", "green")))
    assert question_of(choice) == "Which?"
    changed = with_question(choice, "Which colour?")
    assert text_of(changed.messages[0]) == text_of(asked).replace("Which?", "Which colour?")
    assert with_question(changed, "Which?") == choice
    assert [block["type"] for block in changed.messages[0]["content"]] == ["image", "text"]


def test_controls_are_as_long_and_know_nothing_of_the_frame(library: PromptLibrary) -> None:
    asked = [sample("light", f"{n}.jpg") for n in range(8)] + [sample("other", "0.jpg")]
    shown = {(f"{n}.jpg",): {"state": "red" if n % 2 else "green"} for n in range(8)}
    plain = prompted(asked, library, shown, PromptSettings(), 0)
    assert plain.as_it_is == {"other": 1}
    assert plain.samples[-1] == asked[-1]
    words = prompted(asked, library, shown, PromptSettings(control="random-words"), 0)
    assert [len(row.prompt.split()) for row in words.rows] == [len(row.prompt.split()) for row in plain.rows]
    assert all(row.prompt.startswith("What is it?") for row in words.rows)
    others = prompted(asked, library, shown, PromptSettings(control="other-frame"), 0)
    assert sorted(row.prompt for row in others.rows) == sorted(row.prompt for row in plain.rows)
    assert prompted(asked, library, shown, PromptSettings(control="other-frame"), 0) == others
    train = [sample("light", f"{n}.jpg", split="train") for n in range(8)] * 20
    kept = sum(row.parts == () for row in prompted(train, library, shown, PromptSettings(plain=0.5), 0).rows)
    assert 50 < kept < 110
