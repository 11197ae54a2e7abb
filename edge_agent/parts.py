"""What the agent runs for its configuration: one task per device, inspection station and machine watched, started and stopped singly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from edge_agent.buffer import Buffer
from edge_agent.collect import Collector
from edge_agent.config import Config, DeviceConfig, ForecastConfig, InspectionConfig, MachineHealthConfig
from edge_agent.normalise import Mark, Normaliser
from edge_agent.outlets.outlets import Outlets
from edge_agent.sink import Sink
from edge_agent.supervise import supervise
from protocols.errors import ConfigError
from protocols.reading import Reading
from protocols.text import Text
from protocols.uplink.messages import DeviceReport, PointRef

if TYPE_CHECKING:
    from edge_agent.inspect.model_switch import ModelSwitch


class Part(Protocol):
    """Something that works until cancelled and stands for one device."""

    async def run(self) -> None:
        """Work until cancelled."""

    def report(self) -> DeviceReport:
        """Return the device as it is now."""


class ListeningPart(Part, Protocol):
    """A part that acts on what devices say."""

    @property
    def listens_to(self) -> frozenset[str]:
        """The devices whose live readings it wants."""

    def heard(self, rows: Iterable[tuple[PointRef, Reading]]) -> None:
        """Take live readings of one of them; neither blocks nor fails."""


@runtime_checkable
class ModelRunner(Protocol):
    """A part whose models may come from the cloud."""

    @property
    def models(self) -> ModelSwitch[Any]:
        """What models it runs."""


class Changes(NamedTuple):
    """Names of the parts that a new configuration started, stopped, or started anew with other settings."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def sentence(self) -> Text:
        """Return what was done, for people."""
        heads = (Text("added", "新增"), Text("changed", "变更"), Text("removed", "移除"))
        done = [(head, ", ".join(names)) for head, names in zip(heads, self, strict=True) if names]
        if not done:
            return Text("nothing to start or stop", "无需启动或停止任何设备")
        return Text(
            "; ".join(f"{head.en} {names}" for head, names in done),
            "；".join(f"{head.zh} {names}" for head, names in done),
        )


Judging = InspectionConfig | MachineHealthConfig | ForecastConfig
Settings = DeviceConfig | Judging


@dataclass
class _Running:
    settings: Settings
    part: Collector | ListeningPart
    task: asyncio.Task[None]
    failures: int = 0


