"""The SQL of sharing. Statements run inside the transaction of one of the two companies; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Sequence
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


async def select_traced(connection: AsyncConnection) -> list[Row]:
    """Return all live grants of and to the tenant that show events, each with the other company; they stay live meanwhile."""
    return await every(
        connection,
        """
        SELECT id, leader_id = current_tenant() AS seen, CASE WHEN leader_id = current_tenant() THEN supplier_id ELSE leader_id END
            AS company_id, CASE WHEN leader_id = current_tenant() THEN supplier ELSE leader END AS company
        FROM share_grant WHERE ended_at IS NULL AND until > now() AND terms->>'trace' IS NOT NULL ORDER BY id FOR SHARE
        """,
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


async def insert_recall(connection: AsyncConnection, row: Row) -> None:
    """Store a recall of the transaction's tenant."""
    await connection.execute(
        """
        INSERT INTO share_recall (id, issuer_id, issuer, kind, reason, complete, issued_by)
        VALUES (%(id)s, current_tenant(), %(issuer)s, %(kind)s, %(reason)s, %(complete)s, %(issued_by)s)
        """,
        row,
    )


async def insert_recall_things(connection: AsyncConnection, recall: UUID, things: Sequence[str]) -> None:
    """Store what of a recall the transaction's tenant sees."""
    await connection.execute(
        "INSERT INTO share_recall_things (tenant_id, recall_id, things) VALUES (current_tenant(), %s, %s)",
        [recall, list(things)],
    )


async def insert_recall_notice(
    connection: AsyncConnection, recall: UUID, company: UUID, name: str, shown: int | None
) -> None:
    """Store that a company is told of a recall of the transaction's tenant."""
    await connection.execute(
        """
        INSERT INTO share_recall_notice (recall_id, issuer_id, told_id, told, shown)
        VALUES (%s, current_tenant(), %s, %s, %s)
        """,
        [recall, company, name, shown],
    )


async def select_recalls(
    connection: AsyncConnection, limit: int, things: int, *, before: UUID | None = None, only: UUID | None = None
) -> list[Row]:
    """Return recalls that the tenant has issued or was told of, newest first, each with its first `things` things."""
    return await every(
        connection,
        """
        SELECT r.id, r.issuer_id, r.issuer, r.kind, r.reason, r.complete, r.issued_by, r.issued_at,
               CASE WHEN r.issuer_id = current_tenant() THEN 'issuer' ELSE 'told' END AS side,
               t.things[:%(things)s] AS things, cardinality(t.things) AS affected
        FROM share_recall_things t JOIN share_recall r ON r.id = t.recall_id
        WHERE t.tenant_id = current_tenant() AND (%(only)s::uuid IS NULL OR t.recall_id = %(only)s)
          AND (%(before)s::uuid IS NULL OR t.recall_id < %(before)s)
        ORDER BY t.recall_id DESC LIMIT %(limit)s
        """,
        {"limit": limit, "things": things, "before": before, "only": only},
    )


async def select_recall_notices(connection: AsyncConnection, recalls: Sequence[UUID]) -> list[Row]:
    """Return who was told and what they answered, as far as the tenant may know: who was told knows of itself only."""
    return await every(
        connection,
        """
        SELECT recall_id, told AS company, shown, answer, answer_text AS text, answered_by, answered_at
        FROM share_recall_notice WHERE recall_id = ANY(%s) ORDER BY told, told_id
        """,
        [list(recalls)],
    )


async def answer_recall(connection: AsyncConnection, recall: UUID, answer: str, text: str, actor: str) -> str | None:
    """Answer a recall that the tenant was told of, once more if it has; return its name there, None if it was not told."""
    row = await one(
        connection,
        """
        UPDATE share_recall_notice SET answer = %s, answer_text = %s, answered_by = %s, answered_at = now()
        WHERE recall_id = %s AND told_id = current_tenant() RETURNING told
        """,
        [answer, text, actor, recall],
    )
    return row["told"] if row else None
