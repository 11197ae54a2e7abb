"""The SQL of traceability. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import AsyncConnection

from cloud.core.rows import Row, every

MOST_THINGS = 5000
MOST_LINKS = 4 * MOST_THINGS
DEEPEST = 60


async def insert_event(connection: AsyncConnection, row: Row) -> bool:
    """Store an event; False if it is there already."""
    cursor = await connection.execute(
        """
        INSERT INTO trace_event (tenant_id, id, declares, kind, event_time, biz_step, body, captured_by)
        VALUES (current_tenant(), %(id)s, %(declares)s, %(kind)s, %(event_time)s, %(biz_step)s, %(body)s::json,
                %(captured_by)s)
        ON CONFLICT DO NOTHING
        """,
        row,
    )
    return cursor.rowcount == 1


async def insert_things(
    connection: AsyncConnection, event: str, things: Iterable[str], links: Iterable[tuple[str, str]]
) -> None:
    """Store which things an event names, and what came of what."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO trace_thing (tenant_id, thing, event_id) VALUES (current_tenant(), %s, %s)",
            [(thing, event) for thing in things],
        )
        await cursor.executemany(
            "INSERT INTO trace_link (tenant_id, used, made, event_id) VALUES (current_tenant(), %s, %s, %s)",
            [(used, made, event) for used, made in links],
        )


async def select_events(connection: AsyncConnection, asked: Row) -> list[Row]:
    """Return events, newest first; what of `asked` is None is not asked."""
    return await every(
        connection,
        """
        SELECT e.id, e.declares, e.event_time, e.record_time, e.body FROM trace_event e
        WHERE e.tenant_id = current_tenant()
          AND (%(kind)s::text IS NULL OR e.kind = %(kind)s)
          AND (%(biz_step)s::text IS NULL OR e.biz_step = %(biz_step)s)
          AND (%(start)s::timestamptz IS NULL OR e.event_time >= %(start)s)
          AND (%(end)s::timestamptz IS NULL OR e.event_time < %(end)s)
          AND (%(thing)s::text IS NULL OR EXISTS (SELECT FROM trace_thing t WHERE t.tenant_id = e.tenant_id
               AND t.thing = %(thing)s AND t.event_id = e.id))
          AND (%(before_time)s::timestamptz IS NULL OR (e.event_time, e.id) < (%(before_time)s, %(before_id)s))
        ORDER BY e.event_time DESC, e.id DESC LIMIT %(limit)s
        """,
        asked,
    )


async def select_known(connection: AsyncConnection, things: Sequence[str]) -> set[str]:
    """Return which of the things an event names."""
    cursor = await connection.execute(
        """
        SELECT n.thing FROM unnest(%s::text[]) AS n (thing)
        WHERE EXISTS (SELECT FROM trace_thing t WHERE t.tenant_id = current_tenant() AND t.thing = n.thing)
        """,
        [list(things)],
    )
    return {thing for (thing,) in await cursor.fetchall()}


async def follow(
    connection: AsyncConnection, things: Sequence[str], *, up: bool, span: tuple[datetime, datetime] | None = None
) -> list[Row]:
    """Return the links that lead from things to what they were made of (`up`), or to what was made of them, nearest first.

    Of several events that say the same the earliest is told. With a `span` events outside of [start, end) do not count;
    those that are declared erroneous never do.
    """
    here, there = ("made", "used") if up else ("used", "made")
    start, end = span or (None, None)
    within = "e.event_time >= %(start)s AND e.event_time < %(end)s" if span else "true"
    # By key and thing by thing, whatever the planner believes of a walk's length: OFFSET 0 keeps it from hashing all events,
    # or reading all of the span.
    links = f"""JOIN LATERAL (SELECT l.used, l.made, l.event_id FROM trace_link l
        WHERE l.tenant_id = current_tenant() AND l.{here} = w.thing AND NOT EXISTS (SELECT FROM trace_event d
              WHERE d.tenant_id = current_tenant() AND d.declares = l.event_id) OFFSET 0) l ON true"""  # noqa: S608 - our own names
    told = f"""JOIN LATERAL (SELECT e.id, e.event_time, e.kind, e.biz_step FROM trace_event e
        WHERE e.tenant_id = current_tenant() AND e.id = l.event_id OFFSET 0) e ON {within}"""  # noqa: S608 - our own names
    # Each thing is taken once, at its least depth: a step looks at the things of the last one that are new. The walk comes
    # in the order of depth, and is given up where it is so long that there must be more things than are told.
    return await every(
        connection,
        f"""
        WITH RECURSIVE walk (thing, depth) AS (
            SELECT unnest(%(things)s::text[]), 0
            UNION
            SELECT l.{there}, w.depth + 1 FROM walk w {links} {told if span else ""}
            WHERE w.depth < {DEEPEST}
        ), reached AS (
            SELECT thing, min(depth) AS depth FROM (SELECT * FROM walk LIMIT {DEEPEST * MOST_THINGS}) w
            GROUP BY thing ORDER BY 2, 1 LIMIT {MOST_THINGS}
        )
        SELECT DISTINCT ON (w.depth, l.{there}, l.{here})
               l.used, l.made, w.depth + 1 AS depth, e.id AS event_id, e.event_time, e.kind, e.biz_step
        FROM reached w {links} {told}
        ORDER BY w.depth, l.{there}, l.{here}, e.event_time, e.id LIMIT {MOST_LINKS}
        """,  # noqa: S608 - our own names
        {"things": list(things), "start": start, "end": end},
    )


async def select_places(connection: AsyncConnection, events: Sequence[str]) -> list[Row]:
    """Return where events happened and what state things were in after them, as the events say."""
    return await every(
        connection,
        """
        SELECT id, body->'readPoint'->>'id' AS read_point, body->'bizLocation'->>'id' AS biz_location,
               body->>'disposition' AS disposition
        FROM trace_event WHERE tenant_id = current_tenant() AND id = ANY(%s)
        """,
        [list(events)],
    )
