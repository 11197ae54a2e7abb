"""Jobs as they are watched: what their children write and use, and what is amiss with them.

A worker reports after its beats; a report that is lost costs lines, never time that was acknowledged. What is found amiss is told
to the job's owner once for each attempt. A job ends because of it only where its owner has said so (`stop_idle_s`).
"""

from __future__ import annotations

from uuid import UUID

from cloud.compute import store
from cloud.compute.ending import Ender
from cloud.compute.log_lines import clean, secretless
from cloud.compute.running import Running
from cloud.compute.schemas import JobUse, LogLine
from cloud.compute.store import monitoring
from cloud.compute.watch import Use, findings
from cloud.compute.worker_schemas import Report
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import NotFound
from cloud.core.principal import TenantScope, WorkerPrincipal
from cloud.core.rows import Row

_LINES = 1000


class Monitor:
    """What is known of jobs while they run."""

    def __init__(self, db: Database, running: Running, ender: Ender) -> None:
        self._db, self._running, self._ender = db, running, ender

    async def report(self, worker: WorkerPrincipal, job_id: UUID, number: int, body: Report) -> None:
        """Keep what a worker reports, and look for what is amiss; raises NotFound, Conflict when the attempt is over."""
        async with self._db.tenant(worker.scope) as connection:
            attempt, job = await self._running.mine(connection, worker, job_id, number)
            lines = [clean(secretless(line)) for line in body.lines]
            await monitoring.add_lines(connection, attempt, body.first, lines)
            row = {"memory_mb": body.memory_mb, "accelerator": body.accelerator, "done": job["done"]}
            if not await monitoring.add_use(connection, attempt, row):
                return
            series = [each for each in await _series(connection, job_id) if each.attempt == number]
            samples = [Use(one.used_s, one.cores, one.memory_mb, one.accelerator, one.done) for one in series]
            for finding in findings(samples, job["total"]):
                await self._ender.found(connection, job, number, finding)
                limit = job["stop_idle_s"]
                if finding.kind == "idle" and limit and finding.lasts_s >= limit and not job["cancel"]:
                    await self._ender.cancel(connection, job)

    async def log(self, scope: TenantScope, job_id: UUID, after: int = 0) -> list[LogLine]:
        """Return the lines of a job that came after the line `after`, at most the last 1,000; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await store.select_job(connection, job_id) is None:
                raise NotFound
            return [LogLine(**row) for row in await monitoring.select_lines(connection, job_id, after, _LINES)]

    async def use(self, scope: TenantScope, job_id: UUID) -> list[JobUse]:
        """Return what a job's attempts have used, in order; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await store.select_job(connection, job_id) is None:
                raise NotFound
            return await _series(connection, job_id)


async def _series(connection: AsyncConnection, job_id: UUID) -> list[JobUse]:
    """Return the samples of a job, each with the cores that were at work since the one before it."""
    found: list[JobUse] = []
    before: Row | None = None
    for row in await monitoring.select_use(connection, job_id):
        if before is None or before["attempt"] != row["attempt"]:
            before = {"used_ms": 0, "cpu_ms": 0}
        passed = max(row["used_ms"] - before["used_ms"], 1)
        found.append(
            JobUse(
                **{name: row[name] for name in ("attempt", "memory_mb", "accelerator", "done")},
                used_s=row["used_ms"] / 1000,
                cores=round((row["cpu_ms"] - before["cpu_ms"]) / passed, 4),
            )
        )
        before = row
    return found
