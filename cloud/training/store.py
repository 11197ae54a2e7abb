"""The SQL of the training domain. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

NameTaken = UniqueViolation
NoSuchPlace = ForeignKeyViolation
AlreadyFitting = UniqueViolation

_SET = """
    SELECT s.id, s.name, s.equipment_id, s.keep_days, s.region, s.family, s.sensors, s.running, s.period_s, s.created_by, s.created_at,
           count(p.digest) FILTER (WHERE p.kind = 'good') AS good, count(p.digest) FILTER (WHERE p.kind = 'defect') AS defect,
           count(p.digest) FILTER (WHERE p.kind = 'unknown') AS unknown, coalesce(sum(p.size), 0)::bigint AS bytes
    FROM training_set s LEFT JOIN training_picture p ON p.tenant_id = s.tenant_id AND p.set_id = s.id
    WHERE s.tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR s.id = %(id)s)
    GROUP BY s.tenant_id, s.id ORDER BY s.name
"""
_PICTURE = "digest, kind, defect, part, width, height, size, added_by, added_at"
_FIT = """
    id, set_id, state, rented, stage, done, total, reason_en, reason_zh, requested_by, requested_at,
    coalesce(extract(epoch FROM coalesce(ended_at, now()) - started_at), 0)::float8 AS seconds
"""
_VERSION = (
    "v.id, v.set_id, v.parent_id, s.name, v.number, v.digest, v.signer, v.card, v.figures, v.created_by, v.created_at"
)


async def select_sets(connection: AsyncConnection, identity: UUID | None = None) -> list[Row]:
    """Return the tenant's sets by name, with what is uploaded; with `identity`, that one at most."""
    return await every(connection, _SET, {"id": identity})


async def insert_set(connection: AsyncConnection, row: Row) -> None:
    """Store a set. Raises NameTaken, NoSuchPlace."""
    await connection.execute(
        """
        INSERT INTO training_set (tenant_id, id, equipment_id, name, keep_days, family, sensors, running, period_s, created_by)
        VALUES (current_tenant(), %(id)s, %(equipment_id)s, %(name)s, %(keep_days)s, %(family)s, %(sensors)s, %(running)s, %(period_s)s,
                %(created_by)s)
        """,
        {"running": None, "period_s": None, "family": "auto"}
        | row
        | {"sensors": Jsonb(row["sensors"]) if row.get("sensors") else None},
    )


