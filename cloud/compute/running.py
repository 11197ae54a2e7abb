"""Jobs while they run: leased to a worker, metered by beats both sides sign, checkpointed, ended, and taken elsewhere if it breaks.

What counts is what is verified: the time up to the last acknowledged beat where the attempt ended in order, up to the last
checkpoint where it broke - the rest is lost, not billed, and paid to the customer out of the provider's bond. An attempt that
is over is fenced: nothing its worker still says or sends changes anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from cloud.billing.service import HOUR_MS, by_hour, micro
from cloud.compute import store
from cloud.compute.ending import Ender
from cloud.compute.metering import Beat, chained, holds, read, signed
from cloud.compute.offers import ALIVE_S, LEASE_S, prices_of, runs_on
from cloud.compute.placing import held_of
from cloud.compute.watch import chip
from cloud.compute.worker_schemas import Ack, BeatRequest, Ended, Ending, Lease, WorkFile
from cloud.core.db import AsyncConnection, Database, enter
from cloud.core.errors import Conflict, Invalid, NotFound, TooLarge
from cloud.core.listen import Listener
from cloud.core.principal import TenantScope, WorkerPrincipal
from cloud.core.rows import Row
from cloud.training.service import Training
from protocols.text import Text

MOST_FILE_BYTES = 64 * 1024 * 1024
PATIENCE_S = 10.0
"""How long a job waits for the worker it was placed at before it is looked after."""
_LOOK_S = 2.0
_CLOCKS_MS = 1500
"""How far a worker's clock may be ahead of ours: time is counted from the lease on both sides."""
_FENCED = Text(
    "This attempt is over: the job has been taken elsewhere, or has ended.", "本次运行已结束：作业已转移或终止。"
)
_WRONG = Text("The beat is not the next one, or its signature does not hold.", "心跳不连续或签名无效。")
_AHEAD = Text("The beat counts more time than has passed.", "心跳计时超过实际时间。")
_CHIP = Text(
    "It runs by another chip than the offer names; the attempt is ended and not billed.",
    "实际使用的芯片与报价不符，本次运行已终止且不计费。",
)
_NO_CHECKPOINT = Text("The checkpoint has not been uploaded.", "检查点文件尚未上传。")
_TOO_LARGE = Text(
    f"A file of a job has at most {MOST_FILE_BYTES >> 20} MiB.", f"作业文件最大 {MOST_FILE_BYTES >> 20} MiB。"
)


