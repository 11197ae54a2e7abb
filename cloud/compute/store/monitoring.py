"""What jobs write and use, what is amiss with them, and quotas."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection

from cloud.compute.watch import Finding
from cloud.core.rows import Row, every, one

_KEPT = 2000
"""Lines of a job: the last ones."""


async def add_lines(connection: AsyncConnection, attempt: Row, first: int, lines: Sequence[str]) -> None:
    """Append lines of an attempt, the first with the worker's number `first`; only the job's last 2,000 are kept."""
    if not lines:
        return
    await connection.execute(
        """
        INSERT INTO compute_log (job_id, attempt, seq, customer_id, provider_id, line)
        SELECT %(job_id)s, %(number)s, %(first)s + place - 1, %(customer_id)s, %(provider_id)s, line
        FROM unnest(%(lines)s::text[]) WITH ORDINALITY AS l (line, place) ORDER BY place
        ON CONFLICT (job_id, attempt, seq) DO NOTHING
        """,
        {name: attempt[name] for name in ("job_id", "number", "customer_id", "provider_id")}
        | {"first": first, "lines": list(lines)},
    )
    await connection.execute(
        """
        DELETE FROM compute_log WHERE job_id = %(job)s AND id <= (
            SELECT id FROM compute_log WHERE job_id = %(job)s ORDER BY id DESC OFFSET %(kept)s LIMIT 1)
        """,
        {"job": attempt["job_id"], "kept": _KEPT},
    )


async def select_lines(connection: AsyncConnection, job: UUID, after: int, limit: int) -> list[Row]:
    """Return the last `limit` lines of a job that came after the line `after`, in order."""
    return await every(
        connection,
        """
        SELECT id, attempt, at, line FROM (
            SELECT id, attempt, at, line FROM compute_log WHERE job_id = %s AND id > %s ORDER BY id DESC LIMIT %s) l
        ORDER BY id
        """,
        [job, after, limit],
    )


async def add_use(connection: AsyncConnection, attempt: Row, row: Row) -> bool:
    """Keep what an attempt uses, unless the sample before is so young that a chart would not show it; True if kept."""
    found = await one(
        connection,
        """
        INSERT INTO compute_use (job_id, attempt, used_ms, customer_id, provider_id, cpu_ms, memory_mb, accelerator, done)
        SELECT %(job_id)s, %(number)s, %(used_ms)s, %(customer_id)s, %(provider_id)s, %(cpu_ms)s, %(memory_mb)s,
               %(accelerator)s, %(done)s
        WHERE NOT EXISTS (
            SELECT FROM compute_use WHERE job_id = %(job_id)s AND attempt = %(number)s
                AND used_ms > %(used_ms)s - greatest(1500, %(used_ms)s / 200))
        RETURNING used_ms
        """,
        {name: attempt[name] for name in ("job_id", "number", "customer_id", "provider_id", "used_ms", "cpu_ms")} | row,
    )
    return found is not None


async def select_use(connection: AsyncConnection, job: UUID) -> list[Row]:
    """Return what a job's attempts have used, in order."""
    return await every(
        connection,
        """
        SELECT attempt, used_ms, cpu_ms, memory_mb, accelerator, done FROM compute_use WHERE job_id = %s
        ORDER BY attempt, used_ms
        """,
        [job],
    )


async def add_finding(connection: AsyncConnection, job: Row, attempt: int, finding: Finding) -> bool:
    """Keep a finding; False if it has been found before, and only its words are new."""
    row = await one(
        connection,
        """
        INSERT INTO compute_finding (job_id, attempt, kind, customer_id, provider_id, words_en, words_zh)
        VALUES (%(job)s, %(attempt)s, %(kind)s, %(customer_id)s, %(provider_id)s, %(en)s, %(zh)s)
        ON CONFLICT (job_id, attempt, kind) DO UPDATE SET words_en = excluded.words_en, words_zh = excluded.words_zh
        RETURNING xmax = 0 AS new
        """,
        {name: job[name] for name in ("customer_id", "provider_id")}
        | {"job": job["id"], "attempt": attempt, "kind": finding.kind, "en": finding.words.en, "zh": finding.words.zh},
    )
    return bool(row and row["new"])


async def select_findings(connection: AsyncConnection, job: UUID) -> list[Row]:
    """Return what was amiss with a job, in order."""
    return await every(
        connection,
        "SELECT attempt, kind, words_en, words_zh, at FROM compute_finding WHERE job_id = %s ORDER BY at",
        [job],
    )


async def select_quota(connection: AsyncConnection) -> Row | None:
    """Return the tenant's quota where it is not the usual one."""
    return await one(connection, "SELECT open_jobs, open_budget FROM compute_quota WHERE tenant_id = current_tenant()")


async def lock_open(connection: AsyncConnection) -> None:
    """Let nobody else of the tenant place a job until the transaction ends: two at once are counted in turn."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('compute quota ' || current_tenant()::text, 0))"
    )


async def select_open(connection: AsyncConnection) -> tuple[int, int]:
    """Return how many of the tenant's jobs wait or run - servings of opinions count as such -, and what is reserved for them."""
    row = await one(
        connection,
        """
        SELECT count(*) AS jobs, coalesce(sum(cap), 0)::bigint AS reserved FROM (
            SELECT cap FROM compute_job WHERE customer_id = current_tenant() AND state IN ('queued', 'running')
            UNION ALL
            SELECT cap - cost FROM compute_serving WHERE customer_id = current_tenant() AND ended_at IS NULL) o
        """,
    )
    return (int(row["jobs"]), int(row["reserved"])) if row else (0, 0)


async def operates(connection: AsyncConnection) -> bool:
    """Return whether the tenant runs the market."""
    row = await one(connection, "SELECT operates_market() AS yes")
    return bool(row and row["yes"])


async def select_quotas(connection: AsyncConnection) -> list[Row]:
    """Return what each company has open and may have, to the operator; nothing to others."""
    return await every(
        connection, "SELECT company, credit_code, open_jobs, open_budget, jobs, reserved FROM quotas_in_use()"
    )


async def put_quota(connection: AsyncConnection, credit_code: str, row: Row) -> str | None:
    """Set a company's quota as the operator; returns its name, None if there is no such company."""
    found = await one(connection, "SELECT id, name FROM company_by_code(%s)", [credit_code])
    if found is None:
        return None
    await connection.execute(
        """
        INSERT INTO compute_quota (tenant_id, open_jobs, open_budget, set_by)
        VALUES (%(id)s, %(open_jobs)s, %(open_budget)s, %(by)s)
        ON CONFLICT (tenant_id) DO UPDATE SET open_jobs = excluded.open_jobs, open_budget = excluded.open_budget,
            set_by = excluded.set_by, set_at = now()
        """,
        row | {"id": found["id"]},
    )
    return str(found["name"])
