"""Parquet files of readings: a row per reading, names in dictionaries, times in UTC microseconds."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow
import pyarrow.parquet

from cloud.telemetry.export import Page, Plan

_NAME = pyarrow.dictionary(pyarrow.int16(), pyarrow.string())
_SCHEMA = pyarrow.schema(
    [
        ("time", pyarrow.timestamp("us", tz="UTC")),
        ("series_id", pyarrow.int32()),
        ("equipment", _NAME),
        ("point", _NAME),
        ("property", _NAME),
        ("unit", _NAME),
        ("value", pyarrow.float64()),
        ("text", pyarrow.string()),
        ("quality", pyarrow.int16()),
    ]
)


class _Pipe(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]  # all that pyarrow gives
        piece = bytes(data)
        self._kept.append(piece)
        self._written += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what has been written since the last time."""
        taken = b"".join(self._kept)
        self._kept.clear()
        return taken


class ParquetFile:
    """Writes `plan`; see `export.Writer`. Each page becomes a row group, numbers before texts."""

    def __init__(self, plan: Plan) -> None:
        self._place = {column.series_id: index for index, column in enumerate(plan.columns)}
        self._names = {
            "equipment": pyarrow.array([column.equipment for column in plan.columns]),
            "point": pyarrow.array([column.point for column in plan.columns]),
            "property": pyarrow.array([column.property for column in plan.columns]),
            "unit": pyarrow.array([column.unit for column in plan.columns]),
        }
        self._out = _Pipe()
        self._writer = pyarrow.parquet.ParquetWriter(self._out, _SCHEMA, compression="zstd")

    def write(self, page: Page) -> Iterator[bytes]:
        """Take a page; yield its row group."""
        texts = page.texts
        count = len(page.numbers) + len(texts)
        if count:
            series = np.concatenate([page.numbers.series, np.array([row["series_id"] for row in texts], np.int32)])
            time = np.concatenate([page.numbers.time, np.array([row["us"] for row in texts], np.int64)])
            quality = np.concatenate([page.numbers.quality, np.array([row["quality"] for row in texts], np.int16)])
            value = np.concatenate([page.numbers.value, np.full(len(texts), np.nan)])
            place = pyarrow.array([self._place[one] for one in series.tolist()], pyarrow.int16())
            self._writer.write_table(
                pyarrow.table(
                    {
                        "time": pyarrow.array(time, pyarrow.timestamp("us", tz="UTC")),
                        "series_id": pyarrow.array(series),
                        **{
                            name: pyarrow.DictionaryArray.from_arrays(place, names)
                            for name, names in self._names.items()
                        },
                        "value": pyarrow.array(value, from_pandas=True),  # NaN, no value, becomes null
                        "text": pyarrow.array(
                            [None] * len(page.numbers) + [row["text"] for row in texts], pyarrow.string()
                        ),
                        "quality": pyarrow.array(quality),
                    },
                    schema=_SCHEMA,
                )
            )
        yield self._out.take()

    def finish(self) -> Iterator[bytes]:
        """Yield the index at the file's end."""
        self._writer.close()
        yield self._out.take()

    def close(self) -> None:
        """Let go of the writer."""
        if self._writer.is_open:
            self._writer.close()
