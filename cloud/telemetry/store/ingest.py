"""What a delivery writes: its ledger row, its readings, and the note of what they touch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import CheckViolation

from cloud.core.rows import array
from protocols.uplink.messages import PointRef

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '8s'"
"""A delivery that cannot have a lock by then is answered with 503, and comes again."""


async def find_series(
    connection: AsyncConnection, agent: UUID, points: Sequence[PointRef]
) -> dict[PointRef, tuple[int, bool]]:
    """Return the series of those of an agent's `points` that have one, and whether the point has several."""
    columns = [[getattr(point, name) for point in points] for name in ("device", "name", "property", "unit")]
    cursor = await connection.execute(
        """
        SELECT p.i, s.id, EXISTS (SELECT FROM series o WHERE o.tenant_id = s.tenant_id
            AND o.equipment_id = s.equipment_id AND o.name = s.name AND o.id <> s.id)
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS p (device, name, property, unit, i)
        JOIN equipment e ON e.tenant_id = current_tenant() AND e.agent_id = %s AND e.name = p.device
        JOIN series s ON s.tenant_id = e.tenant_id AND s.equipment_id = e.id AND s.name = p.name
            AND s.property = p.property AND s.unit = p.unit
        """,
        [*columns, agent],
    )
    return {points[place - 1]: (series, several) for place, series, several in await cursor.fetchall()}


async def ensure_series(
    connection: AsyncConnection, equipment: Mapping[str, UUID], points: Collection[PointRef]
) -> dict[PointRef, int]:
    """Return the series of `points`, making those not seen before; `equipment` gives the id of each device.

    A point that is mapped otherwise than before gets a series of its own; see `choose_current`.
    """
    ordered = sorted(points, key=lambda point: (point.device, point.name, point.property, point.unit))
    columns = [
        [equipment[point.device] for point in ordered],
        *([getattr(point, name) for point in ordered] for name in ("name", "property", "unit")),
    ]
    await connection.execute(
        """
        INSERT INTO series (tenant_id, equipment_id, name, property, unit, is_current)
        SELECT current_tenant(), p.*, NOT EXISTS (
            SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e AND s.name = p.n)
        FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS p (e, n, d, u)
        WHERE NOT EXISTS (SELECT FROM series s WHERE s.tenant_id = current_tenant() AND s.equipment_id = p.e
                          AND s.name = p.n AND s.property = p.d AND s.unit = p.u)
        ON CONFLICT DO NOTHING
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


async def choose_current(connection: AsyncConnection, series: Collection[int]) -> None:
    """Of each point of the tenant with several series, one of which is in `series`, make the one read last current.

    What is current thus depends on the readings alone, in whatever order and by whatever process they were stored: call it
    when both the series and their readings are committed, so that of two who make a second one at once the later sees both.
    """
    cursor = await connection.execute(
        """
        SELECT t.id FROM series t WHERE t.tenant_id = current_tenant() AND t.id = ANY(%s) AND EXISTS (
            SELECT FROM series s WHERE s.tenant_id = t.tenant_id AND s.equipment_id = t.equipment_id
                AND s.name = t.name AND s.id <> t.id)
        """,
        [list(series)],
    )
    several = [row[0] for row in await cursor.fetchall()]
    if not several:
        return
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('current'), hashtext(current_tenant()::text))"  # one orders them at a time
    )
    await connection.execute(
        """
        WITH point AS (
            SELECT DISTINCT equipment_id, name FROM series WHERE tenant_id = current_tenant() AND id = ANY(%s)
        ), ranked AS (
            SELECT c.id, row_number() OVER (PARTITION BY c.equipment_id, c.name
                       ORDER BY GREATEST(number.ts, text.ts) DESC NULLS LAST, c.id DESC) AS place
            FROM point JOIN series c ON c.tenant_id = current_tenant() AND c.equipment_id = point.equipment_id
                AND c.name = point.name
            LEFT JOIN LATERAL (SELECT ts FROM telemetry WHERE series_id = c.id ORDER BY ts DESC LIMIT 1) number ON true
            LEFT JOIN LATERAL (SELECT ts FROM telemetry_text WHERE series_id = c.id ORDER BY ts DESC LIMIT 1) text ON true
        )
        UPDATE series s SET is_current = ranked.place = 1 FROM ranked
        WHERE s.id = ranked.id AND s.tenant_id = current_tenant() AND s.is_current <> (ranked.place = 1)
        """,
        [several],
    )


async def ensure_partitions(connection: AsyncConnection, weeks: Collection[datetime]) -> None:
    """Make room for readings of the weeks that begin at `weeks`."""
    for week in sorted(weeks):
        await connection.execute("SELECT ensure_telemetry_partition(%s)", [week])


async def lock_computed(connection: AsyncConnection) -> None:
    """Let nobody else append what is computed for this tenant until the transaction ends: each time of a series comes once."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('computed'), hashtext(current_tenant()::text))")


