"""An export into a file on this machine: whole and durable under its name, or not there at all."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

from cloud.telemetry.schemas import ExportFormat
from protocols.errors import ConfigError
from protocols.text import Text


def ending(path: Path) -> ExportFormat:
    """Return the format that the name of `path` asks for; raises ConfigError if there is none such."""
    found = path.suffix.lower().removeprefix(".")
    formats = get_args(ExportFormat)
    if found not in formats:
        names = ", ".join(f".{one}" for one in formats)
        raise ConfigError(
            Text(f"'{path.name}' does not say which format is wanted", f"“{path.name}”未指明文件格式"),
            Text(f"let it end in one of: {names}", f"文件名须以下列之一结尾：{names}"),
            key="--out",
        )
    return cast(ExportFormat, found)


def instant_of(text: str, key: str) -> datetime:
    """Return the time `text` names; raises ConfigError unless it is ISO 8601 with its offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ConfigError(
            Text(f"'{text}' is not a time with its offset", f"“{text}”不是带时区偏移的时间"),
            Text("write it as 2026-02-01T08:00:00+08:00", "格式示例：2026-02-01T08:00:00+08:00"),
            key=key,
        )
    return time


async def save(path: Path, pieces: AsyncIterator[bytes]) -> int:
    """Write `pieces` to `path` and return how many bytes that are; raises ConfigError if it cannot be written there.

    A file that is there is replaced only by a whole one.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            async for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        os.replace(draft, path)
    except OSError as error:
        raise ConfigError(
            Text(f"cannot write {path}: {error.strerror or error}", f"无法写入 {path}：{error.strerror or error}"),
            Text("choose a folder you may write, with room enough", "请选择可写且空间充足的目录"),
            key="--out",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return size
