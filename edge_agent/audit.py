"""The record of every write to a device: a file that only grows, on disk before anything is sent.

One JSON object a line: first the attempt, then its outcome under the same id. Commands write it, whether an agent runs or
not; the agent follows it and announces each new outcome to the cloud, by the record's own id, so that the cloud keeps
it once however often it is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.atomic_file import sync, write_file
from edge_agent.sink import Sink
from protocols.errors import Refused
from protocols.reading import Value, now_us
from protocols.text import Text
from protocols.uplink.messages import Event

FILE = "audit.jsonl"
FOLLOWED = "audit.followed"
LOOK_EVERY_S = 1.0
UNFINISHED_US = 60_000_000
"""An attempt without an outcome for so long was cut off: nobody knows what the device did."""

Outcome = Literal["written", "refused", "differs", "unverified", "unconfirmed"]
"""Read back as written; not written; read back as something else; not readable; no confirmation came."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. Values are in `unit`, the UN/ECE code the point is configured with; times in microseconds UTC."""

    id: str
    time: int
    user: str
    device: str
    point: str
    unit: str
    before: Value
    wanted: Value
    reason: str
    outcome: Outcome | None = None
    after: Value = None
    text_en: str = ""
    text_zh: str = ""


def user() -> str:
    """Return the OS user of this process, and for root by way of sudo who it was before."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    before = os.environ.get("SUDO_USER")
    return f"{name} ({before})" if before and os.getuid() == 0 else name


def append(state_dir: Path, record: Record) -> None:
    """Add `record`; it is on disk when this returns. Raises Refused where it can not be, for then nothing is written."""
    path = state_dir / FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            line = msgspec.json.encode(record) + b"\n"
            end = file.seek(0, os.SEEK_END)
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = b"\n" + line  # a power cut tore the last one
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(state_dir)
    except OSError as error:
        raise Refused(
            Text(
                f"{path}: the write can not be recorded ({error.strerror}), so nothing is written",
                f"{path}：无法记录本次写入({error.strerror})，因此未写入",
            ),
            Text("free some space and check the folder's permissions", "请腾出空间并检查文件夹权限"),
        ) from error


class AuditFollower:
    """Announces what commands have recorded, also while no agent was running."""

    def __init__(self, state_dir: Path, sink: Sink, now: Callable[[], int] = now_us) -> None:
        self._path = state_dir / FILE
        self._followed = state_dir / FOLLOWED
        self._sink = sink
        self._now = now
        self._announced: set[str] = set()

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while True:
            await self.follow()
            await asyncio.sleep(LOOK_EVERY_S)

    async def follow(self) -> None:
        """Announce what is new, and remember how far when it is on disk in the buffer."""
        start = self._start()
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                content = file.read()
        except FileNotFoundError:
            return
        end = start + self._announce(content)
        if end > start:
            await self._sink.flush()
            write_file(self._followed, str(end).encode())

    def _start(self) -> int:
        try:
            return int(self._followed.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def _announce(self, content: bytes) -> int:
        """Announce the outcomes in `content`; return up to where it needs no second look."""
        open_since: dict[str, tuple[int, Record]] = {}
        place = 0
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                record = msgspec.json.decode(line, type=Record)
            except msgspec.MsgspecError:
                record = None
            if record is not None and record.outcome is None:
                open_since[record.id] = (place, record)
            elif record is not None:
                open_since.pop(record.id, None)
                self._tell(record, Text(record.text_en, record.text_zh))
            place += len(line)
        for begun, record in open_since.values():
            if self._now() - record.time < UNFINISHED_US:
                return min(begun, place)
            self._tell(record, _unfinished(record))
        return place

    def _tell(self, record: Record, text: Text) -> None:
        if record.id not in self._announced:
            self._announced.add(record.id)
            kind = "point_written" if record.outcome in {"written", "unverified", "differs"} else "point_not_written"
            self._sink.add_event(Event(record.id, record.device, record.time, kind, text.en, text.zh))


def _unfinished(record: Record) -> Text:
    return Text(
        f"{record.user} began to write {record.wanted} to '{record.point}' and was cut off; look at the machine",
        f"{record.user} 开始将 {record.wanted} 写入“{record.point}”时被中断；请到现场确认",
    )
