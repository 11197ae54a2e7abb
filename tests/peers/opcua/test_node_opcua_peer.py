"""The driver against node-opcua, which shares no line of code with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from protocols.driver import WriteRule
from protocols.errors import ConfigError, Refused, Unreachable
from protocols.opcua.config import OpcuaPoint
from protocols.reading import BAD_NODE_ID_UNKNOWN, BAD_SENSOR_FAILURE, BAD_TYPE_MISMATCH, Reading
from tests.peers.opcua.peer_programs import Peer, node_opcua
from tests.protocols.opcua.opcua_stand import DEADLINE_S, Inbox, opened

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


def tag(name: str) -> OpcuaPoint:
    return OpcuaPoint(name=name, node=f"nsu=urn:peer:plant;s=Line.{name}")


TAGS = [tag(f"Tag{number}") for number in range(1000)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    async with node_opcua(tmp_path_factory.mktemp("peer")) as endpoint:
        yield endpoint


def good(readings: Sequence[Reading]) -> dict[str, Any]:
    return {reading.point: reading.value for reading in readings if reading.quality.good}


@pytest.mark.parametrize("limit", [100, 0])
async def test_values_types_limits_and_faults(tmp_path: Path, limit: int) -> None:
    names = ["Running", "Serial", "State", "Total", "Ratio", "Since", "Curve", "Broken", "Absent"]
    others = [tag(name) for name in names]
    expected = {
        **{point.name: float(number) for number, point in enumerate(TAGS)},
        "Running": True,
        "Serial": "0042",
        "State": 3,
        "Total": 2**32 + 2,
        "Ratio": 0.5,
        "Since": "2026-01-02T03:04:05.678000Z",
    }
    bad = {"Curve": BAD_TYPE_MISMATCH, "Broken": BAD_SENSOR_FAILURE, "Absent": BAD_NODE_ID_UNKNOWN}
    points = [*TAGS[:120], *others, *TAGS[120:]]
    inbox = Inbox()
    async with node_opcua(tmp_path / "peer", limit=limit) as endpoint, opened(endpoint) as driver:
        read = await driver.read(points)
        await driver.subscribe(points, 0.2, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == len(points))
        found = {point.path: point async for point in driver.browse()}
    assert [reading.point for reading in read] == [point.name for point in points]
    for readings in (read, list(inbox.latest().values())):
        assert good(readings) == expected
        assert {reading.point: reading.quality for reading in readings if not reading.quality.good} == bad
        assert all(reading.value is None for reading in readings if not reading.quality.good)
    ours = {path: point for path, point in found.items() if path.startswith("Line/")}
    assert len(ours) == len(TAGS) + len(names) + 3  # Temperature for Absent; those that can be written
    assert ours["Line/Temperature"].unit == "CEL"
    assert ours["Line/Temperature"].range == (0.0, 100.0)
    assert ours["Line/Curve"].data_type == "Double[]"
    assert ours["Line/Serial"].address == {"node": "nsu=urn:peer:plant;s=Line.Serial"}


async def test_changes_flow_in_order_and_resume_after_a_restart(tmp_path: Path) -> None:
    inbox, resumed = Inbox(), Inbox()
    temperature = tag("Temperature")
    async with AsyncExitStack() as running:
        endpoint = await running.enter_async_context(node_opcua(tmp_path / "peer"))
        port = int(endpoint.rpartition(":")[2].partition("/")[0])
        async with opened(endpoint) as driver:
            await driver.subscribe([temperature], 0.05, inbox.deliver)
            await inbox.until(lambda _: len(inbox.readings) > 20)
            values = [reading.value for reading in inbox.readings if reading.quality.good]
            watch = asyncio.create_task(driver.watch())
            await running.aclose()
            with pytest.raises(Unreachable):
                await asyncio.wait_for(watch, DEADLINE_S)
    assert values == sorted(values)
    async with node_opcua(tmp_path / "peer", port, ["urn:peer:new"]) as again:
        assert again == endpoint
        async with opened(endpoint) as driver:
            await driver.subscribe([temperature, TAGS[7]], 0.05, resumed.deliver)
            latest = await resumed.until(lambda latest: len(latest) == 2 and len(resumed.readings) > 5)
    assert latest["Tag7"].value == 7.0
    assert latest["Temperature"].quality.good


async def test_one_unknown_node_among_a_thousand_is_named_and_flows_once_it_is_there(
    endpoint: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocols.opcua.subscription._RETRY_S", 0.5)
    monkeypatch.setattr("protocols.opcua.subscription._VERIFY_S", 0.5)
    late = tag("Late")
    inbox = Inbox()
    async with opened(endpoint, keepalive_s=0.5) as driver:
        await driver.subscribe([*TAGS[:500], late, *TAGS[501:]], 0.2, inbox.deliver)
        latest = await inbox.until(lambda latest: len(latest) == 1000)
        assert {name for name, reading in latest.items() if not reading.quality.good} == {"Late"}
        assert latest["Late"].quality == BAD_NODE_ID_UNKNOWN
        watch = asyncio.create_task(driver.watch())
        await endpoint.tell("add Late")
        await inbox.until(lambda latest: latest["Late"].value == 7.0)
        await endpoint.tell("remove Late")
        await inbox.until(lambda latest: not latest["Late"].quality.good)
        await endpoint.tell("add Late")
        await inbox.until(lambda latest: latest["Late"].value == 7.0)
        assert not watch.done()
        watch.cancel()


async def test_history_is_what_was_sent_live(endpoint: Peer) -> None:
    temperature, inbox, kept = tag("Temperature"), Inbox(), {}
    async with opened(endpoint) as driver:
        await driver.subscribe([temperature, TAGS[0]], 0.05, inbox.deliver)
        await inbox.until(lambda _: len(inbox.readings) > 60)
        live = [reading for reading in inbox.readings if reading.point == "Temperature"][5:-5]
        async for page in driver.history([temperature, TAGS[0]], live[0].source_time, live[-1].source_time + 1000):
            kept |= {reading.source_time: reading for reading in page}
    # Where this server archives a value its time is that of the value, to the millisecond.
    assert {reading.point for reading in kept.values()} == {"Temperature"}
    assert {reading.value for reading in live} <= {reading.value for reading in kept.values()}
    by_value = {reading.value: reading.source_time for reading in kept.values()}
    assert all(abs(by_value[reading.value] - reading.source_time) <= 1000 for reading in live)


async def test_a_deadband_in_percent_is_of_the_nodes_range(endpoint: Peer) -> None:
    """Temperature counts up by 1 over a range of 0 to 100."""
    inbox = Inbox()
    every = tag("Temperature")
    some = OpcuaPoint(name="Some", node=every.node, deadband_percent=4.5)
    none = OpcuaPoint(name="None", node="nsu=urn:peer:plant;s=Line.Tag9", deadband_percent=5)
    async with opened(endpoint) as driver:
        await driver.subscribe([every, some, none], 0.05, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 3 and len(inbox.readings) > 60)
        (notice,) = driver.notices()  # a tag without a range has no percentage of it
    values = [reading.value for reading in inbox.readings if reading.point == "Some"]
    assert all(after - before >= 5 for before, after in pairwise(values))
    assert "None" in notice.en


async def test_lost_changes_are_counted(endpoint: Peer) -> None:
    inbox = Inbox()
    async with opened(endpoint, publishing_s=1.0, sampling_s=0.05, queue_size=4) as driver:
        await driver.subscribe([tag("Temperature")], 1.0, inbox.deliver)  # changes 20 times between two sendings
        await inbox.until(lambda _: driver.counters()["overflows"] > 1)
        (notice,) = driver.notices()
    assert all(reading.quality.good for reading in inbox.readings)
    assert "queue_size" in notice.en


async def test_a_value_is_written_in_the_nodes_type_or_refused(endpoint: Peer) -> None:
    def writable(name: str, **fields: Any) -> OpcuaPoint:
        return tag(name).model_copy(update={"write": WriteRule(min=-40_000, max=40_000), **fields})

    async with opened(endpoint) as driver:
        setpoint = writable("Setpoint", scale=0.1)
        await driver.write(setpoint, 23.5)
        assert [reading.value for reading in await driver.read([setpoint])] == [23.5]
        for name, reason in (("Guarded", "BadUserAccessDenied"), ("Fixed", "Bad"), ("Absent", "BadNodeIdUnknown")):
            with pytest.raises(Refused, match=rf"{name}.*{reason}"):
                await driver.write(writable(name), 2.0)
        with pytest.raises(ConfigError, match="Int16"):
            await driver.write(setpoint, 4000.0)
        with pytest.raises(Refused, match="may not be written"):
            await driver.write(tag("Setpoint"), 1.0)
        assert [reading.value for reading in await driver.read([setpoint, tag("Guarded")])] == [23.5, 1.0]
