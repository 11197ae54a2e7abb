"""Fills what an outage left out of one device's series, from the device's own history, while live values flow.

Of each point it wants what lies between the last reading kept before the outage and the first one after it, so nothing
comes twice. What is left to fetch is kept in the transaction of the readings that bound it: another loss of the link, or
the end of the agent, only makes it wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from edge_agent.buffer_state import Gap
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
KeepGaps = Callable[[Sequence[Gap]], None]


class Backfill:
    """Fetches the gaps of one device.

    Args:
        device: whose.
        normalise: knows the last reading of each point, and turns history into what the dictionary means.
        add: takes the readings; they keep their source times.
        announce: told how much was fetched.
        gaps: what an agent that ended had still to fetch.
        keep: takes what is left to fetch now, to be remembered with the readings added at the same moment.
    """

    def __init__(
        self,
        device: DeviceConfig,
        normalise: Normaliser,
        add: AddPast,
        announce: Announce,
        *,
        gaps: Sequence[Gap],
        keep: KeepGaps,
    ) -> None:
        self.filled = 0
        """Readings fetched since the agent started."""
        self._device = device
        self._normalise = normalise
        self._add = add
        self._announce = announce
        self._keep = keep
        self._gaps = deque(gaps, maxlen=MOST_GAPS)
        self._open: Gap | None = None
        self._ended = asyncio.Event()

    def begin(self) -> None:
        """Note what is stored, before a new connection brings anything."""
        since = self._normalise.last_times()
        for gap in self._gaps:
            since |= {name: max(time, gap.until.get(name, 0)) for name, time in since.items()}
        left = [gap for gap in map(_left, self._gaps) if gap.since]
        self._gaps.clear()
        self._gaps.extend(left)
        self._open = Gap(since) if since else None
        self._ended = asyncio.Event()
        if self._open is not None:
            self._gaps.append(self._open)
            self._remember()

    def see(self, readings: Sequence[Reading]) -> None:
        """Note the first live reading of each point after an outage."""
        gap = self._open
        if gap is None:
            return
        known = len(gap.until)
        for reading in readings:
            gap.until.setdefault(reading.point, reading.source_time)
        if gap.since.keys() <= gap.until.keys():
            self._ended.set()
            self._open = None
        if len(gap.until) > known:
            self._remember()

    async def fill(self, driver: Historian) -> None:
        """Fetch all gaps; returns when they are filled, or the device gives no more."""
        for gap in list(self._gaps):
            gap.attempts += 1
            silent = await self._silent(gap)
            self._remember()
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
            else:
                gap.since |= silent
            # Of a point that still says nothing live, only this tells how far its past is known.
            gap.since = gap.until = {name: gap.since[name] for name in silent}
            if not silent:
                self._gaps.remove(gap)
            self._remember()
            if fetched := self.filled - before:
                self._announce(
                    self._device.name,
                    "history_filled",
                    Text(
                        f"{fetched:,} readings of the outage were fetched from its history",
                        f"已从设备历史中补回 {fetched:,} 条中断期间的读数",
                    ),
                )

    async def _silent(self, gap: Gap) -> dict[str, int]:
        """Wait until an outage that has just ended is bounded; return its points that say nothing live, bounded by now."""
        if gap is self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), FIRST_S)
            self._open = None
        silent = dict.fromkeys(gap.since.keys() - gap.until.keys(), now_us())
        gap.until |= silent
        return silent

    async def _fill(self, driver: Historian, gap: Gap) -> None:
        points = [point for point in self._device.points if point.name in gap.since]
        if not points:
            return
        # While one point of a device brings new values, the others miss nothing: what they said last still holds.
        slack = int(1e6 * (10 + 2 * max(point.period_s or self._device.period_s for point in points)))
        last = min(max(gap.since.values()), now_us())
        start, end = max(min(gap.since.values()), last - slack), max(gap.until.values())
        if start >= end:
            return
        async for page in driver.history(points, start, end):
            kept = []
            for reading in page:
                if gap.since[reading.point] < reading.source_time < gap.until[reading.point]:
                    gap.since[reading.point] = reading.source_time
                    kept.append(reading)
            past = self._normalise.past(kept)
            self._add(past)
            self._remember()
            self.filled += len(past)
            await asyncio.sleep(len(page) * PACE_S)

    def _remember(self) -> None:
        self._keep([Gap(dict(gap.since), dict(gap.until), gap.attempts) for gap in self._gaps])

    def _give_up(self, reason: Text) -> None:
        self._announce(
            self._device.name,
            "history_failed",
            Text(f"its history could not be fetched: {reason.en}", f"无法获取其历史数据：{reason.zh}"),
        )


def _left(gap: Gap) -> Gap:
    """Return what is left of a gap when another begins, in which its points without a reading behind it lie."""
    since = {name: time for name, time in gap.since.items() if time < gap.until.get(name, 0)}
    return Gap(since, gap.until, gap.attempts)
