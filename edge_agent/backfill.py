"""Fills what an outage left out of one device's series, from the device's own history, while live values flow.

Of each point it wants what lies between the last reading kept before the outage and the first one after it, so nothing
comes twice. What is left to fetch is remembered in memory: another loss of the link makes it wait, the end of the agent
ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from edge_agent.config import DeviceConfig
from edge_agent.events import Announce
from edge_agent.normalise import Normaliser
from protocols.driver import Historian
from protocols.errors import Malformed, SunmaoError, Unreachable
from protocols.reading import Reading, now_us
from protocols.text import Text
from protocols.uplink.messages import PointRef

MOST_GAPS = 20
"""Outages remembered while the history of earlier ones is still being fetched; a link that flaps more loses the oldest."""

ATTEMPTS = 3
"""Connections in which one gap is tried; a history that breaks the connection each time is given up."""

FIRST_S = 10.0
"""Longest wait for the first live reading of every point, which ends the gap."""

PACE_S = 1 / 5000
"""Seconds of rest per fetched reading, so that live readings never wait for the buffer."""

AddPast = Callable[[Sequence[tuple[PointRef, Reading]]], None]


class _Gap:
    """One outage: by point, the source time of the last reading before it and of the first one after it."""

    def __init__(self, since: dict[str, int]) -> None:
        self.since = since
        self.until: dict[str, int] = {}
        self.attempts = 0
        self.ended = asyncio.Event()


class Backfill:
    """Fetches the gaps of one device.

    Args:
        device: whose.
        normalise: knows the last reading of each point, and turns history into what the dictionary means.
        add: takes the readings; they keep their source times.
        announce: told how much was fetched.
    """

    def __init__(self, device: DeviceConfig, normalise: Normaliser, add: AddPast, announce: Announce) -> None:
        self.filled = 0
        """Readings fetched since the agent started."""
        self._device = device
        self._normalise = normalise
        self._add = add
        self._announce = announce
        self._gaps: deque[_Gap] = deque(maxlen=MOST_GAPS)
        self._open: _Gap | None = None

    def begin(self) -> None:
        """Note what is stored, before a new connection brings anything."""
        since = self._normalise.last_times()
        self._open = _Gap(since) if since else None
        if self._open is not None:
            self._gaps.append(self._open)

    def see(self, readings: Sequence[Reading]) -> None:
        """Note the first live reading of each point after an outage."""
        gap = self._open
        if gap is None:
            return
        for reading in readings:
            gap.until.setdefault(reading.point, reading.source_time)
        if gap.since.keys() <= gap.until.keys():
            gap.ended.set()
            self._open = None

    async def fill(self, driver: Historian) -> None:
        """Fetch all gaps; returns when they are filled, or the device gives no more."""
        for gap in list(self._gaps):
            gap.attempts += 1
            before = self.filled
            try:
                await self._fill(driver, gap)
            except Unreachable:
                if gap.attempts < ATTEMPTS:
                    return  # the next connection tries again
                self._give_up(Text("the connection is lost each time", "每次都会断开连接"))
            except Malformed as error:
                self._give_up(error.what)
            except SunmaoError as error:
                self._give_up(Text(error.explain("en"), error.explain("zh")))
            self._gaps.remove(gap)
            if fetched := self.filled - before:
                self._announce(
                    self._device.name,
                    "history_filled",
                    Text(
                        f"{fetched:,} readings of the outage were fetched from its history",
                        f"已从设备历史中补回 {fetched:,} 条中断期间的读数",
                    ),
                )

    async def _fill(self, driver: Historian, gap: _Gap) -> None:
        try:
            await asyncio.wait_for(gap.ended.wait(), FIRST_S)
        except TimeoutError:
            self._open = None
        now = now_us()
        points = [point for point in self._device.points if point.name in gap.since]
        until = {point.name: gap.until.get(point.name, now) for point in points}
        # While one point of a device brings new values, the others miss nothing: what they said last still holds.
        slack = int(1e6 * (10 + 2 * max(point.period_s or self._device.period_s for point in points)))
        last = min(max(gap.since.values()), now)
        start, end = max(min(gap.since.values()), last - slack), max(until.values())
        if start >= end:
            return
        async for page in driver.history(points, start, end):
            kept = []
            for reading in page:
                if gap.since[reading.point] < reading.source_time < until[reading.point]:
                    gap.since[reading.point] = reading.source_time
                    kept.append(reading)
            past = self._normalise.past(kept)
            self._add(past)
            self.filled += len(past)
            await asyncio.sleep(len(page) * PACE_S)

    def _give_up(self, reason: Text) -> None:
        self._announce(
            self._device.name,
            "history_failed",
            Text(f"its history could not be fetched: {reason.en}", f"无法获取其历史数据：{reason.zh}"),
        )