class LedgerEntry(NamedTuple):
    """A frame as the ledger knows it."""

    seq: int
    hash: bytes
    readings: int


async def bound_waits(connection: AsyncConnection) -> None:
    """Have the running transaction fail, to be tried again later, rather than wait long for another's lock."""
    await connection.execute(LOCK_TIMEOUT)


async def enter_in_ledger(
    connection: AsyncConnection, agent: UUID, epoch: UUID, frames: Sequence[LedgerEntry], received: datetime
) -> dict[int, bytes]:
    """Enter `frames`, each seq once; returns the hashes of those that are stored already, under their seqs.

    A frame that another transaction is just storing is waited for. Entered in the order of seq, so that two transactions
    with the same frames never wait for each other.
    """
    ordered = sorted(frames)
    async with connection.pipeline():
        await connection.execute(LOCK_TIMEOUT)
        cursor = await connection.execute(
            """
            INSERT INTO ledger (tenant_id, agent_id, epoch, seq, hash, readings, received_at)
            SELECT current_tenant(), %s, %s, f.seq, f.hash, f.readings, %s
            FROM unnest(%s::bigint[], %s::bytea[], %s::int[]) AS f (seq, hash, readings) ORDER BY f.seq
            ON CONFLICT (agent_id, epoch, seq) DO NOTHING RETURNING seq
            """,
            [agent, epoch, received, *map(list, zip(*ordered, strict=True))],
        )
        entered = {row[0] for row in await cursor.fetchall()}
    before = [frame.seq for frame in ordered if frame.seq not in entered]
    if not before:
        return {}
    cursor = await connection.execute(
        """
        SELECT seq, hash FROM ledger
        WHERE tenant_id = current_tenant() AND agent_id = %s AND epoch = %s AND seq = ANY(%s)
        """,
        [agent, epoch, before],
    )
    # Another tenant's agent cannot have this id; a row that is not seen is as good as one of other content.
    return dict.fromkeys(before, b"") | {row[0]: bytes(row[1]) for row in await cursor.fetchall()}


class NoRoom(Exception):
    """A week has no partition (any more): retention has dropped it."""


async def copy_numbers(connection: AsyncConnection, pieces: Iterable[bytes]) -> None:
    """Append to telemetry what `columns` has made into the pieces of one binary COPY; raises NoRoom."""
    try:
        async with connection.cursor() as cursor, cursor.copy("COPY telemetry FROM STDIN (FORMAT BINARY)") as writer:
            for piece in pieces:
                await writer.write(piece)
    except CheckViolation as error:
        raise NoRoom from error


async def insert_texts(connection: AsyncConnection, rows: Sequence[tuple[int, datetime, str | None, int]]) -> None:
    """Append (series, source time, value, quality) rows of text readings."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO telemetry_text (series_id, ts, value, quality) VALUES (%s, %s, %s, %s)",
            rows,
        )


async def insert_changes(connection: AsyncConnection, minutes: Sequence[int], series: Sequence[int]) -> None:
    """Note which series have readings in which minutes since 1970: pairs, each once."""
    await connection.execute(
        """
        INSERT INTO telemetry_change (tenant_id, minute, series_ids)
        SELECT current_tenant(), 'epoch'::timestamptz + c.minute * interval '1 minute', array_agg(c.series ORDER BY c.series)
        FROM unnest(%s::int[], %s::int[]) AS c (minute, series) GROUP BY c.minute ORDER BY c.minute
        """,
        [array(minutes), array(series)],
    )


async def add_delays(connection: AsyncConnection, agent: UUID, histogram: Mapping[int, int]) -> None:
    """Add to the histogram of this hour how long readings took to be stored."""
    await connection.execute(
        """
        INSERT INTO ingest_delay AS d (tenant_id, agent_id, hour, bucket, readings)
        SELECT current_tenant(), %s, date_trunc('hour', now(), 'UTC'), h.bucket, h.readings
        FROM unnest(%s::smallint[], %s::bigint[]) AS h (bucket, readings) ORDER BY h.bucket
        ON CONFLICT (agent_id, hour, bucket) DO UPDATE SET readings = d.readings + excluded.readings
        """,
        [agent, list(histogram.keys()), list(histogram.values())],
    )
