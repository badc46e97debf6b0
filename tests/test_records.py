from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityscribe.files import InputError, read_json, write_json
from cityscribe.records import (
    Sample,
    image_block,
    message,
    read_samples,
    text_block,
    text_of,
    write_samples,
)
from cityscribe.traffic.meta import TrafficMeta

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SAMPLES = st.builds(
    lambda question, answer, images, group, phase, marked: Sample(
        (
            message("user", *[image_block() for _ in images], text_block(question)),
            message("assistant", text_block(answer)),
        ),
        tuple(images),
        group,
        TrafficMeta(scenario=group, phase=phase, marked=tuple(marked)),
    ),
    TEXTS,
    TEXTS,
    st.lists(TEXTS, max_size=3),
    TEXTS,
    st.integers(-1, 4),
    st.lists(st.sampled_from(["pedestrian", "vehicle"]), unique=True),
)


@settings(max_examples=40)
@given(samples=st.lists(SAMPLES, max_size=5))
def test_samples_survive_the_way_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]
) -> None:
    folder = tmp_path_factory.mktemp("samples")
    assert write_samples(folder / "a.parquet", samples) == len(samples)
    assert read_samples(folder / "a.parquet") == samples
    write_samples(folder / "b.parquet", samples)
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


def test_the_text_of_a_message_leaves_images_out() -> None:
    assert (
        text_of(message("user", image_block(), text_block("What "), image_block(), text_block("now?"))) == "What now?"
    )


def test_another_parquet_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"messages": [1], "images": [2], "group": ["a"], "meta": [3]}), path)
    with pytest.raises(InputError, match=r"x\.parquet: column messages"):
        read_samples(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"x\.parquet: not a readable Parquet"):
        read_samples(path)
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        read_samples(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1,}', "line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5_000, "too long"),
        (b"", "line 1"),
    ],
)
def test_json_that_cannot_be_read_names_file_and_place(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json") as caught:
        read_json(path)
    assert says in str(caught.value)


def test_json_is_written_whole_and_sorted(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "ü"})
    assert read_json(tmp_path / "x.json") == {"a": "ü", "b": 1}
    assert (tmp_path / "x.json").read_text(encoding="utf-8").index('"a"') < 10
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
