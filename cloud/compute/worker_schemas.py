"""What workers ask and say, and what they are told. Times are seconds or milliseconds, as the name says."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.compute.schemas import Digest, JobState, Outcome


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Report(_Closed):
    """What a worker tells beside its beats: lines of the child, the first with its number, and what it uses now."""

    first: int = Field(ge=1, lt=2**31)
    lines: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=200)] = []
    memory_mb: int = Field(0, ge=0, lt=2**31)
    accelerator: float | None = Field(None, ge=0, le=100)


class Ack(BaseModel):
    """The platform's word on a beat: its hash, signed; and whether, and why, the worker has to stop."""

    seq: int
    hash: str
    signature: str
    stop: Literal["", "cancelled", "budget"] = ""


class BeatRequest(_Closed):
    """A beat and the worker's signature of its hash; see `cloud.compute.metering`."""

    body: Annotated[str, Field(max_length=2000)]
    signature: Annotated[str, Field(max_length=100)]


class Ended(BaseModel):
    """What the platform made of it: the time that counts."""

    state: JobState
    billable_s: float


class Ending(_Closed):
    """What became of an attempt; `result` is what the child said came out."""

    outcome: Outcome
    result: dict[str, Any] = {}
    reason_en: Annotated[str, Field(max_length=1000)] = ""
    reason_zh: Annotated[str, Field(max_length=1000)] = ""


class Hello(_Closed):
    """What a worker says when it starts: its key, and what its probe has found.

    `no_walls`: why it does not run archives, "" where walls around foreign code are proven.
    """

    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    provider: Annotated[str, Field(max_length=80)]
    speed: float = Field(gt=0, le=1e6)
    refused: dict[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=500)]] = {}
    no_walls: Annotated[str, Field(max_length=500)] = "it is too old"


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


class Presented(BaseModel):
    """What became of them: the last beat's acknowledgement, and how many wait for one before them. `over`: they count nothing."""

    ack: Ack | None
    over: bool
    waiting: int


class Records(_Closed):
    """Beats that were worked without a link, in any order."""

    records: Annotated[list[BeatRequest], Field(max_length=200)]


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
