"""Every promise of `protocols.driver`, kept by every protocol against a device on real TCP."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from protocols.catalogue import driver_class
from protocols.driver import WriteRule
from protocols.errors import ConfigError, Malformed, Refused, Unreachable
from protocols.reading import Severity, now_us
from tests.conformance.case import DriverCase
from tests.conformance.plant import (
    Mangler,
    Plant,
    connections,
    listening,
    only_left,
    opened,
    reaching,
    tasks_and_threads,
)

DEADLINE_S = 20.0
"""After this a wait has failed; far above anything a loaded machine needs."""


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_no_network")
def test_wrong_connections_are_refused_without_network(case: DriverCase) -> None:
    for fields in case.refused_connections:
        with pytest.raises((ConfigError, ValidationError)):
            case.driver(case.address(1), **fields)


@pytest.mark.usefixtures("_no_network")
def test_wrong_points_are_refused_without_network(case: DriverCase) -> None:
    for fields in case.refused_points:
        with pytest.raises((ConfigError, ValidationError)):
            case.driver(case.address(1), [driver_class(case.protocol).Point.model_validate(fields)])


async def test_nothing_is_written_that_is_not_allowed(case: DriverCase) -> None:
    driver = case.driver(case.address(1))
    for point in case.points:
        assert point.write is None, "writing has to be off by default"
        with pytest.raises(Refused):
            await driver.write(point, case.other_values[point.name])
        ruled = point.model_copy(update={"write": WriteRule(values=("only this",))})
        with pytest.raises(ConfigError, match="allowed: only this"):
            await driver.write(ruled, case.other_values[point.name])
    await driver.close()


def test_every_field_is_described(case: DriverCase) -> None:
    kind = driver_class(case.protocol)
    for model in (kind.Connection, kind.Point):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


async def test_read_gives_one_reading_per_point_in_order(case: DriverCase, plant: Plant) -> None:
    before = now_us()
    async with opened(case.driver(plant.address)) as driver:
        readings = await driver.read(case.points)
        backwards = await driver.read(case.points[::-1])
        none = await driver.read([])
    assert [reading.point for reading in readings] == [point.name for point in case.points]
    assert [reading.point for reading in backwards] == [point.name for point in case.points[::-1]]
    assert len(none) == 0
    for reading in readings:
        wanted = case.values[reading.point]
        assert reading.value == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), reading
        assert reading.quality.severity == (Severity.BAD if wanted is None else Severity.GOOD), reading
        assert before <= reading.arrival_time <= now_us()


async def test_a_new_value_is_read_and_an_old_one_never_again(case: DriverCase, plant: Plant) -> None:
    async with opened(case.driver(plant.address)) as driver:
        await driver.read(case.points)
        plant.values = case.other_values
        deadline = time.monotonic() + DEADLINE_S
        while True:
            readings = await driver.read(case.points)
            got = {reading.point: reading.value for reading in readings}
            if got == pytest.approx(dict(case.other_values)):
                break
            assert time.monotonic() < deadline, got
        plant.values = case.values
        await plant.stop()
        with pytest.raises(Unreachable):
            await driver.read(case.points)


async def test_subscription_brings_present_values_then_changes(case: DriverCase, plant: Plant) -> None:
    async with opened(case.driver(plant.address)) as driver:
        got: dict[str, object] = {}
        news = asyncio.Event()

        def deliver(readings: object) -> None:
            for reading in readings:  # type: ignore[attr-defined]
                got[reading.point] = reading.value
            news.set()

        if not driver.subscribes:
            with pytest.raises(Refused):
                await driver.subscribe(case.points, 0.1, deliver)
            return

        async def until(values: object) -> None:
            while got != pytest.approx(values):
                news.clear()
                await news.wait()

        await driver.subscribe(case.points, 0.1, deliver)
        await asyncio.wait_for(until(dict(case.values)), DEADLINE_S)
        plant.values = case.other_values
        await asyncio.wait_for(until(dict(case.other_values)), DEADLINE_S)
        watch = asyncio.create_task(driver.watch())
        await plant.stop()
        with pytest.raises((Unreachable, Malformed)):
            await asyncio.wait_for(watch, DEADLINE_S)


async def test_an_absent_point_is_bad_while_the_others_flow(case: DriverCase, plant: Plant) -> None:
    points = [*case.points[:2], case.absent, *case.points[2:]]
    async with opened(case.driver(plant.address, points)) as driver:
        for _ in range(3):
            readings = list(await driver.read(points))
            assert [reading.point for reading in readings] == [point.name for point in points]
            absent = readings.pop(2)
            assert (absent.value, absent.quality.severity) == (None, Severity.BAD)
            got = {reading.point: reading.value for reading in readings}
            assert got == pytest.approx(dict(case.values))


async def test_nobody_there_is_unreachable_and_names_the_place(case: DriverCase) -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else can answer on this port
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        driver = case.driver(case.address(port))
        with pytest.raises(Unreachable, match=case.address(port) if case.serial else f"127.0.0.1:{port}"):
            await driver.open()
        await driver.close()


async def test_a_device_that_stops_is_unreachable_and_resumes_with_a_new_driver(case: DriverCase, plant: Plant) -> None:
    async with opened(case.driver(plant.address)) as driver:
        await driver.read(case.points)
        await plant.stop()
        with pytest.raises(Unreachable, match=re.escape(plant.place)):
            await driver.read(case.points)
    await plant.start()
    async with opened(case.driver(plant.address)) as driver:
        readings = await driver.read(case.points)
    assert {reading.point: reading.value for reading in readings} == pytest.approx(dict(case.values))


async def test_nonsense_is_malformed(case: DriverCase, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(case.nonsense)

    async with listening(talk) as port, reaching(case, port, tmp_path) as address:
        driver = case.driver(address, timeout_s=0.5)
        with pytest.raises(Malformed, match=address if case.serial else f"127.0.0.1:{port}"):
            async with opened(driver):
                await driver.read(case.points)
        assert connections(case, port, address) == 0


async def test_an_answer_cut_short_is_never_a_value(case: DriverCase, plant: Plant, tmp_path: Path) -> None:
    """Of what is known - old values, new values, no value - nothing else comes of a stream that lacks bytes."""
    mangler = Mangler(plant.port)
    async with listening(mangler) as port, reaching(case, port, tmp_path) as address:
        driver = case.driver(address, timeout_s=0.5)
        async with opened(driver):
            await driver.read(case.points)
            mangler.cutting = True
            plant.values = case.other_values
            failure = None
            for _ in range(3):
                try:
                    readings = await driver.read(case.points)
                except (Malformed, Unreachable) as error:
                    failure = error
                    break
                for reading in readings:
                    known = (None, case.values[reading.point], case.other_values[reading.point])
                    assert any(reading.value == pytest.approx(value) for value in known), reading
            assert failure is not None or case.protocol == "mqtt", "mqtt reads what was heard last"
            if case.protocol == "modbus":
                assert isinstance(failure, Malformed)


async def test_silence_is_unreachable_and_names_the_place(case: DriverCase, tmp_path: Path) -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass

    async with listening(listen) as port, reaching(case, port, tmp_path) as address:
        driver = case.driver(address, timeout_s=0.3)
        with pytest.raises(Unreachable, match=address if case.serial else f"127.0.0.1:{port}"):
            async with opened(driver):
                await driver.read(case.points)
        assert connections(case, port, address) == 0


async def test_cancelling_ends_a_wait_for_a_silent_device(case: DriverCase, tmp_path: Path) -> None:
    before = tasks_and_threads()
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            asked.set()

    async with listening(listen) as port, reaching(case, port, tmp_path) as address:
        driver = case.driver(address, timeout_s=60)

        async def read() -> None:
            await driver.open()
            await driver.read(case.points)

        task = asyncio.create_task(read())
        await asyncio.wait_for(asked.wait(), DEADLINE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)
        await asyncio.wait_for(driver.close(), DEADLINE_S)
        assert connections(case, port, address) == 0
    await only_left(before, DEADLINE_S)


async def test_close_is_harmless_at_any_time_and_leaves_nothing_behind(case: DriverCase, plant: Plant) -> None:
    before, of_the_plant = tasks_and_threads(), connections(case, plant.port, plant.address)
    driver = case.driver(plant.address)
    await driver.close()
    await driver.close()
    driver = case.driver(plant.address)
    await driver.open()
    await driver.read(case.points)
    await driver.close()
    await driver.close()
    assert connections(case, plant.port, plant.address) == of_the_plant
    await plant.remove()
    await only_left(before, DEADLINE_S)
