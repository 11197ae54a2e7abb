"""The watch over a machine's health: its collected sensors judged by a signed model, one step a period.

The model smooths over time, so a step is taken when its time has come and not when a reading comes: a sensor that reports
only what changes has kept its value, and one that is lost is missing. A machine at rest is not judged, nor is one of which
nothing is known; what the model knew before a longer rest counts no more.

A model that comes from the cloud follows the same readings until it can judge them; only then it decides, between two steps.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy.typing as npt

from edge_agent.config import Config, MachineHealthConfig
from edge_agent.inspect.health_news import HealthNews, Known
from edge_agent.inspect.health_record import Compared, Said
from edge_agent.inspect.model_switch import ModelSwitch
from edge_agent.inspect.runtime import bundle_stamp, load_monitor
from edge_agent.inspect.watch_models import WatchModels
from edge_agent.inspect.watch_state import WatchState, keep
from edge_agent.inspect.wave_array import ArraySource, WaveArrays
from edge_agent.inspect.wave_folder import WaveFile, WaveFolder
from edge_agent.sink import Sink
from models.errors import InputError, ModelError
from models.series.monitor import Attended, HealthFinding, Memory, Monitor
from models.verdict import VERDICTS
from protocols.errors import SunmaoError
from protocols.reading import BAD, GOOD, UNCERTAIN, Quality, Reading, Value, now_us, plausible_time
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, PointRef
from protocols.uplink.models import ModelRecord

RETRY_S = 2.0
QUIET_PERIODS = 3
"""After so many periods without new vibration nothing is known of the machine."""
QUIET_S = 3.0
"""So long, at the least."""
KEEP_S = 60.0
"""How often what is known is written down: so much a power cut may cost."""
PARTS_S = 60.0
"""How often each sensor's part is told while the machine is well; while it is not, every time."""


class _Kept(msgspec.Struct):
    """What survives a restart: of which model, when, the averages, what people were told, and what the models said since the
    last order."""

    model: str
    at: int
    memory: Memory
    known: Known
    record_of: tuple[int, str] = (0, "")
    record: ModelRecord = ModelRecord()
    compared: Compared = Compared()


