"""Lists of jobs: a company's own, and those at its offers."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from psycopg import AsyncConnection

from cloud.compute.store import JOB
from cloud.core.keyset import LAST_ID
from cloud.core.rows import Row, every

_ABOUT = timedelta(days=1)
"""An id says when it was made, by the clock of the process that made it."""


async def select_jobs(
    connection: AsyncConnection,
    *,
    own: bool,
    state: str | None,
    kind: str | None,
    partners: list[UUID] | None,
    start: datetime | None,
    end: datetime | None,
    before: UUID | None,
    limit: int,
) -> list[Row]:
    """Return at most `limit` of the tenant's jobs, or of those at its offers, newest first, that come after `before`.

    `partners` are companies of which one is the other side.
    """
    side, other = _sides(own)
    # A condition that is not asked for is not in the statement: PostgreSQL would plan for the few rows it might leave.
    conditions = {
        "state = %(state)s": state,
        "kind = %(kind)s": kind,
        f"{other} = ANY(%(partners)s)": partners is not None,
        "submitted_at >= %(start)s AND id >= %(first)s": start,
        "submitted_at < %(end)s AND id < %(last)s": end,
    }
    asked = "".join(f" AND {condition}" for condition, value in conditions.items() if value)
    return await every(
        connection,
        f"""
        SELECT {JOB} FROM compute_job WHERE {side} = current_tenant() AND id < %(before)s {asked}
        ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {
            **{"state": state, "kind": kind, "partners": partners, "start": start, "end": end},
            **{"before": before or LAST_ID, "limit": limit},
            "first": _id_at(start - _ABOUT) if start else None,
            "last": _id_at(end + _ABOUT) if end else None,
        },
    )


async def select_partners(connection: AsyncConnection, limit: int, *, own: bool) -> list[Row]:
    """Return the first `limit` companies that were the other side of a job, each with the newest one; a look into the index each."""
    side, other = _sides(own)
    return await every(
        connection,
        f"""
        WITH RECURSIVE partner (id, n) AS (
            (SELECT {other}, 1 FROM compute_job WHERE {side} = current_tenant() ORDER BY {other} LIMIT 1)
            UNION ALL
            SELECT following.id, n + 1 FROM partner CROSS JOIN LATERAL (
                SELECT {other} AS id FROM compute_job WHERE {side} = current_tenant() AND {other} > partner.id
                ORDER BY {other} LIMIT 1) following
            WHERE n < %s)
        SELECT partner.id, newest.customer, newest.decision FROM partner CROSS JOIN LATERAL (
            SELECT customer, decision FROM compute_job WHERE {side} = current_tenant() AND {other} = partner.id
            ORDER BY compute_job.id DESC LIMIT 1) newest
        """,  # noqa: S608 - our own text
        [limit],
    )


def _sides(own: bool) -> tuple[str, str]:
    return ("customer_id", "provider_id") if own else ("provider_id", "customer_id")


def _id_at(time: datetime) -> UUID:
    """Return what an id made at a time begins with: UUIDv7 has its milliseconds in front."""
    return UUID(int=max(int(time.timestamp() * 1000), 0) << 80)
