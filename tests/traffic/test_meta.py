from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
import pytest

from cityscribe.files import InputError
from cityscribe.records import METAS, Sample, SampleMeta, message, read_samples, text_block, write_samples
from cityscribe.traffic.meta import TrafficMeta, traffic_meta

SAID = (message("user", text_block("What?")), message("assistant", text_block("That.")))


def test_the_columns_of_a_traffic_sample_stand_in_their_order(tmp_path: Path) -> None:
    write_samples(tmp_path / "none.parquet", [], TrafficMeta)
    names = [field.name for field in pq.read_schema(tmp_path / "none.parquet").field("meta").type]
    expected = "scenario domain split view view_kind phase kind target dimension marked note question options"
    assert " ".join(names) == expected


def test_a_file_says_by_its_columns_what_its_samples_say_of_themselves(tmp_path: Path) -> None:
    for meta in (SampleMeta("a", options=("x", "y")), TrafficMeta("a", phase=3, marked=("vehicle",))):
        samples = [Sample(SAID, (), "g", meta)]
        write_samples(tmp_path / "a.parquet", samples)
        assert read_samples(tmp_path / "a.parquet") == samples


def test_a_room_of_its_own_adds_columns(tmp_path: Path) -> None:
    METAS.add("organ", OrganMeta, "of a test")
    try:
        samples = [Sample(SAID, (), "g", OrganMeta("patient", organ="liver", slice=7))]
        write_samples(tmp_path / "a.parquet", samples)
        assert read_samples(tmp_path / "a.parquet") == samples
        assert samples[0].name == "patient/liver"
    finally:
        METAS.remove("organ")
    with pytest.raises(InputError, match=r"a\.parquet: column meta: expected"):
        read_samples(tmp_path / "a.parquet")


@dataclass(frozen=True, slots=True)
class OrganMeta(SampleMeta):
    COLUMNS: ClassVar[tuple[str, ...]] = (*SampleMeta.COLUMNS, "organ", "slice")

    organ: str = ""
    slice: int = 0

    def parts(self) -> tuple[str, ...]:
        return (self.organ,)


def test_a_sample_is_named_by_what_it_says() -> None:
    assert Sample(SAID, (), "g", SampleMeta(kind="chat")).name == "g/chat"
    full = TrafficMeta("s", view="cam", phase=3, target="vehicle", kind="short", dimension="motion", domain="internal")
    assert Sample(SAID, (), "g", full).name == "s/cam/action/vehicle/short/motion"
    assert full.about() == {"domain": "internal", "phase": "action", "dimension": "motion", "road user": "vehicle"}


def test_a_plain_sample_is_one_of_no_phase() -> None:
    plain = Sample(SAID, (), "g", SampleMeta("s", split="val", question="q"))
    assert traffic_meta(plain) == TrafficMeta("s", split="val", question="q")
