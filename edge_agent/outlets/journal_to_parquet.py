"""Turns a journal, one JSON array a line, into a Parquet file; run as a program by `parquet_file`.

The file is written under another name, made durable and only then given its own; after that the journal is deleted.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow
import pyarrow.parquet

from edge_agent.atomic_file import sync
from edge_agent.outlets.rolling_file import UNFINISHED

ROW_GROUP = 20_000
"""Rows of one row group: what is in memory at once."""


def convert(part: Path, final: Path, columns: Sequence[str]) -> None:
    """Turn the journal `part` into the Parquet file `final`; raises OSError.

    `columns` name the cells of a line. "value" becomes two columns, `value` with numbers and `text` with texts.
    """
    schema = pyarrow.schema([field for column in columns for field in _fields(column)])
    temporary = final.with_name(f"{final.name}{UNFINISHED}")
    with part.open("rb") as journal:
        # The agent may have been killed since and have started this once more: one waits for the other.
        fcntl.flock(journal, fcntl.LOCK_EX)
        if not part.exists():
            return
        try:
            with pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for rows in _groups(journal):
                    writer.write_table(pyarrow.table(_arrays(columns, rows), schema=schema), row_group_size=ROW_GROUP)
            sync(temporary)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        sync(final.parent)
        part.unlink()


def _groups(journal: BinaryIO) -> Iterator[list[list[Any]]]:
    decoder = msgspec.json.Decoder(list[Any])
    rows: list[list[Any]] = []
    for line in journal:
        rows.append(decoder.decode(line))
        if len(rows) == ROW_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows


def _arrays(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    arrays: dict[str, list[Any]] = {}
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        if column == "value":
            arrays["value"] = [cell if isinstance(cell, float) else None for cell in cells]
            arrays["text"] = [cell if isinstance(cell, str) else None for cell in cells]
        elif column in ("time", "local_time"):
            arrays[column] = [datetime.fromisoformat(cell) for cell in cells]
        else:
            arrays[column] = list(cells)
    return arrays


def _fields(column: str) -> list[pyarrow.Field]:
    match column:
        case "time":
            return [pyarrow.field("time", pyarrow.timestamp("us", tz="UTC"))]
        case "local_time":
            return [pyarrow.field("local_time", pyarrow.timestamp("us"))]
        case "value":
            return [pyarrow.field("value", pyarrow.float64()), pyarrow.field("text", pyarrow.string())]
        case _:
            return [pyarrow.field(column, pyarrow.string())]


def main() -> None:
    """Convert as the arguments say, behind all that is more urgent; what fails is one line on standard error."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the agent, which waits for this
    os.nice(10)
    part, final, *columns = sys.argv[1:]
    try:
        convert(Path(part), Path(final), columns)
    except OSError as error:
        sys.exit(error.strerror or str(error))


if __name__ == "__main__":
    main()
