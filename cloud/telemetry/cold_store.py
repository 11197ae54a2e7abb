"""Readings that have left the database, as Parquet files under the URL of an object store or a folder."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import numpy as np
import pyarrow
import pyarrow.fs
import pyarrow.parquet

from cloud.telemetry.store.arrays import Readings
from protocols.errors import ConfigError, Unreachable
from protocols.text import Text

_ROW_GROUP = 50_000
_TIME = pyarrow.timestamp("us", tz="UTC")
_SCHEMA = pyarrow.schema(
    [("series_id", pyarrow.int32()), ("time", _TIME), ("value", pyarrow.float64()), ("quality", pyarrow.int16())]
)


class ColdStore:
    """Files by name under `url`: file:///folder, s3://bucket/prefix, gs://... as pyarrow knows them.

    All methods block. They raise Unreachable where the store does not do what is asked.
    """

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a URL that names no store."""
        try:
            self._files, root = pyarrow.fs.FileSystem.from_uri(url)
        except (pyarrow.ArrowException, ValueError, OSError) as error:
            raise ConfigError(
                Text(f"'{url}' names no store for old readings: {error}", f"“{url}”不是有效的冷数据存储地址：{error}"),
                Text("write it as file:///folder or s3://bucket/prefix", "格式：file:///目录 或 s3://桶/前缀"),
                key="--cold-store",
            ) from error
        self._root = PurePosixPath(root)
        self._local = isinstance(self._files, pyarrow.fs.LocalFileSystem)

    def write(self, name: str, readings: Readings) -> None:
        """Write a file, make it durable, and read it back: it holds `readings`, in their order, when this returns."""
        path = str(self._root / name)
        table = pyarrow.table(
            [
                pyarrow.array(readings.series),
                pyarrow.array(readings.time, _TIME),
                pyarrow.array(readings.value),
                pyarrow.array(readings.quality),
            ],
            schema=_SCHEMA,
        )
        try:
            self._files.create_dir(str(PurePosixPath(path).parent), recursive=True)
            pyarrow.parquet.write_table(
                table,
                path,
                filesystem=self._files,
                compression="zstd",
                row_group_size=_ROW_GROUP,
                use_dictionary=["series_id", "value", "quality"],
                column_encoding={"time": "DELTA_BINARY_PACKED"},  # even steps take next to nothing
                write_page_checksum=True,
            )
            if self._local:
                for kept in (path, *map(str, PurePosixPath(path).parents)):
                    _sync(kept)
                    if kept == str(self._root):
                        break
        except (pyarrow.ArrowException, OSError) as error:
            raise _failed(name, error) from error
        found = self.read(name)
        same = (
            np.array_equal(found.series, readings.series)
            and np.array_equal(found.time, readings.time)
            and np.array_equal(found.value.view(np.int64), readings.value.view(np.int64))  # a NaN equals itself so
            and np.array_equal(found.quality, readings.quality)
        )
        if not same:
            raise _failed(name, ValueError("it does not hold what was written"))

    def read(self, name: str, start_us: int | None = None, end_us: int | None = None) -> Readings:
        """Return the readings of a file in [start_us, end_us), in their order."""
        wanted = []
        if start_us is not None:
            wanted.append(("time", ">=", pyarrow.scalar(start_us, _TIME)))
        if end_us is not None:
            wanted.append(("time", "<", pyarrow.scalar(end_us, _TIME)))
        try:
            table = pyarrow.parquet.read_table(
                str(self._root / name),
                filesystem=self._files,
                filters=wanted or None,
                page_checksum_verification=True,
            )
        except (pyarrow.ArrowException, OSError) as error:
            raise _failed(name, error) from error
        return Readings(
            table["series_id"].to_numpy(),
            table["time"].cast(pyarrow.int64()).to_numpy(),
            table["value"].to_numpy(),
            table["quality"].to_numpy(),
        )

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._files.delete_file(str(self._root / name))
        except FileNotFoundError:
            pass
        except (pyarrow.ArrowException, OSError) as error:
            raise _failed(name, error) from error


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(name: str, error: Exception) -> Unreachable:
    return Unreachable(
        Text(f"the store of old readings fails at {name}: {error}", f"冷数据存储在 {name} 处失败：{error}"),
        Text("check --cold-store, the disk and its rights", "请检查 --cold-store、磁盘及权限"),
        key="--cold-store",
    )
