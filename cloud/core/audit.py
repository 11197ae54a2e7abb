"""The audit log: who did what of importance to which thing. Appended, never changed."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb


async def record(connection: AsyncConnection, actor: str, act: str, subject: str, **detail: Any) -> None:
    """Append a row to the log of the tenant the running transaction is in; it commits or fails with the act itself.

    Args:
        connection: inside `Database.tenant`.
        actor: `Principal.actor`, or "operator" for the command line.
        act: what was done, as "thing.verb", e.g. "agent.enrol".
        subject: the id or name of the thing it was done to.
        detail: what an auditor needs besides; never a secret.
    """
    await connection.execute(
        "INSERT INTO audit (tenant_id, actor, act, subject, detail) VALUES (current_tenant(), %s, %s, %s, %s)",
        [actor, act, subject, Jsonb(detail)],
    )
