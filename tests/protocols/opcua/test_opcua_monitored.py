"""What the driver asks a server's monitored items for, and what it does where the server will not have it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.server.uaprocessor import UaProcessor

from protocols.driver import Observed
from protocols.errors import ConfigError
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.monitored import publishing_ms, queue_size, sampling_ms
from protocols.opcua.profiles import profiles, recognise
from protocols.opcua.simulator import OpcuaSimulator
from protocols.reading import Value
from tests.protocols.opcua.opcua_stand import DEADLINE_S, Inbox, opened, point

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOISY = point("Noisy", deadband=0.5, scale=0.1)
CALM = point("Calm")


class Plant:
    """A running simulator of two points."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {"Noisy": 10.0, "Calm": 1.0}
        self.simulator = OpcuaSimulator([NOISY, CALM], lambda: self.values, tick_s=0.02)
        self.endpoint = ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[Plant]:
    plant = Plant()
    plant.endpoint = await plant.simulator.start()
    yield plant
    await plant.simulator.stop()


def items_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[ua.MonitoredItemCreateRequest, int], int | None]
) -> list[ua.MonitoredItemCreateRequest]:
    """Let the server refuse items with the code `answer` gives for a request and how many there are; list requests."""
    asked: list[ua.MonitoredItemCreateRequest] = []
    original = MonitoredItemService._create_data_change_monitored_item

    async def create(
        self: MonitoredItemService, request: ua.MonitoredItemCreateRequest
    ) -> ua.MonitoredItemCreateResult:
        asked.append(request)
        code = answer(request, len(self._monitored_items))
        return ua.MonitoredItemCreateResult(ua.StatusCode(code)) if code else await original(self, request)

    monkeypatch.setattr(MonitoredItemService, "_create_data_change_monitored_item", create)
    return asked


def deadband(request: ua.MonitoredItemCreateRequest) -> tuple[int, float] | None:
    """Kind and value of the deadband asked for. asyncua has two classes of one name; a server decodes into the other."""
    filter_ = request.RequestedParameters.Filter
    return (filter_.DeadbandType, filter_.DeadbandValue) if hasattr(filter_, "DeadbandType") else None


