"""What is counted of alarms, for the figures of IEC 62682 and EEMUA 191."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]

_RAISED = """
    WITH raised AS (
        SELECT e.at, e.noticed_at, a.rule_id, a.source, a.place, a.priority FROM alarm_event e
        JOIN alarm a ON a.tenant_id = e.tenant_id AND a.id = e.alarm_id
        WHERE e.tenant_id = current_tenant() AND e.change = 'raised' AND e.noticed_at >= %(start)s AND e.noticed_at < %(end)s
            AND NOT a.suppressed
    )
"""


_RANKED = """
    FROM ranked r JOIN alarm_rule rule ON rule.tenant_id = current_tenant() AND rule.id = r.rule_id
    GROUP BY r.rule_id, rule.name, r.source
"""


async def by_hour(connection: AsyncConnection, start: datetime, end: datetime) -> list[Row]:
    """Return (hour, priority, n) of what was raised in [start, end)."""
    return await _of_raised(
        connection,
        "SELECT date_trunc('hour', noticed_at, 'UTC') AS hour, priority, count(*)::int AS n FROM raised GROUP BY 1, 2 ORDER BY 1",
        start,
        end,
    )


async def by_ten_minutes(connection: AsyncConnection, start: datetime, end: datetime) -> list[int]:
    """Return how many were raised in each ten minutes of [start, end) that have any."""
    query = "SELECT count(*)::int AS n FROM raised GROUP BY date_bin('10 minutes', noticed_at, %(start)s)"
    return [row["n"] for row in await _of_raised(connection, query, start, end)]


async def bad_actors(connection: AsyncConnection, start: datetime, end: datetime) -> list[Row]:
    """Return the ten sources raised most often."""
    return await _of_raised(
        connection,
        f"""
        , ranked AS (SELECT * FROM raised)
        SELECT r.rule_id, rule.name AS rule, max(r.place) AS source, count(*)::int AS raised {_RANKED}
        ORDER BY raised DESC, source LIMIT 10
        """,  # noqa: S608 - our own text
        start,
        end,
    )


async def chattering(connection: AsyncConnection, start: datetime, end: datetime) -> list[Row]:
    """Return the ten worst sources that were raised three times or more within a minute, by their own clock."""
    return await _of_raised(
        connection,
        f"""
        , ranked AS (SELECT *, lag(at, 2) OVER (PARTITION BY rule_id, source ORDER BY at) AS third FROM raised)
        SELECT r.rule_id, rule.name AS rule, max(r.place) AS source, count(*)::int AS raised {_RANKED}
        HAVING bool_or(r.at - r.third <= interval '1 minute') ORDER BY raised DESC, source LIMIT 10
        """,  # noqa: S608 - our own text
        start,
        end,
    )


async def acknowledged_after_s(connection: AsyncConnection, start: datetime, end: datetime) -> float | None:
    """Return the median time from an alarm's notice to its acknowledgement."""
    cursor = await connection.execute(
        """
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM acknowledged_at - noticed_at)) FROM alarm
        WHERE tenant_id = current_tenant() AND noticed_at >= %s AND noticed_at < %s AND acknowledged_at IS NOT NULL
        """,
        [start, end],
    )
    row = await cursor.fetchone()
    return float(row[0]) if row and row[0] is not None else None


async def _of_raised(connection: AsyncConnection, query: str, start: datetime, end: datetime) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_RAISED + query, {"start": start, "end": end})
        return await cursor.fetchall()
