"""Keeps what was collected until the cloud has it: group commit to the buffer file, survival of a full or damaged disk.

Nothing counts as collected before it is on disk. One thread owns the file; the event loop only adds to the group that
is committed next, at the latest after `group_s`.

    disk full    the group stays in memory and is tried again every second; beyond `MAX_PENDING` rows the oldest go, counted
    limit hit    the oldest telemetry in the file goes, counted; so does what is older than the age limit
    file damaged it is renamed with its date and a new one, with a new epoch, is begun; the group is not lost
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from edge_agent.atomic_file import sync
from edge_agent.buffer_file import BufferFile, Damaged
from edge_agent.buffer_state import Gap, Group, Settled, Stats
from edge_agent.config import BufferConfig
from edge_agent.events import announcer
from edge_agent.normalise import Mark
from protocols.errors import ConfigError, Refused
from protocols.text import Language, Text
from protocols.uplink.messages import Delivery, Event, Inspection, LateOpinion, PointRef, Receipt
from protocols.uplink.rows import Row

MAX_PENDING = 50_000
RETRY_S = 1.0
SETTLE_S = 2.0
"""How long what the cloud has waits at the most for a group to be committed with."""
QUIET_S = 3600.0
"""Dropping, or refusal for the same reason, is announced again when there was none for so long."""
FILE = "buffer.db"

Result = TypeVar("Result")


class Buffer:
    """The sink of everything collected, and the forwarder's source.

    Args:
        folder: the state directory.
        config: limit and group time.
        language: of log lines.
    """

    def __init__(self, folder: Path, config: BufferConfig, language: Language) -> None:
        self._path = folder / FILE
        self._limit, self._age, self._group_s = _limits(config)
        self._file: BufferFile | None = None
        self._thread = ThreadPoolExecutor(1, "buffer")
        self._group = Group()
        self._rows = 0
        self._rows_under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        self._committing: asyncio.Task[None] | None = None
        self.failing = False
        """True while the disk does not take what was collected."""
        self._dropped_at = -QUIET_S
        self._refused, self._refused_at = "", -QUIET_S
        self._closed = False
        self._settled = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.committed = asyncio.Event()
        """Set whenever a group was committed; whoever waits for it clears it."""
        self.announce = announcer(self.add_event, language)

    async def open(self) -> None:
        """Open the file; raises ConfigError if the folder cannot be used, Refused if the disk will not take it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            await self._run(BufferFile.stats)
        except OSError as error:
            raise unusable(self._path.parent, error.strerror or str(error)) from error
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                raise unusable(self._path.parent, str(error)) from error
            raise Refused(
                Text(f"{self._path}: {error}", f"{self._path}:{error}"),
                Text("free some space on this disk", "请在该磁盘上腾出空间"),
            ) from error

    def add_readings(self, readings: Sequence[Row], marks: Sequence[tuple[PointRef, Mark]] = ()) -> None:
        """Take normalised readings and the marks that go with them (see `Sink.add_readings`, `normalise.Mark`)."""
        self._group.add(readings)
        self._group.marks.update(marks)
        self._added(len(readings))

    def add_gaps(self, device: str, gaps: Sequence[Gap]) -> None:
        """Remember what is left to fetch of a device's history, with the readings added at the same moment."""
        self._group.gaps[device] = gaps
        self._added(0)

    def add_inspection(self, inspection: Inspection, readings: Sequence[Row]) -> None:
        """Take an inspection with its readings (see `Sink.add_inspection`)."""
        self._group.inspections.append((inspection, readings))
        self._added(len(readings))

    def add_opinion(self, opinion: LateOpinion) -> None:
        """Take a late opinion (see `Sink.add_opinion`)."""
        self._group.opinions.append(opinion)
        self._added(0)

    def add_event(self, event: Event) -> None:
        """Take an event (see `Sink.add_event`)."""
        self._group.events.append(event)
        self._added(0)

    @property
    def at_risk(self) -> int:
        """Readings that are only in memory: lost if the power fails now."""
        return self._rows + self._rows_under_way

    async def flush(self) -> None:
        """Return when all that was added so far is on disk."""
        if not self._group and self._committing is None:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if not self.failing:
            self._due()
        await waiter

    async def take(self, most: int) -> Delivery | None:
        """Return frames to send, about `most` bytes; None if nothing waits."""
        if self._committing is None and self._file is not None and self._file.state.frames == self._settled:
            return None  # what is committed meanwhile is told by `committed`
        while self._settled:  # or they would be sent again
            await asyncio.wait({self._due()})
        return await self._insist(
            lambda file: Delivery(file.state.epoch, frames) if (frames := file.take(most)) else None
        )

    async def settle(self, delivery: Delivery, receipt: Receipt) -> None:
        """Forget what the cloud has stored and set aside what it refused, of the frames that were delivered.

        That is committed with the next group. Should it be lost the cloud gets the frames once more, and absorbs them.
        """
        sent = {frame.seq for frame in delivery.frames}
        refused = [verdict for verdict in receipt.refused if verdict.seq in sent]
        settled = Settled(delivery.epoch, [seq for seq in receipt.stored if seq in sent], refused)
        if self.failing:  # a disk that does not take the group may take this, which makes room
            await self._insist(lambda file: file.settle(settled))
        else:
            self._group.settled.append(settled)
            self._settled += len(settled)
            self._commit_within(SETTLE_S)
        for verdict in refused:
            now = asyncio.get_running_loop().time()
            if verdict.reason != self._refused or now - self._refused_at > QUIET_S:
                self.announce(
                    "",
                    "frame_refused",
                    Text(
                        f"the cloud refused batch {verdict.seq}, it was set aside: {verdict.reason}",
                        f"云端拒收批次 {verdict.seq}，已另行保存：{verdict.reason}",
                    ),
                )
            self._refused, self._refused_at = verdict.reason, now

    async def postpone(self) -> None:
        """Count all that waits as backlog, so that new values are sent before it."""
        await self._insist(BufferFile.postpone)

    async def marks(self, device: str) -> dict[str, Mark]:
        """Return what is remembered of a device's points."""
        return await self._insist(lambda file: file.marks(device))

    async def gaps(self, device: str) -> list[Gap]:
        """Return what an agent that ended had still to fetch of a device's history."""
        return await self._insist(lambda file: file.gaps(device))

    async def stats(self) -> Stats:
        """Return the counters and what waits."""
        return await self._insist(BufferFile.stats)

    async def configure(self, config: BufferConfig) -> None:
        """Take other limits from now on; a smaller file is made at the next commit."""
        self._limit, self._age, self._group_s = _limits(config)
        await self._insist(lambda file: file.set_limits(self._limit, self._age))

    async def close(self) -> None:
        """Commit what was added, if the disk takes it, and close the file. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        if self._committing:
            await self._committing
        await self._commit()
        if self._group:
            self._note_end()
        if self._timer:
            self._timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_file)
        self._thread.shutdown()

    def _added(self, rows: int) -> None:
        self._rows += rows
        if self._rows > MAX_PENDING and self._group.count() > (lost := MAX_PENDING // 10):
            self._group.give_up(lost)
            self._rows -= lost
        self._commit_within(self._group_s)

    def _commit_within(self, seconds: float) -> None:
        if self._committing is not None or (self.failing and self._timer is not None):
            return  # which then looks for what came meanwhile
        at = asyncio.get_running_loop().time() + seconds
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._due)

    def _due(self) -> asyncio.Task[None]:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return self._committing

    async def _commit(self) -> None:
        group, waiters, rows = self._group, self._waiters, self._rows
        self._group, self._waiters, self._rows, self._rows_under_way = Group(), [], 0, rows
        settled = sum(map(len, group.settled))
        try:
            dropped = await self._run(lambda file: file.write(group)) if group else 0
        except Exception as error:  # whatever it is, nothing collected is given up for it
            self._keep(group, waiters, rows)
            self._trouble(error)
            delay = RETRY_S
        else:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self.committed.set()
            self._trouble(None)
            self._note_drops(dropped)
            delay = 0.0 if self._waiters else self._group_s
        self._committing, self._rows_under_way = None, 0
        self._settled -= settled
        if self._group or self._waiters:
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _keep(self, group: Group, waiters: list[asyncio.Future[None]], rows: int) -> None:
        """Put a group that could not be committed in front of what was added since, but for what it settles (`settle`)."""
        later, later_waiters, later_rows = self._group, self._waiters, self._rows
        self._group, self._waiters = group, waiters + later_waiters
        for readings in later.rows:
            group.add(readings)
        group.marks |= later.marks
        group.gaps |= later.gaps
        group.inspections.extend(later.inspections)
        group.events.extend(later.events)
        group.opinions.extend(later.opinions)
        group.settled = later.settled
        group.lost += later.lost
        self._rows = rows + later_rows

    def _trouble(self, error: Exception | None) -> None:
        if error and not self.failing:
            self.failing = True
            self.announce(
                "",
                "buffer_not_writable",
                Text(
                    f"the buffer cannot be written, readings wait in memory: {error} - free some space on the disk",
                    f"缓存无法写入，读数暂存于内存：{error} - 请腾出磁盘空间",
                ),
            )
        elif error is None and self.failing:
            self.failing = False
            self.announce("", "buffer_writable", Text("the buffer can be written again", "缓存已恢复写入"))

    def _note_drops(self, dropped: int) -> None:
        now = asyncio.get_running_loop().time()
        if dropped and now - self._dropped_at > QUIET_S:
            self.announce(
                "",
                "readings_dropped",
                Text(
                    "the buffer has reached its limit of size or age; the oldest telemetry is being dropped and counted",
                    "缓存已达容量或时长上限，正在丢弃最早的遥测数据并计数",
                ),
            )
        if dropped:
            self._dropped_at = now

    def _note_end(self) -> None:
        self.announce(
            "",
            "readings_lost",
            Text(
                f"the buffer still cannot be written: {self._rows} readings in memory are lost with this end",
                f"缓存仍无法写入：内存中的 {self._rows} 条读数随代理停止而丢失",
            ),
        )

    async def _insist(self, work: Callable[[BufferFile], Result]) -> Result:
        """Return what `work` does; while the disk fails it, say so once and try again."""
        while True:
            try:
                return await self._run(work)
            except (sqlite3.OperationalError, OSError) as error:
                self._trouble(error)
                await asyncio.sleep(RETRY_S)

    async def _run(self, work: Callable[[BufferFile], Result]) -> Result:
        loop = asyncio.get_running_loop()

        def guarded() -> Result:
            try:
                return work(self._opened())
            except (sqlite3.Error, Damaged, UnicodeError) as error:
                if not _is_damage(error):
                    raise
                aside = self._set_aside()
                loop.call_soon_threadsafe(self._announce_damage, aside, str(error))
                return work(self._opened())

        return await loop.run_in_executor(self._thread, guarded)

    def _opened(self) -> BufferFile:
        if self._file is None:
            self._file = BufferFile(self._path, self._limit, self._age)
            sync(self._path.parent)
        return self._file

    def _close_file(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _set_aside(self) -> Path:
        self._close_file()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self._path.with_name(f"{self._path.stem}-{stamp}.damaged")
        for suffix in ("-wal", "-shm", ""):
            part = Path(f"{self._path}{suffix}")
            if part.exists():
                part.rename(f"{aside}{suffix}")
        sync(self._path.parent)
        return aside

    def _announce_damage(self, aside: Path, why: str) -> None:
        self.announce(
            "",
            "buffer_damaged",
            Text(
                f"the buffer was damaged ({why}); it was set aside as {aside.name} and a new one begun",
                f"缓存文件损坏({why}),已另存为 {aside.name}，并启用新的缓存",
            ),
        )


def _limits(config: BufferConfig) -> tuple[int, int | None, float]:
    """Return largest size (bytes), largest age (microseconds) and group time (s)."""
    age = None if config.limit_h is None else int(config.limit_h * 3600e6)
    return config.limit_mb * 1_000_000, age, config.group_s


def _is_damage(error: Exception) -> bool:
    """Whether the file's content is wrong. SQLITE_ERROR counts: our SQL is constant, so only a wrong schema causes it.

    An error without a code is Python's own, about text in the file, or in what SQLite says of it, that is not UTF-8.
    """
    wrong = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
    return isinstance(error, Damaged) or getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in wrong


def unusable(folder: Path, why: str) -> ConfigError:
    """Return what to say of a state directory that cannot be used."""
    return ConfigError(
        Text(f"the folder {folder} cannot be used: {why}", f"文件夹 {folder} 无法使用：{why}"),
        Text("make it writable for this user or name another", "请为当前用户开放写权限，或另选文件夹"),
        key="agent.state_dir",
    )
