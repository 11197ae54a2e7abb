"""Parquet as the format of a file outlet: lines of JSON on disk until the file is finished, then Parquet.

A Parquet file is worth nothing before its end is written. So that nothing is lost, what is open is a journal, one JSON
array a line; finishing turns it into Parquet under another name, makes that durable, and only then deletes the journal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.atomic_file import sync
from edge_agent.outlets.config import Column, ParquetConfig
from edge_agent.outlets.rolling_file import UNFINISHED
from protocols.errors import ConfigError
from protocols.text import Text

ROW_GROUP = 50_000
"""Rows of one row group: what is in memory while a file is finished."""


class ParquetFormat:
    """See `rolling_file.Format`; raises ConfigError where pyarrow is not installed.

    The column "value" becomes two, `value` with numbers and `text` with texts.

    Args:
        config: the columns.
    """

    suffix = ".parquet"
    head = b""

    def __init__(self, config: ParquetConfig) -> None:
        if find_spec("pyarrow") is None:
            raise ConfigError(
                Text("Parquet needs the package 'pyarrow'", "Parquet 缺少软件包“pyarrow”"),
                Text("install sunmao-iiot[parquet]", "请安装 sunmao-iiot[parquet]"),
                key="outlet.kind",
            )
        self._columns = config.columns

    def encode(self, rows: Sequence[list[Any]]) -> bytes:
        """Return the lines of `rows`."""
        if "value" in self._columns:
            at = self._columns.index("value")
            for row in rows:
                if isinstance(row[at], int):
                    row[at] = float(row[at])  # as it will be in Parquet; JSON's integers end at 64 bits
        return msgspec.json.Encoder().encode_lines(rows)

    def whole_lines(self, path: Path) -> Iterator[int]:
        """Yield the length of every line that is whole."""
        decoder = msgspec.json.Decoder(list[Any])
        with path.open("rb") as file:
            for line in file:
                try:
                    decoder.decode(line)
                except msgspec.MsgspecError:
                    return
                if not line.endswith(b"\n"):
                    return
                yield len(line)

    def finish(self, part: Path, final: Path) -> None:
        """Turn the journal into Parquet; a reader finds the whole file or none. Raises OSError."""
        import pyarrow  # noqa: PLC0415 - 40 MB that only a box with this outlet needs
        import pyarrow.parquet  # noqa: PLC0415

        schema = pyarrow.schema([field for column in self._columns for field in _fields(pyarrow, column)])
        temporary = final.with_name(f"{final.name}{UNFINISHED}")
        try:
            with (
                part.open("rb") as journal,
                pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer,
            ):
                for rows in _groups(journal):
                    writer.write_table(pyarrow.table(self._arrays(rows), schema=schema), row_group_size=ROW_GROUP)
            sync(temporary)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        sync(final.parent)
        part.unlink()

    def _arrays(self, rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
        arrays: dict[str, list[Any]] = {}
        for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True):
            if column == "value":
                arrays["value"] = [float(cell) if isinstance(cell, (int, float)) else None for cell in cells]
                arrays["text"] = [cell if isinstance(cell, str) else None for cell in cells]
            elif column in ("time", "local_time"):
                arrays[column] = [datetime.fromisoformat(cell) for cell in cells]
            else:
                arrays[column] = list(cells)
        return arrays


def _groups(journal: Any) -> Iterator[list[list[Any]]]:
    decoder = msgspec.json.Decoder(list[Any])
    rows: list[list[Any]] = []
    for line in journal:
        rows.append(decoder.decode(line))
        if len(rows) == ROW_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows


def _fields(pyarrow: Any, column: Column) -> list[Any]:
    match column:
        case "time":
            return [pyarrow.field("time", pyarrow.timestamp("us", tz="UTC"))]
        case "local_time":
            return [pyarrow.field("local_time", pyarrow.timestamp("us"))]
        case "value":
            return [pyarrow.field("value", pyarrow.float64()), pyarrow.field("text", pyarrow.string())]
        case _:
            return [pyarrow.field(column, pyarrow.string())]
