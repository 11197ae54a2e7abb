"""Our agent beside thingsboard-gateway as whole processes: `python -m tests.benchmarks.gateway [SCENARIO ...]`.

Scenarios: `load` (500, 5,000 and 10,000 points at 1 Hz over Modbus TCP and OPC UA, and the bare library reading the
same; 500 at 20 Hz, too, where neither mostly waits), `outage` (the OPC UA server away for 10 s), `dead` (one of 50
Modbus devices answers nothing). Each runs on the same servers by turns and prints ours, the peer's and their ratio;
.bench/gateway.json keeps them. Needs gcc, libmodbus-dev, mosquitto and ss (iproute2).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.benchmarks.gateway_agents import Device, Gateway, Modbus, Opcua, modbus_devices, ours, thingsboard_gateway
from tests.benchmarks.gateway_bare import bare_modbus, bare_opcua
from tests.benchmarks.gateway_plant import black_hole, modbus_plant, opcua_plant

SIZES = (500, 5000, 10_000)
FAST_S = 0.05
SETTLE_S = 8.0
MEASURE_S = 15.0
FIRST_VALUE_S = 60.0
OUTAGE_S = 10.0
RECOVERY_S = 150.0
DEVICES = 50

GATEWAYS: dict[str, Callable[[Sequence[Device], Path], AbstractContextManager[Gateway]]] = {
    "ours": ours,
    "peer": thingsboard_gateway,
}


class Figure(msgspec.Struct, frozen=True):
    """One thing measured. `better`: whether more or less of it is better; `ratio` = ours / peer."""

    name: str
    unit: str
    better: str
    ours: float
    peer: float
    ratio: float
    what: str = "thingsboard-gateway 3.8.5"


def _figure(name: str, unit: str, better: str, ours: float, peer: float, what: str = "") -> Figure:
    ratio = round(ours / peer, 3) if peer else float("inf")
    return Figure(name, unit, better, round(ours, 2), round(peer, 2), ratio, what or "thingsboard-gateway 3.8.5")


class _Load(msgspec.Struct, frozen=True):
    values_s: float
    cpu: float
    pss_mb: float
    wire: float


def _load(gateway: Gateway) -> _Load:
    """Measure a gateway at its steady load; `cpu` in percent of one core, `wire` in bytes a value both ways.

    One that delivers nothing at all is measured all the same.
    """
    with suppress(TimeoutError):
        gateway.sink.until(0, FIRST_VALUE_S)
    time.sleep(SETTLE_S)
    before, values, begun = gateway.use(), gateway.sink.values(), time.monotonic()
    time.sleep(MEASURE_S)
    after, values = gateway.use(), gateway.sink.values() - values
    seconds = time.monotonic() - begun
    return _Load(
        values / seconds,
        100 * (after.cpu_s - before.cpu_s) / seconds,
        after.pss_mb,
        (after.wire_bytes - before.wire_bytes) / max(values, 1),
    )


def load(folder: Path) -> list[Figure]:
    """Measure every size over both protocols."""
    with modbus_plant() as port:
        with ours(modbus_devices(port, SIZES[0], FAST_S), folder / "fast") as running:
            mine = _load(running)
        bare = asyncio.run(bare_modbus(port, SIZES[0], FAST_S))
    per_core = 100 * mine.values_s / mine.cpu
    name = f"modbus_{SIZES[0]}_at_20_hz_per_core_bare"
    figures = [_figure(name, "values/CPU s", "more", per_core, bare, "a bare pymodbus loop")]
    for points in SIZES:
        with modbus_plant() as port:
            figures += _compare_load(f"modbus_{points}", modbus_devices(port, points), folder)
            figures.append(_against_bare(figures, f"modbus_{points}", asyncio.run(bare_modbus(port, points))))
        with opcua_plant(points) as endpoint:
            figures += _compare_load(f"opcua_{points}", [Opcua("line", endpoint, points)], folder)
            figures.append(_against_bare(figures, f"opcua_{points}", asyncio.run(bare_opcua(endpoint, points))))
    return figures


def _compare_load(name: str, devices: Sequence[Device], folder: Path) -> list[Figure]:
    found = {}
    for who, gateway in GATEWAYS.items():
        with gateway(devices, folder / f"{name}-{who}") as running:
            found[who] = _load(running)
    mine, theirs = found["ours"], found["peer"]
    return [
        _figure(f"{name}_delivered", "values/s", "more", mine.values_s, theirs.values_s),
        _figure(f"{name}_cpu", "% of a core", "less", mine.cpu, theirs.cpu),
        _figure(f"{name}_per_core", "values/CPU s", "more", *(100 * x.values_s / x.cpu for x in (mine, theirs))),
        _figure(f"{name}_memory", "MB", "less", mine.pss_mb, theirs.pss_mb),
        _figure(f"{name}_wire", "bytes/value", "less", mine.wire, theirs.wire),
    ]


def _against_bare(figures: Sequence[Figure], name: str, speed: float) -> Figure:
    mine = next(figure.ours for figure in figures if figure.name == f"{name}_per_core")
    library = "pymodbus" if name.startswith("modbus") else "asyncua"
    return _figure(f"{name}_per_core_bare", "values/CPU s", "more", mine, speed, f"a bare {library} loop")


def outage(folder: Path) -> list[Figure]:
    """Measure how long after the server's return the first value is delivered."""
    found = {}
    for who, gateway in GATEWAYS.items():
        with ExitStack() as stack:
            with opcua_plant(100) as endpoint:
                devices = [Opcua("line", endpoint, 100)]
                running = stack.enter_context(gateway(devices, folder / f"outage-{who}"))
                running.sink.until(0, FIRST_VALUE_S)
                time.sleep(SETTLE_S)
            time.sleep(OUTAGE_S)
            with opcua_plant(100, int(endpoint.rpartition(":")[2])):
                back, values = time.monotonic(), running.sink.values()
                try:
                    found[who] = running.sink.until(values, RECOVERY_S) - back
                except TimeoutError:
                    found[who] = RECOVERY_S
    return [_figure("opcua_recovery_after_10_s", "s", "less", found["ours"], found["peer"])]


