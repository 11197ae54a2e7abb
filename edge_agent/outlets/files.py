"""The file outlets, CSV and Parquet: a thread of its own writes; the event loop only adds to what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from edge_agent.events import Announce
from edge_agent.outlets.config import FileConfig, Selection
from edge_agent.outlets.outlet import Condition, OutletState, Pair, Waiting
from edge_agent.outlets.rolling_file import Format, RollingFile
from edge_agent.outlets.rows import Rows
from protocols.errors import Refused
from protocols.text import Text
from protocols.uplink.messages import PointRef

MAX_ROWS = 5_000
"""Most rows written at once, so that the thread never holds the interpreter for long."""
RETRY_S = 1.0
FINISH_RETRY_S = 10.0

Result = TypeVar("Result")


class FileOutlet:
    """Writes every reading as one row.

    Args:
        config: the outlet.
        form: of its files.
        announce: told what people should know.
    """

    def __init__(self, config: FileConfig, form: Format, announce: Announce) -> None:
        self._config = config
        self._rows = Rows(config)
        self._file = RollingFile(config.folder, form, int(config.rotate_mb * 1e6), config.rotate_min * 60)
        self._selection = Selection(config)
        self._wanted: dict[PointRef, bool] = {}
        self._waiting = Waiting(config.queue)
        self._condition = Condition(config.name, config.kind, [self._waiting], announce)
        self._to_finish = asyncio.Event()
        self._unfinished = False

    def add(self, readings: Sequence[Pair], *, past: bool = False) -> None:
        """See `Outlet.add`."""
        # A file holds what happened in the order it became known; the time column says when it was.
        self._waiting.add(
            readings if self._selection.everything else [pair for pair in readings if self._wants(pair[0])]
        )

    def forget(self, device: str) -> None:
        """See `Outlet.forget`; what is written stays."""

    def state(self) -> OutletState:
        """See `Outlet.state`."""
        return self._condition.state()

    async def run(self) -> None:
        """See `Outlet.run`."""
        name = f"outlet-{self._config.name}"
        with ThreadPoolExecutor(1, name) as self._writer, ThreadPoolExecutor(1, name) as self._finisher:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._keep_finishing())
                    group.create_task(self._keep_writing())
            finally:
                await self._end()

    async def _keep_writing(self) -> None:
        failed = False
        while True:
            try:
                await self._write()
                if self._file.due:
                    await _in(self._writer, self._file.close)
                    self._to_finish.set()
            except OSError as error:
                failed = True
                self._condition.down(self._refused(error))
                await asyncio.sleep(RETRY_S)
            else:
                if failed:  # then what could not be finished either perhaps can
                    self._to_finish.set()
                failed = False
                if not self._unfinished:
                    self._condition.up()
            self._condition.look_at_drops()
            await asyncio.sleep(self._config.flush_s)

    async def _keep_finishing(self) -> None:
        """Finish what is closed while others write: making Parquet of it takes seconds."""
        while True:
            self._to_finish.clear()
            try:
                await _in(self._finisher, self._finish)
            except OSError as error:
                self._unfinished = True
                self._condition.down(self._unfinishable(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._to_finish.wait(), FINISH_RETRY_S)
            else:
                self._unfinished = False
                self._tell_cut()
                await self._to_finish.wait()

    def _wants(self, ref: PointRef) -> bool:
        wanted = self._wanted.get(ref)
        if wanted is None:
            wanted = self._wanted[ref] = self._selection.point(ref.device, ref.property)
        return wanted

    async def _write(self) -> None:
        """Write all that waits; what the disk does not take waits again."""
        while self._waiting:
            pairs = self._waiting.take(MAX_ROWS)
            writing = asyncio.ensure_future(_in(self._writer, lambda: self._file.append(self._rows(pairs))))  # noqa: B023
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                # The thread cannot be stopped: whether the rows are on disk is known when it is done.
                await asyncio.wait([writing])
                if writing.exception() is None:
                    self._condition.written += len(pairs)
                else:
                    self._waiting.put_back(pairs)
                raise
            except BaseException:
                self._waiting.put_back(pairs)
                raise
            self._condition.written += len(pairs)

    def _finish(self) -> None:
        self._file.finish()
        config = self._config
        self._file.prune(
            None if config.keep_mb is None else config.keep_mb * 1e6,
            None if config.keep_days is None else config.keep_days * 86_400,
        )

    async def _end(self) -> None:
        """Write what waits and finish the file; where the disk does not take it, say what is lost."""
        try:
            await self._write()
            await _in(self._writer, self._file.close)
            await _in(self._finisher, self._finish)
        except OSError as error:
            self._condition.down(self._refused(error))
        self._tell_cut()
        self._condition.note_lost()

    def _tell_cut(self) -> None:
        while self._file.cut:
            name, size = self._file.cut.pop(0)
            self._condition.note(
                "outlet_cut",
                Text(
                    f"{name} ended in the middle of a line, as after a power cut; the last {size} bytes were cut off",
                    f"{name} 末行不完整(例如断电所致),已截去最后 {size} 字节",
                ),
            )

    def _refused(self, error: OSError) -> Refused:
        why = error.strerror or str(error)
        folder = self._config.folder
        return Refused(
            Text(f"{folder} cannot be written, readings wait: {why}", f"{folder} 无法写入，读数等待中：{why}"),
            Text("free some space, or let this user write there", "请腾出空间，或开放写权限"),
        )

    def _unfinishable(self, error: OSError) -> Refused:
        why = error.strerror or str(error)
        folder = self._config.folder
        return Refused(
            Text(f"files in {folder} cannot be finished: {why}", f"{folder} 中的文件无法完成：{why}"),
            Text("free some space, or let this user write there", "请腾出空间，或开放写权限"),
        )


async def _in(thread: Executor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(thread, work)
