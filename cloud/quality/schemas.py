"""What the quality domain takes and gives. Times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.core.instants import Instant

Verdict = Literal["pass", "review", "reject"]
"""The model's word on a part: below the review limit, below the reject limit, or at and above it."""

Judgement = Literal["good", "defect"]
"""An operator's word on a part; it overrules the model's and feeds the next fit."""

PictureKind = Literal["picture", "heatmap"]


class Opinion(BaseModel):
    """What another model says of the part: one on its way in, or a heavier one on another machine."""

    model_config = ConfigDict(frozen=True)

    model: str
    model_version: str
    verdict: Verdict
    score: float = Field(description="In that model's own scale.")
    latency_us: int = Field(description="Until it had answered, microseconds.")


class Inspection(BaseModel):
    """One inspected part.

    `picture` and `heatmap` say whether the cloud holds them; `oversize` lists those that were too large to store and
    remain at the station only.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    equipment_id: UUID
    time: datetime
    part: str
    verdict: Verdict
    score: float = Field(description="The model's standardised anomaly score; no unit.")
    review_limit: float
    reject_limit: float
    model: str
    model_version: str
    latency_us: int = Field(description="From picture read to verdict, microseconds.")
    picture: bool
    heatmap: bool
    oversize: list[PictureKind]
    judgement: Judgement | None = None
    judged_by: str | None = None
    judged_at: datetime | None = None
    defect: str | None = Field(None, description="The kind of defect, if the operator named one.")
    model_defect: str | None = Field(
        None, description="What the model takes the defect for; null where it is not sure."
    )
    model_chance: float | None = Field(None, description="How probable that is among the defects it knows, 0 to 1.")
    aligned: bool = Field(
        True, description="Whether the picture could be laid over the model's reference, if it has one."
    )
    lot: str | None = Field(None, description="Of the part, where its name tells it at the station.")
    serial: str | None = Field(None, description="Of the part, where its name tells it at the station.")
    second: Opinion | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which inspections are wanted: of one equipment, with one verdict, in [start, end). None means all, and so does "".

    `part` is how the part's name begins: where parts are named by lot and serial (`L7-0042`), a lot's are found by `L7-`, and by
    `lot` and `serial` where the station tells them. `model` is the name of the one that decided; `site_id` and `line_id` are of what
    stands there.
    """

    equipment_id: UUID | None = None
    verdict: Verdict | None = None
    start: datetime | None = None
    end: datetime | None = None
    part: str = ""
    lot: str = ""
    serial: str = ""
    model: str = ""
    site_id: UUID | None = None
    line_id: UUID | None = None


class ListQuery(BaseModel):
    """Which inspections are asked for."""

    model_config = ConfigDict(extra="forbid")

    equipment_id: UUID | None = None
    verdict: Verdict | None = None
    part: str = Field(
        "",
        max_length=200,
        pattern=r"^[^\x00-\x1f]*$",
        description="How the part's name begins: a lot, or all of a serial.",
    )
    lot: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$", description="The part's lot.")
    serial: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f]*$", description="The part's serial number.")
    model: str = Field(
        "", max_length=200, pattern=r"^[^\x00-\x1f]*$", description="The name of the model that decided."
    )
    site_id: UUID | None = None
    line_id: UUID | None = None
    start: Instant | None = None
    end: Instant | None = None
    limit: int = Field(50, ge=1, le=200)
    before: str | None = Field(None, max_length=200, description="The `next` of the page before this one.")


class InspectionPage(BaseModel):
    """Inspections, newest first. `next` asks for the older ones; it is absent on the last page."""

    items: list[Inspection]
    next: str | None = None


class Counts(BaseModel):
    """Inspections per verdict."""

    passed: int = 0
    review: int = 0
    reject: int = 0

    @property
    def total(self) -> int:
        """All inspections."""
        return self.passed + self.review + self.reject


class HourCounts(Counts):
    """Inspections per verdict in the hour that starts at `hour`."""

    hour: datetime


class Summary(Counts):
    """Inspections per verdict in [start, end), in total and for every hour that has any."""

    start: datetime
    end: datetime
    hours: list[HourCounts]


class JudgementRequest(BaseModel):
    """An operator's word."""

    model_config = ConfigDict(extra="forbid")

    judgement: Judgement
    defect: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f]*$", description="What is wrong, of a defect.")

    @model_validator(mode="after")
    def _only_of_defects(self) -> JudgementRequest:
        if self.defect.strip() and self.judgement != "defect":
            raise ValueError("only a defect has a kind of defect / 只有判为缺陷时才能填写缺陷类型")
        return self


class DefectCount(BaseModel):
    """How many parts had a defect, as a person names it, else the model; "" counts those that neither has named."""

    defect: str
    count: int


class Defects(BaseModel):
    """Defective parts of [start, end), by what is wrong with them, the most frequent first.

    Defective is what an operator judged so, and what the model rejected and nobody has judged.

    Attributes:
        judged: parts an operator has had a word on; `to_good` and `to_defect` are those where it overrules the model.
    """

    start: datetime
    end: datetime
    items: list[DefectCount]
    judged: int
    to_good: int
    to_defect: int

    @property
    def total(self) -> int:
        """All defective parts."""
        return sum(item.count for item in self.items)


class FirstPass(BaseModel):
    """Parts inspected for the first time in the hour that begins at `hour`, and those of them that were good."""

    hour: datetime
    first: int
    good: int


class Picture(BaseModel):
    """A stored image and its media type."""

    media_type: str
    content: bytes