async def update_set(connection: AsyncConnection, identity: UUID, row: Row) -> None:
    """Change a set's station, how long its pictures are kept, where and how its models look. Raises NoSuchPlace."""
    await connection.execute(
        """
        UPDATE training_set SET equipment_id = %(equipment_id)s, keep_days = %(keep_days)s, region = %(region)s,
               family = %(family)s
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        row | {"id": identity, "region": Jsonb(row["region"])},
    )


async def delete_set(connection: AsyncConnection, identity: UUID) -> None:
    """Delete a set with its pictures, fits and versions."""
    await connection.execute("DELETE FROM training_set WHERE tenant_id = current_tenant() AND id = %s", [identity])


async def insert_picture(connection: AsyncConnection, row: Row) -> None:
    """Store a picture; one that the set has stays, with what is said of it now."""
    await connection.execute(
        """
        INSERT INTO training_picture (tenant_id, set_id, digest, kind, defect, part, width, height, size, content, thumbnail,
                                      added_by)
        VALUES (current_tenant(), %(set_id)s, %(digest)s, %(kind)s, %(defect)s, %(part)s, %(width)s, %(height)s, %(size)s,
                %(content)s, %(thumbnail)s, %(added_by)s)
        ON CONFLICT (tenant_id, set_id, digest) DO UPDATE
        SET kind = excluded.kind, defect = excluded.defect, part = excluded.part
        """,
        row,
    )


async def select_pictures(connection: AsyncConnection, set_id: UUID, digest: str | None = None) -> list[Row]:
    """Return a set's uploaded pictures, newest first; with `digest`, that one at most."""
    return await every(
        connection,
        f"""
        SELECT {_PICTURE} FROM training_picture
        WHERE tenant_id = current_tenant() AND set_id = %(set)s AND (%(digest)s::text IS NULL OR digest = %(digest)s)
        ORDER BY added_at DESC, digest
        """,  # noqa: S608 - our own text
        {"set": set_id, "digest": digest},
    )


async def update_picture(
    connection: AsyncConnection, set_id: UUID, digest: str, *, kind: str, defect: str | None, part: str | None
) -> bool:
    """Say what a picture shows; False if there is none such. `part` None leaves the part."""
    cursor = await connection.execute(
        """
        UPDATE training_picture SET kind = %s, defect = %s, part = coalesce(%s, part)
        WHERE tenant_id = current_tenant() AND set_id = %s AND digest = %s
        """,
        [kind, defect, part, set_id, digest],
    )
    return cursor.rowcount == 1


async def delete_picture(connection: AsyncConnection, set_id: UUID, digest: str) -> bool:
    """Delete a picture; False if there is none such."""
    cursor = await connection.execute(
        "DELETE FROM training_picture WHERE tenant_id = current_tenant() AND set_id = %s AND digest = %s",
        [set_id, digest],
    )
    return cursor.rowcount == 1


async def delete_old_pictures(connection: AsyncConnection) -> int:
    """Delete pictures that their sets keep no longer; return how many."""
    cursor = await connection.execute(
        """
        DELETE FROM training_picture p USING training_set s
        WHERE p.tenant_id = current_tenant() AND s.tenant_id = p.tenant_id AND s.id = p.set_id
            AND p.added_at < now() - make_interval(days => s.keep_days)
        """
    )
    return cursor.rowcount


async def select_content(connection: AsyncConnection, set_id: UUID, digest: str, *, small: bool) -> bytes | None:
    """Return a picture, or its small copy; None if there is none such."""
    column = "thumbnail" if small else "content"
    row = await one(
        connection,
        f"SELECT {column} AS bytes FROM training_picture"  # noqa: S608 - one of two names
        " WHERE tenant_id = current_tenant() AND set_id = %s AND digest = %s",
        [set_id, digest],
    )
    return row["bytes"] if row else None


async def insert_fit(
    connection: AsyncConnection, identity: UUID, set_id: UUID, task: Mapping[str, Any], by: str, *, rented: bool = False
) -> None:
    """Store a fit that waits; one that is `rented` runs elsewhere, and nobody here claims it. Raises AlreadyFitting."""
    await connection.execute(
        "INSERT INTO training_fit (tenant_id, id, set_id, task, requested_by, rented) VALUES (current_tenant(), %s, %s, %s, %s, %s)",
        [identity, set_id, Jsonb(task), by, rented],
    )


async def note_rented(connection: AsyncConnection, identity: UUID, progress: tuple[str, int, int]) -> None:
    """Write down how far a rented fit is."""
    await connection.execute(
        """
        UPDATE training_fit SET state = 'running', stage = %s, done = %s, total = %s, leased_until = 'infinity',
            started_at = coalesce(started_at, now())
        WHERE tenant_id = current_tenant() AND id = %s AND rented AND state IN ('waiting', 'running')
        """,
        [*progress, identity],
    )


async def end_rented(
    connection: AsyncConnection, identity: UUID, state: str, *, en: str = "", zh: str = ""
) -> Row | None:
    """Write down what became of a rented fit and return it; None if it has ended before."""
    return await one(
        connection,
        """
        UPDATE training_fit SET state = %s, reason_en = %s, reason_zh = %s, ended_at = now()
        WHERE tenant_id = current_tenant() AND id = %s AND rented AND state IN ('waiting', 'running')
        RETURNING id, set_id, task, requested_by
        """,
        [state, en, zh, identity],
    )


async def select_fits(connection: AsyncConnection, set_id: UUID, limit: int) -> list[Row]:
    """Return a set's latest fits, newest first."""
    return await every(
        connection,
        f"""
        SELECT {_FIT} FROM training_fit WHERE tenant_id = current_tenant() AND set_id = %s
        ORDER BY requested_at DESC, id DESC LIMIT %s
        """,  # noqa: S608 - our own text
        [set_id, limit],
    )


async def select_fit(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return one fit."""
    query = f"SELECT {_FIT} FROM training_fit WHERE tenant_id = current_tenant() AND id = %s"  # noqa: S608
    return await one(connection, query, [identity])


async def select_fit_task(connection: AsyncConnection, identity: UUID) -> dict[str, Any] | None:
    """Return what a fit was made of; its version has the same id."""
    row = await one(
        connection, "SELECT task FROM training_fit WHERE tenant_id = current_tenant() AND id = %s", [identity]
    )
    return row and row["task"]


async def cancel_fit(connection: AsyncConnection, identity: UUID) -> bool:
    """Let a fit end: one that waits at once, one that runs when its process hears of it. False if it has ended."""
    cursor = await connection.execute(
        """
        UPDATE training_fit SET cancel = true,
            ended_at = CASE WHEN state = 'waiting' THEN now() END,
            state = CASE WHEN state = 'waiting' THEN 'cancelled' ELSE state END
        WHERE tenant_id = current_tenant() AND id = %s AND state IN ('waiting', 'running')
        """,
        [identity],
    )
    return cursor.rowcount == 1


async def tenants(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that have something to fit; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT tenants_with_fits() AS id")]


async def forgetful_tenants(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that keep pictures for some time only; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT tenants_that_forget_pictures() AS id")]


async def give_up_fits(connection: AsyncConnection, most: int, en: str, zh: str) -> None:
    """End fits whose process is gone: those that were begun `most` times, and those that are to be cancelled."""
    await connection.execute(
        """
        UPDATE training_fit SET ended_at = now(), owner = NULL,
            state = CASE WHEN cancel THEN 'cancelled' ELSE 'failed' END,
            reason_en = CASE WHEN cancel THEN '' ELSE %(en)s END, reason_zh = CASE WHEN cancel THEN '' ELSE %(zh)s END
        WHERE tenant_id = current_tenant() AND state = 'running' AND leased_until < now()
            AND (cancel OR attempts >= %(most)s)
        """,
        {"most": most, "en": en, "zh": zh},
    )


async def claim_fit(connection: AsyncConnection, owner: UUID, lease_s: float) -> Row | None:
    """Take the lease of the fit that has waited longest, or whose process is gone; None if there is none."""
    return await one(
        connection,
        """
        UPDATE training_fit SET state = 'running', owner = %(owner)s, attempts = attempts + 1, stage = '', done = 0,
            total = 0, started_at = now(), leased_until = now() + make_interval(secs => %(lease)s)
        WHERE tenant_id = current_tenant() AND id = (
            SELECT f.id FROM training_fit f
            WHERE f.tenant_id = current_tenant() AND NOT f.rented
                AND (f.state = 'waiting' OR f.state = 'running' AND f.leased_until < now())
            ORDER BY f.requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, set_id, task, requested_by
        """,
        {"owner": owner, "lease": lease_s},
    )


async def beat(
    connection: AsyncConnection, identity: UUID, owner: UUID, progress: tuple[str, int, int], lease_s: float
) -> bool:
    """Write down how far a fit is and keep its lease; False if it is to end, or is no longer the owner's."""
    row = await one(
        connection,
        """
        UPDATE training_fit SET stage = %s, done = %s, total = %s, leased_until = now() + make_interval(secs => %s)
        WHERE tenant_id = current_tenant() AND id = %s AND owner = %s AND state = 'running' RETURNING cancel
        """,
        [*progress, lease_s, identity, owner],
    )
    return row is not None and not row["cancel"]


async def end_fit(
    connection: AsyncConnection, identity: UUID, owner: UUID, state: str, *, en: str = "", zh: str = ""
) -> bool:
    """Write down what became of a fit, or that it waits again; False if it is no longer the owner's."""
    cursor = await connection.execute(
        """
        UPDATE training_fit SET state = %(state)s, reason_en = %(en)s, reason_zh = %(zh)s, owner = NULL,
            ended_at = CASE WHEN %(state)s <> 'waiting' THEN now() END,
            attempts = attempts - CASE WHEN %(state)s = 'waiting' THEN 1 ELSE 0 END
        WHERE tenant_id = current_tenant() AND id = %(id)s AND owner = %(owner)s AND state = 'running'
        """,
        {"state": state, "en": en, "zh": zh, "id": identity, "owner": owner},
    )
    return cursor.rowcount == 1


async def insert_version(connection: AsyncConnection, row: Row) -> None:
    """Store a version and its bundle."""
    await connection.execute(
        """
        INSERT INTO training_version (tenant_id, id, set_id, parent_id, number, digest, signer, card, onnx, checksums,
                                      signature, figures, created_by)
        VALUES (current_tenant(), %(id)s, %(set_id)s, %(parent_id)s, %(number)s, %(digest)s, %(signer)s, %(card)s, %(onnx)s,
                %(checksums)s, %(signature)s, %(figures)s, %(created_by)s)
        """,
        row | {"figures": Jsonb(row["figures"])},
    )


async def select_versions(
    connection: AsyncConnection, *, set_id: UUID | None = None, identity: UUID | None = None
) -> list[Row]:
    """Return the versions of a set, newest first, or one version."""
    return await every(
        connection,
        f"""
        SELECT {_VERSION} FROM training_version v JOIN training_set s ON s.tenant_id = v.tenant_id AND s.id = v.set_id
        WHERE v.tenant_id = current_tenant() AND (v.set_id = %(set)s OR v.id = %(id)s) ORDER BY v.number DESC
        """,  # noqa: S608 - our own text
        {"set": set_id, "id": identity},
    )


async def select_bundle(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return the four files of a version."""
    return await one(
        connection,
        "SELECT card, onnx, checksums, signature FROM training_version WHERE tenant_id = current_tenant() AND id = %s",
        [identity],
    )


async def insert_key(connection: AsyncConnection, public_key: str, sealed: bytes) -> None:
    """Store the tenant's key unless it has one."""
    await connection.execute(
        """
        INSERT INTO training_key (tenant_id, public_key, sealed) VALUES (current_tenant(), %s, %s)
        ON CONFLICT (tenant_id) DO NOTHING
        """,
        [public_key, sealed],
    )


async def select_key(connection: AsyncConnection) -> Row | None:
    """Return the tenant's key."""
    return await one(
        connection, "SELECT public_key, sealed, created_at FROM training_key WHERE tenant_id = current_tenant()"
    )