async def test_a_deadband_is_kept_by_the_server_in_raw_units(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = items_answer(monkeypatch, lambda request, there: None)
    inbox = Inbox()
    plant.values["Noisy"] = 10.0
    async with opened(plant.endpoint) as driver:
        await driver.subscribe([NOISY, CALM], 1.0, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 2)
        for value in (10.4, 10.5, 11.5):  # steps of 4, 1 and 10 raw counts; 0.5 engineering units are 5
            plant.values |= {"Noisy": value, "Calm": value}
            await inbox.until(lambda latest, value=value: latest["Calm"].value == value)
    assert [deadband(request) for request in asked] == [(ua.DeadbandType.Absolute, 5.0), None]
    assert [reading.value for reading in inbox.readings if reading.point == "Noisy"] == [10.0, 11.5]
    assert driver.notices() == []


@pytest.mark.parametrize("code", [ua.StatusCodes.BadMonitoredItemFilterUnsupported, ua.StatusCodes.BadFilterNotAllowed])
async def test_a_refused_deadband_is_left_out_and_said_once(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(request: ua.MonitoredItemCreateRequest, there: int) -> int | None:
        return code if deadband(request) else None

    items_answer(monkeypatch, refuse)
    inbox = Inbox()
    plant.values |= {"Noisy": 20.0, "Calm": 20.0}
    async with opened(plant.endpoint) as driver:
        await driver.subscribe([NOISY, CALM], 1.0, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 2 and latest["Noisy"].value == 20.0)
        plant.values["Noisy"] = 20.1
        await inbox.until(lambda latest: latest["Noisy"].value == 20.1)
        (notice,) = driver.notices()
    assert isinstance(driver, Observed)
    assert "no deadband for Noisy" in notice.en
    assert ua.StatusCode(code).name in notice.zh


async def test_a_server_known_not_to_filter_is_not_asked_to(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = items_answer(monkeypatch, lambda request, there: None)
    inbox = Inbox()
    async with opened(plant.endpoint, profile="siemens-s7-1200") as driver:
        await driver.subscribe([NOISY, CALM], 1.0, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 2)
        (notice,) = driver.notices()
    assert [deadband(request) for request in asked] == [None, None]
    assert "Siemens S7-1200" in notice.en


async def test_points_beyond_the_servers_room_are_polled(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    items_answer(monkeypatch, lambda request, there: ua.StatusCodes.BadTooManyMonitoredItems if there else None)
    inbox = Inbox()
    plant.values |= {"Noisy": 30.0, "Calm": 30.0}
    async with opened(plant.endpoint) as driver:
        await driver.subscribe([NOISY, CALM], 0.1, inbox.deliver)
        await inbox.until(lambda latest: len(latest) == 2)
        watch = asyncio.create_task(driver.watch())
        for value in (31.0, 32.0):
            plant.values["Calm"] = value
            await inbox.until(lambda latest, value=value: latest["Calm"].value == value)
        assert not watch.done()
        watch.cancel()
        (notice,) = driver.notices()
    assert "polled" in notice.en
    assert "Calm" in notice.en


async def test_lost_changes_are_counted_and_said_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncua drops changes silently; a server that follows Part 4 sets the overflow bit, as this one then does."""
    original: Callable[..., Awaitable[None]] = InternalSubscription.enqueue_datachange_event

    async def overflow(self: InternalSubscription, mid: int, event: ua.MonitoredItemNotification, size: int) -> None:
        if event.Value.Value.Value != 1.0:
            status = ua.StatusCode(0x0480)
            event.Value = ua.DataValue(event.Value.Value, status, event.Value.SourceTimestamp)
        await original(self, mid, event, size)

    plant.values["Calm"] = 1.0
    await plant.simulator.write_changes()
    monkeypatch.setattr(InternalSubscription, "enqueue_datachange_event", overflow)
    inbox = Inbox()
    async with opened(plant.endpoint) as driver:
        await driver.subscribe([CALM], 1.0, inbox.deliver)
        await inbox.until(lambda latest: "Calm" in latest)
        assert driver.counters() == {"overflows": 0}
        for value in (2.0, 3.0):
            plant.values["Calm"] = value
            latest = await inbox.until(lambda latest, value=value: latest["Calm"].value == value)
            assert latest["Calm"].quality.good
        assert driver.counters() == {"overflows": 2}
        (notice,) = driver.notices()
    assert "queue_size" in notice.en


async def test_a_server_that_lets_one_publish_request_wait_is_served_all_the_same(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UaProcessor, "publish_request_limit", lambda *_: 1)
    inbox = Inbox()
    async with opened(plant.endpoint, keepalive_s=0.2) as driver:
        await driver.subscribe([CALM], 0.1, inbox.deliver)
        watch = asyncio.create_task(driver.watch())
        for value in (41.0, 42.0, 43.0):
            plant.values["Calm"] = value
            await inbox.until(lambda latest, value=value: "Calm" in latest and latest["Calm"].value == value)
        assert not watch.done()
        watch.cancel()


def connection(**fields: Any) -> OpcuaConnection:
    return OpcuaConnection.model_validate({"endpoint": "opc.tcp://plc", "security": "none", **fields})


async def test_sampling_and_queue_lose_nothing_that_changes_once_a_period() -> None:
    plain = connection()
    assert sampling_ms(plain, None, 1.0) == 250
    assert queue_size(plain, None, 250, publishing_ms(plain, None)) == 20
    slow = connection(publishing_s=10, sampling_s=0.1)
    assert queue_size(slow, None, sampling_ms(slow, None, 1.0), publishing_ms(slow, None)) == 200
    open62541 = profiles()["open62541"]
    assert sampling_ms(plain, open62541, 0.1) == 50
    assert queue_size(slow, open62541, 100, 10_000) == 100
    assert sampling_ms(slow, open62541, 0.1) == 100  # what is configured counts
    assert queue_size(connection(queue_size=3), open62541, 100, 10_000) == 3
    assert publishing_ms(connection(publishing_s=0.05), open62541) == 100


@pytest.mark.parametrize(
    ("manufacturer", "product", "profile"),
    [
        ("Siemens AG", "SIMATIC S7-1200", "siemens-s7-1200"),
        ("Siemens AG", "S7-1500 CPU 1518", "siemens-s7-1500"),
        ("Siemens AG", "SINUMERIK", None),
        ("PTC", "KEPServerEX", "kepware"),
        ("Inductive Automation", "Ignition OPC UA Server", "ignition"),
        ("open62541", "open62541 OPC UA Server", "open62541"),
        ("NodeOPCUA", "NodeOPCUA-Server", None),
        ("", "", None),
    ],
)
async def test_servers_are_recognised_by_their_build_information(
    manufacturer: str, product: str, profile: str | None
) -> None:
    found = recognise({"manufacturer": manufacturer, "product": product})
    assert (found.id if found else None) == profile


async def test_an_unknown_profile_or_two_deadbands_are_refused() -> None:
    with pytest.raises(ConfigError, match="siemens-s7-1500"):
        connection(profile="siemens")
    with pytest.raises(ConfigError, match="deadband"):
        OpcuaPoint(name="p", node="i=1", deadband=1.0, deadband_percent=1.0)


async def test_configured_and_known_limits_split_requests(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def limits(**fields: Any) -> int:
        async with opened(plant.endpoint, **fields) as driver:
            return driver._session._limits["read"]

    async with asyncio.timeout(DEADLINE_S):
        assert await limits() == 10_000
        assert await limits(profile="siemens-s7-1200") == 100
        assert await limits(profile="siemens-s7-1200", per_request=7) == 7