class Running:
    """What workers ask and say, and what is done when they no longer do."""

    def __init__(self, db: Database, listener: Listener, training: Training, ender: Ender) -> None:
        self._db, self._listener, self._training, self._ender = db, listener, training, ender

    async def lease(self, worker: WorkerPrincipal, wait_s: float, gone: Callable[[], Awaitable[bool]]) -> Lease | None:
        """Return the worker's next job, waiting for one; None if none comes, or if it is `gone` meanwhile.

        A worker that asks while a job of its runs has lost it: that attempt is over.
        """
        until = asyncio.get_running_loop().time() + wait_s
        with self._listener.waiting_for(worker.offer_id) as changed:
            while not await gone():
                changed.clear()
                if found := await self._take(worker):
                    return found
                left = until - asyncio.get_running_loop().time()
                if left <= 0 or self._listener.closing:
                    return None
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(left, _LOOK_S))
        return None

    async def beat(self, worker: WorkerPrincipal, job_id: UUID, number: int, body: BeatRequest) -> Ack:
        """Acknowledge a beat; the same one again is acknowledged again. Raises NotFound, Conflict, Invalid."""
        async with self._db.tenant(worker.scope) as connection:
            attempt, job = await self.mine(connection, worker, job_id, number)
            if attempt["last"] and attempt["last"]["body"] == body.body:
                return self.acknowledged(job, attempt)
            ack = await self.take(connection, worker, attempt, job, body)
        if ack is None:
            raise Conflict(_CHIP)
        return ack

    async def take(
        self, connection: AsyncConnection, worker: WorkerPrincipal, attempt: Row, job: Row, body: BeatRequest
    ) -> Ack | None:
        """Take the next beat of an attempt that runs; None where it tells of another chip: the attempt is over then.

        Raises Invalid for one that is not the next, is not signed, or counts time that has not passed.
        """
        beat = self.read(body, attempt)
        digest = chained(attempt["head"], body.body)
        if beat.seq != attempt["beats"] + 1 or not holds(attempt["worker_key"], body.signature, digest):
            raise Invalid(_WRONG)
        if not attempt["used_ms"] <= beat.used_ms <= attempt["elapsed_ms"] + _CLOCKS_MS:
            raise Invalid(_AHEAD)
        (offer,) = await store.select_offers(connection, ALIVE_S, identity=worker.offer_id)
        if beat.chip and not runs_on(offer["terms"]["chip"], beat.chip):
            await self._ender.found(connection, job, attempt["number"], chip(offer["terms"]["chip"], beat.chip))
            await self._ender.broke(connection, job, attempt, checkpointed=False)
            return None
        await self._note(connection, attempt, job, beat, body)
        await store.see_worker(connection, worker.offer_id)
        return self._ack(job, attempt | {"used_ms": beat.used_ms}, beat.seq, digest, attempt["terms"])

    def acknowledged(self, job: Row, attempt: Row) -> Ack:
        """Return the acknowledgement of the last beat of an attempt once more."""
        return self._ack(job, attempt, attempt["beats"], attempt["head"])

    async def file(self, worker: WorkerPrincipal, job_id: UUID, number: int, kind: str, name: str) -> bytes:
        """Return a file of the worker's job; raises NotFound, Conflict."""
        async with self._db.tenant(worker.scope) as connection:
            await self.mine(connection, worker, job_id, number)
            content = await store.select_content(connection, job_id, kind, name)
        if content is None:
            raise NotFound
        return content

    async def put(self, worker: WorkerPrincipal, job_id: UUID, number: int, file: tuple[str, str, bytes]) -> WorkFile:
        """Keep a file - kind, name, content - that the worker's job brought; raises NotFound, Conflict, TooLarge."""
        kind, name, content = file
        if len(content) > MOST_FILE_BYTES:
            raise TooLarge(_TOO_LARGE)
        digest = sha256(content).hexdigest()
        async with self._db.tenant(worker.scope) as connection:
            await self.mine(connection, worker, job_id, number)
            await store.put_file(connection, job_id, kind, name, (worker.scope.tenant_id, digest, content))
        return WorkFile.model_validate({"kind": kind, "name": name, "digest": digest, "size": len(content)})

    async def end(self, worker: WorkerPrincipal, job_id: UUID, number: int, body: Ending) -> Ended:
        """Take down what became of an attempt; said again it changes nothing. Raises NotFound, Conflict."""
        async with self._db.tenant(worker.scope) as connection:
            job, attempt = await self.locked(connection, worker, job_id, number)
            if attempt["state"] == "running" and job:
                await self._ender.end(connection, job, attempt, body)
            elif attempt["state"] != body.outcome and attempt["state"] != "broken":
                raise Conflict(_FENCED)
            await enter(connection, TenantScope(attempt["customer_id"]))
            found = await store.select_job(connection, job_id)
            ended = await store.select_attempt(connection, job_id, number)
        assert found is not None  # noqa: S101 - just read
        assert ended is not None  # noqa: S101 - just read
        return Ended(state=found["state"], billable_s=ended["billable_ms"] / 1000)

    async def rescue(self, scope: TenantScope) -> None:
        """Look after a customer's jobs whose worker is silent: what is safe counts, the rest is done elsewhere."""
        async with self._db.tenant(scope) as connection:
            troubled = await store.select_troubled(connection, PATIENCE_S)
        for identity in troubled:
            async with self._db.tenant(scope) as connection:
                job = await store.select_job(connection, identity, lock=True)
                if job is None:
                    continue
                if job["state"] == "running":
                    attempt = await store.select_attempt(connection, identity, lock=True)
                    if attempt and _left_alone(job, attempt):
                        await self._ender.broke(connection, job, attempt)
                elif job["state"] == "queued":
                    await self._ender.waits_too_long(connection, job)

    async def _take(self, worker: WorkerPrincipal) -> Lease | None:
        async with self._db.tenant(worker.scope) as connection:
            await store.see_worker(connection, worker.offer_id)
            if left := await store.running_at(connection, worker.offer_id):
                job = await store.select_job(connection, left["job_id"], lock=True)
                attempt = await store.select_attempt(connection, left["job_id"], lock=True)
                if job and attempt and attempt["offer_id"] == worker.offer_id:
                    await self._ender.broke(connection, job, attempt)
                    await enter(connection, worker.scope)
            job = await store.next_job(connection, worker.offer_id)
            if job is None:
                return None
            (offer,) = await store.select_offers(connection, ALIVE_S, identity=worker.offer_id)
            number = job["attempts"] + 1
            row = {name: job[name] for name in ("customer_id", "provider_id", "offer_id", "terms")}
            await store.begin_attempt(
                connection,
                row | {"job_id": job["id"], "number": number, "worker_key": offer["worker_key"]},
                LEASE_S + job["offline_s"],
            )
            started = job["started_at"] or datetime.now(UTC)
            await store.change_job(
                connection, job["id"], {"state": "running", "attempts": number, "started_at": started}
            )
            files = await store.select_files(connection, job["id"], ["input", "checkpoint"])
        return Lease(
            job_id=job["id"],
            attempt=number,
            name=job["name"],
            orders=job["orders"],
            offline_s=job["offline_s"],
            most_ms=_most_ms(job, job["terms"]),
            files=[WorkFile(**each) for each in files],
        )

    async def mine(
        self, connection: AsyncConnection, worker: WorkerPrincipal, job_id: UUID, number: int
    ) -> tuple[Row, Row]:
        """Return the worker's attempt and its job, locked; raises NotFound for another's, Conflict when it is over."""
        job, attempt = await self.locked(connection, worker, job_id, number)
        if attempt["state"] != "running" or job is None:
            raise Conflict(_FENCED)
        return attempt, job

    async def locked(
        self, connection: AsyncConnection, worker: WorkerPrincipal, job_id: UUID, number: int
    ) -> tuple[Row | None, Row]:
        """Return job and attempt, locked in the order everybody locks them in; no job where it has gone elsewhere."""
        job = await store.select_job(connection, job_id, lock=True)
        attempt = await store.select_attempt(connection, job_id, number, lock=True)
        if attempt is None or attempt["offer_id"] != worker.offer_id:
            raise NotFound
        return job, attempt

    def read(self, body: BeatRequest, attempt: Row) -> Beat:
        """Return the beat of an attempt; raises Invalid if it is none."""
        try:
            beat = read(body.body)
        except ValueError as error:
            raise Invalid(_WRONG) from error
        if (beat.job, beat.attempt) != (str(attempt["job_id"]), attempt["number"]):
            raise Invalid(_WRONG)
        return beat

    async def _note(self, connection: AsyncConnection, attempt: Row, job: Row, beat: Beat, body: BeatRequest) -> None:
        job_id, number, digest = attempt["job_id"], attempt["number"], chained(attempt["head"], body.body)
        change: dict[str, Any] = {
            "used_ms": beat.used_ms,
            "cpu_ms": beat.cpu_ms,
            "chip": beat.chip,
            "last": {"before": attempt["head"].hex(), "body": body.body, "signature": body.signature},
        }
        known = attempt["checkpoint"]
        if beat.checkpoint and (known is None or known["digest"] != beat.checkpoint.digest):
            files = await store.select_files(connection, job_id, ["checkpoint"])
            if beat.checkpoint.digest not in {each["digest"] for each in files}:
                raise Invalid(_NO_CHECKPOINT)
            told = {"digest": beat.checkpoint.digest, "done": beat.checkpoint.done}
            change |= {"checkpoint": told, "checkpoint_ms": beat.used_ms}
        lease_s = LEASE_S + job["offline_s"]
        await store.add_beat(connection, attempt, beat.seq, (body.body, digest, body.signature), lease_s)
        await store.change_attempt(connection, job_id, number, change)
        progress = {"stage": beat.stage[:40], "done": beat.done, "total": beat.total}
        await store.change_job(connection, job_id, progress)
        if "fit_id" in job["subject"]:
            await enter(connection, TenantScope(attempt["customer_id"]))
            fit = UUID(job["subject"]["fit_id"])
            await self._training.rented.note(connection, fit, beat.stage[:40], beat.done, beat.total)
            await enter(connection, TenantScope(attempt["provider_id"]))

    def _ack(self, job: Row, attempt: Row, seq: int, digest: bytes, terms: dict[str, Any] | None = None) -> Ack:
        held = held_of(job)
        stop: Any = "cancelled" if job["cancel"] else ""
        if not stop and terms and held.used_up(attempt["started_at"], attempt["used_ms"], prices_of(terms)):
            stop = "budget"
        return Ack(seq=seq, hash=digest.hex(), signature=signed(self._ender.key, digest), stop=stop)


def _left_alone(job: Row, attempt: Row) -> bool:
    """Return whether nobody need wait for an attempt any longer: one that was cancelled, or is too late, not for its whole lease."""
    now = datetime.now(UTC)
    spare = job["offline_s"] if job["cancel"] or job["deadline"] < now else 0
    return bool(attempt["leased_until"] - timedelta(seconds=spare) < now)


def _most_ms(job: Row, terms: dict[str, Any]) -> int | None:
    """Return for how long what is reserved pays by the dearest of an offer's prices; None where it costs nothing."""
    held, dearest = held_of(job), micro(max(by_hour(prices_of(terms))))
    if not (held.total or held.bank) or not dearest:
        return None
    return held.prepaid_ms + held.total * HOUR_MS // dearest
