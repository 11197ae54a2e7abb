"""Signed beats of a worker that nobody has acknowledged yet, on disk: they outlive the link and the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec


class Record(msgspec.Struct, frozen=True):
    """A beat and the worker's signature of its hash."""

    body: str
    signature: str


class Spool:
    """The records of one attempt: each is on disk when `add` returns."""

    def __init__(self, path: Path, job_id: UUID, attempt: int) -> None:
        self.job_id, self.attempt, self._path = job_id, attempt, path
        self.waiting: list[Record] = []
        """What has not been acknowledged, in order."""

    @classmethod
    def begin(cls, folder: Path, job_id: UUID, attempt: int) -> Spool:
        """Return the spool of an attempt that begins."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder / f"{job_id}.{attempt}.jsonl", job_id, attempt)

    @classmethod
    def left(cls, folder: Path) -> Iterator[Spool]:
        """Yield what attempts before have left; a line that was being written is not there."""
        for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
            job_id, _, attempt = path.stem.partition(".")
            try:
                spool = cls(path, UUID(job_id), int(attempt))
                whole = path.read_bytes().rpartition(b"\n")[0]
                spool.waiting = [msgspec.json.decode(line, type=Record) for line in whole.splitlines()]
            except (ValueError, msgspec.MsgspecError):
                continue
            yield spool

    def add(self, record: Record) -> None:
        """Keep a record."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.waiting.append(record)

    def acknowledged(self, count: int) -> None:
        """Forget the first records that wait."""
        del self.waiting[:count]

    def close(self) -> None:
        """Clear away: all has been said, or counts nothing."""
        self._path.unlink(missing_ok=True)
