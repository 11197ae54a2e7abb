"""How an attempt ends and a job with it: what counts is posted, what came out is accepted, a receipt is signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.billing.service import YUAN, Billing, Held, Settled, Work
from cloud.compute import receipt, store
from cloud.compute.metering import platform_key, public_text, signed
from cloud.compute.offers import ALIVE_S, prices_of
from cloud.compute.orders import OUTPUTS
from cloud.compute.placing import Placing, held_of, stored
from cloud.compute.store import monitoring
from cloud.compute.watch import Finding, waiting
from cloud.compute.worker_schemas import Ending
from cloud.core.db import AsyncConnection, enter
from cloud.core.errors import Invalid, Problem
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.core.settings import Secrets
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from cloud.training.service import Training
from protocols.text import Text

MOST_BREAKS = 5
_NOTHING = Text("", "")
_BROKE_OFTEN = Text(f"it broke {MOST_BREAKS} times", f"已中断 {MOST_BREAKS} 次")
_BUDGET = Text("the reserved money was used up", "预留金额已用完")
_INCOMPLETE = Text("what came back is not what was asked for", "返回的结果不完整")
_TOO_LATE = Text("no offer was free before the deadline", "截止时间前没有可用的算力")
_MONEY = ("cost", "subsidy", "prepaid")


class Ender:
    """Ends attempts and jobs; all in the caller's transaction, which is then inside the customer."""

    def __init__(self, billing: Billing, training: Training, notify: Notify, placing: Placing, keys: Secrets) -> None:
        self._billing, self._training, self._notify, self._placing = billing, training, notify, placing
        self.key = platform_key(keys.signing_key)

    async def end(self, connection: AsyncConnection, job: Row, attempt: Row, body: Ending) -> None:
        """End an attempt as its worker says; what it says is done and is not, broke."""
        if body.outcome == "broken":
            await self.broke(connection, job, attempt)
            return
        await enter(connection, TenantScope(job["customer_id"]))
        state, reason, result = *_verdict(job, body), body.result
        if body.outcome == "done":
            try:
                async with connection.transaction():
                    result = await self._accept(connection, job, body.result)
            except Problem:
                await self.broke(connection, job, attempt, checkpointed=False)
                return
        billable = attempt["used_ms"]
        work = await self._close(connection, job, attempt, body.outcome, billable)
        settled = await self._billing.settle(connection, held_of(job), work, more=False)
        job |= _paid(job, settled) | {"result": result}
        await self._count(connection, job, attempt, billable, lost_ms=0, broke=False)
        await self.finish(connection, job, settled.held, state, reason)

    async def broke(self, connection: AsyncConnection, job: Row, attempt: Row, *, checkpointed: bool = True) -> None:
        """End an attempt that is lost: the time up to its checkpoint counts, the job goes on elsewhere from there.

        With `checkpointed` False nothing of it counts: what it made is not to be trusted.
        """
        await enter(connection, TenantScope(job["customer_id"]))
        billable = attempt["checkpoint_ms"] if checkpointed else 0
        lost_ms = attempt["used_ms"] - billable
        work = await self._close(connection, job, attempt, "broken", billable)
        held = held_of(job)
        if billable:
            settled = await self._billing.settle(connection, held, work, more=True)
            held = settled.held
            job |= _paid(job, settled)
        if lost_ms:
            lost = work._replace(start=attempt["started_at"] + timedelta(milliseconds=billable), ms=lost_ms)
            await self._billing.compensate(connection, held, lost)
        if not checkpointed:
            await store.delete_files(connection, job["id"], ["checkpoint"])
        await self._count(connection, job, attempt, billable, lost_ms, broke=True)
        job |= {"broken_at": [*job["broken_at"], attempt["offer_id"]]}
        change = {name: job[name] for name in (*_MONEY, "broken_at")} | {"held": stored(held)}
        await store.change_job(connection, job["id"], change)
        if job["cancel"]:
            await self._release(connection, job, held, "cancelled", _NOTHING)
        elif len(job["broken_at"]) >= MOST_BREAKS:
            await self._release(connection, job, held, "failed", _BROKE_OFTEN)
        else:
            safe = attempt["checkpoint"] if checkpointed else None
            share_left = 1 - safe["done"] / job["total"] if safe and job["total"] else 1.0
            if why := await self._placing.place_again(connection, job, share_left, held):
                await self._release(connection, job, held, "failed", why)

    async def waits_too_long(self, connection: AsyncConnection, job: Row) -> None:
        """Look after a job that nobody has fetched: elsewhere, if its offer no longer answers."""
        if late := waiting(job["not_before"], _planned_s(job), datetime.now(UTC)):
            await self.found(connection, job, 0, late)
        offers = await store.select_offers(connection, ALIVE_S, identity=job["offer_id"])
        gone = not (offers and offers[0]["alive"])
        if gone and await self._placing.place_again(connection, job, 1.0, held_of(job)) is None:
            return
        if job["deadline"] < datetime.now(UTC):
            await self._release(connection, job, held_of(job), "failed", _TOO_LATE)
        else:
            await store.change_job(connection, job["id"], {"placed_at": datetime.now(UTC)})

    async def found(self, connection: AsyncConnection, job: Row, attempt: int, finding: Finding) -> None:
        """Keep what is amiss with a job, and tell its owner the first time."""
        if not await monitoring.add_finding(connection, job, attempt, finding):
            return
        notice = Notice(
            title_en=f"Rented computing: {job['name']}",
            title_zh=f"租用算力：{job['name']}",
            body_en=finding.words.en,
            body_zh=finding.words.zh,
            link=f"/compute/jobs/{job['id']}",
            tone="warn",
            data={"kind": f"job.{finding.kind}", "job_id": str(job["id"])},
        )
        await enter(connection, TenantScope(job["customer_id"]))
        await self._notify.tell(connection, None, f"job:{job['id']}:{attempt}:{finding.kind}", notice)

    async def cancel(self, connection: AsyncConnection, job: Row) -> None:
        """Let a job end: one that waits at once, one that runs as soon as its worker hears of it."""
        if job["state"] == "queued":
            await self._release(connection, job, held_of(job), "cancelled", _NOTHING)
        else:
            await store.change_job(connection, job["id"], {"cancel": True})

    async def finish(self, connection: AsyncConnection, job: Row, held: Held, state: str, reason: Text) -> None:
        """Write down what became of a job, pay back what a voucher pays on proof, sign the receipt, tell the customer."""
        job |= {"state": state, "ended_at": datetime.now(UTC)}
        job["subsidy"] += await self._billing.reimburse(connection, held_of(job))
        if state != "done" and "fit_id" in job["subject"]:
            ended = "cancelled" if state == "cancelled" else "failed"
            await self._training.rented.end(connection, UUID(job["subject"]["fit_id"]), ended, reason)
        await store.delete_files(connection, job["id"], ["input", "checkpoint"])
        attempts = await store.select_attempts(connection, job["id"])
        charges = await self._billing.rows_of(connection, job["id"])
        files = await store.select_files(connection, job["id"], ["output"])
        outputs = {each["name"]: each["digest"] for each in files}
        text = receipt.compose(job, attempts, charges, outputs, public_text(self.key))
        change = {name: job[name] for name in ("state", "ended_at", *_MONEY, "result")} | {
            "held": stored(held),
            "reason_en": reason.en,
            "reason_zh": reason.zh,
            "receipt": text,
            "signature": signed(self.key, text.encode()),
        }
        await store.change_job(connection, job["id"], change)
        await self._notify.tell(connection, None, f"job:{job['id']}", _told(job, reason))
        await self._billing.warn_of_budget(connection)

    async def _release(self, connection: AsyncConnection, job: Row, held: Held, state: str, reason: Text) -> None:
        await self._billing.release(connection, held)
        await self.finish(connection, job, held._replace(cash=0, voucher=0, bank=()), state, reason)

    async def _accept(self, connection: AsyncConnection, job: Row, result: dict[str, Any]) -> Row:
        """Take what a job that is done has brought, and return its result; raises Invalid for what is not what was asked for."""
        files: dict[str, bytes] = {}
        for name in OUTPUTS[job["kind"]]:
            content = await store.select_content(connection, job["id"], "output", name)
            if content is None:
                raise Invalid(_INCOMPLETE)
            files[name] = content
        return await self._placing.orders.accept(connection, job, files, result)

    async def _close(self, connection: AsyncConnection, job: Row, attempt: Row, state: str, billable_ms: int) -> Work:
        """End an attempt and return what of it is billed."""
        lost = attempt["used_ms"] - billable_ms
        change = {"state": state, "billable_ms": billable_ms, "lost_ms": lost}
        await store.end_attempt(connection, attempt["job_id"], attempt["number"], change)
        (row,) = [
            each for each in await store.select_attempts(connection, job["id"]) if each["number"] == attempt["number"]
        ]
        terms = row["terms"]
        facts = {
            "job": job["name"],
            "provider": row["provider"],
            "code": row["code"],
            "region": terms["region"],
            "chip_requested": terms["chip"],
            "chip_used": attempt["chip"],
            "pue": terms["pue"],
            "green_share": terms["green_share"],
            "energy_method": "estimated",
            "ms": billable_ms,
            "queue_s": round((attempt["started_at"] - job["submitted_at"]).total_seconds(), 3),
        } | receipt.energy_of(terms, attempt["used_ms"], attempt["cpu_ms"], billable_ms)
        return Work(
            attempt["number"],
            attempt["provider_id"],
            attempt["started_at"],
            billable_ms,
            prices_of(terms),
            f"{job['name']}: {row['code']}",
            facts,
        )

    async def _count(
        self, connection: AsyncConnection, job: Row, attempt: Row, run_ms: int, lost_ms: int, *, broke: bool
    ) -> None:
        await enter(connection, TenantScope(attempt["provider_id"]))
        await store.count_run(connection, attempt["offer_id"], run_ms / 1000, lost_ms / 1000, broke=broke)
        await enter(connection, TenantScope(job["customer_id"]))


