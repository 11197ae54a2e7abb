"""What process control takes and gives. Times are UTC; values are in the unit of the point."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.core.instants import Instant
from cloud.spc.charts import LARGEST_SUBGROUP, Counts, Rule
from cloud.spc.sampling import AQLS, Level, Severity, State

__all__ = [
    "AQLS",
    "LARGEST_SUBGROUP",
    "Capability",
    "ControlChart",
    "ControlPlan",
    "Counts",
    "Level",
    "Line",
    "Lot",
    "LotRequest",
    "Lots",
    "PlanRequest",
    "Rule",
    "Sampling",
    "SamplingQuery",
    "Severity",
    "ShareChart",
    "Signal",
    "State",
    "Words",
]

Words = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class PlanRequest(BaseModel):
    """How a point is charted and what it is to keep to.

    Attributes:
        subgroup: readings in a row that make one point of the chart; 1 charts every reading with its moving range, more than 10 the
            standard deviation in place of the range.
        lower_limit, upper_limit, target: of the tolerance.
        baseline_start, baseline_end: the span the control limits rest on; without, they rest on what is shown.
    """

    model_config = ConfigDict(extra="forbid")

    subgroup: int = Field(5, ge=1, le=LARGEST_SUBGROUP)
    lower_limit: Finite | None = None
    target: Finite | None = None
    upper_limit: Finite | None = None
    baseline_start: Instant | None = None
    baseline_end: Instant | None = None

    @model_validator(mode="after")
    def _in_order(self) -> PlanRequest:
        if self.lower_limit is not None and self.upper_limit is not None and self.lower_limit >= self.upper_limit:
            raise ValueError("the lower limit is below the upper one / 下限须小于上限")
        start, end = self.baseline_start, self.baseline_end
        if (start is None) != (end is None) or (start is not None and end is not None and start >= end):
            raise ValueError("a baseline has a start before its end / 基准时段须有起止时间且起早于止")
        return self


class ControlPlan(PlanRequest):
    """A plan in force, or one that was: `version` counts from 1; 0 is the plan of a point that has none."""

    series_id: int
    version: int
    created_by: str
    created_at: datetime | None


class Signal(BaseModel):
    """A point of a chart that says something has changed, counted from 0, by which rule, on which chart."""

    index: int
    rule: Rule
    chart: Literal["values", "ranges", "cusum", "ewma"]


class Line(BaseModel):
    """A chart's centre line and control limits."""

    centre: float
    lower: float
    upper: float


class Capability(BaseModel):
    """Whether the process keeps its tolerance; null where a limit is missing or nothing varies.

    Attributes:
        cp, cpk: by the spread within subgroups. pp, ppk: by that of all values.
        low, high: 95 % interval of Ppk.
        outside: share of the values outside the tolerance; expected: that of a normal process of this mean and spread.
    """

    cp: float | None
    cpk: float | None
    pp: float | None
    ppk: float | None
    low: float | None
    high: float | None
    outside: float
    expected: float


class ControlChart(BaseModel):
    """A point's chart.

    Attributes:
        times: of each subgroup, its last reading's.
        values: means of the subgroups, or single readings; `value_line` their limits.
        ranges: within each subgroup, or to the reading before (null for the first); `range_line` their limits. `spread` says whether
            they are ranges or, above 10 readings a subgroup, standard deviations.
        up, down: cumulative sums of the standardised values; they signal above 5.
        ewma: exponentially weighted moving average of the values; `ewma_away` is how far each may be from the centre line.
        readings: good numbers there were; `unused`: those left over, or not good, or no numbers.
        stable: nothing signals. Capability of a process that is not stable says nothing of tomorrow.
        related: a reading tells much of the next one (autocorrelation above 0.5), so the limits are too narrow.
    """

    series_id: int
    start: datetime
    end: datetime
    plan: ControlPlan
    readings: int
    unused: int
    times: list[datetime] = []
    values: list[float] = []
    ranges: list[float | None] = []
    up: list[float] = []
    down: list[float] = []
    ewma: list[float] = []
    ewma_away: list[float] = []
    spread: Literal["range", "deviation"] = "range"
    value_line: Line | None = None
    range_line: Line | None = None
    signals: list[Signal] = []
    capability: Capability | None = None
    stable: bool = False
    related: bool = False


class ShareChart(BaseModel):
    """The chart of rejected parts with each point's own limits: p, shares 0..1; np, numbers of parts; u, rejects a part.

    Attributes:
        shares: what is plotted.
        centre: share rejected in all; null where there is no part. `centres`: each point's centre line.
    """

    kind: Counts
    times: list[datetime]
    parts: list[int]
    shares: list[float]
    centre: float | None
    centres: list[float]
    lower: list[float]
    upper: list[float]
    signals: list[Signal]


class Sampling(BaseModel):
    """A single sampling plan: accept the lot with at most `accept` nonconforming parts among `size`, reject it from `reject` on.

    `at_aql`: probability that a lot just as good as the AQL is accepted; `half`, `tenth`: share (0..1) of nonconforming
    parts with which every second, and every tenth, lot is accepted.
    """

    letter: str
    size: int
    accept: int
    reject: int
    severity: Severity
    at_aql: float
    half: float
    tenth: float


class SamplingQuery(BaseModel):
    """For which lot a plan is asked for."""

    model_config = ConfigDict(extra="forbid")

    lot_size: int = Field(ge=2, le=1_000_000_000)
    level: Level = "II"
    aql: float = Field(1.0, description=f"Per cent nonconforming: one of {', '.join(f'{aql:g}' for aql in AQLS)}.")
    severity: Severity = "normal"

    @model_validator(mode="after")
    def _known(self) -> SamplingQuery:
        if self.aql not in AQLS:
            listed = ", ".join(f"{aql:g}" for aql in AQLS)
            raise ValueError(f"the AQL is one of {listed} / AQL 须为 {listed} 之一")
        return self


class LotRequest(BaseModel):
    """What was found in a lot's sample; how severely it is inspected follows from the product's lots before."""

    model_config = ConfigDict(extra="forbid")

    product: Words
    lot: Words
    lot_size: int = Field(ge=2, le=1_000_000_000)
    level: Level = "II"
    aql: float = 1.0
    found: int = Field(ge=0, le=1_000_000)


class Lot(BaseModel):
    """A lot that was sampled."""

    id: UUID
    product: str
    lot: str
    lot_size: int
    level: Level
    aql: float
    severity: Severity
    sample_size: int
    accept: int
    found: int
    accepted: bool
    sampled_by: str
    sampled_at: datetime


class Lots(BaseModel):
    """A product's latest lots, newest first, and how the next one is inspected."""

    items: list[Lot]
    next: State
