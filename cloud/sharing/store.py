"""The SQL of sharing. Statements run inside the transaction of one of the two companies; row-level security does the rest."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

_REQUEST = """id, leader_id, leader, credit_code, supplier, grant_id, purpose, terms, asked_by, asked_at, answer, answered_by,
    answered_at, CASE WHEN leader_id = current_tenant() THEN 'leader' ELSE 'supplier' END AS side"""
_GRANT = """id, leader_id, supplier_id, leader, supplier, purpose, version, terms, since, until, made_at, ended_at, ended_by,
    end_reason, receipts, encode(head, 'hex') AS head, ended_at IS NULL AND until > now() AS live,
    CASE WHEN leader_id = current_tenant() THEN 'leader' ELSE 'supplier' END AS side"""
_RECEIPT = "seq, at, kind, version, actor, body, encode(hash, 'hex') AS hash"


async def select_company(connection: AsyncConnection) -> Row:
    """Return name and credit code of the transaction's tenant."""
    (row,) = await every(connection, "SELECT name, credit_code FROM tenant WHERE id = current_tenant()")
    return row


async def insert_request(connection: AsyncConnection, row: Row) -> Row:
    """Store a request of the transaction's tenant."""
    (stored,) = await every(
        connection,
        f"""
        INSERT INTO share_request (id, leader_id, leader, credit_code, supplier, grant_id, purpose, terms, asked_by)
        VALUES (%(id)s, current_tenant(), %(leader)s, %(credit_code)s, %(supplier)s, %(grant_id)s, %(purpose)s, %(terms)s,
                %(asked_by)s)
        RETURNING {_REQUEST}
        """,  # noqa: S608 - our own text
        row | {"terms": Jsonb(row["terms"])},
    )
    return stored


async def select_requests(connection: AsyncConnection, limit: int, *, before: UUID | None = None) -> list[Row]:
    """Return requests of and to the tenant, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_REQUEST} FROM share_request WHERE %(before)s::uuid IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"before": before, "limit": limit},
    )


async def lock_request(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return a request and keep others from answering it meanwhile."""
    return await one(
        connection,
        f"SELECT {_REQUEST} FROM share_request WHERE id = %s FOR UPDATE",  # noqa: S608 - our own text
        [identity],
    )


async def answer_request(
    connection: AsyncConnection, identity: UUID, answer: str, actor: str, grant: UUID | None
) -> Row:
    """Answer a request; `grant` is what it became."""
    (row,) = await every(
        connection,
        f"""
        UPDATE share_request SET answer = %s, answered_by = %s, answered_at = now(), grant_id = coalesce(%s, grant_id)
        WHERE id = %s RETURNING {_REQUEST}
        """,  # noqa: S608 - our own text
        [answer, actor, grant, identity],
    )
    return row


async def insert_grant(connection: AsyncConnection, row: Row) -> None:
    """Store a grant of the transaction's tenant."""
    await connection.execute(
        """
        INSERT INTO share_grant (id, leader_id, supplier_id, leader, supplier, purpose, terms, since, until)
        VALUES (%(id)s, %(leader_id)s, current_tenant(), %(leader)s, %(supplier)s, %(purpose)s, %(terms)s, %(since)s,
                %(until)s)
        """,
        row | {"terms": Jsonb(row["terms"])},
    )


async def select_grants(connection: AsyncConnection, limit: int, *, before: UUID | None = None) -> list[Row]:
    """Return grants of and to the tenant, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_GRANT} FROM share_grant WHERE %(before)s::uuid IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"before": before, "limit": limit},
    )


async def select_grant(connection: AsyncConnection, identity: UUID, *, lock: bool = False) -> Row | None:
    """Return a grant; with `lock` nobody reads over it or changes it until the transaction ends."""
    return await one(
        connection,
        f"SELECT {_GRANT} FROM share_grant WHERE id = %s {'FOR UPDATE' if lock else ''}",  # noqa: S608 - our own text
        [identity],
    )


async def select_seen(connection: AsyncConnection) -> list[Row]:
    """Return all live grants that let the tenant see something, oldest first."""
    return await every(
        connection,
        f"""
        SELECT {_GRANT} FROM share_grant
        WHERE leader_id = current_tenant() AND ended_at IS NULL AND until > now() ORDER BY id
        """,  # noqa: S608 - our own text
    )


async def change_terms(connection: AsyncConnection, identity: UUID, row: Row) -> None:
    """Put other terms into force."""
    await connection.execute(
        "UPDATE share_grant SET version = version + 1, terms = %(terms)s, since = %(since)s, until = %(until)s WHERE id = %(id)s",
        row | {"id": identity, "terms": Jsonb(row["terms"])},
    )


async def end_grant(connection: AsyncConnection, identity: UUID, side: str, reason: str) -> None:
    """End a grant for good."""
    await connection.execute(
        "UPDATE share_grant SET ended_at = clock_timestamp(), ended_by = %s, end_reason = %s WHERE id = %s",
        [side, reason, identity],
    )


async def append_receipt(
    connection: AsyncConnection, grant: UUID, kind: str, actor: str, body: str, *, version: int = 0
) -> Row | None:
    """Append to the grant's chain; None for a read of a grant that is not live in `version`. `body` is canonical JSON."""
    return await one(
        connection,
        "SELECT seq, at, encode(hash, 'hex') AS hash FROM append_receipt(%s, %s, %s, %s, %s::json)",
        [grant, kind, version, actor, body],
    )


async def select_receipts(
    connection: AsyncConnection, grant: UUID, limit: int, *, before: int | None = None, kind: str | None = None
) -> list[Row]:
    """Return a grant's receipts, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_RECEIPT} FROM share_receipt
        WHERE grant_id = %(grant)s AND (%(before)s::bigint IS NULL OR seq < %(before)s)
          AND (%(kind)s::text IS NULL OR kind = %(kind)s)
        ORDER BY seq DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"grant": grant, "limit": limit, "before": before, "kind": kind},
    )


async def select_chain(connection: AsyncConnection, grant: UUID, after: int, limit: int) -> list[Row]:
    """Return receipts as they are hashed, oldest first: `body` is the text that was stored."""
    return await every(
        connection,
        """
        SELECT seq, at, kind, version, actor, body::text AS body, encode(hash, 'hex') AS hash FROM share_receipt
        WHERE grant_id = %s AND seq > %s ORDER BY seq LIMIT %s
        """,
        [grant, after, limit],
    )
