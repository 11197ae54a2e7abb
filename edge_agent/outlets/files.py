"""The file outlets, CSV and Parquet: a thread of its own writes; the event loop only adds to what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
        self._thread: ThreadPoolExecutor | None = None

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
        self._thread = thread = ThreadPoolExecutor(1, f"outlet-{self._config.name}")
        recovered = False
        try:
            while True:
                try:
                    if not recovered:
                        await self._in_thread(self._file.recover)
                        recovered = True
                    await self._write()
                    if self._file.due:
                        await self._in_thread(self._turn)
                except OSError as error:
                    self._condition.down(self._refused(error))
                    recovered = False
                    await asyncio.sleep(RETRY_S)
                else:
                    self._condition.up()
                self._tell_cut()
                self._condition.look_at_drops()
                await asyncio.sleep(self._config.flush_s)
        finally:
            await self._end()
            thread.shutdown(wait=False)

    def _wants(self, ref: PointRef) -> bool:
        wanted = self._wanted.get(ref)
        if wanted is None:
            wanted = self._wanted[ref] = self._selection.point(ref.device, ref.property)
        return wanted

    async def _write(self) -> None:
        """Write all that waits; what the disk does not take waits again."""
        while self._waiting:
            pairs = self._waiting.take(MAX_ROWS)
            writing = asyncio.ensure_future(self._in_thread(lambda: self._file.append(self._rows(pairs))))  # noqa: B023
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

    def _turn(self) -> None:
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
            await self._in_thread(self._turn)
        except OSError as error:
            self._condition.down(self._refused(error))
        self._condition.note_lost()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

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
