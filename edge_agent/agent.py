"""Wires the agent's parts together and keeps them running until told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, repeat
from pathlib import Path

from edge_agent.audit import AuditFollower
from edge_agent.buffer import Buffer, unusable
from edge_agent.cloud_link import CloudLink
from edge_agent.config import Config
from edge_agent.diagnose import Diagnosis
from edge_agent.forward import Forwarder
from edge_agent.health import HealthReporter
from edge_agent.identity import Login
from edge_agent.model_orders import ModelOrders
from edge_agent.outlets.outlets import Outlets
from edge_agent.parts import Parts
from edge_agent.plant_shifts import PlantShifts
from edge_agent.reconfigure import Reconfigurer
from edge_agent.remote import Remote
from edge_agent.supervise import supervise
from edge_agent.watchdog import keep_watched
from protocols.errors import ConfigError
from protocols.text import Language, Text

TRIM_AFTER_S = (10.0, 20.0, 60.0)
TRIM_EVERY_S = 600.0
"""When memory that is free is given back: while devices connect for the first time, then as often as this."""


async def run_agent(config: Config, shared: str, path: Path, language: Language) -> None:
    """Run the agent until SIGTERM or SIGINT; what was collected by then is on disk when this returns.

    `config` and `shared` are what to start with (`remote.start_with`) by the file `path`, and the caller holds the state
    directory (`alone`). While the agent runs the file is followed, at once on SIGHUP (see `reconfigure`), and so is what
    the cloud wants (see `remote`). Raises ConfigError if a part cannot be configured, Refused if the disk takes nothing.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    state_dir = config.agent.state_dir
    async with (
        CloudLink(config.cloud.url, config.cloud.ca) as link,
        _opened(state_dir, config, language) as buffer,
        Outlets(buffer, state_dir) as outlets,
        Parts(buffer, outlets) as devices,
    ):
        await devices.become(config)
        reconfigurer = Reconfigurer(path, config, devices, buffer)
        loop.add_signal_handler(signal.SIGHUP, reconfigurer.look_now)
        login = Login(state_dir, link)
        forwarder = Forwarder(buffer, link, login, state_dir, buffer.announce)
        reporter = HealthReporter(
            config.agent.name,
            state_dir,
            buffer,
            link,
            login,
            devices=devices.reports,
            uplink=lambda: forwarder.uplink,
            missed=devices.missed,
            config=lambda: reconfigurer.state,
            outlets=outlets.states,
            diagnostics=lambda: reconfigurer.config.agent.allow_diagnostics,
            every_s=config.agent.report_s,
        )
        remote = Remote(
            path,
            config,
            shared,
            parts=devices,
            reconfigurer=reconfigurer,
            link=link,
            login=login,
            announce=buffer.announce,
            hurry=reporter.hurry,
        )
        reporter.follow(remote.report, remote.heard)
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("audit", AuditFollower(state_dir, buffer).run),
            ("forward", forwarder.run),
            ("configuration", reconfigurer.watch),
            ("desired configuration", remote.run),
            ("status", reporter.write_status),
            ("health", reporter.report),
            ("diagnostics", Diagnosis(path, lambda: reconfigurer.config, link, login).run),
            ("models", ModelOrders(devices, lambda: reconfigurer.config, link, login).run),
            ("shifts", PlantShifts(lambda: reconfigurer.config, link, login).run),
            ("memory", _give_back_memory),
            ("watchdog", keep_watched),
        ]
        await _run_until(stop, [supervise(name, work, buffer.announce) for name, work in parts])


async def _give_back_memory() -> None:
    """Return to the system, now and then, what is free in between (malloc_trim(3)), until cancelled.

    Reading a configuration of 10,000 points, importing the protocol libraries and connecting leave half as much again as
    the agent needs; the C library keeps it otherwise.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    if trim is None:
        return
    for wait in chain(TRIM_AFTER_S, repeat(TRIM_EVERY_S)):
        trim(0)
        await asyncio.sleep(wait)


async def _run_until(stop: asyncio.Event, parts: Sequence[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _opened(state_dir: Path, config: Config, language: Language) -> AsyncIterator[Buffer]:
    """Open the buffer, and close it with everything on disk."""
    buffer = Buffer(state_dir, config.buffer, language)
    await buffer.open()
    try:
        yield buffer
    finally:
        await buffer.close()


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
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