def _paid(job: Row, settled: Settled) -> Row:
    """Return what a job has come to with what was posted just now."""
    return {name: job[name] + getattr(settled, name) for name in _MONEY}


def _planned_s(job: Row) -> float:
    """Return for how long a job was to wait after its begin, by the plan it was placed by."""
    decision = job["decision"][-1]
    (plan,) = [each for each in decision["plans"] if each["code"] == decision["chosen"]]
    begins = datetime.fromisoformat(plan["begin"]) - datetime.fromisoformat(decision["at"])
    return max(0.0, float(plan["time_s"]) - float(plan["run_s"]) - begins.total_seconds())


def _verdict(job: Row, body: Ending) -> tuple[str, Text]:
    """Return what becomes of a job whose attempt ended in order, and why."""
    if body.outcome == "done":
        return "done", _NOTHING
    if job["cancel"]:
        return "cancelled", _NOTHING
    if body.outcome == "stopped":
        return "failed", _BUDGET
    return "failed", Text(body.reason_en, body.reason_zh or body.reason_en)


def _told(job: Row, reason: Text) -> Notice:
    words = {
        "done": Text("is done", "已完成"),
        "failed": Text("has failed", "失败"),
        "cancelled": Text("was cancelled", "已取消"),
    }[job["state"]]
    spent = f"{(job['cost'] - job['subsidy'] - job['prepaid']) / YUAN:,.2f}"
    return Notice(
        title_en=f"Rented computing: {job['name']} {words.en}",
        title_zh=f"租用算力：{job['name']} {words.zh}",
        body_en=f"{spent} yuan. {reason.en}".strip(),
        body_zh=f"费用 {spent} 元。{reason.zh}".strip(),
        link=f"/compute/jobs/{job['id']}",
        tone="good" if job["state"] == "done" else "warn",
        data={"kind": "job.ended", "job_id": str(job["id"]), "state": job["state"]},
    )
