"""The Sparkplug outlet: this agent as an edge node at a broker, its devices as the node's devices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge_agent.atomic_file import write_file
from edge_agent.backoff import full_jitter
from edge_agent.events import Announce
from edge_agent.outlets.birth import Device
from edge_agent.outlets.config import Selection, SparkplugConfig
from edge_agent.outlets.outlet import Condition, OutletState, Pair, Waiting
from protocols.errors import SunmaoError, Unreachable
from protocols.mqtt.node_session import SESSIONS, NodeSession
from protocols.reading import Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef

GATHER_S = 0.1
"""Changes are published together for so long."""
MAX_METRICS = 500
"""Most readings between two signs of life of the broker; what it has not confirmed is published again."""
FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_REFUSED_S = 0.5, 5.0, 60.0
"""A broker that is away is looked for soon again; one that says no is left alone longer."""
STABLE_S = 10.0
BIRTHS_S = 1.0
"""Births are given at most so often."""
LAST_S = 1.0
"""At the end of the agent what waits is published for so long."""


class SparkplugOutlet:
    """One edge node.

    Published is what changed: a reading that repeats value and quality of the one before says nothing new. What waited
    while the broker was away follows the births as historical. A message that a broken connection may have swallowed is
    sent again, so that a host may get it twice, with the same time, but not never.

    Args:
        config: the outlet.
        state_dir: where the number of the session is kept.
        announce: told what people should know.
    """

    def __init__(self, config: SparkplugConfig, state_dir: Path, announce: Announce) -> None:
        self._config = config
        self._number_file = state_dir / f"outlet-{config.name}.session"
        self._number: int | None = None
        self._selection = Selection(config)
        self._wanted: dict[PointRef, bool] = {}
        self._waiting, self._past = Waiting(config.queue), Waiting(config.queue)
        """Changes as they come; and what is to be published as historical, when there is nothing newer."""
        self._condition = Condition(config.name, config.kind, [self._past, self._waiting], announce)
        self._present: dict[PointRef, Reading] = {}
        """The latest change of each point, published or not."""
        self._devices: dict[str, Device] = {}
        self._forgotten: list[str] = []
        self._next_alias = 1
        self._births_at = 0.0

    def add(self, readings: Sequence[Pair], *, past: bool = False) -> None:
        """See `Outlet.add`."""
        wanted = [pair for pair in readings if self._wants(pair[0])]
        if past:
            self._past.add(wanted)
            return
        present, changed = self._present, []
        for pair in wanted:
            ref, reading = pair
            before = present.get(ref)
            if before is None or before.value != reading.value or before.quality != reading.quality:
                present[ref] = reading
                changed.append(pair)
        if changed:
            self._waiting.add(changed)

    def forget(self, device: str) -> None:
        """See `Outlet.forget`."""
        self._forgotten.append(device)
        self._present = {ref: reading for ref, reading in self._present.items() if ref.device != device}

    def state(self) -> OutletState:
        """See `Outlet.state`."""
        return self._condition.state()

    async def run(self) -> None:
        """See `Outlet.run`; the broker is looked for again and again."""
        try:
            await self._insist()
        except asyncio.CancelledError:
            self._condition.note_lost()
            raise

    async def _insist(self) -> None:
        config, failures, longest_s = self._config, 0, LONGEST_WAIT_S
        while True:
            begun = time.monotonic()
            session = NodeSession(
                config.name,
                config.connection,
                config.group_id,
                config.node_id,
                await self._next_number(),
                primary_host=config.primary_host,
            )
            try:
                await session.open()
                await self._serve(session)
            except SunmaoError as error:  # also what is wrong with a file of keys: it may be put right meanwhile
                self._condition.down(error)
                failures = 1 if time.monotonic() - begun > STABLE_S else failures + 1
                longest_s = LONGEST_WAIT_S if isinstance(error, Unreachable) else LONGEST_REFUSED_S
            finally:
                await session.end()
            self._condition.look_at_drops()
            await asyncio.sleep(full_jitter(failures, FIRST_WAIT_S, longest_s))

    def _wants(self, ref: PointRef) -> bool:
        wanted = self._wanted.get(ref)
        if wanted is None:
            wanted = self._wanted[ref] = self._selection.point(ref.device, ref.property)
        return wanted

    async def _next_number(self) -> int:
        """Return the number of a new session: one more than the last one's, also over a restart of the agent."""
        if self._number is None:
            try:
                self._number = int(await asyncio.to_thread(self._number_file.read_text, "ascii"))
            except (OSError, ValueError):
                self._number = SESSIONS - 1
        self._number = (self._number + 1) % SESSIONS
        with suppress(OSError):  # a full disk is the buffer's to announce; the number is right while the agent runs
            await asyncio.to_thread(write_file, self._number_file, b"%d" % self._number, durable=False)
        return self._number

    async def _serve(self, session: NodeSession) -> None:
        """Publish until the connection ends, which is raised."""
        ping_at = 0.0
        while not session.host_online:
            ping_at = await self._alive(session, ping_at)
            if not session.host_online:
                self._condition.down(self._host_away())
        await self._begin(session)
        self._condition.up()
        try:
            await self._follow(session, ping_at)
        except asyncio.CancelledError:
            with suppress(SunmaoError, TimeoutError):
                async with asyncio.timeout(LAST_S):
                    while self._waiting:
                        await self._publish_some(session)
            raise

    async def _follow(self, session: NodeSession, ping_at: float) -> None:
        while True:
            ping_at = await self._alive(session, ping_at)
            if not session.host_online:
                raise self._host_away()
            while (self._waiting or self._past) and session.host_online:
                await self._publish_some(session)
            if self._births_due(session):
                await self._give_births(session)
            self._bury_forgotten(session)

    async def _alive(self, session: NodeSession, ping_at: float) -> float:
        """Wait a moment, asking the broker for a sign of life when it is time; returns when the next is due."""
        await session.lost(GATHER_S)
        self._condition.look_at_drops()
        now = time.monotonic()
        if now < ping_at:
            return ping_at
        await session.ping()
        return now + session.keepalive_s / 2

    def _host_away(self) -> Unreachable:
        host = self._config.primary_host
        return Unreachable(
            Text(f"the primary host '{host}' is not online; readings wait", f"主站“{host}”不在线，读数等待中"),
            Text("start it, or remove primary_host", "请启动主站，或删除 primary_host"),
        )

    async def _begin(self, session: NodeSession) -> None:
        """Publish what is present now as births, and have what else waits published as historical."""
        waiting, present = len(self._waiting), dict(self._present)
        by_device: dict[str, list[Pair]] = {}
        for pair in present.items():
            by_device.setdefault(pair[0].device, []).append(pair)
        for name, pairs in by_device.items():
            self._device(name).learn(pairs)
        await self._give_births(session)
        await session.ping()
        pairs = self._waiting.take(waiting)
        past = [(ref, reading) for ref, reading in pairs if present.get(ref) is not reading]
        self._past.add(past)
        self._condition.written += len(pairs) - len(past)

    def _device(self, name: str) -> Device:
        return self._devices.setdefault(name, Device(self._new_alias))

    def _new_alias(self) -> int:
        self._next_alias += 1
        return self._next_alias - 1

    async def _give_births(self, session: NodeSession) -> None:
        """Publish the births of the node and of the devices that are there."""
        self._births_at = time.monotonic()
        session.node_birth()
        for device in self._devices.values():
            device.born = False
        for name, device in self._devices.items():
            if not device.lost:
                session.device_birth(name, device.birth())
                device.born = True
                await asyncio.sleep(0)  # others have their turn between two large certificates

    def _births_due(self, session: NodeSession) -> bool:
        """Whether a host wants births; one that asks without end gets them now and then."""
        return session.wants_birth and time.monotonic() - self._births_at >= BIRTHS_S

    def _bury_forgotten(self, session: NodeSession) -> None:
        """Say that devices are gone which the configuration has no more; one that has only changed is born anew."""
        forgotten, self._forgotten = self._forgotten, []
        for name in forgotten:
            device = self._devices.pop(name, None)
            if device is not None and device.born:
                session.device_death(name)
            present = [pair for pair in self._present.items() if pair[0].device == name]
            if present:
                changed = self._device(name)
                changed.learn(present)
                changed.born = not changed.lost
                if changed.born:
                    session.device_birth(name, changed.birth())

    async def _publish_some(self, session: NodeSession) -> None:
        """Publish some of what waits and wait until the broker has it; what it may not have waits again."""
        waiting = self._waiting if self._waiting else self._past
        if waiting is self._past and self._births_due(session):
            await self._give_births(session)
        pairs = waiting.take(MAX_METRICS)
        try:
            by_device: dict[str, list[Pair]] = {}
            for pair in pairs:
                by_device.setdefault(pair[0].device, []).append(pair)
            for name, its in by_device.items():
                if waiting is self._past:
                    self._publish_past(session, name, self._device(name), its)
                else:
                    self._publish_new(session, name, self._device(name), its)
            if not self._past:
                self._mourn(session)
            await session.ping()
        except BaseException:
            waiting.put_back(pairs)
            raise
        self._condition.written += len(pairs)

    def _publish_past(self, session: NodeSession, name: str, device: Device, pairs: Sequence[Pair]) -> None:
        """Publish what is not present any more; a device that is not there is born for it, and dies again after it."""
        if not device.admit(pairs) or not device.born:
            session.device_birth(name, device.birth())
            device.born = True
        session.data(name, device.metrics(pairs, historical=True))

    def _mourn(self, session: NodeSession) -> None:
        """Say again that devices are lost that were born only to tell their past."""
        for name, device in self._devices.items():
            if device.born and device.lost:
                session.device_death(name)
                device.born = False

    def _publish_new(self, session: NodeSession, name: str, device: Device, pairs: Sequence[Pair]) -> None:
        """Publish changes; the device is born again where its certificate is not true any more."""
        certificate_holds = device.learn(pairs)
        if device.born and certificate_holds:
            session.data(name, device.metrics(pairs, historical=False))
        elif device.born or not device.lost or any(device.alive(reading) for _, reading in pairs):
            session.device_birth(name, device.birth())
            device.born = True
            past = [pair for pair in pairs if not device.is_latest(pair)]
            if past:
                session.data(name, device.metrics(past, historical=True))
        if device.born and device.lost:
            session.device_death(name)
            device.born = False
