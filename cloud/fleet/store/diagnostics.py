"""What boxes are asked to look at, and what they found. Inside `Database.tenant`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.core.keyset import LAST_ID

Row = dict[str, Any]

_ALL = """
    id, agent_id, kind, device, points, asked_by, asked_at, expires_at, taken_at, answered_at, outcome, answer,
    answered_at IS NULL AND expires_at <= now() AS expired
"""


async def asked_agent(connection: AsyncConnection, agent: UUID) -> Row | None:
    """Return whether an agent is revoked, its word on diagnostics ("" for none) and how many questions wait for it.

    The agent's row stays locked, so that two who ask at once do not ask too much.
    """
    return await _one(
        connection,
        """
        SELECT revoked_at IS NOT NULL AS revoked, coalesce(health->>'diagnostics', '') AS diagnostics,
               (SELECT count(*) FROM diagnostic d WHERE d.tenant_id = current_tenant() AND d.agent_id = agent.id
                AND d.answered_at IS NULL AND d.expires_at > now()) AS open
        FROM agent WHERE tenant_id = current_tenant() AND id = %s FOR UPDATE
        """,
        [agent],
    )


async def knows_agent(connection: AsyncConnection, agent: UUID) -> bool:
    """Return whether the tenant has this agent."""
    found = await _one(connection, "SELECT FROM agent WHERE tenant_id = current_tenant() AND id = %s", [agent])
    return found is not None


async def insert_diagnostic(
    connection: AsyncConnection,
    diagnostic: UUID,
    agent: UUID,
    *,
    kind: str,
    device: str,
    points: Sequence[str],
    asked_by: str,
    expires_s: float,
) -> Row:
    """Insert a question and return it."""
    row = await _one(
        connection,
        f"""
        INSERT INTO diagnostic (tenant_id, id, agent_id, kind, device, points, asked_by, expires_at)
        VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, now() + %s * interval '1 s') RETURNING {_ALL}
        """,  # noqa: S608 - our own text
        [diagnostic, agent, kind, device, list(points), asked_by, expires_s],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_diagnostic(connection: AsyncConnection, agent: UUID, diagnostic: UUID) -> Row | None:
    """Return one question to an agent with its answer."""
    return await _one(
        connection,
        f"SELECT {_ALL} FROM diagnostic WHERE tenant_id = current_tenant() AND agent_id = %s AND id = %s",  # noqa: S608
        [agent, diagnostic],
    )


async def select_diagnostics(connection: AsyncConnection, agent: UUID, before: UUID | None, limit: int) -> list[Row]:
    """Return at most `limit` questions to an agent older than `before`, newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"""
            SELECT {_ALL} FROM diagnostic
            WHERE tenant_id = current_tenant() AND agent_id = %(agent)s AND id < %(before)s::uuid
            ORDER BY id DESC LIMIT %(limit)s
            """,  # noqa: S608 - our own text
            {"agent": agent, "before": before or LAST_ID, "limit": limit},
        )
        return await cursor.fetchall()


async def take_diagnostics(connection: AsyncConnection, agent: UUID, limit: int) -> list[Row]:
    """Return at most `limit` questions an agent was not given in the last half minute, oldest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            UPDATE diagnostic SET taken_at = now()
            WHERE tenant_id = current_tenant() AND id IN (
                SELECT id FROM diagnostic
                WHERE tenant_id = current_tenant() AND agent_id = %s AND answered_at IS NULL AND expires_at > now()
                    AND (taken_at IS NULL OR taken_at < now() - interval '30 s')
                ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING id, kind, device, points, extract(epoch FROM expires_at - now())::float8 AS expires_in_s
            """,
            [agent, limit],
        )
        return sorted(await cursor.fetchall(), key=lambda row: row["id"])


async def settle_diagnostic(
    connection: AsyncConnection, agent: UUID, diagnostic: UUID, *, outcome: str, answer: Mapping[str, Any]
) -> bool:
    """Write an answer down unless there is one; False where the agent was not asked."""
    await connection.execute(
        """
        UPDATE diagnostic SET answered_at = now(), outcome = %s, answer = %s
        WHERE tenant_id = current_tenant() AND agent_id = %s AND id = %s AND answered_at IS NULL
        """,
        [outcome, Jsonb(answer), agent, diagnostic],
    )
    return await select_diagnostic(connection, agent, diagnostic) is not None


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()
