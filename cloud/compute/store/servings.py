"""The SQL of second opinions that are metered, inside the transaction of their customer or of their provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every

_SERVING = """
    s.id, s.customer_id, s.provider_id, s.customer, s.customer_id = current_tenant() AS own, s.offer_id, s.code, s.provider,
    s.terms, s.token_hash, s.held, s.cap, s.cost, s.opened_at, s.heard_at, s.told_spent, s.ended_at
"""


async def insert(connection: AsyncConnection, row: Row) -> None:
    """Store a serving of the tenant's."""
    await connection.execute(
        """
        INSERT INTO compute_serving (id, customer_id, provider_id, customer, offer_id, code, provider, terms, token_hash, held,
                                     cap, opened_by)
        VALUES (%(id)s, current_tenant(), %(provider_id)s, %(customer)s, %(offer_id)s, %(code)s, %(provider)s, %(terms)s,
                %(token_hash)s, %(held)s, %(cap)s, %(by)s)
        """,
        row | {name: Jsonb(row[name]) for name in ("terms", "held")},
    )


async def select(
    connection: AsyncConnection,
    *,
    identity: UUID | None = None,
    offer: UUID | None = None,
    own: bool | None = None,
    lock: bool = False,
    limit: int = 1000,
) -> list[Row]:
    """Return servings, newest first: one, the open ones of an offer, or the tenant's own - those at its offers if `own` is False."""
    return await every(
        connection,
        f"""
        SELECT {_SERVING} FROM compute_serving s
        WHERE (%(id)s::uuid IS NULL OR s.id = %(id)s)
          AND (%(offer)s::uuid IS NULL OR (s.offer_id = %(offer)s AND s.ended_at IS NULL))
          AND CASE %(own)s::boolean WHEN true THEN s.customer_id = current_tenant()
                                    WHEN false THEN s.provider_id = current_tenant() ELSE true END
        ORDER BY s.id DESC LIMIT %(limit)s {"FOR NO KEY UPDATE" if lock else ""}
        """,  # noqa: S608 - our own text
        {"id": identity, "offer": offer, "own": own, "limit": limit},
    )


async def select_due(connection: AsyncConnection) -> list[UUID]:
    """Return the tenant's servings with hours to book, or whose offer is no more."""
    rows = await every(
        connection,
        """
        SELECT s.id FROM compute_serving s WHERE s.customer_id = current_tenant() AND s.ended_at IS NULL AND (
            EXISTS (SELECT FROM compute_opinion o WHERE o.serving_id = s.id AND o.us > o.booked_us
                        AND o.hour < now() - interval '62 minutes')
            OR NOT EXISTS (SELECT FROM compute_offer f WHERE f.id = s.offer_id AND f.closed_at IS NULL))
        """,
    )
    return [row["id"] for row in rows]


async def customers_due(connection: AsyncConnection) -> list[UUID]:
    """Return the customers of such servings; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT customers_with_opinions_due() AS id")]


async def change(connection: AsyncConnection, identity: UUID, row: Row) -> None:
    """Change columns of a serving."""
    columns = ", ".join(f"{name} = %({name})s" for name in row)
    documents = {"held": Jsonb(row["held"])} if "held" in row else {}
    await connection.execute(
        f"UPDATE compute_serving SET {columns} WHERE id = %(id)s",  # noqa: S608 - our own names
        row | documents | {"id": identity},
    )


async def hear(connection: AsyncConnection, offer: UUID) -> None:
    """Write down that an offer's server has told."""
    await connection.execute(
        "UPDATE compute_serving SET heard_at = now() WHERE offer_id = %s AND ended_at IS NULL", [offer]
    )


async def count(connection: AsyncConnection, run: UUID, rows: Sequence[Row]) -> None:
    """Keep what a run has answered; what is not more than before changes nothing, as does what was asked of an ended serving."""
    await connection.cursor().executemany(
        """
        INSERT INTO compute_opinion (serving_id, run, hour, customer_id, provider_id, count, us)
        SELECT s.id, %(run)s, %(hour)s, s.customer_id, s.provider_id, %(count)s, %(us)s FROM compute_serving s
        WHERE s.id = %(serving_id)s AND s.ended_at IS NULL AND s.provider_id = current_tenant()
        ON CONFLICT (serving_id, run, hour) DO UPDATE
            SET count = greatest(compute_opinion.count, excluded.count), us = greatest(compute_opinion.us, excluded.us)
        """,
        [row | {"run": run} for row in rows],
    )


async def totals(connection: AsyncConnection, identities: Sequence[UUID]) -> dict[UUID, Row]:
    """Return by serving what was answered - `count`, `us` - and what of the time is on no bill yet, by the hour (`open`)."""
    rows = await every(
        connection,
        """
        SELECT serving_id, sum(count)::bigint AS count, sum(us)::bigint AS us FROM compute_opinion
        WHERE serving_id = ANY(%s) GROUP BY serving_id
        """,
        [list(identities)],
    )
    return {row["serving_id"]: row for row in rows}


async def unbooked(connection: AsyncConnection, identity: UUID, before: datetime | None = None) -> list[Row]:
    """Return by hour what of a serving is on no bill: opinions and microseconds; only of hours that began before `before`."""
    return await every(
        connection,
        """
        SELECT hour, sum(count - booked)::bigint AS count, sum(us - booked_us)::bigint AS us FROM compute_opinion
        WHERE serving_id = %(id)s AND us > booked_us AND (%(before)s::timestamptz IS NULL OR hour < %(before)s)
        GROUP BY hour ORDER BY hour
        """,
        {"id": identity, "before": before},
    )


async def book(connection: AsyncConnection, identity: UUID, hour: datetime) -> None:
    """Write down that what was answered within an hour is on a bill."""
    await connection.execute(
        "UPDATE compute_opinion SET booked = count, booked_us = us WHERE serving_id = %s AND hour = %s",
        [identity, hour],
    )
