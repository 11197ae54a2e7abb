"""Writes a point when a part is rejected, and a safe value when nobody can say whether it should be.

Every write goes the one way on which writes are allowed, checked, recorded and read back (`edge_agent.point_write`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from edge_agent.config import Config
from edge_agent.config_inspection import OutputConfig
from edge_agent.events import Announce
from edge_agent.point_write import write_point
from protocols.errors import SunmaoError
from protocols.reading import Value
from protocols.text import Text

WAITING = 32
"""Most writes that wait; a device that takes them more slowly than parts are rejected loses the oldest, told."""


class Output:
    """The output of one station.

    Args:
        station: its name, for messages.
        output: of the configuration.
        config: returns the configuration in force, whose write rules count at the moment of the write.
        announce: told once when writing fails and once when it succeeds again.
    """

    def __init__(self, station: str, output: OutputConfig, config: Callable[[], Config], announce: Announce) -> None:
        self._station = station
        self._output = output
        self._config = config
        self._announce = announce
        self._wanted: deque[tuple[Value, str]] = deque()
        self._called = asyncio.Event()
        self._failing = False
        self.counted: Counter[str] = Counter()
        """"writes" that the device took, and "writes_failed"."""

    def reject(self, part: str) -> None:
        """Have the rejection of `part` written."""
        self._add(self._output.reject, f"{self._station}: {part} rejected")

    def safe(self, why: str) -> None:
        """Have the safe value written, if there is one and it is not what would be written last anyway."""
        value = self._output.safe
        if value is not None and not (self._wanted and self._wanted[-1][0] == value):
            self._add(value, f"{self._station}: {why}")

    async def run(self) -> None:
        """Write until cancelled, in the order it was asked for."""
        while True:
            await self._called.wait()
            while self._wanted:
                value, reason = self._wanted[0]
                await self._write(value, reason)
                self._wanted.popleft()
            self._called.clear()

    def _add(self, value: Value, reason: str) -> None:
        if len(self._wanted) >= WAITING:
            _, lost = self._wanted[1]  # the first is being written
            del self._wanted[1]
            self._failed(Text(f"too many writes wait; left out: {lost}", f"等待写入过多；已放弃：{lost}"))
        self._wanted.append((value, reason))
        self._called.set()

    async def _write(self, value: Value, reason: str) -> None:
        output = self._output
        try:
            written = await write_point(self._config(), output.device, output.point, str(value), reason)
        except SunmaoError as error:
            self._failed(Text(error.explain("en"), error.explain("zh")))
            return
        if written.outcome in ("refused", "unconfirmed"):
            self._failed(written.found)
            return
        self.counted["writes"] += 1
        if self._failing:
            self._failing = False
            self._announce(self._station, "output_back", written.found)

    def _failed(self, why: Text) -> None:
        self.counted["writes_failed"] += 1
        if not self._failing:
            self._failing = True
            self._announce(self._station, "output_failed", why)
