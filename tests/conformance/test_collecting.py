"""What the agent makes of a device of any protocol: one loss is said once, and what is back is new."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.events import announcer
from edge_agent.normalise import Normaliser
from protocols.catalogue import driver_class
from protocols.reading import BAD_NO_COMMUNICATION
from protocols.uplink.messages import Event
from tests.conformance.case import DriverCase
from tests.conformance.plant import Plant, only_left, tasks_and_threads
from tests.edge_agent.test_collect import Kept

DEADLINE_S = 20.0


async def test_a_lost_link_is_one_line_in_the_log_and_one_bad_reading_a_point(
    case: DriverCase, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = tasks_and_threads()
    connection = driver_class(case.protocol).Connection.model_validate(
        {**case.connection(plant.address), "timeout_s": 1}
    )
    device = DeviceConfig(
        name="device-1", protocol=case.protocol, period_s=0.1, connection=connection, points=tuple(case.points)
    )
    events: list[Event] = []
    kept = Kept()
    collector = Collector(device, Normaliser(device, {}), kept.add, announcer(events.append, "en"))
    task = asyncio.create_task(collector.run())
    names = {point.name for point in case.points}
    live = {name for name, value in case.values.items() if value is not None}
    try:
        await kept.until(lambda: {reading.point for reading in kept.good} >= live)
        assert [record for record in caplog.records if record.name.startswith("sunmao")] == []
        await plant.stop()
        await kept.until(lambda: bool(events) and {reading.point for reading in kept.lost} == names)
        said = [record.getMessage() for record in caplog.records if record.name.startswith("sunmao")]
        assert len(said) == 1
        assert said[0].startswith("device-1: ")
        assert [event.kind for event in events] == ["device_lost"]
        assert all(reading.value is None and reading.quality == BAD_NO_COMMUNICATION for reading in kept.lost)
        have = len(kept.readings)
        plant.values = case.other_values
        await plant.start()
        await kept.until(lambda: {reading.point for reading in kept.readings[have:] if reading.quality.good} == names)
        back = {reading.point: reading.value for reading in kept.readings[have:]}
        assert back == pytest.approx({name: _number(value) for name, value in case.other_values.items()})
        # Where the device said goodbye, its points turned bad by that, and by the loss of the link after it.
        assert len(kept.lost) <= (2 if case.goodbye else 1) * len(names), "each point turned bad once"
        assert [event.kind for event in events] == ["device_lost", "device_back"]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await plant.stop()
    await only_left(before, DEADLINE_S)


def _number(value: object) -> object:
    """Return a value as it is kept: truth values are 0 and 1."""
    return int(value) if isinstance(value, bool) else value
