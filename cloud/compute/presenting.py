"""Time that was worked without a link: signed beats that are presented later, in any order, as often as somebody likes.

A customer may allow the worker of a job to be silent for a while (`offline_h`): its lease lasts that much longer, so nobody else has
the job. What the worker presents when it is back becomes beats in the order of their chain, each judged as if it had come in
time; one that came before those it follows waits for them. Once the attempt is over - the lease has run out, the customer has
cancelled, the deadline has passed - nothing that is presented counts: it is kept, and what ran elsewhere meanwhile is paid once.
So whatever the order, the partition and the repetitions, the ledger comes to the same.
"""

from __future__ import annotations

from uuid import UUID

from cloud.compute.running import Running
from cloud.compute.store import records
from cloud.compute.worker_schemas import Ack, BeatRequest, Presented, Records
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid
from cloud.core.principal import WorkerPrincipal
from cloud.core.rows import Row
from protocols.text import Text

_MOST = 100_000
"""Records of an attempt that are kept; one a second for a day."""
_AT_ONCE = 500
_TOO_MANY = Text("More records of this attempt wait than are kept.", "本次运行待处理的记录过多。")


class Presenting:
    """Takes records of beats."""

    def __init__(self, db: Database, running: Running) -> None:
        self._db, self._running = db, running

    async def present(self, worker: WorkerPrincipal, job_id: UUID, number: int, body: Records) -> Presented:
        """Take records of an attempt; raises NotFound for another's, Invalid for what is no beat of it."""
        async with self._db.tenant(worker.scope) as connection:
            job, attempt = await self._running.locked(connection, worker, job_id, number)
            beats = [(self._running.read(each, attempt), each) for each in body.records]
            fresh = [(beat.seq, each.body, each.signature) for beat, each in beats if beat.seq > attempt["beats"]]
            if len(fresh) + await records.count(connection, attempt) > _MOST:
                raise Invalid(_TOO_MANY)
            await records.add(connection, attempt, fresh)
            ack, over = None, attempt["state"] != "running" or job is None
            if job is not None and not over:
                ack, over = await self._drain(connection, worker, attempt, job)
            waiting = await records.count(connection, attempt)
        return Presented(ack=ack, over=over, waiting=waiting)

    async def _drain(
        self, connection: AsyncConnection, worker: WorkerPrincipal, attempt: Row, job: Row
    ) -> tuple[Ack | None, bool]:
        """Make beats of the records that follow; returns the last one's acknowledgement, and whether the attempt is over."""
        ack = self._running.acknowledged(job, attempt) if attempt["beats"] else None
        while rows := await records.following(connection, attempt, attempt["beats"] + 1, _AT_ONCE):
            first = attempt["beats"]
            for row in rows:
                if row["seq"] != attempt["beats"] + 1:
                    break
                record = BeatRequest(body=row["body"], signature=row["signature"])
                try:
                    ack = await self._running.take(connection, worker, attempt, job, record)
                except Invalid:  # whoever signed it may present the true one
                    await records.drop(connection, attempt, row["seq"], row["seq"])
                    return ack, False
                if ack is None:
                    return None, True
                _, attempt = await self._running.locked(connection, worker, job["id"], attempt["number"])
            await records.drop(connection, attempt, first + 1, attempt["beats"])
            if attempt["beats"] == first:
                break
        return ack, False
