"""The agent left alone: `python -m tests.benchmarks.soak [MINUTES [PERIOD_S]]`, one OPC UA and three Modbus devices, 500 points.

The Modbus devices are read each PERIOD_S seconds, 1 unless told: at 0.05 a day's 86,400 cycles take 72 minutes.
Prints what has to stay flat - memory, lost connections, missing values - and writes .bench/soak.json. The limits are those
the edge has to keep: 120 MB, 5 % of a core, 5 % growth, no reconnection of a healthy device.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track

from edge_agent.health import read_status
from tests.benchmarks.gateway_agents import Modbus, Opcua, ours
from tests.benchmarks.gateway_plant import modbus_plant, opcua_plant

WARM_S = 60.0
SAMPLE_S = 5.0
MODBUS_POINTS = 100
OPCUA_POINTS = 200


class Soak(msgspec.Struct, frozen=True):
    """What was seen after warming up. Memory in megabytes (proportional set size), `cpu` in percent of a core."""

    minutes: float
    values: int
    values_expected: int
    cpu: float
    memory_first: float
    memory_last: float
    memory_most: float
    growth: float
    connections_lost: int


def soak(minutes: float, period_s: float, folder: Path, console: Console) -> Soak:
    """Run the agent for `minutes`, the Modbus devices read each `period_s` seconds, and return what was seen."""
    with modbus_plant() as port, opcua_plant(OPCUA_POINTS) as endpoint:
        devices = [Modbus(f"meter-{unit}", port, unit, MODBUS_POINTS, period_s) for unit in (1, 2, 3)]
        with ours([*devices, Opcua("line", endpoint, OPCUA_POINTS)], folder / "agent") as running:
            running.sink.until(0, WARM_S)
            time.sleep(WARM_S)
            first, values, begun = running.use(), running.sink.values(), time.monotonic()
            memory = []
            for _ in track(range(round(minutes * 60 / SAMPLE_S)), "soaking", console=console):
                time.sleep(SAMPLE_S)
                memory.append(running.use().pss_mb)
            last, values, seconds = running.use(), running.sink.values() - values, time.monotonic() - begun
            status = read_status(folder / "agent" / "state")
            assert status is not None
            assert {device.state for device in status.health.devices} == {"up"}
            log = (folder / "agent" / "sunmao-edge.log").read_text()
    quarter = max(len(memory) // 4, 1)
    early, late = sum(memory[:quarter]) / quarter, sum(memory[-quarter:]) / quarter
    return Soak(
        round(seconds / 60, 1),
        values,
        round(seconds * (3 * MODBUS_POINTS / period_s + OPCUA_POINTS)),
        round(100 * (last.cpu_s - first.cpu_s) / seconds, 2),
        round(early, 1),
        round(late, 1),
        round(max(memory), 1),
        round(100 * (late / early - 1), 2),
        log.count("answers again"),
    )


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        minutes, period_s = [*map(float, sys.argv[1:]), *(10.0, 1.0)[len(sys.argv) - 1 :]]
        found = soak(minutes, period_s, Path(folder), console)
    console.print(found)
    Path(".bench").mkdir(exist_ok=True)
    Path(".bench/soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
