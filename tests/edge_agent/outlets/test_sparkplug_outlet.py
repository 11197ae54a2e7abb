"""The Sparkplug outlet on Debian's mosquitto, with our own driver as the host that has to understand it."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.outlets.config import OutletConfig
from edge_agent.outlets.outlet import Pair
from protocols.mqtt.broker import Broker
from protocols.mqtt.driver import MqttDriver
from protocols.mqtt.edge_node import REBIRTH
from protocols.mqtt.sparkplug import DataType, Metric, Payload, decode_payload, encode_payload, value_metric
from protocols.reading import (
    BAD_NO_COMMUNICATION,
    BAD_NO_DATA,
    BAD_TIMEOUT,
    GOOD,
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED,
    UNCERTAIN_LAST_USABLE_VALUE,
    now_us,
)
from tests.edge_agent.conftest import until
from tests.edge_agent.outlets.outlet_stand import T0, at_work, configured, pair
from tests.protocols.mqtt.mqtt_stand import Inbox, needs_mosquitto, opened, point, publishing, running

pytestmark = needs_mosquitto

LINE = "hall/box"


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with running() as broker:
        yield broker


def sparkplug(folder: Path, port: int, **fields: Any) -> OutletConfig:
    connection = {"host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 10.0}
    return configured(
        folder, kind="sparkplug", **{"group_id": "hall", "node_id": "box", "connection": connection, **fields}
    )


@asynccontextmanager
async def listening(port: int, *metrics: tuple[str, str]) -> AsyncIterator[tuple[MqttDriver, Inbox]]:
    """Our own driver, subscribed to (device, metric) under the names "<device>.<metric>"."""
    points = [point(f"{device}.{name}", sparkplug=f"{LINE}/{device}", metric=name) for device, name in metrics]
    inbox = Inbox()
    async with opened(port, points, timeout_s=10.0) as driver:
        await driver.subscribe(points, 1.0, inbox.deliver)
        yield driver, inbox


def kinds(everything: Inbox) -> list[str]:
    """Kind and device of each message of ours, as they came."""
    parts = [message.topic.split("/") for message in everything.items]
    return [" ".join((part[2], *part[4:])) for part in parts if part[1] == "hall" and part[2] != "NCMD"]


def payloads(everything: Inbox, kind: str) -> list[Payload]:
    return [decode_payload(m.payload) for m in everything.items if m.topic.split("/")[2] == kind]


def metrics(everything: Inbox, kind: str) -> list[Metric]:
    return [metric for payload in payloads(everything, kind) for metric in payload.metrics]


def numbers(everything: Inbox) -> list[int | None]:
    return [decode_payload(m.payload).seq for m in everything.items if m.topic.split("/")[2] not in ("NDEATH", "NCMD")]


def ask_rebirth() -> bytes:
    return encode_payload(now_us() // 1000, None, [value_metric(REBIRTH, None, DataType.BOOLEAN, True, 0)])


def mixed(time: int) -> list[Pair]:
    return [
        pair("press", "power", 12.5, time, property_code="active_power_total", unit="KWT"),
        pair("press", "shots", 41, time, property_code="cycle_count_total", unit="C62"),
        pair("press", "order", "A-17 圆", time),
        pair("press", "door", 1, time),
        pair("press", "oil", 81.25, time, UNCERTAIN_ENGINEERING_UNITS_EXCEEDED, unit="CEL"),
        pair("press", "flow", None, time, BAD_TIMEOUT),
        pair("mill", "speed", -3, time, unit="RPM"),
    ]


NAMES = [("press", name) for name in ("power", "shots", "order", "door", "oil", "flow")] + [("mill", "speed")]


async def test_values_types_qualities_and_times_make_the_round_trip(broker: Broker, tmp_path: Path) -> None:
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        listening(broker.port, *NAMES) as (_, inbox),
    ):
        async with at_work(sparkplug(tmp_path, broker.port), tmp_path, *mixed(T0)) as (outlet, announced):
            await inbox.until(lambda: len(inbox.latest()) == 7)
            latest = inbox.latest()
            assert {name: (reading.value, reading.quality) for name, reading in latest.items()} == {
                "press.power": (12.5, GOOD),
                "press.shots": (41, GOOD),
                "press.order": ("A-17 圆", GOOD),
                "press.door": (1, GOOD),
                "press.oil": (81.25, UNCERTAIN_LAST_USABLE_VALUE),
                "press.flow": (None, BAD_NO_DATA),
                "mill.speed": (-3, GOOD),
            }
            assert {reading.source_time for reading in latest.values()} == {T0}
            await link.ping()  # all that the broker has had by now has come
            born = {metric.name: metric.data_type for metric in metrics(everything, "DBIRTH")}
            assert (born["power"], born["shots"], born["order"]) == (DataType.DOUBLE, DataType.INT64, DataType.STRING)
            outlet.add([pair("press", "shots", 42, T0 + 5_000, property_code="cycle_count_total", unit="C62")])
            outlet.add([pair("press", "oil", 79.0, T0 + 6_000, unit="CEL"), pair("press", "flow", 3.5, T0 + 6_000)])
            await inbox.until(
                lambda: inbox.latest()["press.oil"].value == 79.0 and inbox.latest()["press.flow"].value == 3.5
            )
            assert inbox.latest()["press.shots"].value == 42
            assert inbox.latest()["press.shots"].source_time == T0 + 5_000
            assert inbox.latest()["press.oil"].quality == inbox.latest()["press.flow"].quality == GOOD
            for number in range(300):
                outlet.add([pair("mill", "speed", number, T0 + 7_000 + number * 1000, unit="RPM")])
                outlet.add([pair("mill", "speed", number, T0 + 7_000 + number * 1000 + 500, unit="RPM")])
                if number % 100 == 0:
                    await inbox.until(lambda number=number: inbox.latest()["mill.speed"].value == number)
            await inbox.until(lambda: inbox.latest()["mill.speed"].value == 299)
            assert [r.value for r in inbox.items if r.point == "mill.speed"] == [-3, *range(300)]
            await link.ping()
            # Only births carry names; what repeats the value before is not sent.
            assert all(metric.name is None and metric.alias is not None for metric in metrics(everything, "DDATA"))
            assert kinds(everything)[:3] == ["NBIRTH", "DBIRTH press", "DBIRTH mill"]
            assert kinds(everything).count("DBIRTH mill") == 1
            assert (outlet.state().state, outlet.state().queued, outlet.state().dropped) == ("up", 0, 0)
        await everything.until(lambda: kinds(everything)[-1] == "NDEATH")
    assert announced == []


async def test_messages_are_numbered_and_sessions_too(broker: Broker, tmp_path: Path) -> None:
    config = sparkplug(tmp_path, broker.port)
    async with publishing(broker.port, "spBv1.0/#") as (_, everything):
        for session in range(2):
            async with at_work(config, tmp_path, pair("d", "p", -1)) as (outlet, _):
                for number in range(270):
                    outlet.add([pair(f"d{number}", "p", number)])
                await until(lambda: outlet.state().written == 271)
            await everything.until(lambda session=session: kinds(everything).count("NDEATH") == session + 1)
    births = [kind for kind in kinds(everything) if kind == "NBIRTH"]
    assert len(births) == 2
    assert numbers(everything) == [n % 256 for n in range(272)] * 2
    said = [m.raw for kind in ("NBIRTH", "NDEATH") for m in metrics(everything, kind) if m.name == "bdSeq"]
    assert said == [0, 1, 0, 1]


async def test_a_device_that_is_lost_dies_and_is_born_again(broker: Broker, tmp_path: Path) -> None:
    gone = [pair("press", name, None, T0 + 1, BAD_NO_COMMUNICATION) for name in "ab"]
    back = [pair("press", name, 7, T0 + 2) for name in "ab"]
    first = [pair("press", "a", 1), pair("press", "b", 2), pair("mill", "c", 3)]
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        listening(broker.port, ("press", "a"), ("mill", "c")) as (_, inbox),
        at_work(sparkplug(tmp_path, broker.port), tmp_path, *first) as (outlet, _),
    ):
        await inbox.until(lambda: len(inbox.latest()) == 2)
        outlet.add(gone)
        await inbox.until(lambda: inbox.latest()["press.a"].quality == BAD_NO_COMMUNICATION)
        await everything.until(lambda: kinds(everything)[-1] == "DDEATH press")
        outlet.add(back)
        await inbox.until(lambda: inbox.latest()["press.a"].value == 7)
        await link.ping()  # all that the broker has had by now has come
        assert kinds(everything)[-1] == "DBIRTH press"
        assert inbox.latest()["mill.c"].value == 3
        outlet.forget("mill")
        await inbox.until(lambda: inbox.latest()["mill.c"].quality == BAD_NO_COMMUNICATION)


async def test_a_rebirth_is_given_when_asked_for(broker: Broker, tmp_path: Path) -> None:
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        at_work(sparkplug(tmp_path, broker.port), tmp_path, pair("press", "a", 1)) as (outlet, _),
    ):
        await everything.until(lambda: "DBIRTH press" in kinds(everything))
        outlet.add([pair("press", "a", 2)])
        await everything.until(lambda: "DDATA press" in kinds(everything))
        link.publish("spBv1.0/hall/NCMD/box", b"\xff nonsense")
        link.publish("spBv1.0/hall/NCMD/box", ask_rebirth())
        await everything.until(lambda: kinds(everything).count("DBIRTH press") == 2)
        assert kinds(everything)[-2:] == ["NBIRTH", "DBIRTH press"]
        assert [metric.raw for metric in metrics(everything, "DBIRTH")][-1] == 2.0
        assert numbers(everything) == [0, 1, 2, 0, 1]
        # A host that comes late asks by itself.
        async with listening(broker.port, ("press", "a")) as (_, inbox):
            await inbox.until(lambda: "press.a" in inbox.latest())


async def test_a_new_point_or_type_is_told_by_a_new_certificate(broker: Broker, tmp_path: Path) -> None:
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        listening(broker.port, ("d", "n"), ("d", "new")) as (_, inbox),
        at_work(sparkplug(tmp_path, broker.port), tmp_path) as (outlet, _),
    ):
        steps = [
            ("n", 1, "cycle_count_total", GOOD, GOOD),
            ("n", 1.5, "cycle_count_total", GOOD, GOOD),
            ("new", None, "", BAD_TIMEOUT, BAD_NO_DATA),
            ("new", "text", "", GOOD, GOOD),
        ]
        for step, (name, value, code, quality, heard) in enumerate(steps):
            outlet.add([pair("d", name, value, T0 + step, quality, property_code=code)])
            await inbox.until(
                lambda name=name, expected=(value, heard): (
                    f"d.{name}" in inbox.latest()
                    and (inbox.latest()[f"d.{name}"].value, inbox.latest()[f"d.{name}"].quality) == expected
                )
            )
        await link.ping()
    assert kinds(everything)[:5] == ["NBIRTH", *["DBIRTH d"] * 4]


async def test_a_broker_that_dies_and_returns_gets_all_that_happened(broker: Broker, tmp_path: Path) -> None:
    # The host speaks once it listens, so that it hears the new broker's first word.
    online = json.dumps({"online": True, "timestamp": 1}).encode()
    config = sparkplug(tmp_path, broker.port, primary_host="scada")
    async with at_work(config, tmp_path, pair("press", "n", 0), pair("mill", "m", 0)) as (outlet, announced):
        async with publishing(broker.port) as (link, _):
            link.publish("spBv1.0/STATE/scada", online, retain=True)
            await until(lambda: outlet.state().state == "up")
        announced.clear()
        await broker.stop()
        await until(lambda: outlet.state().state == "down")
        for number in range(1, 1201):
            outlet.add([pair("press", "n", number, T0 + number * 1000)])
        outlet.add([pair("mill", "m", 5, T0), pair("mill", "m", None, T0 + 1000, BAD_NO_COMMUNICATION)])
        assert outlet.state().queued == 1202
        again = Broker(broker.port)
        await again.start()
        try:
            async with publishing(again.port, "spBv1.0/#") as (link, everything):
                link.publish("spBv1.0/STATE/scada", online, retain=True)
                await until(lambda: outlet.state().queued == 0)
                await everything.until(lambda: "DDEATH mill" in kinds(everything))
                told = metrics(everything, "DDATA") + metrics(everything, "DBIRTH")
        finally:
            await again.stop()
    assert [kind for kind, _ in announced][:2] == ["outlet_down", "outlet_back"]
    born = [metric for metric in told if metric.name == "n"]
    alias = born[-1].alias
    assert {metric.raw for metric in told if metric.alias == alias} == {float(n) for n in range(1, 1201)}
    assert all(metric.historical for metric in metrics(everything, "DDATA"))
    late = [metric for metric in metrics(everything, "DDATA") if metric.alias != alias]
    assert (5.0, T0 // 1000) in [(metric.raw, metric.timestamp) for metric in late]
    assert outlet.state().dropped == 0


async def test_what_was_sent_into_a_dying_connection_is_sent_again(tmp_path: Path) -> None:
    """A broker that takes bytes and never answers a ping has confirmed nothing."""
    swallowed, mended, births = asyncio.Event(), asyncio.Event(), [b""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if data[0] == 0x10:
                writer.write(b"\x20\x02\x00\x00")
            elif data[0] == 0x82:
                writer.write(b"\x90\x03" + data[2:4] + b"\x01")
            if b"DBIRTH" in data:
                births.append(data)
                swallowed.set()
            if data.endswith(b"\xc0\x00") and (mended.is_set() or not swallowed.is_set()):
                writer.write(b"\xd0\x00")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = {"host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 0.3}
    async with at_work(sparkplug(tmp_path, port, connection=connection), tmp_path) as (outlet, _):
        await until(lambda: outlet.state().state == "up")
        outlet.add([pair("d", "p", 7)])
        await asyncio.wait_for(swallowed.wait(), 10)
        await until(lambda: outlet.state().state == "down")
        assert (outlet.state().queued, outlet.state().written) == (1, 0)
        sent = len(births)
        mended.set()
        await until(lambda: outlet.state().written == 1)
        assert len(births) > sent
        assert struct.pack("<d", 7.0) in births[-1]
    server.close()


async def test_a_primary_host_is_waited_for(broker: Broker, tmp_path: Path) -> None:
    def state(online: bool, timestamp: int) -> bytes:
        return json.dumps({"online": online, "timestamp": timestamp}).encode()

    config = sparkplug(tmp_path, broker.port, primary_host="scada")
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        at_work(config, tmp_path, pair("d", "p", 1)) as (outlet, _),
    ):
        await until(lambda: outlet.state().state == "down")
        assert "'scada' is not online" in outlet.state().reason_en
        link.publish("spBv1.0/STATE/scada", state(True, 1000), retain=True)
        await everything.until(lambda: kinds(everything) == ["NBIRTH", "DBIRTH d"])
        link.publish("spBv1.0/STATE/scada", state(False, 999))  # the will of its session before
        link.publish("spBv1.0/STATE/scada", state(False, 2000), retain=True)
        await everything.until(lambda: kinds(everything)[-1] == "NDEATH")
        outlet.add([pair("d", "p", 2), pair("d", "p", 3)])
        link.publish("spBv1.0/STATE/scada", state(True, 3000), retain=True)
        await everything.until(lambda: kinds(everything)[-1] == "DDATA d")
        assert kinds(everything) == ["NBIRTH", "DBIRTH d", "NDEATH", "NBIRTH", "DBIRTH d", "DDATA d"]
        assert [(metric.raw, metric.historical) for metric in metrics(everything, "DDATA")] == [(2.0, True)]


async def test_history_of_a_device_is_told_as_history(broker: Broker, tmp_path: Path) -> None:
    async with (
        publishing(broker.port, "spBv1.0/#") as (link, everything),
        listening(broker.port, ("d", "p")) as (driver, inbox),
        at_work(sparkplug(tmp_path, broker.port), tmp_path, pair("d", "p", 5, T0)) as (outlet, _),
    ):
        await inbox.until(lambda: len(inbox.items) == 1)
        outlet.add([pair("d", "p", 4, T0 - 2000), pair("d", "p", 4, T0 - 1000)], past=True)
        await inbox.until(lambda: len(inbox.items) == 3)
        assert [(r.value, r.source_time) for r in inbox.items] == [(5, T0), (4, T0 - 2000), (4, T0 - 1000)]
        await link.ping()
        (present,) = await driver.read([point("d.p", sparkplug=f"{LINE}/d", metric="p")])
        assert present.value == 5
        assert all(metric.historical for metric in metrics(everything, "DDATA"))


async def test_nobody_at_the_address_costs_memory_up_to_the_limit_only(tmp_path: Path) -> None:
    config = sparkplug(tmp_path, 1, queue=1000, properties=["active_*"])
    async with at_work(config, tmp_path) as (outlet, announced):
        for number in range(3000):
            outlet.add([pair("d", "p", number, property_code="active_power_total"), pair("d", "q", number)])
        await until(lambda: len(announced) == 2)
        assert (outlet.state().queued, outlet.state().dropped, outlet.state().written) == (1000, 2000, 0)
    assert [kind for kind, _ in announced] == ["outlet_down", "outlet_dropped", "outlet_lost"]
    assert announced[0][1].startswith("outlet out: the broker at 127.0.0.1:1 cannot be reached")
    assert "1000 readings" in announced[-1][1]
