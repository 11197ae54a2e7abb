"""The SQL of the quality domain. Every statement runs inside a tenant's transaction; row-level security does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.core.keyset import NEWEST
from cloud.quality.schemas import Filter
from protocols.uplink.messages import Inspection as Delivered
from protocols.uplink.messages import SecondOpinion

_COLUMNS = """
    id, equipment_id, ts AS time, part, verdict, score, review_limit, reject_limit, model, model_version, latency_us,
    judgement, judged_by, judged_at, defect, model_defect, model_chance, aligned, lot, serial,
    CASE WHEN shadow_model IS NOT NULL THEN jsonb_build_object(
        'model', shadow_model, 'model_version', shadow_version, 'verdict', shadow_verdict, 'score', shadow_score,
        'latency_us', shadow_latency_us) END AS second,
    EXISTS (SELECT FROM inspection_image i WHERE i.tenant_id = inspection.tenant_id AND i.inspection_id = inspection.id
            AND i.kind = 'picture' AND i.content IS NOT NULL) AS picture,
    EXISTS (SELECT FROM inspection_image i WHERE i.tenant_id = inspection.tenant_id AND i.inspection_id = inspection.id
            AND i.kind = 'heatmap' AND i.content IS NOT NULL) AS heatmap,
    ARRAY(SELECT kind FROM inspection_image i WHERE i.tenant_id = inspection.tenant_id
          AND i.inspection_id = inspection.id AND i.content IS NULL ORDER BY kind) AS oversize
"""

_FILTER = """
    tenant_id = current_tenant()
    AND (%(equipment)s::uuid IS NULL OR equipment_id = %(equipment)s)
    AND (%(verdict)s::text IS NULL OR verdict = %(verdict)s)
    AND ts >= coalesce(%(start)s::timestamptz, '-infinity') AND ts < coalesce(%(end)s::timestamptz, 'infinity')
"""

_THERE = """
    (SELECT e.id AS station FROM equipment e JOIN agent a ON a.id = e.agent_id WHERE e.tenant_id = current_tenant() {}) there CROSS JOIN
