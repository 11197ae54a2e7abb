"""What the training domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from models.vision.recipe import Family

PictureKind = Literal["good", "defect", "unknown"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
Comparison = Literal["first", "better", "same", "mixed", "worse"]

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Words = Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f]*$")]
SeriesId = Annotated[int, Field(ge=1, lt=2**31)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Fraction = Annotated[float, Field(ge=0, le=1)]
_PAIR = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 2}
Corner = Annotated[tuple[Fraction, Fraction], WithJsonSchema(_PAIR)]
"""Described as any list of two: not every reader of the document knows tuples."""
Polygon = Annotated[list[Corner], Field(min_length=3, max_length=64)]
Region = Annotated[
    list[Polygon],
    Field(
        max_length=20,
        description="Where models look: polygons of [x, y] in shares of the picture's width and height; everywhere if empty.",
    ),
]


class SetRequest(BaseModel):
    """A new set of pictures."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What the models fitted from it are called: lower-case letters, digits, dashes.")
    equipment_id: UUID | None = Field(
        None, description="The inspection station; what operators judge there joins the set."
    )
    keep_days: int | None = Field(
        None, ge=1, le=3650, description="Uploaded pictures go after so many days; never if null."
    )
    family: Family = Field("auto", description="How models look: by what finds planted defects better unless named.")


class MachineRequest(BaseModel):
    """A machine whose health model is to be fitted from stored readings.

    Attributes:
        name: what its models are called.
        equipment_id: the machine, or the watch over it.
        sensors: series by the name that the watch at the box gives the sensor.
        running: series that is above 0 while it runs; rows at rest are left out.
        period_s: seconds between two rows, as between two judgements at the box.
    """

    model_config = ConfigDict(extra="forbid")

    name: Name
    equipment_id: UUID
    sensors: dict[Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*$")], SeriesId] = Field(
        min_length=1, max_length=64
    )
    running: SeriesId | None = None
    period_s: float = Field(10.0, ge=0.1, le=3600)


class Stretch(BaseModel):
    """A time of good running that a machine's model learns from; `half_life`: rows after which half of a step is seen.

    `fault_start`, `fault_end`: a time with a known fault, by which the model, and the one before, are only judged.
    """

    model_config = ConfigDict(extra="forbid")

    start: AwareDatetime
    end: AwareDatetime
    hold_s: float = Field(3600.0, gt=0, le=86_400 * 7, description="So long a reading holds until the next one.")
    half_life: float = Field(12.0, ge=0.1, le=1000)
    fault_start: AwareDatetime | None = None
    fault_end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Stretch:
        if (self.fault_start is None) != (self.fault_end is None):
            raise ValueError("a fault has a start and an end / 故障时段须同时填写开始与结束时间")
        if self.end <= self.start or (self.fault_start and self.fault_end and self.fault_end <= self.fault_start):
            raise ValueError("the end comes after the start / 结束时间须晚于开始时间")
        if self.fault_start and self.fault_end and self.fault_start < self.end and self.start < self.fault_end:
            raise ValueError("the fault lies outside the time of good running / 故障时段不得与正常运行时段重叠")
        return self


class Completeness(BaseModel):
    """What a stretch holds: rows in it, those `used` to learn - while the machine ran and something was read -, and of each
    sensor the share of these in which it was read."""

    rows: int
    used: int
    read: dict[str, float]


class SetChange(BaseModel):
    """What may be changed of a set."""

    model_config = ConfigDict(extra="forbid")

    equipment_id: UUID | None = None
    keep_days: int | None = Field(None, ge=1, le=3650)
    region: Region = []
    family: Family = "auto"


class KindCount(BaseModel):
    """A kind of defect by its name: how many parts of it are confirmed, and how many more it takes until a fit names it."""

    name: str
    parts: int
    missing: int


class Counts(BaseModel):
    """What a fit would use now, of uploaded pictures and of parts that operators judged at the station.

    Attributes:
        learn: good pictures that a fit learns from; `needed` is how many it takes.
        held_good, held_defect: pictures that never enter a fit and judge its result. A good part is held back by a hash of
            its name, so it stays held back in every later fit; a defective one always is.
        judged: pictures among these that come from operators' words at the station.
        unknown: pictures nobody has said anything of; not used.
        new: pictures judged at the station since the last version was fitted.
        kinds: confirmed defects by their names. A fit names those of enough parts, where there are two of them.
    """

    learn: int = 0
    needed: int
    held_good: int = 0
    held_defect: int = 0
    judged: int = 0
    unknown: int = 0
    new: int = 0
    kinds: list[KindCount] = []


