"""Rows with a rejected answer: a pair of samples from every usual form, and a note where there is none to be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cityscribe.prepare.conversations import prepare_conversations
from cityscribe.prepare.settings import PrepareSettings
from cityscribe.records import Preference, Problem, Sample, read_samples, text_of
from cityscribe.sources.convert import write_converted
from cityscribe.sources.hf_datasets import read_datasets
from cityscribe.sources.llava import read_llava
from cityscribe.sources.messages import read_messages
from cityscribe.sources.sharegpt import read_sharegpt

ASKED = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]
SAID = {"role": "assistant", "content": [{"type": "text", "text": "A crossing."}]}
WRONG = {"role": "assistant", "content": "A river."}
ROWS: dict[str, dict[str, Any]] = {
    "TRL": {"prompt": ASKED, "chosen": [SAID], "rejected": [WRONG]},
    "TRL, text": {"prompt": "<image>What is this?", "chosen": "A crossing.", "rejected": "A river."},
    "TRL, whole conversations": {"chosen": [*ASKED, SAID], "rejected": [*ASKED, WRONG]},
    "ms-swift": {"messages": [*ASKED, SAID], "rejected_response": "A river."},
    "ms-swift, messages": {"messages": [*ASKED, SAID], "rejected_messages": [*ASKED, WRONG]},
}


def folder(root: Path, rows: list[dict[str, Any]]) -> Path:
    root.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(root / "a.png")
    (root / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def assert_a_pair(samples: list[Sample], problems: list[Problem], pair: str) -> None:
    assert problems == []
    assert [(text_of(sample.messages[-1]), sample.preference) for sample in samples] == [
        ("A crossing.", Preference(pair, True)),
        ("A river.", Preference(pair, False)),
    ]
    for sample in samples:
        assert [entry["role"] for entry in sample.messages] == ["user", "assistant"]
        assert sample.messages[0]["content"][0] == {"type": "image"}
        assert (sample.images, sample.group) == (("a.png",), "a.png")


@pytest.mark.parametrize("form", ROWS)
def test_a_row_of_messages_with_a_rejected_answer_is_a_pair(form: str, tmp_path: Path) -> None:
    root = folder(tmp_path / "data", [{**ROWS[form], "images": ["a.png"]}])
    assert_a_pair(*read_messages(root), "train.jsonl:line 1")


def test_a_ranking_of_llama_factory_is_pairs(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", [])
    (root / "train.jsonl").unlink()
    turns = {"from": "human", "value": "<image>What is this?"}
    chosen, rejected = ({"from": "gpt", "value": text} for text in ("A crossing.", "A river."))
    chat = {"conversations": [turns], "chosen": chosen, "rejected": rejected, "images": ["a.png"]}
    plain = {
        "instruction": "<image>What is this?",
        "chosen": "A crossing.",
        "rejected": "A river.",
        "images": ["a.png"],
    }
    columns = {"chosen": "chosen", "rejected": "rejected", "images": "images"}
    described = {
        "chat": {"file_name": "chat.json", "formatting": "sharegpt", "ranking": True, "columns": columns},
        "plain": {"file_name": "plain.json", "ranking": True, "columns": columns},
    }
    (root / "dataset_info.json").write_text(json.dumps(described))
    (root / "chat.json").write_text(json.dumps([chat]))
    (root / "plain.json").write_text(json.dumps([plain]))
    for name in described:
        assert_a_pair(*read_sharegpt(root, files=[name]), f"{name}.json:[0]")


def test_a_rejected_answer_that_is_none_is_noted_and_the_chosen_one_read(tmp_path: Path) -> None:
    messages = [*ASKED, SAID]
    other = [{"role": "user", "content": "What else?"}, WRONG]
    rows = [
        {"messages": messages, "images": ["a.png"], "rejected_messages": other},
        {"messages": messages, "images": ["a.png"], "rejected": 7},
        {"messages": messages, "images": ["a.png"], "rejected": ASKED},
        {"messages": messages, "images": ["a.png"], "rejected": "<image>"},
        {"messages": ASKED, "images": ["a.png"], "rejected": "A river."},
    ]
    samples, problems = read_messages(folder(tmp_path / "data", rows))
    assert [sample.preference for sample in samples] == [None] * 5
    assert [(problem.level, problem.place) for problem in problems] == [
        ("error", "line 1.rejected_messages"),
        ("error", "line 2.rejected"),
        ("error", "line 3.rejected"),
        ("error", "line 4.rejected"),
        ("error", "line 5.rejected"),
    ]


@pytest.mark.parametrize(
    ("to", "read"), [("llava", read_llava), ("sharegpt", read_sharegpt), ("messages", read_messages)]
)
def test_pairs_come_back_as_they_were_written(to: str, read: Callable[..., Any], tmp_path: Path) -> None:
    root = folder(tmp_path / "data", [{**ROWS["TRL"], "images": ["a.png"]}])
    samples, problems = read_messages(root)
    write_converted(samples, problems, root, tmp_path / to, to)
    assert read(tmp_path / to) == (samples, [])


def test_prepared_rejected_answers_are_for_training_only(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", [{**ROWS["TRL"], "images": ["a.png"]}])
    (root / "val.jsonl").write_text((root / "train.jsonl").read_text())
    samples, _ = read_messages(root)
    out = tmp_path / "prepared"
    report = prepare_conversations(samples, root, PrepareSettings(), out)
    assert report.samples == {"train": 2, "val": 1}
    assert [sample.rejected for sample in read_samples(out / "train.parquet", rejected=True)] == [False, True]
    assert [sample.rejected for sample in read_samples(out / "train.parquet")] == [False]
    again, problems = read_datasets(out)
    assert problems == []
    assert [sample.preference for sample in again] == [sample.preference for sample in samples[:3]]
