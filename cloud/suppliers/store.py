"""The SQL of programmes. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

_PROGRAMME = "id, name, purpose, terms, completeness, cadence, age_minutes, deadline, created_by, created_at"
_SUPPLIER = """s.id, s.programme_id, s.credit_code, s.name, s.contact, s.request_id, s.code_hash, s.wrong, s.invited_at, s.expires_at,
    s.reminded_at, s.opened_at, s.registered_at, s.checked_at, s.conformance, r.answer, r.answered_at, r.grant_id,
    s.maturity, g.terms AS granted, g.made_at, g.ended_at, g.until, g.ended_at IS NULL AND g.until > now() AS live"""
_FROM = (
    """programme_supplier s JOIN share_request r ON r.id = s.request_id LEFT JOIN share_grant g ON g.id = r.grant_id"""
)


class Taken(Exception):
    """There is a programme of this name, or the supplier is in the programme."""


async def insert_programme(connection: AsyncConnection, row: Row) -> Row:
    """Store a programme; raises Taken if there is one of its name."""
    columns = "id, name, purpose, terms, completeness, cadence, age_minutes, deadline, created_by"
    values = ", ".join(f"%({name})s" for name in columns.split(", "))
    try:
        async with connection.transaction():
            (stored,) = await every(
                connection,
                f"INSERT INTO programme (tenant_id, {columns}) VALUES (current_tenant(), {values}) RETURNING {_PROGRAMME}",  # noqa: S608
                row | {"terms": Jsonb(row["terms"])},
            )
    except UniqueViolation as error:
        raise Taken from error
    return stored


async def select_programmes(connection: AsyncConnection, identity: UUID | None = None) -> list[Row]:
    """Return the programmes, newest first, or one."""
    return await every(
        connection,
        f"""
        SELECT {_PROGRAMME} FROM programme WHERE tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR id = %(id)s)
        ORDER BY id DESC LIMIT 500
        """,  # noqa: S608 - our own text
        {"id": identity},
    )


async def select_codes(connection: AsyncConnection, programme: UUID) -> set[str]:
    """Return the credit codes of those who are in a programme, and let nobody add to it until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 310))", [str(programme)])
    rows = await every(
        connection,
        "SELECT credit_code FROM programme_supplier WHERE tenant_id = current_tenant() AND programme_id = %s",
        [programme],
    )
    return {row["credit_code"] for row in rows}


async def insert_supplier(connection: AsyncConnection, row: Row) -> None:
    """Put a supplier into a programme."""
    await connection.execute(
        """
        INSERT INTO programme_supplier (tenant_id, id, programme_id, credit_code, name, contact, request_id, token_hash,
                                        code_hash, expires_at)
        VALUES (current_tenant(), %(id)s, %(programme_id)s, %(credit_code)s, %(name)s, %(contact)s, %(request_id)s,
                %(token_hash)s, %(code_hash)s, now() + make_interval(days => %(days)s))
        """,
        row,
    )


async def select_suppliers(
    connection: AsyncConnection, programme: UUID | None = None, identity: UUID | None = None
) -> list[Row]:
    """Return the suppliers of a programme by name, or one."""
    return await every(
        connection,
        f"""
        SELECT {_SUPPLIER} FROM {_FROM} WHERE s.tenant_id = current_tenant()
          AND (%(programme)s::uuid IS NULL OR s.programme_id = %(programme)s) AND (%(id)s::uuid IS NULL OR s.id = %(id)s)
        ORDER BY s.name, s.id
        """,  # noqa: S608 - our own text
        {"programme": programme, "id": identity},
    )


async def find_supplier(connection: AsyncConnection, token_hash: bytes) -> Row | None:
    """Return tenant and id of the supplier a token stands for. Runs outside any tenant."""
    return await one(connection, "SELECT * FROM find_supplier(%s)", [token_hash])


async def lock_invitation(connection: AsyncConnection, identity: UUID, most_wrong: int) -> Row | None:
    """Return an invitation that is open, and keep others from using it meanwhile."""
    return await one(
        connection,
        f"""
        SELECT {_SUPPLIER} FROM {_FROM} WHERE s.tenant_id = current_tenant() AND s.id = %s AND s.wrong < %s
          AND s.expires_at > now() AND s.registered_at IS NULL FOR UPDATE OF s
        """,  # noqa: S608 - our own text
        [identity, most_wrong],
    )


