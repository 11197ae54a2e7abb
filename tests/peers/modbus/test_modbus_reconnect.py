"""Foreign servers that are killed and come back on their port: known as lost once, live again without our doing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.collect import Collector
from edge_agent.config import DeviceConfig
from edge_agent.normalise import Normaliser
from protocols.modbus.config import ModbusConnection, ModbusPoint
from tests.edge_agent.test_collect import Kept
from tests.peers.modbus.peer_programs import SERVERS, foreign_server


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_is_killed_is_lost_once_and_read_again_when_back(kind: str, tmp_path: Path) -> None:
    async with foreign_server(kind, tmp_path) as port:
        device = DeviceConfig(
            name="peer",
            protocol="modbus",
            period_s=0.1,
            connection=ModbusConnection.model_validate({"host": "127.0.0.1", "port": port}),
            points=tuple(ModbusPoint(name=f"p{n}", address=n) for n in range(3)),
        )
        kept = Kept()
        collector = Collector(device, Normaliser(device, {}), kept.add, kept.announce)
        task = asyncio.create_task(collector.run())
        await kept.until(lambda: len(kept.good) >= 6)
    try:
        await kept.until(lambda: len(kept.lost) == 3)
        have = len(kept.readings)
        async with foreign_server(kind, tmp_path, port):
            await kept.until(lambda: len(kept.readings) >= have + 9)
            assert all(reading.quality.good for reading in kept.readings[have:])
        assert kept.said[:2] == ["device_lost", "device_back"]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
