"""Wires the agent's parts together and keeps them running until told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from edge_agent.buffer import Buffer, unusable
from edge_agent.cloud_link import CloudLink
from edge_agent.collect import Collector
from edge_agent.config import Config, InspectionConfig
from edge_agent.events import Announce
from edge_agent.forward import Forwarder
from edge_agent.health import HealthReporter
from edge_agent.identity import Login
from edge_agent.normalise import Normaliser
from edge_agent.sink import Sink
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Language, Text
from protocols.uplink.messages import DeviceReport

RESTARTS, RESTARTS_WITHIN_S, REST_S = 5, 60.0, 60.0
"""A part that fails unexpectedly is restarted at once, but at most so often within that time; then it rests."""

_log = logging.getLogger("sunmao.edge")


class Reporting(Protocol):
    """A part of the agent that works until cancelled and stands for one device."""

    async def run(self) -> None:
        """Work until cancelled."""

    def report(self) -> DeviceReport:
        """Return the device as it is now."""


async def run_agent(config: Config, language: Language) -> None:
    """Run the agent until SIGTERM or SIGINT; what was collected by then is on disk when this returns.

    Raises ConfigError if a part cannot be configured or another agent uses the same state directory, Refused if the
    disk takes nothing.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state_dir = config.agent.state_dir
    async with (
        CloudLink(config.cloud.url, config.cloud.ca) as link,
        _opened(state_dir, config, language) as buffer,
    ):
        collectors = [
            Collector(device, Normaliser(device, await buffer.marks(device.name)), buffer.add_readings, buffer.announce)
            for device in config.devices
        ]
        stations = [station(inspection, buffer) for inspection in config.inspections]
        login = Login(state_dir, link)
        forwarder = Forwarder(buffer, link, login, state_dir, buffer.announce)
        reporter = HealthReporter(
            config.agent.name,
            state_dir,
            buffer,
            link,
            login,
            devices=lambda: [part.report() for part in (*collectors, *stations)],
            uplink=lambda: forwarder.uplink,
            missed=lambda: {collector.device.name: collector.missed for collector in collectors},
        )
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            *((collector.device.name, collector.run) for collector in collectors),
            *((inspection.device, part.run) for inspection, part in zip(config.inspections, stations, strict=True)),
            ("forward", forwarder.run),
            ("status", reporter.write_status),
            ("health", reporter.report),
        ]
        _give_back_memory()
        await _run_until(stop, [_supervise(name, work, buffer.announce) for name, work in parts])


def station(inspection: InspectionConfig, sink: Sink) -> Reporting:
    """Return the inspection station of `inspection`; raises ConfigError if the inference parts are not installed."""
    try:
        from edge_agent.inspect.station import Station  # noqa: PLC0415 - onnxruntime is needed only where it is used
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("edge_agent"):
            raise
        raise ConfigError(
            Text(f"inspection needs the package '{error.name}'", f"视觉检测缺少软件包“{error.name}”"),
            Text("install sunmao-iiot[inference]", "请安装 sunmao-iiot[inference]"),
            key="inspection",
        ) from error
    return Station(inspection, sink)


def _give_back_memory() -> None:
    """Return to the system what importing the protocol libraries left over: about 40 MB of some 120 (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    if trim is not None:
        trim(0)


async def _run_until(stop: asyncio.Event, parts: Sequence[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _supervise(name: str, work: Callable[[], Awaitable[None]], announce: Announce) -> None:
    """Run `work`; restart it after an error nobody foresaw. One part's failure never ends another.

    What keeps failing for the same reason is said once.
    """
    restarts: deque[float] = deque(maxlen=RESTARTS)
    clock = asyncio.get_running_loop().time
    said: Text | None = None
    while True:
        begun = clock()
        unforeseen: Exception | None = None
        try:
            await work()
        except SunmaoError as error:
            reason = Text(error.explain("en"), error.explain("zh"))
        except Exception as error:
            unforeseen = error
            reason = Text(f"stopped by an internal error: {error!r}", f"因内部错误停止：{error!r}")
        else:
            return
        if reason != said or clock() - begun > REST_S:
            if unforeseen is not None:
                _log.error("%s", name, exc_info=unforeseen)
            announce(name, "part_failed", reason)
            said = reason
        restarts.append(clock())
        if len(restarts) == RESTARTS and restarts[-1] - restarts[0] < RESTARTS_WITHIN_S:
            await asyncio.sleep(REST_S)


@asynccontextmanager
async def _opened(state_dir: Path, config: Config, language: Language) -> AsyncIterator[Buffer]:
    """Open the buffer for this agent alone, and close it with everything on disk."""
    buffer = Buffer(state_dir, config.buffer, language)
    with _alone(state_dir):
        await buffer.open()
        try:
            yield buffer
        finally:
            await buffer.close()


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock; raises ConfigError if another agent does or the directory cannot be used."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(state_dir / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(state_dir, error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                Text(f"another agent is running on {state_dir}", f"已有代理在使用 {state_dir}"),
                Text("stop it, or give this one its own state_dir", "请先停止它，或为本代理另设 state_dir"),
                key="agent.state_dir",
            ) from error
        yield
    finally:
        os.close(lock)
