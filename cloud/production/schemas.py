"""What the production domain takes and gives. Times are UTC; days are production days on the site's calendar."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cloud.core.instants import Instant
from cloud.core.since import Version
from protocols.text import Text

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]*$")]
Day = Annotated[date, Field(ge=date(1970, 1, 2), lt=date(2199, 12, 1))]


def _whole_minute(wall: time) -> time:
    if wall.second or wall.microsecond or wall.tzinfo:
        raise ValueError("a wall time is hours and minutes, as 06:30 / 时间应为“时:分”，如 06:30")
    return wall


WallTime = Annotated[time, AfterValidator(_whole_minute)]
"""A time on the clock of the site's wall, whole minutes."""


class Closed(BaseModel):
    """A model that takes the fields it has and no others."""

    model_config = ConfigDict(extra="forbid")


class BreakPattern(Closed):
    """A break within a shift; no work is planned in it."""

    start: WallTime
    end: WallTime


class ShiftPattern(Closed):
    """A shift as it comes again every week. One that ends at or before its start ends on the next day."""

    name_en: Name
    name_zh: Name
    weekdays: set[Annotated[int, Field(ge=1, le=7)]] = Field(min_length=1, description="Of ISO 8601: 1 is Monday.")
    start: WallTime
    end: WallTime
    breaks: list[BreakPattern] = Field([], max_length=10)


class CalendarRequest(Closed):
    """What a week looks like from the production day `valid_from` on, at a site or on one of its lines."""

    site_id: UUID
    line_id: UUID | None = None
    valid_from: Day
    shifts: list[ShiftPattern] = Field(max_length=30, description="None: no work is planned.")


class CalendarVersion(CalendarRequest):
    """A stored version of a calendar; it holds until the next one's `valid_from`."""

    id: UUID


class ExceptionRequest(Closed):
    """A day that is not as the week says: a holiday, or a day that is worked as another weekday."""

    site_id: UUID
    line_id: UUID | None = None
    day: Day
    works_as: int | None = Field(None, ge=1, le=7, description="ISO weekday; none: no work is planned.")
    name: Name


class CalendarException(ExceptionRequest):
    """A stored exception."""

    id: UUID


class Span(BaseModel):
    """[start, end)."""

    model_config = ConfigDict(frozen=True)

    start: datetime
    end: datetime


