"""Parquet as the format of a file outlet: lines of JSON on disk until the file is finished, then Parquet.

A Parquet file is worth nothing before its end is written. So that nothing is lost, what is open is a journal, one JSON
array a line; `journal_to_parquet` turns it into Parquet when it is finished.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.outlets.config import ParquetConfig
from protocols.errors import ConfigError
from protocols.text import Text


class ParquetFormat:
    """See `rolling_file.Format`; raises ConfigError where pyarrow is not installed.

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
        """Turn the journal into Parquet; a reader finds the whole file or none. Raises OSError.

        It is done by a process of its own: pyarrow takes some 100 MB, and seconds in which this one has devices to read.
        """
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edge_agent.outlets.journal_to_parquet", part, final, *self._columns],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise OSError(f"{part.name}: {(done.stderr.strip().splitlines() or ['stopped'])[-1]}")
