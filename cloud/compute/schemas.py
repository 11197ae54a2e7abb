"""What the compute domain takes and gives. Money is yuan, times are UTC."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.billing.schemas import Charge, Yuan
from cloud.core.instants import Instant

JobKind = Literal["fit", "inspect", "evaluate", "backfill", "python"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Outcome = Literal["done", "failed", "stopped", "broken"]
Chip = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Region = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{1,15}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MOST_PARAMETERS = 65_536
MOST_STEPS = 200_000
"""Rows of a back-fill: 55 hours at one a second, 4 months at one a minute."""
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
    network: bool = Field(False, description="Foreign code (kind python) may reach your network where its task asks.")


class OfferChange(_Closed):
    """What of an offer is to be otherwise from now on; what is left out stays. Jobs that were placed keep their terms.

    `paused`: it takes no new jobs.
    """

    prices: Annotated[list[HourPrice], Field(min_length=1, max_length=24)] | None = None
    mbps: float | None = Field(None, gt=0, le=1e6)
    green_share: float | None = Field(None, ge=0, le=1)
    takes_hours: bool | None = None
    network: bool | None = None
    paused: bool | None = None


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
    version: int = Field(description="Of the terms.")
    paused: bool = Field(description="It takes no new jobs now.")
    alive: bool
    proven: bool
    busy: bool
    speed: float | None
    provider_name: str | None
    refused: dict[str, str]
    no_walls: str | None = Field(description='Why it runs no foreign code; "" where its walls are proven.')
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


class Backfill(_Closed):
    """A health model over stored readings.

    Attributes:
        model_id: of a version under Models.
        equipment_id: what gets the scores, as points "score" and "verdict".
        sensors: the series that is each sensor of the model, in the same unit.
        period_s: the spacing of the rows the model learnt from.
        hold_s: for how long a reading holds when none follows.
    """

    model_id: UUID
    equipment_id: UUID
    sensors: Annotated[dict[Annotated[str, Field(max_length=200)], int], Field(min_length=1, max_length=200)]
    start: Instant
    end: Instant
    period_s: float = Field(1.0, ge=0.1, le=3600)
    hold_s: float = Field(3600.0, ge=0.1, le=604_800)

    @property
    def steps(self) -> int:
        """How many rows there are."""
        return math.ceil((self.end - self.start).total_seconds() / self.period_s)

    @model_validator(mode="after")
    def _bounded(self) -> Backfill:
        if self.start >= self.end:
            raise ValueError("start has to be before end / 开始时间须早于结束时间")
        if self.steps > MOST_STEPS:
            raise ValueError(f"more than {MOST_STEPS} rows; take a shorter time / 超过 {MOST_STEPS} 行，请缩短时间范围")
        return self


class PythonRun(_Closed):
    """A function of a signed archive; archive and inputs were uploaded before, by their SHA-256.

    Attributes:
        entry: module and function, called with a `models.archive_child.Job`.
        work_s: how long it takes where speed is 1, as far as you know: the quote rests on it. time_s: it is ended after so long.
        network: it is to have a network; only offers that give it one will do then.
    """

    archive: Digest
    entry: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=200)] = "entry:main"
    inputs: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")], Digest], Field(max_length=500)
    ] = {}
    parameters: dict[str, Any] = {}
    work_s: float = Field(60, gt=0, le=604_800)
    time_s: float = Field(3600, ge=1, le=604_800)
    memory_gb: float = Field(2, ge=0.5, le=256)
    disk_mb: int = Field(256, ge=1, le=16_384)
    network: bool = False

    @model_validator(mode="after")
    def _small(self) -> PythonRun:
        if len(json.dumps(self.parameters)) > MOST_PARAMETERS:
            raise ValueError("parameters are above 64 KiB; give them as an input / 参数超过 64 KiB，请改为输入文件")
        return self


class Upload(BaseModel):
    """A file that was uploaded for jobs; it stays for 30 days after it was last used."""

    digest: Digest
    size: int


class JobRequest(_Closed):
    """What is to be computed, until when and for how much."""

    kind: JobKind
    set_id: UUID | None = Field(
        None, description="The pictures: learnt from by a fit, looked at by an inspection or an evaluation."
    )
    version_id: UUID | None = Field(None, description="The model an inspection uses, or an evaluation judges.")
    backfill: Backfill | None = Field(None, description="What a back-fill follows.")
    python: PythonRun | None = Field(None, description="What of whose program is run.")
    deadline: Instant
    budget: Yuan
    privacy: Literal["raw", "stays"] = Field("raw", description="stays: pictures do not leave your own offers.")
    regions: Annotated[list[Region], Field(max_length=50)] = []
    carbon: float = Field(0.0, ge=0, le=1000, description="What a kg of CO2 weighs in the decision, yuan.")
    offer: str | None = Field(None, max_length=80, description="Code of an offer; the best one unless told.")
    offer_version: int | None = Field(
        None, ge=1, lt=2**31, description="Of its terms as they were quoted; the newest else."
    )
    use_voucher: bool = True

    @property
    def pictures(self) -> UUID:
        """The set."""
        assert self.set_id is not None  # noqa: S101 - as has been validated
        return self.set_id

    @model_validator(mode="after")
    def _about_something(self) -> JobRequest:
        about = {"backfill": self.backfill, "python": self.python}
        if [kind for kind, given in about.items() if given is not None] != [
            kind for kind in about if kind == self.kind
        ] or (self.kind in about) == (self.set_id is not None):
            raise ValueError(
                "a backfill takes backfill, python python, all else set_id"
                " / 回填须给出 backfill，python 须给出 python，其他任务须给出 set_id"
            )
        return self

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
    version: int = Field(
        description="Of the offer's terms; named with the job they hold for 15 minutes after they changed."
    )
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
    reserved_h: float = Field(description="Prepaid hours - of a core or a card - that are reserved for it now.")
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
