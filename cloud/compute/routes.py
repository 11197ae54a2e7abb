"""HTTP of computing: what is offered, jobs, and what workers ask and say."""

from __future__ import annotations

from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from cloud.compute.archives import MOST_UPLOAD_BYTES
from cloud.compute.running import MOST_FILE_BYTES
from cloud.compute.schemas import (
    FileName,
    Job,
    JobDetail,
    JobKind,
    JobRequest,
    JobState,
    JobUse,
    LogLine,
    Offer,
    OfferChange,
    OfferMade,
    OfferTerms,
    Quota,
    QuotaInUse,
    QuotaSet,
    Quote,
    Upload,
)
from cloud.compute.service import Compute, JobFilter
from cloud.compute.serving_schemas import Callers, OpinionReport, Serving, ServingMade, ServingRequest
from cloud.compute.worker_schemas import (
    Ack,
    BeatRequest,
    Ended,
    Ending,
    Hello,
    Lease,
    Presented,
    Records,
    Report,
    Welcome,
    WorkFile,
)
from cloud.core.access import PUBLIC, Admin, Reader, WorkerCaller
from cloud.core.instants import Instant
from cloud.core.paging import Aged

router = APIRouter(prefix="/api/v1/compute", tags=["compute"])

UPLOADS = {"/api/v1/compute/worker/files": MOST_FILE_BYTES, "/api/v1/compute/uploads": MOST_UPLOAD_BYTES}
"""Paths that take more than a body usually may have."""
MOST_WAIT_S = 20.0


def compute_of(request: Request) -> Compute:
    """Return the running cloud's computing."""
    return cast(Compute, request.app.state.compute)


ComputeDoor = Annotated[Compute, Depends(compute_of)]
Before = Annotated[UUID | None, Query(description="The id of the last one seen.")]
Number = Annotated[int, Query(ge=1, lt=2**31, description="Which attempt of the job.")]
_BYTES: dict[int | str, dict[str, object]] = {200: {"content": {"application/octet-stream": {}}}}
_NONE: dict[int | str, dict[str, object]] = {204: {"description": "There is nothing to do now."}}


@router.get("/offers")
async def list_offers(
    principal: Reader, compute: ComputeDoor, own: Annotated[bool, Query(description="Yours, closed ones too.")] = False
) -> list[Offer]:
    """Computing power that can be had: chip, measured speed, price, reliability, green index."""
    return await compute.desk.offers(principal.scope, own=own)


@router.post("/offers", status_code=201)
async def open_offer(principal: Admin, compute: ComputeDoor, body: OfferTerms) -> OfferMade:
    """Offer computing power. The token is for the worker (`sunmao-cloud compute work`) and is shown once."""
    return await compute.desk.open(principal, body)


@router.patch("/offers/{offer_id}")
async def change_offer(principal: Admin, compute: ComputeDoor, offer_id: UUID, body: OfferChange) -> Offer:
    """Let other prices or terms of an offer hold from now on, or pause it; jobs that were placed keep theirs."""
    return await compute.desk.change(principal, offer_id, body)


@router.delete("/offers/{offer_id}", status_code=204)
async def close_offer(principal: Admin, compute: ComputeDoor, offer_id: UUID) -> None:
    """Take an offer back; its worker's token ends at once."""
    await compute.desk.close(principal, offer_id)


@router.post("/uploads", status_code=201)
async def upload_file(request: Request, principal: Admin, compute: ComputeDoor) -> Upload:
    """Keep a signed archive, or an input of one, by its SHA-256; the body is the file. It goes when unused for 30 days."""
    return await compute.uploads.put(principal, await request.body())


@router.get("/uploads")
async def list_uploads(principal: Reader, compute: ComputeDoor) -> list[Upload]:
    """What your company has uploaded for jobs, last used first."""
    return await compute.uploads.all(principal.scope)


@router.post("/quotes")
async def quote_job(principal: Reader, compute: ComputeDoor, body: JobRequest) -> Quote:
    """What every offer would come to - time, money, voucher, carbon - and why others will not do. Nothing is spent."""
    return await compute.placing.quote(principal, body)


