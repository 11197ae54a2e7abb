"""All outlets of the agent: what is collected goes to the buffer first, and then to every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.events import Announce
from edge_agent.normalise import Mark
from edge_agent.outlets.config import CsvConfig, OutletConfig, ParquetConfig, SparkplugConfig
from edge_agent.outlets.outlet import Outlet, OutletState, Pair
from edge_agent.supervise import supervise
from protocols.uplink.messages import Event, Inspection, LateOpinion, PointRef


@dataclass(frozen=True)
class _Running:
    config: OutletConfig
    outlet: Outlet
    task: asyncio.Task[None]


class Outlets:
    """The outlets of the configuration in force, and a sink (see `edge_agent.sink.Sink`) for them and the buffer.

    Use as `async with`, which ends them all. An inspection judged again after a crash, which the buffer knows and skips,
    reaches the outlets twice.

    Args:
        buffer: what is kept for the cloud; it alone decides about durability.
        state_dir: where outlets keep what they must remember.
    """

    def __init__(self, buffer: Buffer, state_dir: Path) -> None:
        self._buffer = buffer
        self._state_dir = state_dir
        self._running: dict[str, _Running] = {}

    async def __aenter__(self) -> Outlets:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stop(list(self._running))

    def compared(self, configs: Sequence[OutletConfig]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Return the names of the outlets that `become` would add, change and remove."""
        wanted = {config.name: config for config in configs}
        return (
            tuple(name for name in wanted if name not in self._running),
            tuple(name for name in wanted if name in self._running and wanted[name] != self._running[name].config),
            tuple(name for name in self._running if name not in wanted),
        )

    def made(self, configs: Sequence[OutletConfig], changes: Sequence[Sequence[str]]) -> dict[str, Outlet]:
        """Return new outlets for those of `configs` that `changes` adds or changes; raises ConfigError."""
        added, changed, _ = changes
        return {
            config.name: make_outlet(config, self._state_dir, self._buffer.announce)
            for config in configs
            if config.name in (*added, *changed)
        }

    async def become(self, configs: Sequence[OutletConfig], made: Mapping[str, Outlet]) -> None:
        """Run the outlets of `configs` and no others: new ones as `made`; one that has not changed is not touched."""
        wanted = {config.name: config for config in configs}
        await self._stop([name for name in self._running if name not in wanted or name in made])
        for name, outlet in made.items():
            task = asyncio.create_task(supervise(name, outlet.run, self._buffer.announce))
            self._running[name] = _Running(wanted[name], outlet, task)
        await asyncio.sleep(0)  # a task that was never begun would end without writing what it was given

    def states(self) -> list[OutletState]:
        """Return every outlet as it is now."""
        return [running.outlet.state() for running in self._running.values()]

    def forget(self, device: str) -> None:
        """Take note that `device` is not part of the configuration any more, or not as it was."""
        for running in self._running.values():
            running.outlet.forget(device)

    def add_readings(self, readings: Sequence[Pair], marks: Sequence[tuple[PointRef, Mark]] = ()) -> None:
        """See `Buffer.add_readings`."""
        self._buffer.add_readings(readings, marks)
        if self._running:
            readings = list(readings)  # made once for all of them
            # A live reading that has a time of its device's comes with a mark (see `normalise`); history does not.
            past = not marks and any(reading.source_time != reading.arrival_time for _, reading in readings)
            for running in self._running.values():
                running.outlet.add(readings, past=past)

    def add_opinion(self, opinion: LateOpinion) -> None:
        """See `Sink.add_opinion`."""
        self._buffer.add_opinion(opinion)

    def add_inspection(self, inspection: Inspection, readings: Sequence[Pair]) -> None:
        """See `Sink.add_inspection`."""
        self._buffer.add_inspection(inspection, readings)
        for running in self._running.values():
            running.outlet.add(readings)

    @property
    def announce(self) -> Announce:
        """See `Sink.announce`."""
        return self._buffer.announce

    def add_event(self, event: Event) -> None:
        """See `Sink.add_event`."""
        self._buffer.add_event(event)

    async def flush(self) -> None:
        """See `Sink.flush`; outlets promise no durability and are not waited for."""
        await self._buffer.flush()

    async def _stop(self, names: Sequence[str]) -> None:
        tasks = [self._running.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def make_outlet(config: OutletConfig, state_dir: Path, announce: Announce) -> Outlet:
    """Return the outlet of `config`; raises ConfigError where a package for it is not installed."""
    # What an outlet needs is loaded only where there is one.
    if isinstance(config, SparkplugConfig):
        from edge_agent.outlets.sparkplug import SparkplugOutlet  # noqa: PLC0415

        return SparkplugOutlet(config, state_dir, announce)
    from edge_agent.outlets.files import FileOutlet  # noqa: PLC0415

    if isinstance(config, ParquetConfig):
        from edge_agent.outlets.parquet_file import ParquetFormat  # noqa: PLC0415

        return FileOutlet(config, ParquetFormat(config), announce)
    assert isinstance(config, CsvConfig)  # noqa: S101 - there are no more kinds
    from edge_agent.outlets.csv_file import CsvFormat  # noqa: PLC0415

    return FileOutlet(config, CsvFormat(config), announce)
