"""A cloud that has stored very much: loaded by direct COPY, rolled up by the cloud itself. For charts and exports."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import psycopg

from cloud.telemetry.columns import COPY_HEADER, COPY_TRAILER, Numbers
from deploy.demo.platform import Platform
from edge_agent.cloud_link import CloudLink
from edge_agent.forward import BATCHES
from edge_agent.identity import Login
from protocols.reading import GOOD, Reading
from protocols.uplink.codec import columns_of, encode
from protocols.uplink.messages import Batch, Columns, Delivery, Frame, PointRef, Receipt

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
ROLLED_UP_WITHIN_S = 3600


class Filled(NamedTuple):
    """What `fill` has stored: `points` readings, one a second from `start` on, in each of `series`."""

    series: list[int]
    start: datetime
    points: int


def fill(platform: Platform, dsn: str, *, series: int, days: int, roll_up: bool = True) -> Filled:
    """Store `days` of one-second readings of each of `series` points in the running cloud of `platform`."""
    asyncio.run(_make_series(platform, series))
    with psycopg.connect(dsn, autocommit=True) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM series ORDER BY name").fetchall()]
        for day in range(-1, days + 1):
            connection.execute("SELECT ensure_telemetry_partition(%s)", [START + timedelta(days=day)])
        random = np.random.default_rng(7)
        for day in range(days):
            copy_day(connection, ids, START + timedelta(days=day), random)
        connection.execute("ANALYZE telemetry")
        if roll_up:
            connection.execute(
                """
                INSERT INTO telemetry_change (tenant_id, minute, series_ids)
                SELECT (SELECT id FROM tenant), minute, %s
                FROM generate_series(%s, %s - interval '1 minute', interval '1 minute') minute
                """,
                [ids, START, START + timedelta(days=days)],
            )
            _wait_for_roll_ups(connection)
    return Filled(ids, START, series * days * 86_400)


def copy_day(connection: psycopg.Connection, ids: list[int], day: datetime, random: np.random.Generator) -> None:
    """Store a day of noisy daily curves, a reading a second, in the order of time as agents deliver."""
    seconds = np.arange(86_400)
    time_us = int(day.timestamp()) * 10**6 + seconds * 10**6
    curve = 50 + 30 * np.sin(seconds / 86_400 * 2 * np.pi)[:, None] + random.normal(0, 3, (86_400, len(ids)))
    rows = 86_400 * len(ids)
    columns = Columns(
        points=[],
        point=np.tile(np.arange(len(ids), dtype="<u4"), 86_400).tobytes(),
        source_time=np.repeat(time_us.astype("<i8"), len(ids)).tobytes(),
        value=curve.astype("<f8").tobytes(),
        quality=np.full(rows, GOOD, "<i2").tobytes(),
        delay=b"",
    )
    with connection.cursor().copy("COPY telemetry FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(COPY_HEADER)
        copy.write(Numbers(columns).records(np.array(ids, np.int32)))
        copy.write(COPY_TRAILER)


async def _make_series(platform: Platform, count: int) -> None:
    """Deliver one reading of each point, of the day before, as an agent does."""
    before = int((START - timedelta(hours=12)).timestamp()) * 10**6
    refs = [PointRef("meter-1", f"P{number:03}", "active_power_total", "KWT") for number in range(count)]
    columns, _ = columns_of([(ref, Reading(ref.name, 1.0, GOOD, before, before)) for ref in refs])
    async with CloudLink(platform.url) as link:
        token = await Login(platform.plant.folder / "state", link).token()
        delivery = Delivery(str(uuid4()), [Frame(1, encode(Batch(columns=columns)))])
        receipt = await link.post(BATCHES, delivery, Receipt, token)
    assert receipt.stored == [1]


def _wait_for_roll_ups(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + ROLLED_UP_WITHIN_S
    while connection.execute("SELECT FROM telemetry_change WHERE NOT rolled_up LIMIT 1").fetchone() is not None:
        assert time.monotonic() < deadline, "the cloud does not roll up"
        time.sleep(1)
    connection.execute("VACUUM (ANALYZE) rollup_minute, rollup_hour, rollup_day, telemetry_change")
