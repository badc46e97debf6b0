"""Rows of Parquet and Arrow tables that hold images, a batch in memory at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def each_row(table: Path, places: dict[tuple[str, int], list[tuple[int, str]]]) -> Any:
    """Each wanted row of the columns, one batch in memory at a time."""
    start = 0
    for batch in _batches(table, sorted({column for column, _ in places})):
        batch.validate(full=True)  # what is damaged in memory would end the process, not raise
        for column, row in [place for place in places if start <= place[1] < start + batch.num_rows]:
            yield (batch.column(column), row - start), places[column, row]
        start += batch.num_rows


def _batches(table: Path, columns: list[str]) -> Any:
    if table.suffix.lower() == ".parquet":
        with pq.ParquetFile(table) as parquet:
            yield from parquet.iter_batches(64, columns=columns)
        return
    with pa.memory_map(str(table)) as source:
        yield from pa.ipc.open_stream(source)
