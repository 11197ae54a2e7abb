"""The SQL of traceability. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import AsyncConnection

from cloud.core.rows import Row, every

MOST_THINGS = 5000
DEEPEST = 60


async def insert_event(connection: AsyncConnection, row: Row) -> bool:
    """Store an event; False if it is there already."""
    cursor = await connection.execute(
        """
        INSERT INTO trace_event (tenant_id, id, kind, event_time, biz_step, body, captured_by)
        VALUES (current_tenant(), %(id)s, %(kind)s, %(event_time)s, %(biz_step)s, %(body)s::json, %(captured_by)s)
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
        SELECT e.id, e.event_time, e.record_time, e.body FROM trace_event e
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


async def is_known(connection: AsyncConnection, thing: str) -> bool:
    """Return whether any event names a thing."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM trace_thing WHERE tenant_id = current_tenant() AND thing = %s)", [thing]
    )
    (found,) = await cursor.fetchone() or (False,)
    return bool(found)


async def follow(connection: AsyncConnection, thing: str, *, up: bool) -> list[Row]:
    """Return the links that lead from a thing to what it was made of (`up`), or to what was made of it, nearest first."""
    here, there = ("made", "used") if up else ("used", "made")
    # Each thing is taken once, at its least depth: a step looks at the things of the last one that are new.
    return await every(
        connection,
        f"""
        WITH RECURSIVE walk (thing, depth) AS (
            SELECT %(thing)s::text, 0
            UNION
            SELECT l.{there}, w.depth + 1 FROM walk w
            JOIN trace_link l ON l.tenant_id = current_tenant() AND l.{here} = w.thing
            WHERE w.depth < {DEEPEST}
        ), reached AS (
            SELECT thing, min(depth) AS depth FROM walk GROUP BY thing ORDER BY 2, 1 LIMIT {MOST_THINGS}
        )
        SELECT l.used, l.made, r.depth + 1 AS depth, min(e.event_time) AS event_time, min(e.biz_step) AS biz_step,
               min(e.kind) AS kind
        FROM reached r
        JOIN trace_link l ON l.tenant_id = current_tenant() AND l.{here} = r.thing
        JOIN trace_event e ON e.tenant_id = l.tenant_id AND e.id = l.event_id
        GROUP BY l.used, l.made, r.depth ORDER BY r.depth, l.{there} LIMIT {4 * MOST_THINGS}
        """,  # noqa: S608 - our own names
        {"thing": thing},
    )