class Parts:
    """The devices and inspection stations of the configuration in force; use as `async with`, which ends them all.

    Args:
        buffer: remembers what devices said last.
        outlets: take what is collected, the buffer among them; those of the configuration run as well.
    """

    def __init__(self, buffer: Buffer, outlets: Outlets) -> None:
        self._buffer = buffer
        self._outlets = outlets
        self._running: dict[str, _Running] = {}
        self._config: Config | None = None
        self._listening: dict[str, list[ListeningPart]] = {}

    async def __aenter__(self) -> Parts:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stop(list(self._running))

    async def become(self, config: Config) -> Changes:
        """Run what `config` names and nothing else. What is in it unchanged is not touched and goes on meanwhile.

        Raises ConfigError, and changes nothing, if a part cannot be made.
        """
        wanted = _wanted(config)
        changes = self.compared(config)
        fresh = [*changes.added, *changes.changed]
        made = {
            name: judging(settings, self._outlets, self._in_force)
            for name in fresh
            if not isinstance(settings := wanted[name], DeviceConfig)
        }
        outlets = self._outlets.compared(config.outlets)
        made_outlets = self._outlets.made(config.outlets, outlets)
        await self._stop([*changes.removed, *changes.changed])
        self._config = config
        for name in (*changes.removed, *changes.changed):
            self._outlets.forget(name)
        await self._outlets.become(config.outlets, made_outlets)
        if changes.changed and not self._buffer.failing:
            await self._buffer.flush()  # the marks of what was just stopped
        for name in fresh:
            settings = wanted[name]
            part = await self._collector(settings) if isinstance(settings, DeviceConfig) else made[name]
            self._start(name, settings, part)
        self._running = {name: self._running[name] for name in wanted}
        listening: dict[str, list[ListeningPart]] = {}
        for running in self._running.values():
            if not isinstance(running.part, Collector):
                for device in running.part.listens_to:
                    listening.setdefault(device, []).append(running.part)
        self._listening = listening
        return Changes(*(parts + ways_out for parts, ways_out in zip(changes, outlets, strict=True)))

    def compared(self, config: Config) -> Changes:
        """Return which devices and stations `become` would change."""
        wanted = _wanted(config)
        return Changes(
            tuple(name for name in wanted if name not in self._running),
            tuple(name for name in wanted if name in self._running and wanted[name] != self._running[name].settings),
            tuple(name for name in self._running if name not in wanted),
        )

    def reports(self) -> list[DeviceReport]:
        """Return every device as it is now, in the order of the configuration."""
        return [running.part.report() for running in self._running.values()]

    def models(self) -> dict[str, ModelSwitch[Any]]:
        """Return what models the inspection stations and the watches run, by their names."""
        return {
            name: running.part.models
            for name, running in self._running.items()
            if isinstance(running.part, ModelRunner)
        }

    def missed(self) -> dict[str, int]:
        """Return the missed poll cycles by device."""
        return {
            name: running.part.missed for name, running in self._running.items() if isinstance(running.part, Collector)
        }

    def failures(self) -> dict[str, int]:
        """Return how often each part ended by an error since it was started with its present settings."""
        return {name: running.failures for name, running in self._running.items()}

    async def _collector(self, device: DeviceConfig) -> Collector:
        buffer = self._buffer
        normalise = Normaliser(device, await buffer.marks(device.name))

        def add(rows: Sequence[tuple[PointRef, Reading]], marks: Sequence[tuple[PointRef, Mark]]) -> None:
            self._outlets.add_readings(rows, marks)
            # History comes without marks, with times of the device's own (see `Outlets.add_readings`), and triggers nothing.
            if (parts := self._listening.get(device.name)) and (
                marks or not any(reading.source_time != reading.arrival_time for _, reading in rows)
            ):
                for part in parts:
                    part.heard(rows)

        gaps = await buffer.gaps(device.name)
        keep = partial(buffer.add_gaps, device.name)
        return Collector(device, normalise, add, buffer.announce, gaps=gaps, keep_gaps=keep)

    def _in_force(self) -> Config:
        assert self._config is not None  # noqa: S101 - what asks is started by `become`
        return self._config

    def _start(self, name: str, settings: Settings, part: Collector | ListeningPart) -> None:
        def failed() -> None:
            running.failures += 1

        work = supervise(name, part.run, self._buffer.announce, failed)
        running = self._running[name] = _Running(settings, part, asyncio.create_task(work))

    async def _stop(self, names: Sequence[str]) -> None:
        tasks = [self._running.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _wanted(config: Config) -> dict[str, Settings]:
    return {device.name: device for device in config.devices} | {each.device: each for each in config.judging}


def judging(settings: Judging, sink: Sink, config: Callable[[], Config]) -> ListeningPart:
    """Return what runs the model of `settings`; raises ConfigError if the inference parts are not installed.

    `config` returns the configuration in force.
    """
    try:
        # onnxruntime is needed only where it is used
        from edge_agent.inspect.forecast_watch import ForecastWatch  # noqa: PLC0415
        from edge_agent.inspect.machine_health import HealthWatch  # noqa: PLC0415
        from edge_agent.inspect.station import Station  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("edge_agent"):
            raise
        raise ConfigError(
            Text(f"a model needs the package '{error.name}'", f"运行模型缺少软件包“{error.name}”"),
            Text("install sunmao-iiot[inference]", "请安装 sunmao-iiot[inference]"),
            key=settings.device,
        ) from error
    if isinstance(settings, MachineHealthConfig):
        return HealthWatch(settings, sink, config)
    if isinstance(settings, ForecastConfig):
        return ForecastWatch(settings, sink, config)
    return Station(settings, sink, config)
