"""The door of the compute domain.

offers = await compute.desk.offers(scope)                -> list[Offer]; made = await compute.desk.open(principal, terms)
upload = await compute.uploads.put(principal, content)   -> Upload: an archive or an input of one, by its SHA-256
quote = await compute.placing.quote(principal, body)     -> Quote: what every offer would come to; nothing is spent
job = await compute.submit(principal, body)              -> Job: the money is reserved, the job placed
page = await compute.jobs(scope, wanted=JobFilter("failed"))     -> list[Job]; detail = await compute.job(scope, job_id)
job = await compute.cancel(principal, job_id)            -> Job
text = await compute.receipt(scope, job_id)              -> what `receipt.verify` proves, anywhere

lines = await compute.monitor.log(scope, job_id, after=0) -> list[LogLine]; what it uses: `monitor.use`
made = await compute.servings.open(principal, body)      -> ServingMade: second opinions at an offer, metered
quota = await compute.quotas.quota(scope)               -> Quota: what the company has open, and may have

What workers ask and say goes through `compute.running` and `compute.monitor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cloud.billing.service import HOUR_MS, YUAN, Billing
from cloud.compute import store
from cloud.compute.archives import Uploads
from cloud.compute.ending import Ender
from cloud.compute.metering import public_text
from cloud.compute.monitor import Monitor
from cloud.compute.offers import OfferDesk
from cloud.compute.orders import Orders
from cloud.compute.placing import Placing
from cloud.compute.presenting import Presenting
from cloud.compute.quotas import Quotas
from cloud.compute.running import Running
from cloud.compute.schemas import Attempt, Job, JobDetail, JobFinding, JobKind, JobRequest, JobState
from cloud.compute.serving_schemas import Serving, ServingRequest
from cloud.compute.servings import Servings
from cloud.compute.store import monitoring
from cloud.compute.store.jobs import select_jobs, select_partners
from cloud.core import audit
from cloud.core.audit import canonical
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, NotFound
from cloud.core.listen import Listener
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.core.settings import Secrets
from cloud.notify.service import Notify
from cloud.registry.service import Registry
from cloud.telemetry.service import Telemetry
from cloud.training.service import Training
from protocols.text import Text

__all__ = ["Compute", "ComputeDoors", "Serving", "ServingRequest"]

_PAGE = 100
_MOST_PARTNERS = 500
_MONEY = ("cap", "cost", "subsidy", "prepaid")
_ENDED = Text("This job has ended.", "该作业已结束。")
_RUNS = Text("The receipt is signed when the job has ended.", "凭据在作业结束后签发。")


class ComputeDoors(NamedTuple):
    """The domains that jobs are about, and by which people are told."""

    training: Training
    registry: Registry
    telemetry: Telemetry
    notify: Notify


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted: submitted in [start, end), in one state, of one kind. None means all.

    `partner` is the name of the other side: of the provider of one's own jobs, of the customer of those at one's offers.
    """

    state: JobState | None = None
    kind: JobKind | None = None
    partner: str = ""
    start: datetime | None = None
    end: datetime | None = None


