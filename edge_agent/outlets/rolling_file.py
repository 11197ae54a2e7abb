"""One open file in a folder of finished ones: appended to, made durable, finished in time; the oldest ones go.

What is open is called `<time>.<suffix>.part`. A crash, a power cut or a full disk can leave a line unfinished at its
end, which is cut off before the file is finished: a line counts once it is whole.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from edge_agent.atomic_file import sync

OPEN, UNFINISHED = ".part", ".tmp"
_NAME = "%Y%m%dT%H%M%S.%f"


class Format(Protocol):
    """How rows become lines, and lines a finished file. Errors are OSError."""

    suffix: str
    head: bytes

    def encode(self, rows: Sequence[list[Any]]) -> bytes:
        """Return the lines of `rows`."""

    def whole_lines(self, path: Path) -> Iterator[int]:
        """Yield the lengths in bytes of the lines of an open file, its head included, up to the first broken one."""

    def finish(self, part: Path, final: Path) -> None:
        """Turn the open file `part` into the finished `final`, in one step."""


class RollingFile:
    """One thread appends and closes, another one may finish and prune meanwhile. All raise OSError if the disk refuses.

    Args:
        folder: made if it is missing.
        form: of the files.
        limit: size in bytes at which a file is finished.
        longest_s: time in seconds after which a file is finished.

    Attributes:
        cut: of each file that had an unfinished end, the name and how many bytes were cut off.
    """

    def __init__(self, folder: Path, form: Format, limit: int, longest_s: float) -> None:
        self.cut: list[tuple[str, int]] = []
        self._folder = folder
        self._form = form
        self._limit = limit
        self._longest_s = longest_s
        self._part: Path | None = None
        self._descriptor = -1
        self._size = 0
        self._begun = 0.0
        self._closed: dict[Path, int] = {}
        """Sizes of files that were closed with nothing but whole lines in them."""

    def finish(self) -> None:
        """Finish what is closed, and what an earlier run left open."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._ours(UNFINISHED):
            leftover.unlink(missing_ok=True)
        for part in self._ours(OPEN):
            if part == self._part:
                continue
            whole = self._closed.pop(part, None) or sum(self._form.whole_lines(part))
            if lost := part.stat().st_size - whole:
                os.truncate(part, whole)
                self.cut.append((part.name, lost))
            if whole > len(self._form.head):
                self._form.finish(part, part.with_suffix(""))
            else:
                part.unlink()
            sync(self._folder)

    def append(self, rows: Sequence[list[Any]]) -> None:
        """Append `rows` durably: all of them, or, when this raises, none."""
        if self._part is not None and os.fstat(self._descriptor).st_nlink == 0:
            self._leave()  # somebody has deleted it
        if self._part is None:
            self._open()
        data = self._form.encode(rows)
        try:
            _write(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError:  # then nothing may follow that half line, and `finish` cuts it off
                self._leave()
            raise
        self._size += len(data)

    @property
    def due(self) -> bool:
        """Whether the open file is large or old enough to be closed."""
        return self._part is not None and (
            self._size >= self._limit or time.monotonic() - self._begun >= self._longest_s
        )

    def close(self) -> None:
        """Close the open file, if there is one, for `finish`."""
        if self._part is not None:
            self._closed[self._part] = self._size
            self._leave()

    def prune(self, most_bytes: float | None, longest_s: float | None) -> int:
        """Delete the oldest finished files beyond a size together, and those that are too old; returns how many."""
        files = [(path, path.stat()) for path in reversed(self._ours())]
        total, deleted = 0, 0
        for path, stat in files:
            total += stat.st_size
            too_old = longest_s is not None and time.time() - stat.st_mtime > longest_s
            if too_old or (most_bytes is not None and total > most_bytes):
                path.unlink()
                deleted += 1
        return deleted

    def _ours(self, ending: str = "") -> list[Path]:
        """Return the files of ours in the folder, the oldest first: their names begin with the time."""
        name = re.compile(rf"\d{{8}}T\d{{6}}\.\d{{6}}Z{re.escape(self._form.suffix + ending)}")
        return sorted(path for path in self._folder.iterdir() if name.fullmatch(path.name))

    def _leave(self) -> None:
        os.close(self._descriptor)
        self._part = None

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{datetime.now(UTC).strftime(_NAME)}Z{self._form.suffix}{OPEN}"
        self._part = part  # before it exists, so that `finish` never takes it for one that was left
        try:
            self._descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError:
            self._part = None
            raise
        try:
            _write(self._descriptor, self._form.head)
            sync(self._folder)
        except OSError:
            self._leave()
            raise
        self._size, self._begun = len(self._form.head), time.monotonic()


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