"""
_LAST_CHARACTER = "\U0010ffff"
"""After any other in the order of bytes, so that what begins with a word lies between it and it with this added."""


async def insert(
    connection: AsyncConnection,
    agent: UUID,
    equipment: Mapping[str, UUID],
    inspections: Sequence[Delivered],
    max_image_bytes: int,
) -> None:
    """Store `inspections` with their images; those whose id the tenant already has are left as they are.

    `equipment` gives the id of every device named in them. An image above `max_image_bytes` is noted with its size,
    without its content.
    """
    async with connection.cursor() as cursor:
        for inspection in inspections:
            identity = UUID(inspection.id)
            await cursor.execute(
                """
                INSERT INTO inspection (tenant_id, id, equipment_id, agent_id, ts, part, verdict, score, review_limit,
                                        reject_limit, model, model_version, latency_us, shadow_model, shadow_version,
                                        shadow_verdict, shadow_score, shadow_latency_us, model_defect, model_chance, aligned,
                                        lot, serial)
                VALUES (current_tenant(), %s, %s, %s, 'epoch'::timestamptz + %s * interval '1 microsecond',
                        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT DO NOTHING
                """,
                [
                    *(identity, equipment[inspection.device], agent, inspection.time),
                    *(inspection.part, inspection.verdict, inspection.score, inspection.review_limit),
                    *(inspection.reject_limit, inspection.model, inspection.model_version, inspection.latency_us),
                    *(_second(inspection.shadow)),
                    *((inspection.defect, inspection.chance) if inspection.defect else (None, None)),
                    *(inspection.aligned, inspection.lot or None, inspection.serial or None),
                ],
            )
            if cursor.rowcount == 0:
                continue
            images = (("picture", inspection.picture), ("heatmap", inspection.heatmap))
            await cursor.executemany(
                """
                INSERT INTO inspection_image (tenant_id, inspection_id, kind, size, content)
                VALUES (current_tenant(), %s, %s, %s, %s)
                """,
                [
                    [identity, kind, len(content), content if len(content) <= max_image_bytes else None]
                    for kind, content in images
                    if content
                ],
            )


async def add_opinion(connection: AsyncConnection, agent: UUID, inspection: UUID, opinion: SecondOpinion) -> None:
    """Note another machine's opinion on an inspection of this agent that has none yet."""
    await connection.execute(
        """
        UPDATE inspection SET (shadow_model, shadow_version, shadow_verdict, shadow_score, shadow_latency_us)
            = (%s, %s, %s, %s, %s)
        WHERE tenant_id = current_tenant() AND id = %s AND agent_id = %s AND shadow_model IS NULL
        """,
        [*_second(opinion), inspection, agent],
    )


def _second(opinion: SecondOpinion | None) -> tuple[str | float | int | None, ...]:
    if opinion is None:
        return (None,) * 5
    return (opinion.model, opinion.model_version, opinion.verdict, opinion.score, opinion.latency_us)


async def select_page(
    connection: AsyncConnection, wanted: Filter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Return at most `limit` of the wanted inspections, newest first, that come after `before` in that order."""
    # A condition that is not asked for is not in the statement: PostgreSQL would plan for the few rows it might leave.
    places = {"a.site_id = %(site_id)s": wanted.site_id, "e.line_id = %(line_id)s": wanted.line_id}
    conditions = {
        "equipment_id = station": any(places.values()),
        "equipment_id = %(equipment_id)s": wanted.equipment_id,
        "verdict = %(verdict)s": wanted.verdict,
        "ts >= %(start)s": wanted.start,
        "ts < %(end)s": wanted.end,
        "model = %(model)s": wanted.model,
        "part <> '' AND part ~>=~ %(part)s AND part ~<~ %(beyond)s": wanted.part,
        "lot = %(lot)s": wanted.lot,
        "serial = %(serial)s": wanted.serial,
    }
    newest = "ORDER BY ts DESC, id DESC LIMIT %(limit)s"
    # Of a place the newest of each station there, so that those of a quiet one are not sought among all.
    query = f"""
        SELECT {_COLUMNS} FROM {_THERE.format(_asked(places)) if any(places.values()) else ""} LATERAL (
            SELECT * FROM inspection WHERE tenant_id = current_tenant() {_asked(conditions)}
                AND (ts, id) < (%(ts)s::timestamptz, %(before)s::uuid) {newest}
        ) inspection {newest}
    """  # noqa: S608 - our own text
    ts, identity = before or NEWEST
    values = {**asdict(wanted), "beyond": wanted.part + _LAST_CHARACTER, "ts": ts, "before": identity, "limit": limit}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


def _asked(conditions: Mapping[str, object]) -> str:
    return "".join(f" AND {condition}" for condition, asked in conditions.items() if asked)


async def select_models(connection: AsyncConnection, limit: int) -> list[str]:
    """Return the first `limit` names of models that decided on parts of the tenant; each is one look into the index."""
    cursor = await connection.execute(
        """
        WITH RECURSIVE named (model, n) AS (
            (SELECT model, 1 FROM inspection WHERE tenant_id = current_tenant() ORDER BY model LIMIT 1)
            UNION ALL
            SELECT following.model, n + 1 FROM named CROSS JOIN LATERAL (
                SELECT i.model FROM inspection i WHERE i.tenant_id = current_tenant() AND i.model > named.model
                ORDER BY i.model LIMIT 1) following
            WHERE n < %s)
        SELECT model FROM named
        """,
        [limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def select_one(connection: AsyncConnection, identity: UUID) -> dict[str, Any] | None:
    """Return one inspection, or None if the tenant has none of this id."""
    query = f"SELECT {_COLUMNS} FROM inspection WHERE tenant_id = current_tenant() AND id = %s"  # noqa: S608
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, [identity])
        return await cursor.fetchone()


async def select_image(connection: AsyncConnection, identity: UUID, kind: str) -> bytes | None:
    """Return the stored image of an inspection, or None."""
    cursor = await connection.execute(
        "SELECT content FROM inspection_image WHERE tenant_id = current_tenant() AND inspection_id = %s AND kind = %s",
        [identity, kind],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def count_by_hour(
    connection: AsyncConnection, *, equipment: UUID | None, start: datetime, end: datetime
) -> list[tuple[datetime, str, int]]:
    """Return (hour, verdict, count) for every hour of [start, end) that has any, oldest first."""
    cursor = await connection.execute(
        f"""
        SELECT date_trunc('hour', ts, 'UTC'), verdict, count(*) FROM inspection WHERE {_FILTER}
        GROUP BY 1, 2 ORDER BY 1, 2
        """,  # noqa: S608
        {"equipment": equipment, "verdict": None, "start": start, "end": end},
    )
    return await cursor.fetchall()


# What became of each inspected part, and whether it was inspected for the first time: all figures of quality count these.
_OUTCOMES = f"""
    SELECT i.ts, COALESCE(judgement = 'good', verdict = 'pass') AS good,
           COALESCE(judgement = 'defect', verdict = 'reject') AS defect,
           part = '' OR NOT EXISTS (
               SELECT FROM inspection e WHERE e.tenant_id = i.tenant_id AND e.equipment_id = i.equipment_id
                   AND e.part = i.part AND (e.ts, e.id) < (i.ts, i.id)) AS new
    FROM inspection i WHERE {_FILTER}
"""  # noqa: S608


async def count_first_pass(
    connection: AsyncConnection, *, equipment: UUID | None, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return hour, parts inspected for the first time (`first`), and those of them that were good, by hour that has any."""
    query = f"""
        SELECT date_trunc('hour', ts, 'UTC') AS hour, count(*) FILTER (WHERE new) AS first,
               count(*) FILTER (WHERE new AND good) AS good
        FROM ({_OUTCOMES}) inspected GROUP BY 1 ORDER BY 1
    """  # noqa: S608
    values = {"equipment": equipment, "verdict": None, "start": start, "end": end}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def count_by_minute(
    connection: AsyncConnection, equipment: UUID, start: datetime, end: datetime
) -> list[tuple[datetime, int, int, int, int, int]]:
    """Return (minute, inspected, good, defect, inspected for the first time, of these good) for minutes that have any.

    An operator's word counts before the verdict; what waits for one is neither good nor a defect.
    """
    cursor = await connection.execute(
        f"""
        SELECT date_trunc('minute', ts, 'UTC'), count(*), count(*) FILTER (WHERE good), count(*) FILTER (WHERE defect),
               count(*) FILTER (WHERE new), count(*) FILTER (WHERE new AND good)
        FROM ({_OUTCOMES}) inspected GROUP BY 1 ORDER BY 1
        """,  # noqa: S608
        {"equipment": equipment, "verdict": None, "start": start, "end": end},
    )
    return await cursor.fetchall()


async def count_defects(
    connection: AsyncConnection, *, equipment: UUID | None, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Return how many defective parts of [start, end) had which defect, "" where neither a person nor the model names it; the most first.

    Defective is what an operator judged so, and what the model rejected and nobody has judged.
    """
    query = f"""
        SELECT COALESCE(defect, model_defect, '') AS defect, count(*) AS count FROM inspection
        WHERE {_FILTER} AND COALESCE(judgement = 'defect', verdict = 'reject')
        GROUP BY 1 ORDER BY 2 DESC, 1
    """  # noqa: S608
    values = {"equipment": equipment, "verdict": None, "start": start, "end": end}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def count_words(
    connection: AsyncConnection, *, equipment: UUID | None, start: datetime, end: datetime
) -> dict[str, int]:
    """Return how many parts of [start, end) were judged, and in how many the word differs from the model's."""
    query = f"""
        SELECT count(judgement) AS judged, count(*) FILTER (WHERE verdict = 'reject' AND judgement = 'good') AS to_good,
               count(*) FILTER (WHERE verdict = 'pass' AND judgement = 'defect') AS to_defect
        FROM inspection WHERE {_FILTER}
    """  # noqa: S608
    values = {"equipment": equipment, "verdict": None, "start": start, "end": end}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return dict(await cursor.fetchone() or {})


async def count_by_model(
    connection: AsyncConnection, equipment: Sequence[UUID], model: str, version: str, since: datetime
) -> dict[str, Any]:
    """Return how a model decided at these stations since then, and how it would have: see `service.ModelRecord`."""
    query = """
        SELECT count(*) FILTER (WHERE deciding) AS parts, count(*) FILTER (WHERE deciding AND verdict = 'reject') AS rejects,
               percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_us) FILTER (WHERE deciding) AS p95_us,
               count(*) FILTER (WHERE beside) AS shadow_parts,
               count(*) FILTER (WHERE beside AND shadow_verdict = 'reject') AS shadow_rejects,
               percentile_disc(0.95) WITHIN GROUP (ORDER BY shadow_latency_us) FILTER (WHERE beside) AS shadow_p95_us,
               count(*) FILTER (WHERE beside AND verdict = 'reject') AS other_rejects,
               count(*) FILTER (WHERE beside AND (verdict = 'reject') <> (shadow_verdict = 'reject')) AS differing
        FROM (
            SELECT verdict, latency_us, shadow_verdict, shadow_latency_us,
                   (model, model_version) = (%(model)s, %(version)s) AS deciding,
                   coalesce((shadow_model, shadow_version) = (%(model)s, %(version)s), false) AS beside
            FROM inspection WHERE tenant_id = current_tenant() AND equipment_id = ANY (%(equipment)s) AND ts >= %(since)s) seen
    """
    values = {"equipment": list(equipment), "model": model, "version": version, "since": since}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return dict(await cursor.fetchone() or {})


async def count_last(connection: AsyncConnection, equipment: Sequence[UUID], most: int) -> tuple[int, int]:
    """Return how many of the last `most` parts of each station there are, and how many of them were rejected."""
    cursor = await connection.execute(
        """
        SELECT count(*), count(*) FILTER (WHERE verdict = 'reject') FROM unnest(%s::uuid[]) AS station (id)
        CROSS JOIN LATERAL (
            SELECT verdict FROM inspection i WHERE i.tenant_id = current_tenant() AND i.equipment_id = station.id
            ORDER BY ts DESC, id DESC LIMIT %s) latest
        """,
        [list(equipment), most],
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)


async def select_defect_names(connection: AsyncConnection, limit: int) -> list[str]:
    """Return the defects that the tenant's operators have named, those named most often lately first."""
    cursor = await connection.execute(
        """
        SELECT defect FROM (
            SELECT defect FROM inspection WHERE tenant_id = current_tenant() AND defect IS NOT NULL
            ORDER BY ts DESC, id DESC LIMIT 1000) recent
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %s
        """,
        [limit],
    )
    return [row[0] for row in await cursor.fetchall()]


async def set_judgement(
    connection: AsyncConnection, identity: UUID, judgement: str, judged_by: str, defect: str | None
) -> bool:
    """Note an operator's word, in place of an earlier one; False if the tenant has no such inspection."""
    cursor = await connection.execute(
        """
        UPDATE inspection SET judgement = %s, judged_by = %s, judged_at = now(), defect = %s
        WHERE tenant_id = current_tenant() AND id = %s
        """,
        [judgement, judged_by, defect, identity],
    )
    return cursor.rowcount == 1


async def clear_judgement(connection: AsyncConnection, identity: UUID) -> bool:
    """Take the operator's word back; False if the tenant has no such inspection."""
    cursor = await connection.execute(
        """
        UPDATE inspection SET judgement = NULL, judged_by = NULL, judged_at = NULL, defect = NULL
        WHERE tenant_id = current_tenant() AND id = %s
        """,
        [identity],
    )
    return cursor.rowcount == 1


async def select_judged(
    connection: AsyncConnection, equipment: UUID, most: int, *, digests: bool
) -> list[dict[str, Any]]:
    """Return the latest judged inspections of a station whose picture is stored, oldest first; its SHA-256 if asked for."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT * FROM (
                SELECT i.id, i.part, i.judgement, i.defect, i.judged_at, i.ts,
                    CASE WHEN %s THEN encode(sha256(p.content), 'hex') END AS digest
                FROM inspection i
                JOIN inspection_image p ON p.tenant_id = i.tenant_id AND p.inspection_id = i.id
                    AND p.kind = 'picture' AND p.content IS NOT NULL
                WHERE i.tenant_id = current_tenant() AND i.equipment_id = %s AND i.judgement IS NOT NULL
                ORDER BY i.ts DESC, i.id DESC LIMIT %s) latest
            ORDER BY ts, id
            """,
            [digests, equipment, most],
        )
        return await cursor.fetchall()


async def select_uncertain(
    connection: AsyncConnection, equipment: UUID, among: int, limit: int
) -> list[dict[str, Any]]:
    """Return those of the latest `among` unjudged inspections that the model is least sure of, those to review first.

    How sure it is follows from the nearer limit, in widths of the span between the limits.
    """
    query = f"""
        SELECT * FROM (
            SELECT {_COLUMNS} FROM inspection
            WHERE tenant_id = current_tenant() AND equipment_id = %(equipment)s AND judgement IS NULL
            ORDER BY ts DESC, id DESC LIMIT %(among)s) latest
        WHERE picture
        ORDER BY verdict <> 'review',
            least(abs(score - review_limit), abs(score - reject_limit)) / greatest(reject_limit - review_limit, 1e-9),
            time DESC, id DESC
        LIMIT %(limit)s
    """  # noqa: S608 - a constant of this module
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, {"equipment": equipment, "among": among, "limit": limit})
        return await cursor.fetchall()
