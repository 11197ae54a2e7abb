"""What the compute domain takes and gives. Money is yuan, times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.billing.schemas import Charge, Yuan
from cloud.core.instants import Instant

JobKind = Literal["fit", "inspect"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Outcome = Literal["done", "failed", "stopped", "broken"]
Chip = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Region = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,15}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HourPrice(_Closed):
    """A price per hour that holds from an hour of the day (UTC+8) on, up to the next one."""

    from_hour: int = Field(ge=0, le=23)
    yuan_per_hour: float = Field(ge=0, le=1_000_000)


class OfferTerms(_Closed):
    """What a provider offers.

    Attributes:
        chip: "cpu", or a family and a model as "ascend-910b", "cuda-a10"; the family is what a probe has to prove.
        kw: IT power at work. pue: of the building. grid_kg_per_kwh: by location, 0.5306 is China's of 2023.
        mbps: slow end (10 %) of its bandwidth.
        takes_hours: prepaid hours of its chip pay here, too: for each, what its customer has bought it for.
    """

    region: Region
    chip: Chip = "cpu"
    chip_origin: Literal["domestic", "other"] = "other"
    prices: Annotated[list[HourPrice], Field(min_length=1, max_length=24)]
    cores: int = Field(1, ge=1, le=1024)
    memory_gb: float = Field(4, gt=0, le=65_536)
    mbps: float = Field(100, gt=0, le=1e6)
    kw: float = Field(0.0, ge=0, le=1000)
    pue: float = Field(1.5, ge=1, le=5)
    grid_kg_per_kwh: float = Field(0.5306, ge=0, le=2)
    green_share: float = Field(0.0, ge=0, le=1)
    takes_hours: bool = False


class GreenIndex(BaseModel):
    """The index with its parts; see `cloud.compute.green`."""

    score: float
    cue: float
    pue_part: float
    share_part: float
    cue_part: float
    utilisation: float


class Offer(BaseModel):
    """Computing power that can be had.

    Attributes:
        alive: its worker has been heard of within the last ten seconds.
        proven: a probe has shown that it computes by the chip it names; `refused` says why other providers were not.
        speed: reference seconds of work per second, from the probe.
        busy: a job runs there.
    """

    id: UUID
    code: str
    provider: str
    own: bool
    terms: OfferTerms
    alive: bool
    proven: bool
    busy: bool
    speed: float | None
    provider_name: str | None
    refused: dict[str, str]
    price_now: float
    failures_per_hour: float
    jobs: int
    breaks: int
    green: GreenIndex
    opened_at: datetime
    closed_at: datetime | None


class OfferMade(BaseModel):
    """A new offer, and the token its worker starts with; it is shown once."""

    offer: Offer
    token: str


class JobRequest(_Closed):
    """What is to be computed, until when and for how much."""

    kind: JobKind
    set_id: UUID = Field(description="The pictures: learnt from by a fit, looked at by an inspection.")
    version_id: UUID | None = Field(None, description="The model an inspection uses.")
    deadline: Instant
    budget: Yuan
    privacy: Literal["raw", "stays"] = Field("raw", description="stays: pictures do not leave your own offers.")
    regions: Annotated[list[Region], Field(max_length=50)] = []
    carbon: float = Field(0.0, ge=0, le=1000, description="What a kg of CO2 weighs in the decision, yuan.")
    offer: str | None = Field(None, max_length=80, description="Code of an offer; the best one unless told.")
    use_voucher: bool = True
    offline_h: float = Field(
        0, ge=0, le=72, description="The worker may be without a link for so long; nobody else gets the job meanwhile."
    )
    stop_idle_s: int | None = Field(
        None, ge=120, le=604_800, description="End the job once it has been idle for so long; null: it is only told."
    )
    use_hours: bool = Field(True, description="Prepaid hours go before a voucher, and that before cash.")


class Plan(BaseModel):
    """What an offer would come to. `time_s`: until 95 % of runs are done.

    `cost` is by the offer's prices: `prepaid` of it is what `prepaid_s` of the run would, which hours pay that are bought already;
    of the rest `subsidy` is the voucher's, and `own` cash.
    """

    code: str
    provider: str
    begin: datetime
    time_s: float
    run_s: float
    cost: float
    subsidy: float
    programme: str
    own: float
    energy_kwh: float
    carbon_kg: float
    market_kg: float
    prepaid: float = 0.0
    prepaid_s: float = 0.0


class Rejection(BaseModel):
    """An offer that will not do, and why."""

    code: str
    reason_en: str
    reason_zh: str


class Quote(BaseModel):
    """What every offer would come to, the best first, and why others will not do."""

    work_s: float
    plans: list[Plan]
    rejected: list[Rejection]
    nearest: str | None


class Attempt(BaseModel):
    """One run of a job at one offer. `billable_s`: verified; `lost_s`: computed, but after what was safe - `saved` items."""

    number: int
    code: str
    provider: str
    state: Literal["running", "done", "failed", "stopped", "broken"]
    chip: str
    beats: int
    used_s: float
    billable_s: float
    lost_s: float
    saved: int
    started_at: datetime
    ended_at: datetime | None


class Job(BaseModel):
    """A job as its customer and its provider see it."""

    id: UUID
    customer: str
    own: bool = Field(description="You are the customer; else it runs at an offer of yours.")
    name: str
    kind: JobKind
    subject: dict[str, Any]
    state: JobState
    cancelling: bool
    code: str
    provider: str
    not_before: datetime
    deadline: datetime
    stage: str
    done: int
    total: int
    cap: float
    cost: float
    subsidy: float
    prepaid: float = Field(description="What of the cost prepaid hours have paid.")
    result: dict[str, Any] | None
    reason_en: str
    reason_zh: str
    submitted_by: str
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    has_receipt: bool


class JobFinding(BaseModel):
    """Something amiss with a job, with its evidence in words; `attempt` 0 while it waits."""

    attempt: int
    kind: Literal["idle", "stuck", "queue", "chip"]
    words_en: str
    words_zh: str
    at: datetime


class JobUse(BaseModel):
    """What an attempt has used `used_s` after its begin: cores at work since the sample before, memory, the accelerator's percent."""

    attempt: int
    used_s: float
    cores: float
    memory_mb: int
    accelerator: float | None
    done: int


