"""Beats that were presented in no order, or too late."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection

from cloud.core.rows import Row, every, one


async def add(connection: AsyncConnection, attempt: Row, records: Sequence[tuple[int, str, str]]) -> None:
    """Keep records - number, text and signature - of an attempt; one whose number is there already changes nothing."""
    await connection.execute(
        """
        INSERT INTO compute_record (job_id, attempt, seq, customer_id, provider_id, body, signature)
        SELECT %(job_id)s, %(number)s, seq, %(customer_id)s, %(provider_id)s, body, signature
        FROM unnest(%(seqs)s::int[], %(bodies)s::text[], %(signatures)s::text[]) AS r (seq, body, signature)
        ON CONFLICT (job_id, attempt, seq) DO NOTHING
        """,
        {name: attempt[name] for name in ("job_id", "number", "customer_id", "provider_id")}
        | {
            "seqs": [seq for seq, _, _ in records],
            "bodies": [body for _, body, _ in records],
            "signatures": [signature for _, _, signature in records],
        },
    )


async def following(connection: AsyncConnection, attempt: Row, seq: int, limit: int) -> list[Row]:
    """Return the records of an attempt from `seq` on, in order, at most `limit`."""
    return await every(
        connection,
        """
        SELECT seq, body, signature FROM compute_record WHERE job_id = %s AND attempt = %s AND seq >= %s
        ORDER BY seq LIMIT %s
        """,
        [attempt["job_id"], attempt["number"], seq, limit],
    )


async def drop(connection: AsyncConnection, attempt: Row, first: int, last: int) -> None:
    """Forget the records `first` to `last` of an attempt: they are beats now, or nothing."""
    await connection.execute(
        "DELETE FROM compute_record WHERE job_id = %s AND attempt = %s AND seq BETWEEN %s AND %s",
        [attempt["job_id"], attempt["number"], first, last],
    )


async def count(connection: AsyncConnection, attempt: Row) -> int:
    """Return how many records of an attempt are kept that are no beats."""
    row = await one(
        connection,
        "SELECT count(*) AS n FROM compute_record WHERE job_id = %s AND attempt = %s",
        [attempt["job_id"], attempt["number"]],
    )
    return int(row["n"]) if row else 0
