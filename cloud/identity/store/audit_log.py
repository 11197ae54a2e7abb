"""The audit log as people look through it; `cloud.core.audit` writes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]


async def select_entries(
    connection: AsyncConnection,
    *,
    before: int | None,
    limit: int,
    act: str,
    actor: str,
    start: datetime | None,
    end: datetime | None,
) -> list[Row]:
    """Return at most `limit` entries with numbers below `before`, newest first.

    Of acts that begin with `act`, by actors whose name contains `actor`, of [start, end).
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT seq AS id, at, actor, act, subject, address, detail, encode(hash, 'hex') AS hash FROM audit
            WHERE tenant_id = current_tenant() AND (%(before)s::bigint IS NULL OR seq < %(before)s)
              AND starts_with(act, %(act)s) AND strpos(lower(actor), lower(%(actor)s)) > 0
              AND (%(start)s::timestamptz IS NULL OR at >= %(start)s) AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
            ORDER BY seq DESC LIMIT %(limit)s
            """,
            {"before": before, "limit": limit, "act": act, "actor": actor, "start": start, "end": end},
        )
        return await cursor.fetchall()
