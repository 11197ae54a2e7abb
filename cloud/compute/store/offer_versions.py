"""The terms of offers as they change: what was replaced is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, one


async def lock(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return terms, version and whether it is paused of an open offer of the tenant's, which nobody else changes meanwhile."""
    return await one(
        connection,
        """
        SELECT code, terms, version, paused FROM compute_offer
        WHERE tenant_id = current_tenant() AND id = %s AND closed_at IS NULL FOR NO KEY UPDATE
        """,
        [identity],
    )


async def pause(connection: AsyncConnection, identity: UUID, *, paused: bool) -> None:
    """Let an offer take no new jobs, or take them again."""
    await connection.execute(
        "UPDATE compute_offer SET paused = %s WHERE tenant_id = current_tenant() AND id = %s", [paused, identity]
    )


async def replace(connection: AsyncConnection, identity: UUID, terms: dict[str, Any]) -> None:
    """Let other terms hold from now on; those before are kept by their version."""
    await connection.execute(
        """
        INSERT INTO compute_offer_version (offer_id, version, terms)
        SELECT id, version, terms FROM compute_offer WHERE tenant_id = current_tenant() AND id = %s
        """,
        [identity],
    )
    await connection.execute(
        """
        UPDATE compute_offer SET terms = %s, version = version + 1 WHERE tenant_id = current_tenant() AND id = %s
        """,
        [Jsonb(terms), identity],
    )


async def quoted(connection: AsyncConnection, code: str, version: int, within_s: float) -> dict[str, Any] | None:
    """Return the terms of an offer's version that was replaced no longer ago than that; None if there are none."""
    row = await one(
        connection,
        """
        SELECT v.terms FROM compute_offer_version v JOIN compute_offer o ON o.id = v.offer_id
        WHERE o.code = %s AND o.closed_at IS NULL AND v.version = %s AND v.replaced_at > now() - make_interval(secs => %s)
        """,
        [code, version, within_s],
    )
    return row["terms"] if row else None