def dead(folder: Path) -> list[Figure]:
    """Measure how regularly 49 devices are read while the fiftieth accepts connections and never answers."""
    found = {}
    for who, gateway in GATEWAYS.items():
        with modbus_plant() as port, black_hole() as hole:
            devices: list[Device] = [Modbus(f"device-{unit}", port, unit, 10) for unit in range(1, DEVICES)]
            devices.insert(DEVICES // 2, Modbus("dead", hole, 1, 10))
            with gateway(devices, folder / f"dead-{who}") as running:
                running.sink.until(0, FIRST_VALUE_S)
                time.sleep(SETTLE_S)
                begun = time.time() * 1000
                time.sleep(2 * MEASURE_S)
                ended = time.time() * 1000
                times = running.sink.times()
        periods = [
            np.diff([t for t in sorted(times.get(device.name, [])) if begun <= t <= ended]) for device in devices
        ]
        spans = np.concatenate([period for period in periods if len(period)])
        off = np.abs(spans - 1000) / 10
        kept = (len(spans) + DEVICES - 1) / ((DEVICES - 1) * 2 * MEASURE_S)
        found[who] = (float(np.percentile(off, 99)), 100 * kept)
    return [
        _figure("one_dead_of_50_jitter_p99", "% of the period", "less", found["ours"][0], found["peer"][0]),
        _figure("one_dead_of_50_rate_kept", "%", "more", found["ours"][1], found["peer"][1]),
    ]


SCENARIOS: dict[str, Callable[[Path], list[Figure]]] = {"load": load, "outage": outage, "dead": dead}


def main(names: Sequence[str]) -> None:
    console = Console()
    figures: list[Figure] = []
    out = Path(".bench")
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            with console.status(f"measuring {name}"):
                measured = SCENARIOS[name](Path(folder) / name)
            console.print(_table(measured))
            figures += measured
            (out / "gateway.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


def _table(figures: Sequence[Figure]) -> Table:
    table = Table("figure", "unit", "ours", "peer", "ratio", "better", "what the peer is", box=None)
    for figure in figures:
        cells = (f"{figure.ours:,.1f}", f"{figure.peer:,.1f}", f"{figure.ratio:.2f}")
        table.add_row(figure.name, figure.unit, *cells, figure.better, figure.what)
    return table


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or tuple(SCENARIOS))
