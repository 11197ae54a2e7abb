"""The SQL of the registry. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every

FILES = {"card.toml": "card", "model.onnx": "onnx", "checksums.txt": "checksums", "signature": "signature"}
"""The columns of a bundle's files."""

_VERSION = "id, name, version, task, digest, signer, parent_id, card, octet_length(onnx) AS bytes, added_by, added_at"


Lock = Literal["", "wait", "skip"]
_LOCKS: dict[Lock, str] = {"": "", "wait": "FOR UPDATE OF r", "skip": "FOR UPDATE OF r SKIP LOCKED"}


class Taken(Exception):
    """The name and version, or the station, is taken."""


async def insert_version(connection: AsyncConnection, row: Row) -> bool:
    """Store a version, its parent the latest of its name; False if it is there already. Raises Taken for another content."""
    try:
        async with connection.transaction():
            cursor = await connection.execute(
                """
                INSERT INTO model_version (tenant_id, id, name, version, task, digest, signer, parent_id, card, onnx, checksums,
                                           signature, added_by)
                VALUES (current_tenant(), %(id)s, %(name)s, %(version)s, %(task)s, %(digest)s, %(signer)s,
                    (SELECT id FROM model_version WHERE tenant_id = current_tenant() AND name = %(name)s
                     ORDER BY added_at DESC, id DESC LIMIT 1),
                    %(card)s, %(onnx)s, %(checksums)s, %(signature)s, %(added_by)s)
                ON CONFLICT (tenant_id, digest) DO NOTHING
                """,
                row,
            )
    except UniqueViolation as error:
        raise Taken from error
    return cursor.rowcount == 1


async def select_versions(
    connection: AsyncConnection, *, identity: UUID | None = None, digest: str | None = None, limit: int = 500
) -> list[Row]:
    """Return the latest versions, newest first, or one."""
    return await every(
        connection,
        f"""
        SELECT {_VERSION} FROM model_version WHERE tenant_id = current_tenant()
            AND (%(id)s::uuid IS NULL OR id = %(id)s) AND (%(digest)s::text IS NULL OR digest = %(digest)s)
        ORDER BY added_at DESC, id DESC LIMIT %(limit)s
        """,  # noqa: S608 - our own text
        {"id": identity, "digest": digest, "limit": limit},
    )