class PictureSet(BaseModel):
    """A set of pictures of one product as one camera sees it; with `sensors` a machine, see `MachineRequest`."""

    id: UUID
    name: str
    equipment_id: UUID | None
    keep_days: int | None
    sensors: dict[str, int] | None = None
    running: int | None = None
    period_s: float | None = None
    created_by: str
    created_at: datetime
    good: int
    defect: int
    unknown: int
    bytes: int
    region: Region
    family: Family


class Picture(BaseModel):
    """An uploaded picture. `held_back`: it never enters a fit."""

    digest: Digest
    kind: PictureKind
    defect: str | None
    part: str
    width: int
    height: int
    size: int
    added_by: str
    added_at: datetime
    held_back: bool


class PictureChange(BaseModel):
    """What is said of an uploaded picture."""

    model_config = ConfigDict(extra="forbid")

    kind: PictureKind
    defect: Words = ""
    part: Words | None = None

    @model_validator(mode="after")
    def _only_of_defects(self) -> PictureChange:
        if self.defect.strip() and self.kind != "defect":
            raise ValueError("only a defect has a kind of defect / 只有缺陷图片才能填写缺陷类型")
        return self


class UploadQuery(BaseModel):
    """Which set a picture is put into, and what it shows."""

    model_config = ConfigDict(extra="forbid")

    set_id: UUID
    kind: PictureKind = "good"
    defect: Words = ""
    part: Words = Field(
        "", description="Pictures of one part share its name; without one a picture is a part of its own."
    )


class Fit(BaseModel):
    """A fit that waits, runs or has ended. `stage` is read, learn, check or judge; `done` of `total` pictures of it."""

    id: UUID
    set_id: UUID
    state: State
    rented: bool = Field(description="It runs on rented computing; its job says how it goes, and is what to cancel.")
    stage: str
    done: int
    total: int
    seconds: float = Field(description="Since it began, or how long it took.")
    reason_en: str
    reason_zh: str
    requested_by: str
    requested_at: datetime


class Share(BaseModel):
    """A share with its 95 % interval (Wilson) and the number of pictures it rests on."""

    value: float
    low: float
    high: float
    pictures: int


class Figures(BaseModel):
    """What a version does with the held-back pictures, or readings of a machine; null where there are none of the kind.

    Attributes:
        good_parts, bad_parts: parts, or readings independent of each other, of which it is known that they are good or bad.
        false_review, false_reject: share of good pictures that at least go to review, or are rejected.
        found: share of defective pictures that at least go to review, or of a fault's readings that are alarmed.
        auroc: probability that a defective picture scores above a good one, or a fault's reading above a healthy one; of readings with
            its 95 % interval.
        learnt_from: good readings that the version had learnt from itself, which flatters it; none of the pictures.
    """

    good_parts: int
    bad_parts: int
    false_review: Share | None
    false_reject: Share | None
    found: Share | None
    auroc: float | None
    auroc_interval: tuple[float, float] | None = None
    learnt_from: int = 0


class Version(BaseModel):
    """A fitted and signed model. `before` is its parent, judged by the same pictures as it was."""

    id: UUID
    set_id: UUID
    parent_id: UUID | None
    name: str
    number: int
    digest: str = Field(description="SHA-256 of checksums.txt: the bundle's identity.")
    signer: str = Field(description="The public key to list under `trust` at the box.")
    card: dict[str, Any]
    after: Figures
    before: Figures | None
    comparison: Comparison
    created_by: str
    created_at: datetime


class Trial(BaseModel):
    """What a version says of one picture; score and limits in standard deviations of good parts."""

    verdict: Literal["pass", "review", "reject"]
    score: float
    review_limit: float
    reject_limit: float
    aligned: bool = Field(
        True, description="Whether the picture could be laid over the version's reference, if it has one."
    )
    defect: str = Field("", description='What the version takes the defect for; "" where it passes or is not sure.')
    chance: float = Field(0.0, description="How probable that is among the defects it knows, 0 to 1.")
    heatmap: str = Field(description="Where it looked unusual: a grey PNG in base64, brighter is more unusual.")
    region: Region = []


class PublicKey(BaseModel):
    """The key that vouches for this company's models, as configurations list it under `trust`."""

    public_key: str
    created_at: datetime