class Shift(Span):
    """One shift in time. It belongs to the production day `day`, on which it begins."""

    site_id: UUID
    line_id: UUID | None
    day: date
    name_en: str
    name_zh: str
    breaks: list[Span]

    @property
    def name(self) -> Text:
        """What the shift is called."""
        return Text(self.name_en, self.name_zh)

    @property
    def working(self) -> list[Span]:
        """The shift without its breaks."""
        edges = [self.start, *(edge for one in self.breaks for edge in (one.start, one.end)), self.end]
        return [Span(start=start, end=end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]

    @property
    def working_time(self) -> timedelta:
        """How long the shift is without its breaks."""
        return sum((one.end - one.start for one in self.working), timedelta())


NodeKind = Literal["site", "line", "equipment"]


class Node(Closed):
    """A node of the plant: a site, a line in it or a piece of equipment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: NodeKind
    id: UUID


KindName = Literal["producing", "setup", "idle", "fault", "unavailable", "maintenance"]
PointName = Annotated[str, Field(min_length=1, max_length=200)]


class EquipmentSettings(Closed):
    """How a piece of equipment is read. What is left out is chosen by the dictionary entries of its points."""

    state_point: PointName | None = Field(None, description="Name of the point that tells the machine's state.")
    state_values: dict[int, KindName] | None = Field(
        None, max_length=200, description="What its values mean, where they are not those of the dictionary."
    )
    mode_point: PointName | None = Field(None, description="Name of the point that tells the operating mode.")
    fault_point: PointName | None = Field(None, description="Name of the point that is true in a fault.")
    threshold_point: PointName | None = Field(
        None, description="For a machine without a state: a point, as power, that is high while it runs."
    )
    threshold: float | None = Field(
        None, allow_inf_nan=False, description="At and above it the machine runs; in the unit of the point."
    )
    total_point: PointName | None = None
    good_point: PointName | None = None
    scrap_point: PointName | None = None
    parts_per_cycle: float = Field(1, gt=0, le=10_000, description="Where only cycles are counted.")
    all_good: bool = Field(False, description="Where nothing counts rejects: take all parts for good.")
    micro_stop_s: int = Field(120, ge=0, le=3600, description="Shorter stops are micro-stops and need no reason.")
    hold_s: int = Field(600, ge=120, le=43_200, description="Silence of all points after which the state is unknown.")


class SettingsVersion(Version):
    """Settings, and from when on."""

    settings: EquipmentSettings


Granularity = Literal["shift", "day", "week", "month", "total"]


class Worded(BaseModel):
    """What is called something in both languages."""

    name_en: str
    name_zh: str

    @property
    def name(self) -> Text:
        """What it is called."""
        return Text(self.name_en, self.name_zh)


class KpiInput(Worded):
    """An amount a KPI is made of. `unit` is a UN/ECE Rec 20 code; C62 is a bare number."""

    symbol: str = Field(description="As in the formula.")
    value: float | None
    unit: str


class LeftOut(BaseModel):
    """A machine that is not in a figure, and why."""

    equipment_id: UUID
    equipment: str
    reason_en: str
    reason_zh: str


class KpiValue(Worded):
    """A KPI (ISO 22400-2) with what it is made of. A value of None comes with a reason, an odd one with a warning."""

    code: str
    value: float | None
    unit: str = Field(description="UN/ECE Rec 20; C62 is a ratio, HUR in `per`.")
    per: str = Field("", description="Where the value is a rate: the unit it is per.")
    formula: str
    reason_en: str = ""
    reason_zh: str = ""
    warning_en: str = ""
    warning_zh: str = ""
    completeness: float | None = Field(description="Share of planned busy time in which the states were known, 0 to 1.")
    inputs: list[KpiInput]
    sources: list[str] = Field(description="Codes of the dictionary entries, or names of points, it was read from.")
    left_out: list[LeftOut] = Field(description="Machines of the node that lack something this figure needs.")

    @property
    def reason(self) -> Text:
        """Why there is no value."""
        return Text(self.reason_en, self.reason_zh)

    @property
    def warning(self) -> Text:
        """What is odd about the value."""
        return Text(self.warning_en, self.warning_zh)


class Loss(Worded):
    """Time lost for one reason; `reason_id` is None where nobody has given one and the state alone speaks."""

    reason_id: UUID | None
    element: str
    seconds: float
    stops: int


class KpiRow(BaseModel):
    """The figures of one period: of a node, or of one machine of it."""

    first_day: date
    last_day: date
    shift_en: str = ""
    shift_zh: str = ""
    start: datetime
    until: datetime
    equipment_id: UUID | None = None
    equipment: str = ""
    seconds: dict[str, float] = Field(description="Per time element; `planned_busy` is the sum of those within it.")
    produced: float | None = Field(description="In planned time without breaks.")
    good: float | None
    scrap: float | None
    in_breaks: float = Field(description="Pieces counted in breaks; in no KPI.")
    in_silence: float = Field(description="Of `produced`, made while the state was not known; in no KPI.")
    kpis: dict[str, KpiValue]
    losses: list[Loss]

    @property
    def shift(self) -> Text:
        """Name of the shift."""
        return Text(self.shift_en, self.shift_zh)


class KpiReport(BaseModel):
    """Figures of a node, period by period and over all, and of each of its machines."""

    node: Node
    first_day: date
    last_day: date
    granularity: Granularity
    rows: list[KpiRow]
    total: KpiRow | None = Field(description="Of all periods; none where no shift was recorded.")
    machines: list[KpiRow] = Field(description="Of all periods, machine by machine.")


LossKind = Literal["planned_stop", "setup", "failure", "delay", "no_order", "maintenance"]


class ReasonRequest(Closed):
    """A reason why machines stand; one with a parent is of the second level."""

    parent_id: UUID | None = None
    name_en: Name
    name_zh: Name
    loss: LossKind = Field(description="What such a stop is counted as. A planned stop is no planned busy time.")
    position: int = Field(0, ge=0, le=10_000)
    retired: bool = Field(False, description="No longer offered; what it was said of keeps it.")


class StopReason(ReasonRequest):
    """A stored reason; `loss` is what it is counted as now."""

    id: UUID


class LossVersion(Version):
    """What a reason is counted as, and from when on."""

    loss: LossKind


class StopWord(Closed):
    """What a person says of a stop."""

    reason_id: UUID
    note: str = Field("", max_length=500, pattern=r"^[^\x00]*$")


class Stop(Span):
    """A time in which a machine stood, or in which its state is not known, as far as it has one reason."""

    equipment_id: UUID
    equipment: str
    ongoing: bool
    seconds: float
    planned_s: float = Field(description="How much of it lies in shifts, without breaks.")
    element: str
    reason_id: UUID | None
    note: str = ""
    made_by: str = ""


class StopPage(BaseModel):
    """Stops, newest first. `next` asks for the older ones; it is absent on the last page."""

    items: list[Stop]
    next: datetime | None = None


class StateSpan(Span):
    """[start, end) in which a machine did one thing, as it is counted."""

    element: str
    reason_id: UUID | None


class Counts(BaseModel):
    """What was counted at a machine in [start, end), whole minutes. None: there is no such counter."""

    equipment_id: UUID
    start: datetime
    end: datetime
    produced: float | None
    good: float | None
    scrap: float | None
    sources: list[str]
    problems: list[str]


class RunTimeRequest(Closed):
    """PRI, the planned run time per item: how long one takes at the planned speed."""

    item: str = Field("", max_length=120, pattern=r"^[^\x00-\x1f]*$", description="Empty: any item without its own.")
    valid_from: Instant
    seconds: float = Field(ge=0.001, le=10_000_000, description="Seconds per piece.")


class RunTime(RunTimeRequest):
    """A stored planned run time."""

    equipment_id: UUID


class ProductRunRequest(Closed):
    """What is made on a machine from `start` on, until the next run."""

    start: Instant
    item: str = Field(max_length=120, pattern=r"^[^\x00-\x1f]*$", description="Empty: nothing named is made.")
    order_number: str = Field("", max_length=120, pattern=r"^[^\x00-\x1f]*$")


class ProductRun(ProductRunRequest):
    """A stored run."""

    equipment_id: UUID


class Threshold(BaseModel):
    """Where a point of a machine parts its two ways of being, running and standing."""

    point: str
    unit: str
    value: float | None
    low: float | None = Field(description="Mean of the values below it.")
    high: float | None = Field(description="Mean of the values above it.")
    share_high: float | None = Field(description="Share of minutes above it, 0 to 1.")
    reason_en: str
    reason_zh: str


class MachineReading(BaseModel):
    """How a machine is read at present, and what its figures still lack."""

    equipment_id: UUID
    equipment: str
    takes_part: bool = Field(description="Whether it tells anything about production at all; a meter does not.")
    sources: list[str]
    lacks_en: list[str]
    lacks_zh: list[str]
    run_time_s: float | None = Field(description="Planned run time per item now, of any item without its own.")
    points: list[str]
    settings: EquipmentSettings