async def select_bundle(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return the four files of a version, with its name and number."""
    rows = await every(
        connection,
        "SELECT name, version, card, onnx, checksums, signature FROM model_version WHERE tenant_id = current_tenant() AND id = %s",
        [identity],
    )
    return rows[0] if rows else None


async def select_part(
    connection: AsyncConnection, digest: str, file: str, offset: int, most: int
) -> tuple[int, bytes] | None:
    """Return the size of a bundle's file and a piece of it; None if there is no such bundle."""
    column = FILES[file]
    cursor = await connection.execute(
        f"""
        SELECT octet_length({column}), substring({column} FROM %s FOR %s) FROM model_version
        WHERE tenant_id = current_tenant() AND digest = %s
        """,  # noqa: S608 - a column of ours
        [offset + 1, most, digest],
    )
    return await cursor.fetchone()


async def insert_key(connection: AsyncConnection, public_key: str, name: str, by: str) -> bool:
    """Store a key; False if it is there."""
    cursor = await connection.execute(
        "INSERT INTO model_key (tenant_id, public_key, name, added_by) VALUES (current_tenant(), %s, %s, %s) ON CONFLICT DO NOTHING",
        [public_key, name, by],
    )
    return cursor.rowcount == 1


async def select_keys(connection: AsyncConnection) -> list[Row]:
    """Return the keys, by name."""
    return await every(
        connection,
        "SELECT public_key, name, added_by, added_at FROM model_key WHERE tenant_id = current_tenant() ORDER BY name, public_key",
    )


async def delete_key(connection: AsyncConnection, public_key: str) -> bool:
    """Remove a key; False if there is none."""
    cursor = await connection.execute(
        "DELETE FROM model_key WHERE tenant_id = current_tenant() AND public_key = %s", [public_key]
    )
    return cursor.rowcount == 1


async def upsert_report(connection: AsyncConnection, equipment: UUID, report: Row) -> Row:
    """Keep what a station says it runs; return what it shall run."""
    (row,) = await every(
        connection,
        """
        INSERT INTO station_model (tenant_id, equipment_id, running, previous, beside, dealt_with, outcome, reason_en, reason_zh,
                                   task, record)
        VALUES (current_tenant(), %(equipment)s, %(running)s, %(previous)s, %(shadow)s, %(order)s, %(outcome)s, %(reason_en)s,
                %(reason_zh)s, %(task)s, %(record)s)
        ON CONFLICT (tenant_id, equipment_id) DO UPDATE SET running = excluded.running, previous = excluded.previous,
            beside = excluded.beside, dealt_with = excluded.dealt_with, outcome = excluded.outcome,
            reason_en = excluded.reason_en, reason_zh = excluded.reason_zh, task = excluded.task,
            record = excluded.record, reported_at = now()
        RETURNING number, run, shadow, latency_us
        """,
        report | {"equipment": equipment, "record": Jsonb(msgspec.to_builtins(report["record"] or {}))},
    )
    return row


async def select_stations(connection: AsyncConnection, equipment: Sequence[UUID] | None = None) -> list[Row]:
    """Return what stations run and shall run, with the name of what is in the registry."""
    return await every(
        connection,
        """
        SELECT s.*, coalesce(v.name || ' ' || v.version, '') AS running_name FROM station_model s
        LEFT JOIN model_version v ON v.tenant_id = s.tenant_id AND v.digest = s.running
        WHERE s.tenant_id = current_tenant() AND (%(equipment)s::uuid[] IS NULL OR s.equipment_id = ANY (%(equipment)s))
        ORDER BY s.equipment_id
        """,
        {"equipment": None if equipment is None else list(equipment)},
    )


async def order(connection: AsyncConnection, equipment: UUID, *, run: str, shadow: str, latency_us: int) -> None:
    """Let a station run this from now on."""
    await connection.execute(
        """
        UPDATE station_model SET number = greatest(number, dealt_with) + 1, run = %s, shadow = %s, latency_us = %s
        WHERE tenant_id = current_tenant() AND equipment_id = %s
        """,
        [run, shadow, latency_us, equipment],
    )


async def insert_rollout(connection: AsyncConnection, row: Row, stations: Sequence[Row]) -> None:
    """Store a roll-out with its stations; raises Taken if one of these is in another that has not ended."""
    await connection.execute(
        """
        INSERT INTO rollout (tenant_id, id, version_id, stage, plan, base_parts, base_rejects, begun_by)
        VALUES (current_tenant(), %(id)s, %(version_id)s, %(stage)s, %(plan)s, %(base_parts)s, %(base_rejects)s, %(begun_by)s)
        """,
        row | {"plan": Jsonb(row["plan"])},
    )
    try:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(
                """
                INSERT INTO rollout_station (tenant_id, rollout_id, equipment_id, canary, before)
                VALUES (current_tenant(), %(rollout_id)s, %(equipment_id)s, %(canary)s, %(before)s)
                """,
                stations,
            )
    except UniqueViolation as error:
        raise Taken from error


async def select_rollouts(
    connection: AsyncConnection,
    *,
    identity: UUID | None = None,
    running: bool = False,
    lock: Lock = "",
    limit: int = 50,
) -> list[Row]:
    """Return the latest roll-outs, newest first, or one, or those that run.

    `lock` keeps others from changing them: "wait" until nobody else does, "skip" those that somebody is changing.
    """
    return await every(
        connection,
        f"""
        SELECT r.*, v.name, v.version, v.digest, v.task FROM rollout r
        JOIN model_version v ON v.tenant_id = r.tenant_id AND v.id = r.version_id
        WHERE r.tenant_id = current_tenant() AND (%(id)s::uuid IS NULL OR r.id = %(id)s)
            AND (NOT %(running)s OR r.ended_at IS NULL)
        ORDER BY r.begun_at DESC, r.id DESC LIMIT %(limit)s {_LOCKS[lock]}
        """,  # noqa: S608 - our own text
        {"id": identity, "running": running, "limit": limit},
    )


async def select_rollout_stations(connection: AsyncConnection, rollout: UUID) -> list[Row]:
    """Return a roll-out's stations with what they say they run."""
    return await every(
        connection,
        """
        SELECT o.equipment_id, o.canary, o.before, s.running, s.number, s.dealt_with, s.outcome, s.reason_en, s.reason_zh,
               s.record
        FROM rollout_station o JOIN station_model s ON s.tenant_id = o.tenant_id AND s.equipment_id = o.equipment_id
        WHERE o.tenant_id = current_tenant() AND o.rollout_id = %s ORDER BY o.canary DESC, o.equipment_id
        """,
        [rollout],
    )


async def set_stage(connection: AsyncConnection, rollout: UUID, stage: str, en: str, zh: str) -> None:
    """Put a roll-out into a stage; with its end its stations are free."""
    await connection.execute(
        """
        UPDATE rollout SET stage = %(stage)s, stage_since = now(), reason_en = %(en)s, reason_zh = %(zh)s,
            ended_at = CASE WHEN %(stage)s IN ('done', 'returned') THEN now() END
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        {"id": rollout, "stage": stage, "en": en, "zh": zh},
    )
    if stage in ("done", "returned"):
        await connection.execute(
            "UPDATE rollout_station SET ended = true WHERE tenant_id = current_tenant() AND rollout_id = %s", [rollout]
        )


async def tenants(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with roll-outs that run; through the door."""
    cursor = await connection.execute("SELECT tenants_with_rollouts()")
    return [row[0] for row in await cursor.fetchall()]
