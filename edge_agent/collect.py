"""Collects one device: connect, subscribe or poll, and come back after every loss. Each device has its own task."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from edge_agent.backfill import Backfill, KeepGaps
from edge_agent.backoff import full_jitter
from edge_agent.buffer_state import Gap
from edge_agent.config import DeviceConfig
from edge_agent.events import Announce
from edge_agent.normalise import Mark, Normaliser
from edge_agent.source_clock import SourceClock
from protocols.driver import Driver, Historian, Lasting, Observed, PointConfig
from protocols.errors import ConfigError, Malformed, Refused, SunmaoError, Unreachable
from protocols.reading import BAD_NO_COMMUNICATION, Reading, now_us
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, PointRef

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
OBSERVE_S = 10.0
"""How often a driver is asked for notices, besides right after the first readings."""
LEAST_OVERDUE_S = 1.0
"""A polled device is lost once it has given nothing for two periods, or twice its usual time, but never sooner."""
STABLE_S = 10.0
"""A connection that lasted so long was a good one; its end is no reason to wait longer than after a first failure."""

AddReadings = Callable[[Sequence[tuple[PointRef, Reading]], Sequence[tuple[PointRef, Mark]]], None]


class Collector:
    """Collects one device until cancelled.

    A device that does not answer is tried again soon enough to be live within two periods of its return; one that
    answers "no" or nonsense is tried slowly, up to `LONGEST_WAIT_S` apart.

    Args:
        device: what to collect.
        normalise: turns the device's readings into the dictionary's.
        add: takes them.
        announce: told once when the device is lost and once when it is back.
        gaps: what an agent that ended had still to fetch of the device's history.
        keep_gaps: see `Backfill`.
    """

    def __init__(
        self,
        device: DeviceConfig,
        normalise: Normaliser,
        add: AddReadings,
        announce: Announce,
        *,
        gaps: Sequence[Gap] = (),
        keep_gaps: KeepGaps = lambda gaps: None,
    ) -> None:
        self.device = device
        self.missed = 0
        """Poll cycles left out because the one before was not finished."""
        self._unmapped = sum(point.property is None for point in device.points)
        self._normalise = normalise
        self._add = add
        self._announce = announce
        self._state = "waiting"
        self._since = now_us()
        self._reason = Text("", "")
        self._failures = 0
        self._answered = 0
        """Failures since something good of a device that takes connections and then fails."""
        self._clock = SourceClock()
        self._silences = 0
        self._usual_s = 0.0
        self._overdue: asyncio.TimerHandle | None = None
        self._backfill = Backfill(
            device, normalise, lambda readings: add(readings, ()), announce, gaps=gaps, keep=keep_gaps
        )
        self._observed: Observed | None = None
        self._counted: Counter[str] = Counter()
        self._noticed: set[Text] = set()

    async def run(self) -> None:
        """Collect until cancelled; returns only if the device's configuration proves wrong."""
        try:
            await self._run()
        finally:
            self._expect(None)

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                driver = self.device.driver(collects=True)
            except ConfigError as error:
                self._lost(error)
                return
            begun = clock()
            try:
                await driver.open()
                await self._serve(driver)
            except ConfigError as error:
                self._lost(error)
                return
            except SunmaoError as error:
                stable = clock() - begun > STABLE_S
                self._failures = 1 if stable else self._failures + 1
                self._answered = (0 if stable else self._answered) + _answered(error)
                # One failure of a stable connection - a late answer, a dropped link - is mended by connecting again.
                if self._state != "up" or self._failures > 1:
                    self._lost(error)
                wait = self._wait(error)
            except Exception as error:
                self._lost(Malformed(Text(f"internal error: {error!r}", f"内部错误：{error!r}")))
                raise
            finally:
                await driver.close()
                if isinstance(driver, Observed):
                    self._observed = None
                    self._counted += Counter(driver.counters())
            await asyncio.sleep(wait)

    def report(self) -> DeviceReport:
        """Return the device as it is now."""
        device = self.device
        return DeviceReport(
            name=device.name,
            protocol=device.protocol,
            template=device.template,
            equipment_class=device.equipment_class,
            state=self._state,
            since=self._since,
            points=len(device.points),
            unmapped=self._unmapped,
            reason_en=self._reason.en,
            reason_zh=self._reason.zh,
            counters=self._counters(),
            clock_offset_us=self._clock.offset_us,
        )

    def _counters(self) -> dict[str, int]:
        counted = self._counted + Counter(self._observed.counters() if self._observed else {})
        return dict(counted + Counter(history=self._backfill.filled))

    async def _serve(self, driver: Driver) -> None:
        """Collect, and beside it fetch what the last outage left out and listen to what the driver has to say."""
        if isinstance(driver, Historian):
            self._backfill.begin()
        self._observed = driver if isinstance(driver, Observed) else None
        beside = asyncio.gather(self._fill(driver), self._observe(driver))
        try:
            await self._collect(driver)
        finally:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside

    async def _fill(self, driver: Driver) -> None:
        if isinstance(driver, Historian):
            await self._backfill.fill(driver)

    async def _observe(self, driver: Driver) -> None:
        while isinstance(driver, Observed):
            for notice in driver.notices():
                if notice not in self._noticed:
                    self._noticed.add(notice)
                    self._announce(self.device.name, "device_notice", notice)
            await asyncio.sleep(OBSERVE_S)

    async def _collect(self, driver: Driver) -> None:
        groups = self.device.periods()
        if driver.subscribes:
            try:
                for period, points in groups.items():
                    await driver.subscribe(points, period, self._deliver_change)
            except Refused:
                pass  # the device cannot; polling it is the answer the driver contract gives
            else:
                self._expect(self.device.stale_s)
                await driver.watch()
        await self._poll(driver, groups)

    async def _poll(self, driver: Driver, groups: dict[float, list[PointConfig]]) -> None:
        """Read every group each period. A cycle that takes longer makes the following ones be left out and counted.

        Silence that the driver's connection outlives is waited out on that connection.
        """
        clock = asyncio.get_running_loop().time
        due = dict.fromkeys(groups, clock())
        shortest = min(groups)
        while True:
            period = min(due, key=due.__getitem__)
            await asyncio.sleep(due[period] - clock())
            begun = clock()
            try:
                readings = await driver.read(groups[period])
            except Unreachable as error:
                if not (isinstance(driver, Lasting) and driver.usable):
                    raise
                self._silences += 1
                if self._state != "up" or self._silences > 1:
                    self._lost(error)
                await asyncio.sleep(full_jitter(self._silences, FIRST_WAIT_S, max(self.device.period_s, 1.0)))
                due = dict.fromkeys(groups, clock())
                continue
            self._silences = 0
            self._usual_s = max(clock() - begun, 0.98 * self._usual_s)
            self._deliver(readings)
            if period == shortest:
                self._expect(max(2 * max(period, self._usual_s), LEAST_OVERDUE_S))
            due[period] += period
            if late := int(max(clock() - due[period], 0.0) // period):
                self.missed += late
                due[period] += late * period

    def _expect(self, within_s: float | None) -> None:
        """Have the device be lost if it gives nothing `within_s` seconds from now, however long its driver waits."""
        if self._overdue is not None:
            self._overdue.cancel()
        loop = asyncio.get_running_loop()
        self._overdue = None if within_s is None else loop.call_later(within_s, self._give_up, within_s, loop.time())

    def _give_up(self, within_s: float, since: float) -> None:
        if asyncio.get_running_loop().time() - since > 1.5 * within_s:
            self._expect(within_s)  # it is this process that was held up, and the answer may lie in the socket
        elif self._state == "up":
            self._lost(
                Unreachable(
                    Text(
                        f"{self.device.name}: nothing for {within_s:.1f} s",
                        f"{self.device.name}：{within_s:.1f} 秒无数据",
                    ),
                    Text("check its network and power", "请检查网络与电源"),
                )
            )

    def _deliver_change(self, readings: Sequence[Reading]) -> None:
        self._deliver(readings)
        self._expect(self.device.stale_s)

    def _deliver(self, readings: Sequence[Reading]) -> None:
        if self._state != "up":
            if self._state == "down":
                self._announce(self.device.name, "device_back", Text("answers again", "恢复通信"))
            self._become("up", Text("", ""))
        self._backfill.see(readings)
        if strange := self._clock.see(readings):
            self._announce(self.device.name, "device_clock", strange)
        self._add(*self._normalise(readings))

    def _lost(self, error: SunmaoError) -> None:
        """Say once that the device is lost: to people, and to every series as one reading without communication."""
        reason = Text(error.explain("en"), error.explain("zh"))
        if self._state == "down":
            self._reason = reason
            return
        self._become("down", reason)
        self._announce(self.device.name, "device_lost", reason)
        now = now_us()
        self._add(*self._normalise([Reading(p.name, None, BAD_NO_COMMUNICATION, now, now) for p in self.device.points]))

    def _become(self, state: str, reason: Text) -> None:
        self._state, self._since, self._reason = state, now_us(), reason

    def _wait(self, error: SunmaoError) -> float:
        cap = LONGEST_WAIT_S
        if _answered(error):
            return full_jitter(self._answered, FIRST_WAIT_S, cap)
        if isinstance(error, Unreachable):
            cap = min(max(2 * self.device.period_s, 2.0), cap)
        return full_jitter(self._failures, FIRST_WAIT_S, cap)


def _answered(error: SunmaoError) -> bool:
    return isinstance(error, Unreachable) and error.answered
