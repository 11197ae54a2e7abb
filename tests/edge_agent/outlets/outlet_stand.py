"""What the tests of the outlets share: readings, and an outlet at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge_agent.outlets.config import OutletConfig, read_outlets
from edge_agent.outlets.outlet import Outlet, Pair
from edge_agent.outlets.outlets import make_outlet
from protocols.reading import GOOD, Quality, Reading, Value
from protocols.text import Text
from protocols.uplink.messages import PointRef

T0 = 1_767_571_200_000_000
"""2026-01-05T00:00:00Z in microseconds."""

Announced = list[tuple[str, str]]


def pair(
    device: str,
    name: str,
    value: Value,
    time: int = T0,
    quality: Quality = GOOD,
    *,
    property_code: str = "",
    unit: str = "",
) -> Pair:
    ref = PointRef(device, name, property_code, unit)
    return ref, Reading(name, None if quality < 0 else value, quality, time, time)


def configured(beside: Path, **table: Any) -> OutletConfig:
    """The outlet of a table in a configuration file in the folder `beside`."""
    (outlet,) = read_outlets([{"name": "out", **table}], [], beside)
    return outlet


@asynccontextmanager
async def at_work(config: OutletConfig, state_dir: Path, *first: Pair) -> AsyncIterator[tuple[Outlet, Announced]]:
    """An outlet that runs, with `first` waiting for it; and the kinds and sentences it announces."""
    announced: Announced = []

    def announce(device: str, kind: str, text: Text) -> None:
        announced.append((kind, text.en))

    outlet = make_outlet(config, state_dir, announce)
    outlet.add(first)
    task = asyncio.create_task(outlet.run())
    try:
        yield outlet, announced
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