@router.get("/jobs")
async def list_jobs(
    principal: Reader,
    compute: ComputeDoor,
    older: Aged,
    *,
    side: Annotated[Literal["customer", "provider"], Query(description="Yours, or those at your offers.")] = "customer",
    state: JobState | None = None,
    kind: JobKind | None = None,
    partner: Annotated[
        str,
        Query(
            max_length=200,
            description="The other side's name: the provider of yours, the customer of those at your offers.",
        ),
    ] = "",
    start: Annotated[Instant | None, Query(description="Submitted then or later.")] = None,
    end: Annotated[Instant | None, Query(description="Submitted before.")] = None,
    before: Before = None,
) -> list[Job]:
    """Jobs, newest first, 100 at a time."""
    wanted = JobFilter(state, kind, partner, start, end)
    found = await compute.jobs(principal.scope, before, own=side == "customer", wanted=wanted)
    return older.after(found, 100, lambda one: one.id)


@router.post("/jobs", status_code=201)
async def submit_job(principal: Admin, compute: ComputeDoor, body: JobRequest) -> Job:
    """Reserve what a job may cost at most, and place it at the best offer or the one named."""
    return await compute.submit(principal, body)


@router.get("/jobs/{job_id}")
async def get_job(principal: Reader, compute: ComputeDoor, job_id: UUID) -> JobDetail:
    """A job with its decisions, attempts, rows of the bill, and what came out."""
    return await compute.job(principal.scope, job_id)


@router.post("/jobs/{job_id}/cancellation")
async def cancel_job(principal: Admin, compute: ComputeDoor, job_id: UUID) -> Job:
    """Let a job end. What has been computed until its worker hears of it is billed."""
    return await compute.cancel(principal, job_id)