async def change_supplier(connection: AsyncConnection, identity: UUID, change: Row) -> None:
    """Set columns of a supplier; `change` names them."""
    sets = ", ".join(f"{name} = %({name})s" for name in change)
    await connection.execute(
        f"UPDATE programme_supplier SET {sets} WHERE tenant_id = current_tenant() AND id = %(id)s",  # noqa: S608 - names of ours
        change | {"id": identity},
    )


async def mark_opened(connection: AsyncConnection, identity: UUID) -> None:
    """Note that a supplier has opened its invitation, the first time."""
    await connection.execute(
        "UPDATE programme_supplier SET opened_at = coalesce(opened_at, now()) WHERE tenant_id = current_tenant() AND id = %s",
        [identity],
    )


async def count_wrong_code(connection: AsyncConnection, identity: UUID) -> None:
    """Count a wrong code."""
    await connection.execute(
        "UPDATE programme_supplier SET wrong = wrong + 1 WHERE tenant_id = current_tenant() AND id = %s", [identity]
    )


async def keep_conformance(
    connection: AsyncConnection, identity: UUID, conformance: list[Row], maturity: int | None
) -> None:
    """Store what the last check found."""
    await connection.execute(
        """
        UPDATE programme_supplier SET checked_at = now(), conformance = %s, maturity = %s
        WHERE tenant_id = current_tenant() AND id = %s
        """,
        [Jsonb(conformance), maturity, identity],
    )


async def tenants(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with suppliers. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_with_suppliers()")).fetchall()]


async def claim_due(connection: AsyncConnection, older_s: float, waiting_s: float) -> UUID | None:
    """Return a supplier under a live grant that was not looked at for `older_s`, or `waiting_s` while it shows nothing.

    It counts as looked at. None if there is none.
    """
    row = await one(
        connection,
        f"""
        UPDATE programme_supplier SET checked_at = now() WHERE tenant_id = current_tenant() AND id = (
            SELECT s.id FROM {_FROM} WHERE s.tenant_id = current_tenant() AND g.ended_at IS NULL AND g.until > now()
              AND (s.checked_at IS NULL OR s.checked_at < now() - make_interval(secs => CASE
                   WHEN jsonb_path_exists(s.conformance, '$[*].machines ? (@ > 0)') THEN %s::float8 ELSE %s::float8 END))
            ORDER BY s.checked_at NULLS FIRST LIMIT 1 FOR UPDATE OF s SKIP LOCKED
        ) RETURNING id
        """,  # noqa: S608 - our own text
        [older_s, waiting_s],
    )
    return row["id"] if row else None


async def keep_score(connection: AsyncConnection, supplier: UUID, row: Row) -> bool:
    """Store what an entry came to on its day, instead of what it had come to before; True if it drifts and did not yet."""
    before = await one(
        connection,
        """
        SELECT drifting FROM supplier_score
        WHERE tenant_id = current_tenant() AND supplier_id = %s AND entry = %s AND day = %s
        """,
        [supplier, row["entry"], row["day"]],
    )
    await connection.execute(
        """
        INSERT INTO supplier_score (tenant_id, supplier_id, day, entry, mean, completeness, drifting, named, passes)
        VALUES (current_tenant(), %(supplier)s, %(day)s, %(entry)s, %(mean)s, %(completeness)s, %(drifting)s, %(named)s,
                %(passes)s)
        ON CONFLICT (tenant_id, supplier_id, entry, day) DO UPDATE
        SET mean = excluded.mean, completeness = excluded.completeness, named = excluded.named,
            passes = excluded.passes,
            drifting = supplier_score.drifting OR excluded.drifting
        """,
        row | {"supplier": supplier},
    )
    return bool(row["drifting"]) and not (before and before["drifting"])


async def select_scores(connection: AsyncConnection, suppliers: list[UUID], days: int) -> list[Row]:
    """Return the scores of the last `days` days, oldest first."""
    return await every(
        connection,
        """
        SELECT supplier_id, entry, day, mean, drifting, passes FROM supplier_score
        WHERE tenant_id = current_tenant() AND supplier_id = ANY(%s) AND day > current_date - %s ORDER BY day
        """,
        [suppliers, days],
    )


async def select_compared(connection: AsyncConnection, first: date, last: date) -> list[Row]:
    """Return the scores of `first` to `last` of all suppliers of all programmes, with whose they are."""
    return await every(
        connection,
        """
        SELECT p.credit_code, c.entry, c.passes, c.day, c.mean, c.named FROM supplier_score c
        JOIN programme_supplier p ON p.tenant_id = c.tenant_id AND p.id = c.supplier_id
        WHERE c.tenant_id = current_tenant() AND c.day BETWEEN %s AND %s
        """,
        [first, last],
    )