class HealthWatch:
    """Runs one [[machine_health]] of the configuration.

    Args:
        watch: what to run.
        sink: takes readings and events.
        config: returns the configuration in force, for the folder in which the watch keeps what it knows.
    """

    def __init__(self, watch: MachineHealthConfig, sink: Sink, config: Callable[[], Config]) -> None:
        self._config = watch
        self._sink = sink
        self._whole = config
        self._latest = dict.fromkeys(((each.device, each.point) for each in watch.sensors.values()), math.nan)
        self._runs: Value = None if watch.running else True
        self._verdict = PointRef(watch.device, "verdict", "machine_health_verdict", "C62")
        self._score = PointRef(watch.device, "score", "machine_health_score", "C62")
        self._waves = self._source(watch)
        self._wave: WaveFile | WaveArrays | None = None
        self._heard_at = 0.0
        self._models = WatchModels(watch, "health", config, sink.announce, self._loaded)
        self._failing: Text | None = None
        self._model, self._sensors = "", tuple(watch.sensors)
        self._state = WatchState(Text("watching again", "监测已恢复"))
        self._news = HealthNews(watch.device, watch.period_s, sink.announce)
        self._parts_at = 0.0

    def _loaded(self, folder: Path) -> Attended:
        return Attended(load_monitor(folder, self._config.trust, self._config.sensors or None))

    def _source(self, watch: MachineHealthConfig) -> WaveFolder | ArraySource | None:
        if watch.array:
            return ArraySource(watch.array, watch.period_s, self._whole)
        if watch.waveform:
            return WaveFolder(watch.device, watch.waveform, watch.period_s, self._sink.announce)
        return None

    @property
    def listens_to(self) -> frozenset[str]:
        """The devices whose live readings are to be given to `heard`."""
        running = self._config.running
        return frozenset(device for device, _ in self._latest) | ({running.device} if running else set())

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> None:
        """Take note of what the sensors say now."""
        running = self._config.running
        for ref, reading in rows:
            key = (ref.device, ref.name)
            if key in self._latest:
                self._latest[key] = _number(reading)
            if running and key == (running.device, running.point):
                self._runs = None if reading.quality < 0 else reading.value

    @property
    def models(self) -> ModelSwitch[Attended]:
        """What models it runs."""
        return self._models

    async def run(self) -> None:
        """Watch until cancelled. A refused model is announced once, and tried again when it has been replaced."""
        while True:
            stamp = await asyncio.to_thread(bundle_stamp, self._config.bundle)
            try:
                attended = await self._models.begin()
                await self._follow(attended, stamp)
            except ModelError as error:
                self._set_state("down", Text(error.en, error.zh))
            while not self._models.waits and await asyncio.to_thread(bundle_stamp, self._config.bundle) == stamp:  # noqa: ASYNC110 - folders do not call
                await asyncio.sleep(RETRY_S)
            await self._models.changed(None)

    def report(self) -> DeviceReport:
        """Return the watch as it is now."""
        return DeviceReport(
            name=self._config.device,
            protocol="machine_health",
            template=self._model,
            equipment_class="machine_health",
            state=self._state.state,
            since=self._state.since,
            points=2 + len(self._sensors),
            unmapped=0,
            reason_en=self._state.reason.en,
            reason_zh=self._state.reason.zh,
        )

    async def _follow(self, attended: Attended, stamp: object) -> None:
        """Take a step each period until the bundle is replaced."""
        clock = asyncio.get_running_loop().time
        self._name(attended)
        folder = self._whole().agent.state_dir
        path = folder / f"health-{sha256(self._config.device.encode()).hexdigest()[:16]}.msgpack"
        await asyncio.to_thread(self._resume, attended, path)
        await self._models.load_before()
        kept = due = self._heard_at = clock()
        try:
            while True:
                due = max(due + (self._waves.look_s if self._waves else self._config.period_s), clock())
                await asyncio.sleep(due - clock())
                attended = await self._decides(attended)
                said = (
                    await self._take(self._waves, attended, clock()) if self._waves else self._step(attended, clock())
                )
                if said and self._models.on_trial:
                    await self._models.judged(said.latency_us)
                if said:
                    await self._models.compare(self._config.period_s)
                if clock() - kept >= KEEP_S:
                    kept = clock()
                    await asyncio.to_thread(self._keep, attended, path)
                    if await asyncio.to_thread(bundle_stamp, self._config.bundle) != stamp:
                        return
        finally:
            self._keep(attended, path)
            if self._waves:
                await self._waves.close()

    def _name(self, attended: Attended) -> None:
        """Note what is judged by from here on."""
        self._news.pause()
        self._model, self._sensors = f"{attended.card.name} {attended.card.version}", attended.monitor.sensors

    async def _decides(self, attended: Attended) -> Attended:
        """Return what judges the next reading: another model once it can, so that no reading is without a verdict."""
        models = self._models
        if self._failing:
            why, self._failing = self._failing, None
            if models.on_trial:
                await models.give_back(why)
            attended.monitor.restart()
        if models.waits and (models.coming is None or models.coming.warm or not attended.warm):
            changed = await models.changed(attended) or attended
            if changed is not attended:
                attended = changed
                self._name(attended)
        return attended

    async def _take(
        self, waves: WaveFolder | ArraySource, attended: Attended, now: float
    ) -> Said[HealthFinding] | None:
        """Judge the next vibration, if any has come; a file is moved once what it said is durable."""
        assert attended.monitor.block  # noqa: S101 - `load_monitor` has seen to it
        try:
            wave = await waves.next()
            if wave is None:
                quiet = max(QUIET_PERIODS * self._config.period_s, QUIET_S)
                if now - self._heard_at > quiet:
                    self._heard_at += quiet / QUIET_PERIODS
                    self._rest(attended, Text("no vibration has come", "没有收到振动数据"))
                return None
            self._heard_at = now
            try:
                wave.blocks(attended.monitor.block)
            except InputError as error:
                await waves.refuse(error)
                return None
            self._wave = wave
            said = self._step(attended, now)
            await self._sink.flush()
            await waves.judged()
            self._wave = None
        except OSError as error:
            where = error.filename or self._config.device
            self._rest(attended, Text(f"{where}: {error.strerror}", f"{where}：{error.strerror}"))
            return None
        except SunmaoError as error:
            self._rest(attended, Text(error.explain("en"), error.explain("zh")))
            return None
        return said

    def _step(self, attended: Attended, now: float) -> Said[HealthFinding] | None:
        """Judge the present readings; return what the deciding model said, if there was anything to judge."""
        if not self._runs:
            self._rest(attended, Text("the machine is at rest", "设备未运行"))
            return None
        if not self._waves and all(math.isnan(value) for value in self._latest.values()):
            self._rest(attended, Text("no sensor is read", "没有任何传感器数据"))
            return None
        others = {id(each): self._said(each) for each in self._models.others}
        said = self._said(attended)
        if isinstance(said, InputError):
            self._failing = Text(said.en, said.zh)
            self._set_state("up", self._failing)
            return None
        finding = said.finding
        beside, before = (
            each if isinstance(each, Said) else None
            for each in (others.get(id(self._models.shadow)), others.get(id(self._models.before)))
        )
        self._models.record.add(self._models.record_of, attended.monitor.forgets_after, said, beside, before)
        if finding.verdict is None:
            self._set_state("up", Text("getting to know the machine's present state", "正在熟悉设备当前状态"))
            return said
        lost = [name for name, count in zip(attended.monitor.sensors, attended.missing, strict=True) if count]
        names = ", ".join(lost)
        self._set_state("up", Text(f"without {names}", f"缺少 {names}") if lost else Text("", ""))
        arrived = now_us()
        at = plausible_time(self._wave.taken, arrived) if self._wave else arrived
        self._news.follow(attended, finding, at)
        self._add(attended.monitor, finding, UNCERTAIN if lost else GOOD, now, (at, arrived))
        return said

    def _said(self, attended: Attended) -> Said[HealthFinding] | InputError:
        """Return what a model says of the present readings, or of the last block of vibration; or why it can say nothing."""
        try:
            readings: Iterable[npt.ArrayLike]
            if self._wave and attended.monitor.block:
                readings = self._wave.blocks(attended.monitor.block)
            else:
                where = [self._config.sensors[name] for name in attended.monitor.sensors]
                readings = [[self._latest[each.device, each.point] for each in where]]
            for reading in readings:
                begin = time.perf_counter_ns()
                finding = attended.follow(reading)
        except InputError as error:
            return error
        return Said(finding, (time.perf_counter_ns() - begin) // 1000)

    def _rest(self, attended: Attended, why: Text) -> None:
        """Say once that there is no verdict, and why."""
        for each in (attended, *self._models.others):
            each.rest()
        self._news.pause()
        self._set_state("up", why)
        if attended.idle == 1:
            at = now_us()
            self._sink.add_readings(
                [(point, Reading(point.name, None, BAD, at, at)) for point in (self._verdict, self._score)]
            )

    def _add(
        self, monitor: Monitor, finding: HealthFinding, quality: Quality, now: float, times: tuple[int, int]
    ) -> None:
        assert finding.verdict is not None  # noqa: S101 - as `_step` has seen
        rows: list[tuple[PointRef, Value]] = [
            (self._verdict, VERDICTS.index(finding.verdict)),
            (self._score, finding.score),
        ]
        if finding.remaining:
            names = ("remaining life", "remaining at least", "remaining at most")
            rows += [
                (PointRef(self._config.device, name, "machine_remaining_life", "HUR"), hours)
                for name, hours in zip(names, self._news.hours(finding.remaining), strict=True)
            ]
        if finding.verdict != "pass" or now - self._parts_at >= PARTS_S:
            self._parts_at = now
            rows += [
                (PointRef(self._config.device, f"part of {name}", "machine_health_part", "C62"), part)
                for name, part in (*finding.contributions, *monitor.by_channel(finding.contributions))
            ]
        self._sink.add_readings([(point, Reading(point.name, value, quality, *times)) for point, value in rows])

    def _resume(self, attended: Attended, path: Path) -> None:
        """Go on from what was kept of this model not long ago."""
        monitor = attended.monitor
        try:
            kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return
        self._models.record.resume(kept.record_of, kept.record, kept.compared)
        steps = (now_us() - kept.at) / 1e6 / self._config.period_s
        if kept.model != monitor.digest:
            return
        self._news.known = kept.known
        if 0 <= steps <= monitor.warm_after:
            monitor.resume(kept.memory)

    def _keep(self, attended: Attended, path: Path) -> None:
        record = self._models.record
        kept = _Kept(
            attended.monitor.digest,
            now_us(),
            attended.monitor.memory,
            self._news.known,
            record.of,
            record.counts,
            record.compared,
        )
        keep(path, kept)

    def _set_state(self, state: str, reason: Text) -> None:
        if told := self._state.become(state, reason):
            self._sink.announce(self._config.device, "model_refused", told)


def _number(reading: Reading) -> float:
    """Return what a reading says, NaN if nothing. An uncertain value counts: outside its usual range is what is looked for."""
    if reading.quality < 0 or not isinstance(reading.value, int | float):
        return math.nan
    return float(reading.value)