@router.get("/jobs/{job_id}/outputs/{name}", response_class=Response, responses=_BYTES)
async def get_output(
    principal: Reader, compute: ComputeDoor, job_id: UUID, name: Annotated[FileName, Path()]
) -> Response:
    """A file that came out of a job."""
    content = await compute.output(principal.scope, job_id, name)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/jobs/{job_id}/receipt", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def get_job_receipt(principal: Reader, compute: ComputeDoor, job_id: UUID) -> Response:
    """The signed receipt of an ended job; `sunmao-cloud compute verify-receipt FILE` verifies it anywhere."""
    content = await compute.receipt(principal.scope, job_id)
    headers = {"Content-Disposition": f'attachment; filename="receipt-{job_id}.json"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)


@router.get("/jobs/{job_id}/beats", response_class=Response, responses={200: {"content": {"application/jsonl": {}}}})
async def get_beats(principal: Reader, compute: ComputeDoor, job_id: UUID, attempt: Number) -> Response:
    """Every beat of an attempt with its hash and the worker's signature, as JSON lines."""
    content = await compute.beats(principal.scope, job_id, attempt)
    return Response(content, media_type="application/jsonl", headers={"Cache-Control": "no-store"})


@router.get("/jobs/{job_id}/log")
async def get_log(
    principal: Reader,
    compute: ComputeDoor,
    job_id: UUID,
    after: Annotated[int, Query(ge=0, lt=2**63, description="The id of the last line seen.")] = 0,
) -> list[LogLine]:
    """What a job's child has written, at most the last 1,000 lines of the 2,000 that are kept."""
    return await compute.monitor.log(principal.scope, job_id, after)


@router.get("/jobs/{job_id}/use")
async def get_use(principal: Reader, compute: ComputeDoor, job_id: UUID) -> list[JobUse]:
    """What a job's attempts have used: cores at work, memory, the accelerator."""
    return await compute.monitor.use(principal.scope, job_id)


@router.get("/quota")
async def get_quota(principal: Reader, compute: ComputeDoor) -> Quota:
    """What your company has open, and may have."""
    return await compute.quotas.quota(principal.scope)


@router.get("/quotas")
async def list_quotas(principal: Admin, compute: ComputeDoor) -> list[QuotaInUse]:
    """What companies have open and may have; the operator's."""
    return await compute.quotas.quotas(principal.scope)


@router.put("/quotas", status_code=204)
async def set_quota(principal: Admin, compute: ComputeDoor, body: QuotaSet) -> None:
    """Say what a company may have open; the operator's. Jobs that are open already go on."""
    await compute.quotas.set_quota(principal, body)


@router.get("/servings")
async def list_servings(
    principal: Reader,
    compute: ComputeDoor,
    side: Annotated[Literal["customer", "provider"], Query(description="Yours, or those at your offers.")] = "customer",
) -> list[Serving]:
    """Second opinions that are metered: what is reserved for them, what was answered, what they cost; newest first."""
    return await compute.servings.all(principal.scope, own=side == "customer")


@router.post("/servings", status_code=201)
async def open_serving(principal: Admin, compute: ComputeDoor, body: ServingRequest) -> ServingMade:
    """Reserve money for second opinions at an offer. The token is for the boxes (`[inspection.remote]`) and is shown once."""
    return await compute.servings.open(principal, body)


@router.delete("/servings/{serving_id}")
async def end_serving(principal: Admin, compute: ComputeDoor, serving_id: UUID) -> Serving:
    """Book what was answered and give back what is left."""
    return await compute.servings.end(principal, serving_id)


@router.get("/key", openapi_extra=PUBLIC)
async def get_platform_key(compute: ComputeDoor) -> dict[str, str]:
    """The public key (Ed25519, base64) that receipts and acknowledgements are signed with."""
    return {"public_key": compute.public_key}


@router.post("/worker/hello")
async def greet(worker: WorkerCaller, compute: ComputeDoor, body: Hello) -> Welcome:
    """A worker starts: its key, and what its probe has found."""
    return await compute.desk.hello(worker, body)


@router.post("/worker/lease", response_model=None, responses={200: {"model": Lease}, **_NONE})
async def lease_job(
    request: Request,
    worker: WorkerCaller,
    compute: ComputeDoor,
    wait_s: Annotated[float, Query(ge=0, le=MOST_WAIT_S)] = MOST_WAIT_S,
) -> Lease | Response:
    """The worker's next job, waited for; 204 if none comes. A worker that asks while its job runs has lost that one."""
    found = await compute.running.lease(worker, wait_s, request.is_disconnected)
    return found if found else Response(status_code=204)


@router.post("/worker/beats")
async def acknowledge_beat(
    worker: WorkerCaller, compute: ComputeDoor, job_id: UUID, attempt: Number, body: BeatRequest
) -> Ack:
    """Acknowledge a beat of a job: its hash, signed. 409: the attempt is over."""
    return await compute.running.beat(worker, job_id, attempt, body)


@router.post("/worker/records")
async def present_records(
    worker: WorkerCaller, compute: ComputeDoor, job_id: UUID, attempt: Number, body: Records
) -> Presented:
    """Beats of a job that were worked without a link, in any order and as often as you like; each counts once, in its turn."""
    return await compute.presenting.present(worker, job_id, attempt, body)


@router.post("/worker/report", status_code=204)
async def keep_report(worker: WorkerCaller, compute: ComputeDoor, job_id: UUID, attempt: Number, body: Report) -> None:
    """What a job's child has written and uses. A report that is lost is not asked for again. 409: the attempt is over."""
    await compute.monitor.report(worker, job_id, attempt, body)


@router.get("/worker/files", response_class=Response, responses=_BYTES)
async def fetch_file(
    worker: WorkerCaller,
    compute: ComputeDoor,
    *,
    job_id: UUID,
    attempt: Number,
    kind: Literal["input", "checkpoint"],
    name: FileName,
) -> Response:
    """A file of the worker's job."""
    content = await compute.running.file(worker, job_id, attempt, kind, name)
    return Response(content, media_type="application/octet-stream")


@router.put("/worker/files")
async def keep_file(
    request: Request,
    worker: WorkerCaller,
    compute: ComputeDoor,
    *,
    job_id: UUID,
    attempt: Number,
    kind: Literal["checkpoint", "output"],
    name: FileName,
) -> WorkFile:
    """Keep what the worker's job brought; the body is the file."""
    return await compute.running.put(worker, job_id, attempt, (kind, name, await request.body()))


@router.post("/worker/opinions")
async def count_opinions(worker: WorkerCaller, compute: ComputeDoor, body: OpinionReport) -> Callers:
    """What a server of the offer has answered, in numbers that only grow; told again it counts once. Returns who may ask."""
    return await compute.servings.report(worker, body)


@router.post("/worker/end")
async def end_attempt(worker: WorkerCaller, compute: ComputeDoor, job_id: UUID, attempt: Number, body: Ending) -> Ended:
    """An attempt is over: done, failed by the job's own fault, stopped as asked, or broken by the worker's."""
    return await compute.running.end(worker, job_id, attempt, body)
