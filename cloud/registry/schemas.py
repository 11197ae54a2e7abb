"""What the registry takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

Stage = Literal["shadow", "canary", "full", "done", "returned"]
PublicKeyText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$", description="Base64 Ed25519 public key.")]


class ModelVersion(BaseModel):
    """A released model: verified when it came, and never changed."""

    id: UUID
    name: str
    version: str
    task: str
    digest: str = Field(description="SHA-256 of checksums.txt: the bundle's identity.")
    signer: str = Field(description="The public key to list under `trust` at the box.")
    parent_id: UUID | None = Field(description="The version that was there before it under the same name.")
    card: dict[str, Any]
    bytes: int
    added_by: str
    added_at: datetime


class ReleaseRequest(BaseModel):
    """A version that was fitted here and is to be released."""

    model_config = ConfigDict(extra="forbid")

    training_version_id: UUID


class ModelKey(BaseModel):
    """Whose signature counts when a model is uploaded."""

    model_config = ConfigDict(extra="forbid")

    public_key: PublicKeyText
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$", description="Whose key it is.")


class StoredKey(ModelKey):
    """A key with who added it."""

    added_by: str
    added_at: datetime


class StationModel(BaseModel):
    """What an inspection station, or a watch over a machine, runs, as it last said; digests are "" where there is none.

    Attributes:
        running, running_name: the model that decides; its name and version if it is in the registry.
        previous: the model it goes back to. shadow: what judges beside and decides nothing.
        wanted, wanted_shadow: what it shall run; "" leaves what is there.
        settled: it has dealt with the last order. outcome: "", "trial", "done", "failed" or "returned".
    """

    equipment_id: UUID
    task: str = Field(description='Of its models: "inspect", "health" or "seasonal".')
    running: str
    running_name: str
    previous: str
    shadow: str
    wanted: str
    wanted_shadow: str
    settled: bool
    outcome: str
    reason_en: str
    reason_zh: str
    reported_at: datetime


class Plan(BaseModel):
    """How careful a roll-out is.

    Attributes:
        shadow: begin with the new model judging beside the old one at every station.
        min_parts, min_minutes: what a stage takes at least before it is left for the next one.
        latency_ms: p95 of the time to a verdict that is still in order; null for no limit.
        automatic: the stages follow each other by themselves; else somebody promotes. A return is always automatic.
    """

    model_config = ConfigDict(extra="forbid")

    shadow: bool = True
    min_parts: int = Field(50, ge=20, le=100_000)
    min_minutes: int = Field(10, ge=0, le=43_200)
    latency_ms: int | None = Field(None, ge=1, le=60_000)
    automatic: bool = True


class RolloutRequest(BaseModel):
    """Bring a model to stations, or to watches over machines. `canary`: those of them that it decides at first; none for all at once."""

    model_config = ConfigDict(extra="forbid")

    version_id: UUID
    stations: list[UUID] = Field(min_length=1, max_length=200)
    canary: list[UUID] = Field([], max_length=200)
    plan: Plan = Field(default_factory=lambda: Plan.model_validate({}))

    @model_validator(mode="after")
    def _canary_among_stations(self) -> RolloutRequest:
        if not set(self.canary) <= set(self.stations) or len(set(self.stations)) != len(self.stations):
            raise ValueError("canary stations are among the stations, each once / 试点工位须在工位之中，且不得重复")
        return self


class Share(BaseModel):
    """A share with its 95 % interval (Clopper and Pearson) and the number of parts it rests on; null values of none.

    Of a watch over a machine a part is a judgement independent of the one before.
    """

    parts: int
    value: float | None
    low: float | None
    high: float | None


class Evidence(BaseModel):
    """What the present stage has shown.

    Attributes:
        rejects: share of parts that the new model rejects (would reject, in shadow).
        before: the same of the old model: of the same parts in shadow, of those before the roll-out else.
        differing: parts that only one of the two rejects; in shadow only.
        latency_ms: p95 of the new model's time to a verdict; null without parts.
        minutes: since the stage began.
    """

    rejects: Share
    before: Share
    differing: int | None
    latency_ms: float | None
    minutes: float


class RolloutStation(BaseModel):
    """A station of a roll-out."""

    equipment_id: UUID
    canary: bool
    running: bool = Field(description="The new model decides there, as the station says.")
    outcome: str
    reason_en: str
    reason_zh: str


class Rollout(BaseModel):
    """A roll-out. `next` says in words what it waits for."""

    id: UUID
    version_id: UUID
    name: str
    version: str
    task: str
    stage: Stage
    plan: Plan
    stations: list[RolloutStation]
    evidence: Evidence | None = Field(description="Of a roll-out that runs.")
    stage_since: datetime
    begun_by: str
    begun_at: datetime
    ended_at: datetime | None
    reason_en: str
    reason_zh: str
    next_en: str = ""
    next_zh: str = ""
