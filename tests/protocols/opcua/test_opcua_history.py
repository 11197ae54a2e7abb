"""What a server has kept: read in pages, each value once, from the nodes that keep history and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.server.history import HistoryDict
from asyncua.server.internal_session import InternalSession

from protocols.driver import Historian
from protocols.opcua.driver import OpcuaDriver
from protocols.reading import BAD_SENSOR_FAILURE, Reading
from tests.protocols.opcua.opcua_stand import NAMESPACE, opened, point

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = 2500
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BEGIN_US = int(BEGIN.timestamp()) * 1_000_000
STEP = timedelta(milliseconds=100)
END_US = BEGIN_US + COUNT * 100_000

FAST = point("Fast")
SCALED = point("Scaled", scale=0.1)
PLAIN = point("Plain")
ABSENT = point("Absent")


class Archive:
    """A server whose nodes Fast and Scaled have 2,500 values each; Plain keeps none."""

    def __init__(self) -> None:
        self.storage = HistoryDict()
        self.endpoint = ""

    async def fill(self, server: Server, index: int) -> None:
        for name in ("Fast", "Scaled", "Plain"):
            node = await server.nodes.objects.add_variable(ua.NodeId(name, index), name, 0.0)
            if name != "Plain":
                await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
                await self.storage.new_historized_node(node.nodeid, None)
                for number in range(COUNT):
                    time = BEGIN + number * STEP
                    status = ua.StatusCode(BAD_SENSOR_FAILURE.status_code if number == 7 else 0)
                    value = ua.DataValue(ua.Variant(float(number)), status, time, time)
                    await self.storage.save_node_value(node.nodeid, value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Archive]:
    archive = Archive()
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/archive")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.iserver.history_manager.set_storage(archive.storage)
    await archive.fill(server, await server.register_namespace(NAMESPACE))
    async with server:
        archive.endpoint = f"opc.tcp://127.0.0.1:{server.bserver.port}/archive"
        yield archive


@pytest.fixture
def archive(running: Archive) -> Archive:
    running.storage.max_history_data_response_size = 10_000
    return running


async def past(driver: OpcuaDriver, start: int = BEGIN_US, end: int = END_US) -> list[Reading]:
    """All that the driver gives, without what has no newer time than what came before, as a taker does it."""
    latest: dict[str, int] = {}
    kept = []
    async for page in driver.history([FAST, PLAIN, ABSENT, SCALED], start, end):
        assert len(page) <= 20_000
        for reading in page:
            if reading.source_time > latest.get(reading.point, 0):
                latest[reading.point] = reading.source_time
                kept.append(reading)
    return kept


def of(readings: Sequence[Reading], name: str) -> list[Reading]:
    return [reading for reading in readings if reading.point == name]


@pytest.mark.parametrize("page", [400, 10_000])  # continuation points, and answers cut without one
async def test_each_kept_value_comes_once_with_its_own_time(archive: Archive, page: int) -> None:
    archive.storage.max_history_data_response_size = page
    async with opened(archive.endpoint) as driver:
        readings = await past(driver)
    assert isinstance(driver, Historian)
    assert {reading.point for reading in readings} == {"Fast", "Scaled"}
    times = [BEGIN_US + number * 100_000 for number in range(COUNT)]
    for name, scale in (("Fast", 1.0), ("Scaled", 0.1)):
        kept = of(readings, name)
        assert [reading.source_time for reading in kept] == times
        assert [reading.value for reading in kept] == [
            None if number == 7 else float(f"{number * scale:.12g}") for number in range(COUNT)
        ]
        assert kept[7].quality == BAD_SENSOR_FAILURE
    assert driver.notices() == []


async def test_only_what_is_asked_for_and_allowed_is_read(archive: Archive) -> None:
    async with opened(archive.endpoint) as driver:
        some = of(await past(driver, BEGIN_US + 500_000, BEGIN_US + 1_000_000), "Fast")
        assert [reading.value for reading in some] == [5.0, 6.0, None, 8.0, 9.0, 10.0]
    async with opened(archive.endpoint, history_s=1) as driver:
        assert len(of(await past(driver, BEGIN_US, BEGIN_US + 10_000_000), "Fast")) == 11
    async with opened(archive.endpoint, history_s=0) as driver:
        assert await past(driver) == []


async def test_a_server_without_history_has_none(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise ServiceError(ua.StatusCodes.BadHistoryOperationUnsupported)

    monkeypatch.setattr(InternalSession, "history_read", refuse)
    async with opened(archive.endpoint) as driver:
        assert await past(driver) == []
        assert driver.notices() == []


async def test_a_node_that_refuses_is_said_and_the_others_are_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = InternalSession.history_read

    async def refuse(self: InternalSession, parameters: Any) -> Any:
        answers = await original(self, parameters)
        for node, answer in zip(parameters.NodesToRead, answers, strict=True):
            if node.NodeId.Identifier == "Scaled":
                answer.StatusCode = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
                answer.HistoryData = ua.HistoryData()
        return answers

    monkeypatch.setattr(InternalSession, "history_read", refuse)
    async with opened(archive.endpoint) as driver:
        assert {reading.point for reading in await past(driver)} == {"Fast"}
        (notice,) = driver.notices()
    assert "Scaled" in notice.en
    assert "BadUserAccessDenied" in notice.en