class Compute:
    """Rented computing, from the offer to the receipt."""

    def __init__(self, db: Database, listener: Listener, keys: Secrets, billing: Billing, doors: ComputeDoors) -> None:
        training, notify = doors.training, doors.notify
        self._db, self._billing = db, billing
        self.desk = OfferDesk(db, keys)
        self.uploads = Uploads(db)
        self.placing = Placing(db, billing, Orders(training, doors.registry, doors.telemetry, self.uploads))
        self._ender = Ender(billing, training, notify, self.placing, keys)
        self.running = Running(db, listener, training, self._ender)
        self.presenting = Presenting(db, self.running)
        self.monitor = Monitor(db, self.running, self._ender)
        self.quotas = Quotas(db)
        self.servings = Servings(db, billing, notify)

    @property
    def public_key(self) -> str:
        """The key that receipts are verified with, base64."""
        return public_text(self._ender.key)

    async def submit(self, principal: Principal, body: JobRequest) -> Job:
        """Reserve and place a job; raises as `Placing.submit`."""
        identity = await self.placing.submit(principal, body)
        return (await self.job(principal.scope, identity)).job

    async def jobs(
        self,
        scope: TenantScope,
        before: UUID | None = None,
        *,
        own: bool = True,
        wanted: JobFilter | None = None,
        limit: int = _PAGE,
    ) -> list[Job]:
        """Return the wanted ones of the company's jobs, or with `own` False of those at its offers; newest first."""
        asked, ids = wanted or JobFilter(), None
        if asked.partner:
            named = (await self.partners(scope, own=own)).items()
            ids = [identity for identity, name in named if name == asked.partner]
        async with self._db.tenant(scope) as connection:
            rows = await select_jobs(
                connection,
                own=own,
                state=asked.state,
                kind=asked.kind,
                partners=ids,
                start=asked.start,
                end=asked.end,
                before=before,
                limit=limit,
            )
        return [_seen(row) for row in rows]

    async def partners(self, scope: TenantScope, *, own: bool = True) -> dict[UUID, str]:
        """Return the names of the providers of the company's jobs, or with `own` False of the customers of those at its offers."""
        async with self._db.tenant(scope) as connection:
            rows = await select_partners(connection, _MOST_PARTNERS, own=own)
        return {row["id"]: _chosen(row)["provider"] if own else row["customer"] for row in rows}

    async def job(self, scope: TenantScope, identity: UUID) -> JobDetail:
        """Return a job with its decisions, attempts, rows and outputs; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            row = await _job(connection, identity)
            attempts = await store.select_attempts(connection, identity)
            outputs = await store.select_files(connection, identity, ["output"])
            amiss = await monitoring.select_findings(connection, identity)
        return JobDetail(
            job=_seen(row),
            decisions=row["decision"],
            attempts=[_attempt(each) for each in attempts],
            charges=await self._billing.charges(scope, identity),
            findings=[JobFinding(**each) for each in amiss],
            outputs=[each["name"] for each in outputs],
        )

    async def cancel(self, principal: Principal, identity: UUID) -> Job:
        """Let a job end; raises NotFound for another's, Conflict if it has ended."""
        async with self._db.tenant(principal.scope) as connection:
            row = await _job(connection, identity, lock=True)
            if not row["own"]:
                raise NotFound
            if row["state"] not in ("queued", "running"):
                raise Conflict(_ENDED)
            await self._ender.cancel(connection, row)
            await audit.record(connection, principal.actor, "job.cancel", str(identity))
        return (await self.job(principal.scope, identity)).job

    async def output(self, scope: TenantScope, identity: UUID, name: str) -> bytes:
        """Return a file that came out of a job; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _job(connection, identity)
            content = await store.select_content(connection, identity, "output", name)
        if content is None:
            raise NotFound
        return content

    async def receipt(self, scope: TenantScope, identity: UUID) -> str:
        """Return the signed receipt of an ended job as a file; raises NotFound, Conflict before the end."""
        async with self._db.tenant(scope) as connection:
            await _job(connection, identity)
            row = await store.select_receipt(connection, identity)
        if row is None or row["receipt"] is None:
            raise Conflict(_RUNS)
        return canonical({"receipt": row["receipt"], "signature": row["signature"]}) + "\n"

    async def beats(self, scope: TenantScope, identity: UUID, number: int) -> str:
        """Return the chain of beats of an attempt as JSON lines; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _job(connection, identity)
            rows = await store.select_beats(connection, identity, number)
        if not rows:
            raise NotFound
        return "".join(canonical(row) + "\n" for row in rows)


async def _job(connection: AsyncConnection, identity: UUID, *, lock: bool = False) -> Row:
    row = await store.select_job(connection, identity, lock=lock)
    if row is None:
        raise NotFound
    return row


def _seen(row: Row) -> Job:
    plan = _chosen(row)
    return Job(
        **{name: row[name] for name in Job.model_fields if name in row and name not in _MONEY},
        **{name: row[name] / YUAN for name in _MONEY},
        cancelling=row["cancel"],
        reserved_h=sum(part["hours"] for part in row["held"].get("bank", ())) / HOUR_MS,
        code=plan["code"],
        provider=plan["provider"],
    )


def _chosen(row: Row) -> Row:
    decision = row["decision"][-1]
    (plan,) = [each for each in decision["plans"] if each["code"] == decision["chosen"]]
    return dict(plan)


def _attempt(row: Row) -> Attempt:
    return Attempt(
        **{
            name: row[name]
            for name in ("number", "code", "provider", "state", "chip", "beats", "started_at", "ended_at")
        },
        used_s=row["used_ms"] / 1000,
        billable_s=row["billable_ms"] / 1000,
        lost_s=row["lost_ms"] / 1000,
        saved=row["checkpoint"]["done"] if row["checkpoint"] else 0,
    )
