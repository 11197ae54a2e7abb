"""Reads the points of one Modbus device, many per request, and gives each a value or the reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter
from time import monotonic
from typing import ClassVar

from protocols.driver import BrowsedPoint, ConnectionConfig, Deliver, PlannedRequest, PointConfig
from protocols.errors import Refused
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.modbus.frames import EXCEPTIONS
from protocols.modbus.link import ModbusLink
from protocols.modbus.plan import Block, plan_reads
from protocols.modbus.writing import write_point
from protocols.reading import (
    BAD_COMMUNICATION_ERROR,
    BAD_CONFIGURATION_ERROR,
    BAD_DEVICE_FAILURE,
    Quality,
    Value,
    now_us,
)
from protocols.scan import Scan
from protocols.text import Text

RETRY_S = 60.0
"""How long a point is left out, in seconds, after the device has said that it has no such address."""

RETRY_FAILURE_S = 5.0
"""The same after the device has reported a failure of its own."""

_QUALITY = {
    0x01: BAD_CONFIGURATION_ERROR,  # illegal function
    0x02: BAD_CONFIGURATION_ERROR,  # illegal data address
    0x03: BAD_CONFIGURATION_ERROR,  # illegal data value
    0x05: BAD_COMMUNICATION_ERROR,  # acknowledge: it will take long
    0x06: BAD_COMMUNICATION_ERROR,  # server device busy
}
"""Quality of points answered by an exception (V1.1b3, 7); any other code is a failure of the device."""


def exception_quality(code: int) -> Quality:
    """Return the quality of points for which a device answers the exception `code`."""
    return _QUALITY.get(code, BAD_DEVICE_FAILURE)


_BUSY = {0x05, 0x06}
_GATEWAY = {0x0A, 0x0B}
"""Gateway path unavailable; gateway target device failed to respond."""


class _Schedule:
    """The requests for one set of points, as learned from what the device refuses.

    blocks: what is read in every cycle. refused: blocks that can not be split further, each with the time
    (`time.monotonic`) of its next trial and the quality its points have until then, the next trial first.
    """

    __slots__ = ("blocks", "names", "points", "refused")

    def __init__(self, points: tuple[ModbusPoint, ...], blocks: list[Block]) -> None:
        self.points = points
        self.names = tuple([point.name for point in points])
        self.blocks = blocks
        self.refused: list[tuple[float, Block, Quality]] = []

    def refuse(self, block: Block, quality: Quality) -> None:
        """Leave `block` out until its next trial."""
        wait = RETRY_S if quality == BAD_CONFIGURATION_ERROR else RETRY_FAILURE_S
        self.refused.append((monotonic() + wait, block, quality))
        self.refused.sort(key=itemgetter(0))

    def next_trial(self) -> Block | None:
        """Put the refused block that is due back among the `blocks` and return it."""
        if not self.refused or self.refused[0][0] > monotonic():
            return None
        block = self.refused.pop(0)[1]
        self.blocks.append(block)
        return block


class ModbusDriver:
    """Talks to one unit over Modbus TCP, serial frames in TCP or a serial port. See `protocols.driver.Driver` for the promises.

    A refused block is split until the refused points are found; these are left out for a while and the others are read
    on. At most one of them is tried again per call of `read`; when it answers, all are planned afresh.
    """

    Connection: ClassVar[type[ConnectionConfig]] = ModbusConnection
    Point: ClassVar[type[PointConfig]] = ModbusPoint
    subscribes: ClassVar[bool] = False

    def __init__(self, device: str, connection: ModbusConnection, points: Sequence[ModbusPoint]) -> None:
        self._device = device
        self._connection = connection
        self._link = ModbusLink(device, connection)
        self._schedules: list[_Schedule] = []
        self.plan(points)

    def plan(self, points: Sequence[ModbusPoint]) -> list[Block]:
        """Return the requests that read `points`; needs no connection. Raises ConfigError as `plan_reads` does."""
        return plan_reads(points, self._connection.max_registers, self._connection.max_gap)

    def requests(self, points: Sequence[ModbusPoint]) -> list[PlannedRequest]:
        """Return the requests that read `points`, for people; see `plan`."""
        return [
            PlannedRequest(block.place, block.count, tuple(point.name for point in block.points))
            for block in self.plan(points)
        ]

    async def open(self) -> None:
        """Connect; raises Unreachable, and Refused for a serial port that can not be used."""
        await self._link.open()

    async def read(self, points: Sequence[ModbusPoint]) -> Scan:
        """Read `points` once; one Reading each, in their order. Raises Unreachable, Malformed or Refused."""
        schedule = self._schedule(points)
        start = now_us()
        scan = Scan.begun(schedule.names, start)
        refused = tuple(schedule.refused)
        await self._read_blocks(schedule, scan)
        if trial := schedule.next_trial():
            await self._read_block(trial, schedule, scan)
            if trial in schedule.blocks:
                schedule.blocks, schedule.refused = self.plan(points), []
        for _, block, quality in refused:
            if block is not trial:
                block.fail(quality, start, scan)
        return scan

    def _schedule(self, points: Sequence[ModbusPoint]) -> _Schedule:
        asked = tuple(points)
        for schedule in self._schedules:
            if schedule.points == asked:  # the same objects, as a rule, so it costs little
                return schedule
        self._schedules.append(_Schedule(asked, self.plan(asked)))
        return self._schedules[-1]

    async def _read_blocks(self, schedule: _Schedule, scan: Scan) -> None:
        """Read what is due, as many blocks at a time as the device takes requests."""
        waiting = iter(tuple(schedule.blocks))

        async def work() -> None:
            for block in waiting:
                await self._read_block(block, schedule, scan)

        workers = min(self._connection.pipeline, len(schedule.blocks))
        if workers <= 1:
            return await work()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _read_block(self, block: Block, schedule: _Schedule, scan: Scan) -> None:
        answer = await self._link.exchange(block.function_code, block.address, block.count, block.size)
        time = now_us()
        if isinstance(answer, bytes):
            block.decode(answer, time, scan)
            return
        if answer in _GATEWAY:
            await self._link.close()
            raise self._link.unit_absent()
        quality = exception_quality(answer)
        if answer in _BUSY:
            block.fail(quality, time, scan)
            return
        schedule.blocks.remove(block)
        parts = block.split() if answer != 0x01 else ()
        schedule.blocks.extend(parts)
        for part in parts:
            await self._read_block(part, schedule, scan)
        if not parts:
            block.fail(quality, time, scan)
            schedule.refuse(block, quality)

    async def write(self, point: ModbusPoint, value: Value) -> None:
        """Write `value` by function 5 or 6, where there is more to it by 16, a bit of a register by 22.

        A device without function 22 has the register read, changed and written back. Raises as the contract says.
        """
        point.check_write(value)
        refused = await write_point(self._link, self._connection, point, value)
        if refused in _GATEWAY:
            await self._link.close()
            raise self._link.unit_absent()
        if refused is not None:
            meaning = EXCEPTIONS.get(refused, Text("an unknown failure", "未知故障"))
            raise Refused(
                Text(
                    f"{self._device}: refuses to have '{point.name}' written, exception {refused}: {meaning.en}",
                    f"{self._device}：拒绝写入“{point.name}”，异常码 {refused}：{meaning.zh}",
                ),
                Text("look into its manual whether it can be written now", "请查阅说明书，确认当前是否可写"),
            )

    async def subscribe(self, points: Sequence[ModbusPoint], period_s: float, deliver: Deliver) -> None:
        """Refuse: a Modbus device only answers."""
        raise self._not_in_protocol(
            "send changes by itself", "主动上报变化", "let the agent poll it", "请由边缘代理轮询"
        )

    async def watch(self) -> None:
        """Refuse: there are no subscriptions to watch."""
        raise self._not_in_protocol(
            "send changes by itself", "主动上报变化", "let the agent poll it", "请由边缘代理轮询"
        )

    def browse(self) -> AsyncIterator[BrowsedPoint]:
        """Refuse: a Modbus device does not describe itself."""
        raise self._not_in_protocol(
            "list its points",
            "列出自己的点",
            "choose its template from the library or enter the registers from its manual",
            "请从设备库选择模板，或按说明书填写寄存器",
        )

    @property
    def usable(self) -> bool:
        """Whether the connection can be read on after Unreachable; see `protocols.driver.Lasting`."""
        return self._link.usable

    def counters(self) -> dict[str, int]:
        """Return "late_answers": answers that came after their time and were dropped."""
        return {"late_answers": self._link.late}

    def notices(self) -> list[Text]:
        """Return nothing: what is wrong with a Modbus device shows in its points."""
        return []

    async def close(self) -> None:
        """Let go of the device."""
        await self._link.close()

    def _not_in_protocol(self, en: str, zh: str, mend_en: str, mend_zh: str) -> Refused:
        return Refused(
            Text(f"{self._device}: a Modbus device can not {en}", f"{self._device}：Modbus 设备不能{zh}"),
            Text(mend_en, mend_zh),
        )
