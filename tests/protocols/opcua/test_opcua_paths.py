"""Points given by their place are found on one machine, after a restart with other node ids as well."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from protocols.errors import ConfigError
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.driver import OpcuaDriver
from protocols.opcua.simulator import OpcuaSimulator
from protocols.reading import BAD_NODE_ID_UNKNOWN, Value
from protocols.validation import validate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from protocols.reading import Reading


@asynccontextmanager
async def serving(values: Mapping[str, Value], namespace: str = "urn:maker") -> AsyncIterator[str]:
    """Serve one variable for each place in `values`, under folders of its parts."""
    points = [OpcuaPoint(name=place, node=f"nsu={namespace};s={place}") for place in values]
    simulator = OpcuaSimulator(points, lambda: values)
    yield await simulator.start()
    await simulator.stop()


async def read(endpoint: str, paths: Mapping[str, str], **options: Any) -> dict[str, Reading]:
    connection = OpcuaConnection.model_validate({"endpoint": endpoint, "security": "none", **options})
    points = [OpcuaPoint(name=name, path=path) for name, path in paths.items()]
    driver = OpcuaDriver("machine-1", connection, points)
    try:
        await driver.open()
        return {reading.point: reading for reading in await driver.read(points)}
    finally:
        await driver.close()


async def test_all_points_of_a_device_are_of_one_machine() -> None:
    served: dict[str, Value] = {
        "Machines/Lathe_7/Identification/Model": "L7",
        "Machines/Mill_1/Identification/Model": "M1",
        "Machines/Mill_1/Monitoring/Spindle_1/Override": 80.0,
        "Machines/Mill_2/Identification/Model": "M2",
        "Machines/Mill_2/Monitoring/Spindle_A/Override": 120.0,
    }
    paths = {
        "model": "Machines/*/Identification/Model",
        "override": "Machines/*/Monitoring/*/Override",
        "none": "Machines/*/Monitoring/*/Load",
        "second": "Machines/Mill_2/Identification/Model",
        "elsewhere": "DeviceSet/*/Model",
    }
    async with serving(served) as endpoint:
        first = await read(endpoint, paths)
        assert {name: reading.value for name, reading in first.items()} == {
            "model": "M1",
            "override": 80.0,
            "none": None,
            "second": "M2",
            "elsewhere": None,
        }
        assert first["none"].quality == BAD_NODE_ID_UNKNOWN
        named = await read(endpoint, paths, machine="Mill_2")
        assert (named["model"].value, named["override"].value) == ("M2", 120.0)
        absent = await read(endpoint, paths, machine="Mill_3")
        assert (absent["model"].value, absent["second"].value) == (None, "M2")


async def test_the_simulator_serves_points_given_by_their_place() -> None:
    points = [OpcuaPoint(name="cycles", path="DeviceSet/*/Jobs/ActiveJobValues/MachineCycleCounter")]
    simulator = OpcuaSimulator(points, lambda: {"cycles": 17})
    endpoint = await simulator.start()
    try:
        assert (await read(endpoint, {"cycles": str(points[0].path)}))["cycles"].value == 17
    finally:
        await simulator.stop()


@pytest.mark.parametrize("table", [{}, {"node": "i=2258", "path": "Server"}])
def test_a_point_has_exactly_one_address(table: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="a point has either a node or a path - write node ="):
        validate(OpcuaPoint, {"name": "p", **table}, "point[1]")
