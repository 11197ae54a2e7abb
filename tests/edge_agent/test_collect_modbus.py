"""Collecting from Modbus devices that are slow, silent, late or gone: what the statements of isolation and loss promise.

Conditions only; the figures are in `tests/benchmarks/modbus_hostile.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge_agent.cli import app
from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Normaliser
from protocols.modbus.config import ModbusConnection, ModbusPoint
from tests.conformance.plant import listening
from tests.edge_agent.conftest import until
from tests.edge_agent.test_collect import Kept
from tests.protocols.modbus.modbus_peer import read_request, registers, tcp


class Peer:
    """Units that answer with a count of their own answers, after `delay(unit)` seconds, one at a time; None is never."""

    def __init__(self, delay: Callable[[int], float | None] = lambda unit: 0.0) -> None:
        self.delay = delay
        self.connections = 0
        self.asked: dict[int, int] = defaultdict(int)
        self.answered: dict[int, int] = defaultdict(int)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async with listening(self._serve) as port:
            yield port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            request = await read_request(reader, 0, "tcp")
            self.asked[request.unit] += 1
            if (delay := self.delay(request.unit)) is None:
                continue
            await asyncio.sleep(delay)
            self.answered[request.unit] += 1
            writer.write(tcp(request, registers(request, self.answered[request.unit] % 65536)))


@asynccontextmanager
async def collecting(
    port: int, *, unit: int = 1, points: int = 1, period_s: float = 0.1, timeout_s: float = 2.0
) -> AsyncIterator[tuple[Collector, Kept]]:
    device = DeviceConfig(
        name=f"unit-{unit}",
        protocol="modbus",
        period_s=period_s,
        connection=ModbusConnection.model_validate(
            {"host": "127.0.0.1", "port": port, "unit_id": unit, "timeout_s": timeout_s}
        ),
        points=tuple(ModbusPoint(name=f"p{n}", address=n) for n in range(points)),
    )
    kept = Kept()
    collector = Collector(device, Normaliser(device, {}), kept.add, kept.announce)
    task = asyncio.create_task(collector.run())
    try:
        yield collector, kept
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_slow_device_has_every_point_fresh_in_every_cycle() -> None:
    """1,000 points of a device that takes 5 ms for each answer: 8 requests a cycle, no cycle into the next."""
    peer = Peer(lambda unit: 0.005)
    async with peer.serving() as port, collecting(port, points=1000, period_s=0.2) as (collector, kept):
        await kept.until(lambda: len(kept.readings) >= 10_000)
        assert collector.report().state == "up"
    cycles = len(kept.readings) // 1000
    assert peer.asked[1] <= 8 * (cycles + 1)
    for first in range(0, 1000 * cycles, 1000):
        cycle = kept.readings[first : first + 1000]
        assert [reading.point for reading in cycle] == [f"p{n}" for n in range(1000)]
        assert all(reading.quality.good for reading in cycle)
        # Eight answers, numbered on: every point is of this cycle and of no other.
        assert {reading.value for reading in cycle} == set(range(first // 125 + 1, first // 125 + 9))
    assert kept.said == []


async def test_a_silent_unit_costs_the_others_on_its_connection_nothing_and_comes_back() -> None:
    silent = True
    peer = Peer(lambda unit: None if unit == 4 and silent else 0.002)
    async with peer.serving() as port, AsyncExitStack() as stack:
        parts = {
            unit: await stack.enter_async_context(collecting(port, unit=unit, timeout_s=0.5)) for unit in range(1, 9)
        }
        _, dead = parts.pop(4)
        await dead.until(lambda: len(dead.lost) == 1)
        have = {unit: len(kept.good) for unit, (_, kept) in parts.items()}
        for unit, (_, kept) in parts.items():
            await kept.until(lambda kept=kept, unit=unit: len(kept.good) >= have[unit] + 20)
        assert [kept.said for _, kept in parts.values()] == [[]] * 7
        assert all(kept.lost == [] for _, kept in parts.values())
        asked = peer.asked[4]
        silent = False
        await dead.until(lambda: len(dead.good) >= 3)
        assert dead.said == ["device_lost", "device_back"]
        assert peer.asked[4] <= asked + 2 + len(dead.good), "it answers the first or second question after its return"
        assert peer.connections == 1


async def test_late_answers_cost_no_connection_and_mix_nothing_up() -> None:
    """Every third answer comes after the timeout, so that it meets a later question."""
    count = 0

    def delay(unit: int) -> float:
        nonlocal count
        count += 1
        return 0.3 if count % 3 == 0 else 0.0

    peer = Peer(delay)
    async with peer.serving() as port, collecting(port, period_s=0.05, timeout_s=0.2) as (collector, kept):
        await kept.until(lambda: len(kept.good) >= 16)
        values = [reading.value for reading in kept.good]
        assert values == sorted(set(values)), "an old answer was taken for a new one"
        assert peer.connections == 1
        assert collector.report().counters["late_answers"] >= 3


async def test_a_loss_is_known_within_two_periods_however_long_the_driver_would_wait() -> None:
    gone = False
    peer = Peer(lambda unit: None if gone else 0.0)
    async with peer.serving() as port, collecting(port, points=3, period_s=0.5, timeout_s=60) as (collector, kept):
        await kept.until(lambda: len(kept.good) >= 6)
        gone = True
        await kept.until(lambda: len(kept.lost) == 3)
        last = max(reading.arrival_time for reading in kept.good)
        assert {reading.point for reading in kept.lost} == {"p0", "p1", "p2"}
        assert all(reading.value is None and reading.source_time > last for reading in kept.lost)
        assert collector.report().state == "down"
        assert "nothing for 1.0 s" in collector.report().reason_en
    assert kept.said == ["device_lost"]
    assert len(kept.lost) == 3


async def test_after_a_loss_nothing_is_repeated_until_there_is_something_new() -> None:
    gone = False
    peer = Peer(lambda unit: None if gone else 0.0)
    async with peer.serving() as port, collecting(port, period_s=0.1, timeout_s=0.1) as (_, kept):
        await kept.until(lambda: len(kept.good) >= 3)
        gone = True
        await kept.until(lambda: len(kept.lost) == 1)
        have, asked = len(kept.readings), peer.asked[1]
        await until(lambda: peer.asked[1] >= asked + 3)
        assert len(kept.readings) == have
        gone = False
        await kept.until(lambda: len(kept.readings) >= have + 3)
        values = [reading.value for reading in kept.good]
        assert values == sorted(set(values))


def test_the_plan_is_shown_before_connecting(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """1,000 adjacent registers are eight requests; a smaller limit and a smaller hole make more."""
    config = tmp_path / "agent.toml"

    def plan(extra: str, addresses: range) -> list[dict[str, object]]:
        points = "".join(f'[[device.point]]\nname = "p{n}"\naddress = {n}\n' for n in addresses)
        config.write_text(
            '[agent]\nname = "a"\n[cloud]\nurl = "http://127.0.0.1:1"\n[[device]]\nname = "d"\nprotocol = "modbus"\n'
            f'[device.connection]\nhost = "127.0.0.1"\nport = 1\n{extra}\n{points}'
        )
        with pytest.raises(SystemExit) as ended:
            app(["plan", "d", "-c", str(config), "--json"])
        assert ended.value.code == 0
        return json.loads(capfd.readouterr().out)  # type: ignore[no-any-return]

    rows = plan("", range(1000))
    assert [row["size"] for row in rows] == [125] * 8
    assert rows[0]["request"] == "holding 0..124"
    assert sum(len(row["points"]) for row in rows) == 1000  # type: ignore[arg-type]
    assert len(plan("max_registers = 60", range(1000))) == 17
    assert len(plan("", range(0, 100, 9))) == 1
    assert len(plan("max_gap = 7", range(0, 100, 9))) == 12
