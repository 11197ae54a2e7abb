"""What a Modbus device that is slow, late, silent or gone costs: each figure beside the limit it has to keep.

python -m tests.benchmarks.modbus_hostile [--seconds 20] [--only slow|silent|late|gone]

The devices run in another process. Every unit answers one request at a time with the count of its own answers, so that a
value tells which answer it came in. Prints one table and writes .bench/modbus_hostile.json.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Mark, Normaliser
from edge_agent.point_test import test_point as try_point
from protocols.modbus.config import ModbusConnection, ModbusPoint
from protocols.reading import BAD_NO_COMMUNICATION, Reading
from protocols.text import Text
from protocols.uplink.messages import PointRef
from tests.benchmarks.comparison import server
from tests.conformance.plant import listening
from tests.protocols.modbus.modbus_peer import Request, read_request, registers, tcp

OUT = Path(".bench")
PERIOD_S = 1.0


class Figure(msgspec.Struct, frozen=True):
    """`ours` has to be at most `limit`, or at least where `more` is better."""

    what: str
    unit: str
    ours: float
    limit: float
    more: bool = False

    @property
    def kept(self) -> bool:
        return self.ours >= self.limit if self.more else self.ours <= self.limit


Delay = Callable[[Request, float], float | None]
"""How long a request waits for its answer, by the time since the start of the devices; None is for ever."""


def slow(request: Request, since: float) -> float:
    return 0.005


def one_silent(request: Request, since: float) -> float | None:
    """Unit 4 is silent half of every 10 s."""
    return None if request.unit == 4 and since % 10 < 5 else 0.002


def late(request: Request, since: float) -> float:
    """Every fourth second all answers come after the timeout."""
    return 0.4 if int(since) % 4 == 3 else 0.002


def going(request: Request, since: float) -> float | None:
    """Gone half of every 10 s, and never a word."""
    return None if since % 10 < 5 else 0.002


@asynccontextmanager
async def devices(delay: Delay) -> AsyncIterator[tuple[int, float]]:
    """Serve and yield the port and the start (`time.monotonic`, the same in all processes)."""
    start = time.monotonic()
    answered: Counter[int] = Counter()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine = connections
        while True:
            request = await read_request(reader, 0, "tcp")
            wait = delay(request, time.monotonic() - start)
            if wait is None:
                continue
            await asyncio.sleep(wait)
            answered[request.unit] += 1
            # The upper byte tells the connection, the lower one counts.
            value = (mine % 256) << 8 | answered[request.unit] % 256
            writer.write(tcp(request, registers(request, value)))

    async with listening(serve) as port:
        yield port, start


class Kept:
    """What a collector gave: every reading with the moment it was handed over."""

    def __init__(self) -> None:
        self.got: list[tuple[float, Reading]] = []

    def add(self, readings: Sequence[tuple[PointRef, Reading]], marks: Sequence[tuple[PointRef, Mark]]) -> None:
        now = time.monotonic()
        self.got += [(now, reading) for _, reading in readings]

    def announce(self, device: str, kind: str, text: Text) -> None: ...

    def good(self, since: float = 0.0) -> list[tuple[float, Reading]]:
        return [(at, reading) for at, reading in self.got if reading.quality.good and at >= since]


def device(port: int, unit: int, points: int, timeout_s: float = 2.0) -> DeviceConfig:
    return DeviceConfig(
        name=f"unit-{unit}",
        protocol="modbus",
        period_s=PERIOD_S,
        connection=ModbusConnection.model_validate(
            {"host": "127.0.0.1", "port": port, "unit_id": unit, "timeout_s": timeout_s}
        ),
        points=tuple(ModbusPoint(name=f"p{n}", address=n) for n in range(points)),
    )


@asynccontextmanager
async def collecting(config: DeviceConfig) -> AsyncIterator[tuple[Collector, Kept]]:
    kept = Kept()
    collector = Collector(config, Normaliser(config, {}), kept.add, kept.announce)
    task = asyncio.create_task(collector.run())
    try:
        yield collector, kept
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def slow_device(port: int, seconds: float) -> list[Figure]:
    config = device(port, 1, 1000)
    requests = len(config.driver().requests(config.points))  # type: ignore[attr-defined]
    async with collecting(config) as (collector, kept):
        await asyncio.sleep(seconds)
        missed = collector.missed
    times: dict[str, list[float]] = defaultdict(list)
    for at, reading in kept.good():
        times[reading.point].append(at)
    ages = sorted(later - sooner for one in times.values() for sooner, later in pairwise(one))
    return [
        Figure("1,000 adjacent registers: requests a cycle", "requests", requests, 10),
        Figure(
            "5 ms an answer, 1,000 tags at 1 s: age of a value, p99", "s", round(ages[int(0.99 * len(ages))], 3), 1.5
        ),
        Figure("  cycles missed", "cycles", missed, 0),
        Figure("  tags that came", "tags", len(times), 1000, more=True),
    ]


async def isolation(port: int, start: float, seconds: float) -> list[Figure]:
    async with AsyncExitStack() as stack:
        parts = {unit: (await stack.enter_async_context(collecting(device(port, unit, 10))))[1] for unit in range(1, 9)}
        await asyncio.sleep(2)
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - begun
    rates = [len(kept.good(begun)) / 10 / took for unit, kept in parts.items() if unit != 4]
    returns = _delays(parts[4].good(begun), start, begun, since=5.0)
    return [
        Figure("1 of 8 units silent: slowest other's share of its rate", "%", round(100 * min(rates) * PERIOD_S, 1), 95, more=True),
        Figure("  live after its return, worst", "periods", round(max(returns) / PERIOD_S, 2), 2),
    ]  # fmt: skip


def _delays(got: Sequence[tuple[float, Reading]], start: float, begun: float, since: float) -> list[float]:
    """Return how long after each 10 s + `since` of the devices' time the first reading came."""
    delays = []
    end = max((at for at, _ in got), default=0.0)
    turn = int((begun - start) // 10) + 1
    while (at := start + 10 * turn + since) < end:
        delays.append(min(moment for moment, _ in got if moment >= at) - at)
        turn += 1
    return delays or [float("inf")]


async def late_answers(port: int, seconds: float) -> list[Figure]:
    async with collecting(device(port, 1, 10, timeout_s=0.2)) as (collector, kept):
        await asyncio.sleep(seconds)
        counters = collector.report().counters
    values = [int(reading.value or 0) for _, reading in kept.good() if reading.point == "p0"]
    connections = len({value >> 8 for value in values})
    counts = [value & 0xFF for value in values]
    backwards = sum((later - sooner) % 256 == 0 or (later - sooner) % 256 > 128 for sooner, later in pairwise(counts))
    longest = max(later - sooner for (sooner, _), (later, _) in pairwise(kept.good()))
    return [
        Figure("answers after the timeout: reconnections in 5 s", "", round((connections - 1) * 5 / seconds, 2), 1),
        Figure("  old answers taken for new ones", "", backwards, 0),
        Figure("  late answers recognised", "", counters.get("late_answers", 0), 1, more=True),
        Figure("  longest time without a value (3 s are good, 1 s late)", "s", round(longest, 2), 4),
    ]  # fmt: skip


async def loss(port: int, start: float, seconds: float) -> list[Figure]:
    async with collecting(device(port, 1, 10)) as (_, kept):
        begun = time.monotonic()
        await asyncio.sleep(seconds)
    lost = [(at, reading) for at, reading in kept.got if reading.quality == BAD_NO_COMMUNICATION]
    losses = _delays(lost, start, begun, since=0.0)
    back = _delays(kept.good(), start, begun, since=5.0)
    per_loss = Counter(int((at - start) // 10) for at, _ in lost if at - begun > 10)
    return [
        Figure("device gone without a word: known, worst", "periods", round(max(losses) / PERIOD_S, 2), 2),
        Figure("  bad samples a tag and loss", "", max(per_loss.values(), default=0) / 10, 1),
        Figure("  live after its return, median", "s", round(statistics.median(back), 2), 5),
    ]


async def testing(port: int) -> list[Figure]:
    config = device(port, 1, 1)
    took = []
    for _ in range(5):
        begun = time.monotonic()
        found = await try_point(config, "p0")
        took.append(time.monotonic() - begun)
    assert found.candidates
    silent = device(port, 4, 1)
    begun = time.monotonic()
    await try_point(silent, "p0")
    return [
        Figure("test a point: answer, worst of 5", "s", round(max(took), 2), 2),
        Figure("  of a device that is silent half the time", "s", round(time.monotonic() - begun, 2), 2),
    ]


KINDS = ("slow", "silent", "late", "gone")


def measure(kind: str, seconds: float) -> list[Figure]:
    """Return what one kind of misbehaviour costs."""
    if kind == "slow":
        with server(partial(devices, slow)) as (port, _):
            return asyncio.run(slow_device(port, seconds))
    if kind == "silent":
        with server(partial(devices, one_silent)) as (port, start):
            return asyncio.run(isolation(port, start, 2 * seconds)) + asyncio.run(testing(port))
    if kind == "late":
        with server(partial(devices, late)) as (port, _):
            return asyncio.run(late_answers(port, seconds))
    with server(partial(devices, going)) as (port, start):
        return asyncio.run(loss(port, start, 2 * seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description="Modbus devices that misbehave: each figure beside its limit.")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each kind of misbehaviour lasts")
    parser.add_argument("--only", choices=KINDS, help="this kind only, e.g. --only late --seconds 3600 for a soak")
    arguments = parser.parse_args()
    console = Console()
    with console.status("measuring"):
        kinds = [arguments.only] if arguments.only else KINDS
        figures = [figure for kind in kinds for figure in measure(kind, arguments.seconds)]
    table = Table("what", "unit", "ours", "limit", "", box=None, header_style="bold")
    for figure in figures:
        sign = "≥" if figure.more else "≤"
        mark = "[green]kept[/]" if figure.kept else "[red]not kept[/]"
        table.add_row(figure.what, figure.unit, f"{figure.ours:g}", f"{sign} {figure.limit:g}", mark)
    console.print(table)
    OUT.mkdir(exist_ok=True)
    (OUT / "modbus_hostile.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


if __name__ == "__main__":
    main()
