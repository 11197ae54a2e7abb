"""The audit log as people look through it; `cloud.core.audit` writes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.core.keyset import LAST_NUMBER

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
    # A condition that is not asked for is not in the statement: PostgreSQL would plan for the few rows it might leave.
    wanted = {
        "starts_with(act, %(act)s)": bool(act),
        "strpos(lower(actor), lower(%(actor)s)) > 0": bool(actor),
        "at >= %(start)s": start is not None,
        "at < %(end)s": end is not None,
    }
    conditions = "".join(f" AND {condition}" for condition, asked in wanted.items() if asked)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"""
            SELECT seq AS id, at, actor, act, subject, address, detail, encode(hash, 'hex') AS hash FROM audit
            WHERE tenant_id = current_tenant() AND seq < %(before)s::bigint{conditions}
            ORDER BY seq DESC LIMIT %(limit)s
            """,  # noqa: S608 - constants of this function
            {
                "before": LAST_NUMBER if before is None else before,
                "limit": limit,
                "act": act,
                "actor": actor,
                "start": start,
                "end": end,
            },
        )
        return await cursor.fetchall()
