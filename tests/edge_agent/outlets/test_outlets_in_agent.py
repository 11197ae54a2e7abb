"""The whole agent as its own process, with outlets that work, that are dead, and that come while it runs."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.health import read_status
from edge_agent.outlets.outlet import OutletState
from protocols.library.templates import load_template
from protocols.modbus.simulator import ModbusSimulator
from protocols.reading import GOOD
from tests.doubles.cloud import CODE, CloudDouble
from tests.edge_agent.conftest import until
from tests.protocols.mqtt.mqtt_stand import Inbox, needs_mosquitto, opened, point, running

COMMAND = Path(sys.executable).with_name("sunmao-edge")
TEMPLATE = load_template("demo-energy-meter")


@pytest.fixture
async def meter() -> AsyncIterator[str]:
    """A simulated meter; its address."""
    turn = 0

    def values() -> dict[str, Any]:
        nonlocal turn
        turn += 1
        return {each.name: 0.5 + turn % 10 / 20 for each in TEMPLATE.points}

    simulator = ModbusSimulator(TEMPLATE.points, values, port=0, tick_s=0.05)
    yield await simulator.start()
    await simulator.stop()


async def started(*arguments: object) -> Process:
    return await asyncio.create_subprocess_exec(
        COMMAND, *map(str, arguments), stdout=PIPE, stderr=PIPE, env=os.environ | {"LANG": "C.UTF-8", "COLUMNS": "200"}
    )


async def answer(*arguments: object) -> tuple[int | None, str]:
    process = await started(*arguments)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode()


def configuration(folder: Path, url: str, meter: str, *outlets: str) -> Path:
    host, _, port = meter.rpartition(":")
    text = f"""
[agent]
name = "a"
[cloud]
url = "{url}"
[[device]]
name = "meter"
template = "demo-energy-meter"
period_s = 0.05
[device.connection]
host = "{host}"
port = {port}
"""
    path = folder / "agent.toml"
    path.write_text(text + "".join(outlets), encoding="utf-8")
    return path


def sparkplug(name: str, port: int) -> str:
    return f"""
[[outlet]]
kind = "sparkplug"
name = "{name}"
group_id = "hall"
node_id = "{name}"
[outlet.connection]
host = "127.0.0.1"
port = {port}
security = "none"
"""


FILES = """
[[outlet]]
kind = "csv"
name = "office"
folder = "csv"
flush_s = 0.1
columns = ["time", "device", "point", "value", "quality"]
"""


@needs_mosquitto
async def test_outlets_get_what_the_cloud_gets_and_a_dead_one_costs_nothing(
    cloud: CloudDouble, meter: str, tmp_path: Path
) -> None:
    def outlets() -> dict[str, OutletState]:
        status = read_status(tmp_path / "state")
        return {outlet.name: outlet for outlet in status.outlets} if status else {}

    async with running() as broker:
        config = configuration(tmp_path, cloud.url, meter, FILES, sparkplug("nobody", 1))
        assert (await answer("enrol", CODE, "-c", config))[0] == 0
        agent = await started("run", "-c", config)
        try:
            await until(lambda: "office" in outlets() and outlets()["office"].written > 100, 60)
            assert outlets()["nobody"].state == "down"
            assert outlets()["nobody"].queued > 0
            code, out = await answer("status", "-c", config, "--lang", "en")
            assert code == 1
            assert "nobody (sparkplug)" in out
            # The dead one goes, one that works comes; nobody restarts anything.
            configuration(tmp_path, cloud.url, meter, FILES, sparkplug("scada", broker.port))
            inbox = Inbox()
            name = TEMPLATE.points[0].name
            points = [point(name, sparkplug="hall/scada/meter", metric=name)]
            async with opened(broker.port, points, timeout_s=20.0) as driver:
                await driver.subscribe(points, 1.0, inbox.deliver)
                await inbox.until(lambda: len([r for r in inbox.items if r.quality == GOOD]) > 5)
            await until(lambda: set(outlets()) == {"office", "scada"})
            code, out = await answer("status", "-c", config, "--json")
            assert (code, {o["name"]: o["state"] for o in json.loads(out)["status"]["outlets"]}) == (
                0,
                {"office": "up", "scada": "up"},
            )
        finally:
            agent.send_signal(signal.SIGTERM)
            await asyncio.wait_for(agent.communicate(), 30)
    written = set()
    for path in (tmp_path / "csv").iterdir():
        assert path.suffix == ".csv"
        with path.open(encoding="utf-8", newline="") as file:
            written |= {(row["time"], row["point"]) for row in csv.DictReader(file)}
    assert {name for _, name in written} == {each.name for each in TEMPLATE.points}
    assert len(written) > 100


async def test_an_outlet_that_cannot_be_is_named_and_nothing_starts(tmp_path: Path) -> None:
    config = configuration(tmp_path, "http://127.0.0.1:1", "127.0.0.1:1", FILES.replace('"csv"', '"excel"', 1))
    process = await started("run", "-c", config, "--lang", "en")
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert err.decode().startswith("outlet[1].kind: there is no kind of outlet 'excel' - write one of: sparkplug, csv")