class LogLine(BaseModel):
    """A line that a job's child has written."""

    id: int
    attempt: int
    at: datetime
    line: str


class Report(_Closed):
    """What a worker tells beside its beats: lines of the child, the first with its number, and what it uses now."""

    first: int = Field(ge=1, lt=2**31)
    lines: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=200)] = []
    memory_mb: int = Field(0, ge=0, lt=2**31)
    accelerator: float | None = Field(None, ge=0, le=100)


class Quota(BaseModel):
    """What a company has open - jobs that wait or run, yuan reserved for them - and may have."""

    open_jobs: int
    open_budget: float | None
    jobs: int
    reserved: float


class QuotaInUse(Quota):
    """The same of a company, as the operator of the market sees it."""

    company: str
    credit_code: str | None


class QuotaSet(_Closed):
    """What a company may have open; no budget: no limit but its own."""

    credit_code: Annotated[str, Field(pattern=r"^[0-9A-HJ-NP-RTUW-Y]{18}$")]
    open_jobs: int = Field(50, ge=0, le=10_000)
    open_budget: Yuan | None = None


class JobDetail(BaseModel):
    """A job with its decisions, attempts, rows of the bill, what was amiss, and the files that came out."""

    job: Job
    decisions: list[dict[str, Any]]
    attempts: list[Attempt]
    charges: list[Charge]
    findings: list[JobFinding]
    outputs: list[str]


class Hello(_Closed):
    """What a worker says when it starts: its key, and what its probe has found."""

    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    provider: Annotated[str, Field(max_length=80)]
    speed: float = Field(gt=0, le=1e6)
    refused: dict[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=500)]] = {}


class Welcome(BaseModel):
    """What a worker is told: which offer it works for, whether its chip is proven, and the platform's key."""

    code: str
    chip: str
    proven: bool
    platform_key: str
    beat_s: float
    lease_s: float


class WorkFile(BaseModel):
    """A file of a job."""

    kind: Literal["input", "checkpoint", "output"]
    name: str
    digest: Digest
    size: int


class Lease(BaseModel):
    """A job for a worker: what its child is asked to do, and the files; a checkpoint takes up where another one was cut off."""

    job_id: UUID
    attempt: int
    name: str
    orders: dict[str, Any]
    files: list[WorkFile]
    offline_s: int = Field(
        0, description="For how long it may be worked on without a link; beats are presented later then."
    )
    most_ms: int | None = Field(None, description="For how long what is reserved is sure to pay.")


class BeatRequest(_Closed):
    """A beat and the worker's signature of its hash; see `cloud.compute.metering`."""

    body: Annotated[str, Field(max_length=2000)]
    signature: Annotated[str, Field(max_length=100)]


class Ack(BaseModel):
    """The platform's word on a beat: its hash, signed; and whether, and why, the worker has to stop."""

    seq: int
    hash: str
    signature: str
    stop: Literal["", "cancelled", "budget"] = ""


class Records(_Closed):
    """Beats that were worked without a link, in any order."""

    records: Annotated[list[BeatRequest], Field(max_length=200)]


class Presented(BaseModel):
    """What became of them: the last beat's acknowledgement, and how many wait for one before them. `over`: they count nothing."""

    ack: Ack | None
    over: bool
    waiting: int


class Ending(_Closed):
    """What became of an attempt; `result` is what the child said came out."""

    outcome: Outcome
    result: dict[str, Any] = {}
    reason_en: Annotated[str, Field(max_length=1000)] = ""
    reason_zh: Annotated[str, Field(max_length=1000)] = ""


class Ended(BaseModel):
    """What the platform made of it: the time that counts."""

    state: JobState
    billable_s: float
