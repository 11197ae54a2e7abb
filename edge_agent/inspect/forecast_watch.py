"""The watch over one value by the clock: each period compared with what is usual then, and the next hour and day forecast.

What the model has learnt since its fit - profile, spread, level - is written down after each period, so a restart goes on from
it; periods that passed meanwhile are missing ones. A counter that falls, or a period in which nothing was read, is one, too.

What was read in each period is written down besides, so a model that comes from the cloud, or is put in place at the box, first
follows what was read since its data ended. Then it decides, from the next period on; the one before goes on following the same
values while the two are compared.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from edge_agent.config import Config, ForecastConfig
from edge_agent.inspect.health_record import Compared, Said
from edge_agent.inspect.model_switch import ModelSwitch
from edge_agent.inspect.past_values import PastValues
from edge_agent.inspect.runtime import bundle_stamp, load_forecaster
from edge_agent.inspect.watch_models import WatchModels
from edge_agent.inspect.watch_state import WatchState, keep
from edge_agent.sink import Sink
from models.errors import ModelError
from models.series.change import ChangeWatch
from models.series.clock import AHEAD_S, SECONDS, slot_of
from models.series.forecast import Forecaster, SeasonalFinding
from models.verdict import VERDICTS
from protocols.reading import BAD, GOOD, Quality, Reading, Value, now_us
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, PointRef
from protocols.uplink.models import ModelRecord

LOOK_S = 0.5
"""How often it is looked whether a period is over."""
RETRY_S = 2.0
STRAYS_AFTER = 2
"""Periods beyond the reject limit, one after the other, until people are told."""


def local_now() -> datetime:
    """Return the wall clock of the box."""
    return datetime.now()  # noqa: DTZ005 - a day's shape is that of the people's clock


class _Kept(msgspec.Struct, frozen=True):
    """What survives a restart: of which model, the end of its last period, what it has learnt, what people know, what the
    models said since the last order, and what was read."""

    model: str
    at: datetime
    known: list[list[float]]
    counter: float
    changes: ChangeWatch
    strays: bool
    record_of: tuple[int, str] = (0, "")
    record: ModelRecord = ModelRecord()
    compared: Compared = Compared()
    past: PastValues = msgspec.field(default_factory=PastValues)


class ForecastWatch:
    """Runs one [[forecast]] of the configuration.

    Args:
        watch: what to run.
        sink: takes readings and events.
        config: returns the configuration in force, for the folder in which the watch keeps what it knows.
    """

    def __init__(self, watch: ForecastConfig, sink: Sink, config: Callable[[], Config]) -> None:
        self._config, self._sink, self._whole = watch, sink, config
        self._unit = "C62"
        self._latest = self._counter = math.nan
        self._sum, self._count = 0.0, 0
        self._model, self._state = "", WatchState(Text("watching again", "监测已恢复"))
        self._changes, self._strays, self._above = ChangeWatch(1), False, 0
        self._past = PastValues((watch.value.device, watch.value.point, watch.take))
        self._followed: Text | None = None
        self._fresh_until = datetime.min  # noqa: DTZ901 - a wall clock
        self._models = WatchModels(
            watch, "seasonal", config, sink.announce, lambda folder: load_forecaster(folder, watch.trust)
        )

    @property
    def listens_to(self) -> frozenset[str]:
        """The device whose live readings are to be given to `heard`."""
        return frozenset({self._config.value.device})

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> None:
        """Take note of what the value is now."""
        for ref, reading in rows:
            if (ref.device, ref.name) != (self._config.value.device, self._config.value.point):
                continue
            if reading.quality < 0 or not isinstance(reading.value, int | float):
                continue
            self._unit, self._latest = ref.unit, float(reading.value)
            self._sum, self._count = self._sum + self._latest, self._count + 1

    async def run(self) -> None:
        """Watch until cancelled. A refused model is announced once, and tried again when it has been replaced."""
        while True:
            stamp = await asyncio.to_thread(bundle_stamp, self._config.bundle)
            try:
                forecaster = await self._models.begin()
                await self._follow(forecaster, stamp)
            except ModelError as error:
                self._set_state("down", Text(error.en, error.zh))
            while not self._models.waits and await asyncio.to_thread(bundle_stamp, self._config.bundle) == stamp:  # noqa: ASYNC110 - folders do not call
                await asyncio.sleep(RETRY_S)
            await self._models.changed(None)

    @property
    def models(self) -> ModelSwitch[Forecaster]:
        """What models it runs."""
        return self._models

    def report(self) -> DeviceReport:
        """Return the watch as it is now."""
        return DeviceReport(
            name=self._config.device,
            protocol="forecast",
            template=self._model,
            equipment_class="machine_health",
            state=self._state.state,
            since=self._state.since,
            points=9,
            unmapped=0,
            reason_en=self._state.reason.en,
            reason_zh=self._state.reason.zh,
        )

    async def _follow(self, forecaster: Forecaster, stamp: object) -> None:
        """Take a step at the end of each period until the bundle is replaced."""
        folder = self._whole().agent.state_dir
        path = folder / f"forecast-{sha256(self._config.device.encode()).hexdigest()[:16]}.msgpack"
        self._name(forecaster)
        end = await asyncio.to_thread(self._resume, forecaster, path, local_now())
        await self._models.load_before()
        await self._teach(forecaster)
        await asyncio.gather(*(asyncio.to_thread(self._past.teach, each) for each in self._models.others))
        waits = Text("waits for the end of the first whole period", "等待首个完整周期结束")
        if told := self._followed:
            waits = Text(f"{told.en}; {waits.en}", f"{told.zh}；{waits.zh}")
        self._set_state("up", waits)
        while True:
            await asyncio.sleep(LOOK_S)
            if self._models.waits:
                changed = await self._models.changed(forecaster) or forecaster
                if changed is not forecaster:
                    if changed.period != forecaster.period:
                        end, self._counter, self._sum, self._count = _next_begin(changed, local_now()), math.nan, 0.0, 0
                    forecaster = changed
                    self._name(forecaster)
                    await self._teach(forecaster)
                    self._set_state("up", self._followed or Text("", ""))
            period = timedelta(seconds=forecaster.period)
            while local_now() >= end + period:
                whole = local_now() < end + 2 * period
                said = self._step(forecaster, end, self._taken() if whole else math.nan)
                end += period
                await asyncio.to_thread(self._keep, forecaster, path, end)
                if self._models.on_trial and said.finding.verdict:
                    await self._models.judged(said.latency_us)
                await self._models.compare(forecaster.period)
                if await asyncio.to_thread(bundle_stamp, self._config.bundle) != stamp:
                    return
                if self._models.waits:
                    break

    def _name(self, forecaster: Forecaster) -> None:
        """Note what is judged by from here on."""
        self._model, self._above = f"{forecaster.card.name} {forecaster.card.version}", 0
        self._changes = ChangeWatch(max(SECONDS["day"] // forecaster.period, 1))

    async def _teach(self, forecaster: Forecaster) -> None:
        """Let the model that decides follow what was read since its data ended; for a season it is said how far that took it."""
        self._followed = await asyncio.to_thread(self._past.teach, forecaster)
        self._fresh_until = local_now() + timedelta(seconds=SECONDS[forecaster.season])

    def _taken(self) -> float:
        """Return the value of the period that ends now, and begin the next one."""
        before, self._counter = self._counter, self._latest
        mean = self._sum / self._count if self._count else math.nan
        read, self._sum, self._count = self._count, 0.0, 0
        if self._config.take == "mean":
            return mean
        grown = self._counter - before
        return grown if read and grown >= 0 else math.nan

    def _step(self, forecaster: Forecaster, begin: datetime, value: float) -> Said[SeasonalFinding]:
        """Judge the period that began at `begin`, tell what is to be told, and forecast; return what was said."""
        models = self._models
        # Models of other periods cannot follow the same values, so nothing is counted of them.
        others = {
            id(each): self._said(each, begin, value) for each in models.others if each.period == forecaster.period
        }
        said = self._said(forecaster, begin, value)
        self._past.add(forecaster.period, begin, value)
        models.record.add(models.record_of, 1, said, others.get(id(models.shadow)), others.get(id(models.before)))
        finding = said.finding
        if begin > self._fresh_until:
            self._followed = None
        at = now_us()
        rows: list[tuple[str, str, Value]] = [("expected", "", finding.expected)]
        if finding.verdict is not None:
            rows += [
                ("verdict", "machine_health_verdict", VERDICTS.index(finding.verdict)),
                ("score", "machine_health_score", finding.score),
                ("value", "", value),
            ]
            self._tell(finding, value, at)
        following = begin + timedelta(seconds=forecaster.period)
        for name in AHEAD_S:
            ahead = forecaster.coming(slot_of(following, forecaster.season, forecaster.period), name)
            share = 1 if self._config.take == "growth" else forecaster.period / AHEAD_S[name]
            rows += [
                (f"next {name}{end}", "", share * each)
                for end, each in zip(("", " at least", " at most"), ahead, strict=True)
            ]
        quality: Quality = GOOD if finding.verdict is not None else BAD
        self._set_state(
            "up",
            self._followed or Text("", "")
            if finding.verdict
            else Text("the last period is missing", "上一周期缺少数据"),
        )
        self._sink.add_readings(
            [
                (
                    PointRef(self._config.device, name, code, "C62" if code else self._unit),
                    Reading(name, each, q, at, at),
                )
                for name, code, each in rows
                for q in [quality if code else GOOD]
            ]
        )
        return said

    def _said(self, forecaster: Forecaster, begin: datetime, value: float) -> Said[SeasonalFinding]:
        """Return what a model says of the value of the period that began at `begin`."""
        self._past.teach(forecaster)  # what ended while it was being loaded
        started = time.perf_counter_ns()
        finding = forecaster.follow(value, slot_of(begin, forecaster.season, forecaster.period))
        forecaster.until = begin + timedelta(seconds=forecaster.period)
        return Said(finding, (time.perf_counter_ns() - started) // 1000)

    def _tell(self, finding: SeasonalFinding, value: float, at: int) -> None:
        self._above = (self._above + 1) * (finding.verdict == "reject")
        if not self._strays and self._above >= STRAYS_AFTER:
            self._strays = True
            how = f"{value:.4g}", f"{finding.low:.4g}", f"{finding.high:.4g}"
            text = Text(
                f"is not as usual at this time: {how[0]}, where {how[1]} to {how[2]} is usual",
                f"与该时段通常情况不符：{how[0]}，通常为 {how[1]} 至 {how[2]}",
            )
            self._sink.announce(self._config.device, "value_strays", text)
        elif self._strays and finding.verdict == "pass":
            self._strays = False
            self._sink.announce(self._config.device, "value_usual", Text("is as usual again", "已恢复正常"))
        if min(value, finding.expected) <= 0:
            return
        if change := self._changes.follow(value / finding.expected, at):
            since, times = f"{datetime.fromtimestamp(change.since / 1e6):%Y-%m-%d %H:%M}", f"{change.factor:.2g}"  # noqa: DTZ006 - as people's clock says
            text = Text(
                f"has changed for good since {since}: {times} times what was usual",
                f"自 {since} 起发生持续变化：为通常的 {times} 倍",
            )
            self._sink.announce(self._config.device, "value_changed", text)

    def _resume(self, forecaster: Forecaster, path: Path, now: datetime) -> datetime:
        """Go on from what was kept, of this model all it has learnt; return where the next period begins, after a week anew."""
        begin, period = _next_begin(forecaster, now), timedelta(seconds=forecaster.period)
        try:
            kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return begin
        self._models.record.resume(kept.record_of, kept.record, kept.compared)
        if kept.past.of == self._past.of and kept.past.end <= now:
            self._past = kept.past
        if kept.model != forecaster.digest or now < kept.at:
            return begin
        forecaster.resume(kept.known, kept.at)
        if not self._past.values:
            self._past.period, self._past.end = forecaster.period, kept.at
        if now - kept.at > timedelta(seconds=SECONDS["week"]):
            return begin
        self._changes, self._strays = kept.changes, kept.strays
        self._counter = kept.counter if now < kept.at + period else math.nan
        return kept.at

    def _keep(self, forecaster: Forecaster, path: Path, end: datetime) -> None:
        known, record = forecaster.known, self._models.record
        kept = _Kept(
            forecaster.digest,
            end,
            known,
            self._counter,
            self._changes,
            self._strays,
            record.of,
            record.counts,
            record.compared,
            self._past,
        )
        keep(path, kept)

    def _set_state(self, state: str, reason: Text) -> None:
        if told := self._state.become(state, reason):
            self._sink.announce(self._config.device, "model_refused", told)


def _next_begin(forecaster: Forecaster, now: datetime) -> datetime:
    """Return where the model's next whole period begins."""
    midnight, period = now.replace(hour=0, minute=0, second=0, microsecond=0), timedelta(seconds=forecaster.period)
    return midnight + math.ceil((now - midnight) / period) * period
