"""Second opinions that are metered: what is asked, what is told. Money is yuan, times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.billing.schemas import Yuan
from cloud.core.instants import Instant


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ServingRequest(_Closed):
    """Opinions wanted at an offer, for so much at most: it is reserved until the end."""

    offer: Annotated[str, Field(max_length=80, description="Code of the offer.")]
    budget: Yuan


class Serving(BaseModel):
    """Opinions at an offer. `left`: what is reserved and not used up; `count`, `seconds`: what was answered, of the model's time."""

    id: UUID
    customer: str
    own: bool = Field(description="You are the customer; else they are asked at an offer of yours.")
    code: str
    provider: str
    cap: float
    cost: float = Field(description="What is on a bill already: each hour comes onto one when it is over.")
    left: float
    count: int
    seconds: float
    heard_at: datetime | None
    opened_at: datetime
    ended_at: datetime | None


class ServingMade(BaseModel):
    """A new one, and the token that the boxes ask with (`[inspection.remote]`); it is shown once."""

    serving: Serving
    token: str


class Counted(_Closed):
    """What one run of a server has answered within an hour so far."""

    serving_id: UUID
    hour: Instant
    count: int = Field(ge=0, lt=2**40)
    us: int = Field(
        ge=0, le=64 * 3_600_000_000, description="Microseconds of its models, of which there are 64 at most."
    )


class OpinionReport(_Closed):
    """What a server tells every few seconds; numbers of a run only grow."""

    run: UUID
    counted: Annotated[list[Counted], Field(max_length=5000)] = []


class Caller(BaseModel):
    """Somebody who may ask: SHA-256 of the token, and how much of the model's time is still paid."""

    serving_id: UUID
    token_hash: str
    left_ms: int


class Callers(BaseModel):
    """Who may ask at an offer now."""

    callers: list[Caller]
