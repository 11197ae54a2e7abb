"""What a delivery writes: its ledger row, its readings, and the note of what they touch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection

from protocols.uplink.messages import PointRef


async def ensure_series(
    connection: AsyncConnection, equipment: Mapping[str, UUID], points: Collection[PointRef]
) -> dict[PointRef, int]:
    """Return the series of `points`, making those not seen before; `equipment` gives the id of each device.

    A point that is mapped otherwise than before gets a series of its own, which becomes the current one.
    """
    ordered = sorted(points, key=lambda point: (point.device, point.name, point.property, point.unit))
    columns = [
        [equipment[point.device] for point in ordered],
        *([getattr(point, name) for point in ordered] for name in ("name", "property", "unit")),
    ]
    await connection.execute(
        """
        INSERT INTO series (tenant_id, equipment_id, name, property, unit)
        SELECT current_tenant(), p.* FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS p (e, n, d, u)
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e
                          AND s.name = p.n AND s.property = p.d AND s.unit = p.u)
        ON CONFLICT DO NOTHING
        """,
        columns,
    )
    await connection.execute(
        """
        UPDATE series s SET is_current = (s.property = p.d AND s.unit = p.u)
        FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS p (e, n, d, u)
        WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e AND s.name = p.n
            AND s.is_current <> (s.property = p.d AND s.unit = p.u)
        """,
        columns,
    )
    cursor = await connection.execute(
        """
        SELECT s.id FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS p (e, n, d, u, i)
        JOIN series s ON s.tenant_id = current_tenant() AND s.equipment_id = p.e AND s.name = p.n
            AND s.property = p.d AND s.unit = p.u
        ORDER BY p.i
        """,
        columns,
    )
    return dict(zip(ordered, [row[0] for row in await cursor.fetchall()], strict=True))


async def ensure_partitions(connection: AsyncConnection, weeks: Collection[datetime]) -> None:
    """Make room for readings of the weeks that begin at `weeks`."""
    for week in sorted(weeks):
        await connection.execute("SELECT ensure_telemetry_partition(%s)", [week])


async def enter_in_ledger(
    connection: AsyncConnection,
    agent: UUID,
    epoch: UUID,
    seq: int,
    *,
    frame_hash: bytes,
    readings: int,
    received: datetime,
) -> bytes | None:
    """Enter a frame; returns None if it is new, else the hash of the frame that is stored under its number.

    A frame that another transaction is just storing is waited for.
    """
    cursor = await connection.execute(
        """
        INSERT INTO ledger (tenant_id, agent_id, epoch, seq, hash, readings, received_at)
        VALUES (current_tenant(), %s, %s, %s, %s, %s, %s)
        ON CONFLICT (agent_id, epoch, seq) DO NOTHING
        """,
        [agent, epoch, seq, frame_hash, readings, received],
    )
    if cursor.rowcount == 1:
        return None
    cursor = await connection.execute(
        "SELECT hash FROM ledger WHERE tenant_id = current_tenant() AND agent_id = %s AND epoch = %s AND seq = %s",
        [agent, epoch, seq],
    )
    row = await cursor.fetchone()
    return bytes(row[0]) if row else b""


async def copy_numbers(connection: AsyncConnection, copy: bytes) -> None:
    """Append to telemetry what `columns` has made into a binary COPY."""
    async with connection.cursor() as cursor, cursor.copy("COPY telemetry FROM STDIN (FORMAT BINARY)") as writer:
        await writer.write(copy)


async def insert_texts(connection: AsyncConnection, rows: Sequence[tuple[int, datetime, str | None, int]]) -> None:
    """Append (series, source time, value, quality) rows of text readings."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO telemetry_text (series_id, ts, value, quality) VALUES (%s, %s, %s, %s)",
            rows,
        )


async def insert_changes(connection: AsyncConnection, minutes: Mapping[datetime, Collection[int]]) -> None:
    """Note which series have readings in which minutes."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO telemetry_change (tenant_id, minute, series_ids) VALUES (current_tenant(), %s, %s)",
            [[minute, sorted(series)] for minute, series in minutes.items()],
        )


async def add_delays(connection: AsyncConnection, agent: UUID, histogram: Mapping[int, int]) -> None:
    """Add to the histogram of this hour how long readings took to be stored."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO ingest_delay AS d (tenant_id, agent_id, hour, bucket, readings)
            VALUES (current_tenant(), %s, date_trunc('hour', now(), 'UTC'), %s, %s)
            ON CONFLICT (agent_id, hour, bucket) DO UPDATE SET readings = d.readings + excluded.readings
            """,
            [[agent, bucket, count] for bucket, count in sorted(histogram.items())],
        )
