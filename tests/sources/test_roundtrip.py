"""What is written is read again as it was, in every format, and what a format cannot hold is refused."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.files import InputError
from cityscribe.records import Sample, image_block, message, text_block, write_samples
from cityscribe.sources.conversation import MARKS
from cityscribe.sources.convert import WRITERS, write_converted
from cityscribe.sources.hf_datasets import read_datasets
from cityscribe.sources.llava import read_llava, write_llava
from cityscribe.sources.messages import read_messages, write_messages
from cityscribe.sources.recognise import recognise
from cityscribe.sources.sharegpt import read_sharegpt, write_sharegpt
from cityscribe.traffic.meta import TrafficMeta
from tests.sources.conversations import IMAGES, conversations, picture

READERS = {"llava": read_llava, "messages": read_messages, "sharegpt": read_sharegpt}


def through(samples: list[Sample], write: Callable, read: Callable, name: str) -> list[Sample]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for image in IMAGES:
            picture(root / image)
        write(samples, root / name)
        again, problems = read(root)
        assert problems == []
        return again


def holds_mark(sample: Sample) -> bool:
    texts = [block["text"] for entry in sample.messages for block in entry["content"] if block["type"] == "text"]
    return any(MARKS.search(text) for text in texts)


@settings(max_examples=60)
@given(st.lists(conversations(), min_size=1, max_size=3))
def test_messages_llava_messages_loses_nothing(samples: list[Sample]) -> None:
    assert through(samples, write_messages, read_messages, "data.jsonl") == samples
    if not any(map(holds_mark, samples)):
        assert through(samples, write_llava, read_llava, "data.json") == samples


@settings(max_examples=30)
@given(st.data())
def test_sharegpt_loses_nothing(data: st.DataObject) -> None:
    sample = data.draw(conversations().filter(lambda sample: not holds_mark(sample)))
    turns = zip(["user", "assistant"] * 3, sample.messages, strict=False)
    messages = [message(role, *entry["content"]) for role, entry in turns]
    messages = messages[: len(messages) // 2 * 2]
    if data.draw(st.booleans()):
        messages.insert(0, message("system", text_block(data.draw(st.text("ab \n", max_size=4)))))
    if len(messages) < 2:
        return
    shown = sum(block["type"] == "image" for entry in messages for block in entry["content"])
    sample = Sample(tuple(messages), (*sample.images, *IMAGES * 9)[:shown], sample.group, sample.meta)
    assert through([sample], write_sharegpt, read_sharegpt, "city.json") == [sample]


@settings(max_examples=30)
@given(st.lists(conversations(), min_size=1, max_size=3))
def test_what_prepare_writes_is_read_as_a_table(samples: list[Sample]) -> None:
    assert through(samples, lambda entries, path: write_samples(path, entries), read_datasets, "x.parquet") == samples


def sample_of(*texts: str, images: tuple[str, ...] = ()) -> Sample:
    shown = [image_block() for _ in images]
    roles = ["user", "assistant"] * len(texts)
    messages = [
        message(role, *(shown if n == 0 else []), text_block(text))
        for n, (role, text) in enumerate(zip(roles, texts, strict=False))
    ]
    return Sample(tuple(messages), images, "g", TrafficMeta(kind="chat", scenario="s1"))


@pytest.mark.parametrize("mark", ["<image>", "<video>"])
@pytest.mark.parametrize("to", ["llava", "sharegpt"])
def test_a_mark_in_the_text_is_refused_with_the_name_of_the_sample(tmp_path: Path, mark: str, to: str) -> None:
    with pytest.raises(InputError, match=rf"s1: a text holds the mark {mark}"):
        WRITERS[to][0]([sample_of(f"write {mark} here", "no")], tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


def test_sharegpt_refuses_turns_that_llama_factory_drops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="speak in turn"):
        write_sharegpt([sample_of("one", "two", "three")], tmp_path / "x.json")


def test_frames_of_a_video_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prepare it first"):
        write_llava([sample_of("q", "a", images=("v.mp4#t=1.5",))], tmp_path / "x.json")


@pytest.mark.parametrize("to", list(WRITERS))
def test_a_folder_is_converted_with_its_images_and_back(tmp_path: Path, to: str) -> None:
    root = tmp_path / "start"
    picture(root / "deep" / "b.png")
    samples = [sample_of("what?", "that", images=("deep/b.png",)), sample_of("and", "this")]
    write_messages(samples, root / "data.jsonl")
    target = tmp_path / "target"
    files = write_converted(*read_messages(root), root, target, to)
    assert [file.parent for file in files] == [target]
    assert (target / "deep" / "b.png").read_bytes() == (root / "deep" / "b.png").read_bytes()
    assert recognise(target, "conversations") == to
    assert READERS[to](target) == (samples, [])


@pytest.mark.parametrize("to", list(WRITERS))
def test_the_datasets_library_loads_what_is_written(tmp_path: Path, to: str) -> None:
    library = pytest.importorskip("datasets")
    write, suffix = WRITERS[to]
    picture(tmp_path / "a.png")
    write([sample_of("what?", "that", images=("a.png",)), sample_of("and", "this")], tmp_path / f"x{suffix}")
    table = library.load_dataset("json", data_files=str(tmp_path / f"x{suffix}"), cache_dir=str(tmp_path / "c"))[
        "train"
    ]
    spoken = table[0]["conversations" if to == "llava" else "messages"]
    assert len(spoken) == 2
    if to == "sharegpt":
        assert spoken[0] == {"role": "user", "content": "<image>what?"}


def test_nothing_is_converted_where_an_entry_would_be_lost(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_messages([sample_of("q", "a")], tmp_path / "in" / "data.jsonl")
    with (tmp_path / "in" / "data.jsonl").open("a") as file:
        file.write(json.dumps({"messages": []}) + "\n")
    with pytest.raises(InputError, match="line 2"):
        write_converted(*read_messages(tmp_path / "in"), tmp_path / "in", tmp_path / "out", "llava")
    assert not (tmp_path / "out").exists()
