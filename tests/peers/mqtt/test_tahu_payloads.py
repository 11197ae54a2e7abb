"""Sparkplug payloads against those of Eclipse Tahu, which share no line of code with ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocols.mqtt.edge_node import REBIRTH, EdgeNode
from protocols.mqtt.sparkplug import decode_payload, metric_value
from protocols.mqtt.writing import command_payload
from protocols.reading import BAD_NO_DATA, BAD_TIMEOUT, GOOD, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
from tests.edge_agent.conftest import until
from tests.edge_agent.outlets.outlet_stand import T0, at_work, configured, pair
from tests.protocols.mqtt.mqtt_stand import needs_mosquitto, point, publishing, running

pytestmark = pytest.mark.node

HERE = Path(__file__).parent
INSTALLED = HERE.parents[2] / ".dev" / "peers" / "mqtt"


class Tahu:
    """The peer as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def decoded(self, payload: bytes) -> Any:
        return await self._asked({"decode": payload.hex()})

    async def encoded(self, payload: dict[str, Any]) -> bytes:
        return bytes.fromhex(await self._asked({"encode": payload}))

    async def _asked(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Tahu's payloads, installed once per checkout into an ignored folder."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("NOT TESTED against Eclipse Tahu: node and npm are not installed")
    wanted = (HERE / "package.json").read_bytes()
    mark = INSTALLED / "installed.json"
    if not mark.exists() or mark.read_bytes() != wanted:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        (INSTALLED / "package.json").write_bytes(wanted)
        done = subprocess.run(
            [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=INSTALLED,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED against Eclipse Tahu: npm cannot install it: {done.stderr[-300:]}")
        mark.write_bytes(wanted)
    return INSTALLED / "node_modules"


@pytest.fixture
async def tahu(node_modules: Path) -> AsyncIterator[Tahu]:
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "peer.js"),
        env={**os.environ, "NODE_PATH": str(node_modules)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield Tahu(process)
    process.kill()
    await process.communicate()


@needs_mosquitto
async def test_tahu_reads_what_the_outlet_publishes(tahu: Tahu, tmp_path: Path) -> None:
    first = [
        pair("press", "power", 12.5, T0, property_code="active_power_total", unit="KWT"),
        pair("press", "shots", -7, T0, property_code="cycle_count_total", unit="C62"),
        pair("press", "order", "A-17 圆", T0),
        pair("press", "flow", None, T0, BAD_TIMEOUT),
    ]
    async with running() as broker, publishing(broker.port, "spBv1.0/#") as (link, everything):

        async def told(topic: str) -> Any:
            await everything.until(lambda: any(message.topic == topic for message in everything.items))
            return await tahu.decoded([m.payload for m in everything.items if m.topic == topic][-1])

        connection = {"host": "127.0.0.1", "port": broker.port, "security": "none", "timeout_s": 10.0}
        table = {"kind": "sparkplug", "group_id": "g", "node_id": "n", "connection": connection}
        async with at_work(configured(tmp_path, **table), tmp_path, *first) as (outlet, _):
            node = await told("spBv1.0/g/NBIRTH/n")
            assert node["seq"] == 0
            assert {metric["name"]: (metric["type"], metric["value"]) for metric in node["metrics"]} == {
                "bdSeq": ("Int64", 0),
                REBIRTH: ("Boolean", False),
            }
            device = await told("spBv1.0/g/DBIRTH/n/press")
            born = {metric["name"]: metric for metric in device["metrics"]}
            assert {name: (metric["type"], metric["value"]) for name, metric in born.items()} == {
                "power": ("Double", 12.5),
                "shots": ("Int64", -7),
                "order": ("String", "A-17 圆"),
                "flow": ("Double", None),
            }
            assert {metric["timestamp"] for metric in born.values()} == {T0 // 1000}
            assert len({metric["alias"] for metric in born.values()}) == 4
            assert born["power"]["properties"] == {
                "Quality": {"type": "Int32", "value": 192},
                "engUnit": {"type": "String", "value": "kW"},
                "unitCode": {"type": "String", "value": "KWT"},
                "dictionaryCode": {"type": "String", "value": "active_power_total"},
                "nameEn": {"type": "String", "value": "Total active power"},
                "nameZh": {"type": "String", "value": "总有功功率"},
            }
            assert born["flow"]["properties"] == {
                "Quality": {"type": "Int32", "value": 0},
                "QualityCause": {"type": "String", "value": "BadTimeout"},
            }
            outlet.add([pair("press", "flow", 2.5, T0 + 1000, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED)])
            (metric,) = (await told("spBv1.0/g/DDATA/n/press"))["metrics"]
            assert (metric["alias"], metric["timestamp"]) == (born["flow"]["alias"], T0 // 1000 + 1)
            assert metric["properties"]["Quality"]["value"] == 500
            assert metric["properties"]["QualityCause"]["value"] == "UncertainEngineeringUnitsExceeded"
            everything.items.clear()
            link.publish(
                "spBv1.0/g/NCMD/n",
                await tahu.encoded({"timestamp": 0, "metrics": [{"name": REBIRTH, "type": "Boolean", "value": True}]}),
            )
            assert len((await told("spBv1.0/g/DBIRTH/n/press"))["metrics"]) == 4
            await until(lambda: outlet.state().queued == 0)
        death = await told("spBv1.0/g/NDEATH/n")
        assert [(metric["name"], metric["value"]) for metric in death["metrics"]] == [("bdSeq", 0)]


async def test_what_tahu_encodes_is_read(tahu: Tahu) -> None:
    values = [
        ("Int8", -5), ("Int16", -300), ("Int32", -70000), ("Int64", -5), ("UInt8", 200), ("UInt16", 65000),
        ("UInt32", 4_000_000_000), ("UInt64", 5), ("Float", 1.5), ("Double", 0.1), ("Boolean", True), ("String", "圆"),
    ]  # fmt: skip
    sent = [{"name": kind, "type": kind, "value": value, "timestamp": 1_767_571_200_000} for kind, value in values]
    payload = decode_payload(
        await tahu.encoded(
            {"timestamp": 1, "seq": 9, "metrics": [*sent, {"name": "null", "type": "Int32", "value": None}]}
        )
    )
    assert payload.seq == 9
    *found, null = [(metric.name, metric_value(metric, metric.data_type or 0)) for metric in payload.metrics]
    assert found == [(kind, (value, GOOD)) for kind, value in values]
    assert null == ("null", (None, BAD_NO_DATA))
    assert {metric.timestamp for metric in payload.metrics[:-1]} == {1_767_571_200_000}


@pytest.mark.parametrize("aliased", [True, False])
async def test_tahu_reads_what_is_commanded(tahu: Tahu, aliased: bool) -> None:
    """A node that keeps no types of its birth reads the value all the same."""
    wanted = {"Int16": -300, "UInt32": 4_000_000_000, "Float": 1.5, "Double": 0.1, "Boolean": True, "String": "圆"}
    points = {name: point(name, sparkplug="g/n", metric=name) for name in wanted}
    node = EdgeNode("g/n", list(points.values()))
    born = [
        {"name": name, "type": name, "value": value, **({"alias": alias} if aliased else {})}
        for alias, (name, value) in enumerate(wanted.items(), start=1)
    ]
    node.take("NBIRTH", "", await tahu.encoded({"timestamp": 1, "seq": 0, "metrics": born}), 1)
    for alias, (name, value) in enumerate(wanted.items(), start=1):
        (metric,) = (await tahu.decoded(command_payload("fan", node, points[name], value)))["metrics"]
        assert (metric["type"], metric["value"]) == (name, value)
        assert (metric.get("name") or None, metric.get("alias")) == ((None, alias) if aliased else (name, None))
