"""What the telemetry domain gives. Times are UTC; values are in the unit of their point."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from protocols.dictionary.entries import Aggregation, DataType

Resolution = Literal["raw", "1m", "1h", "1d"]
"""Readings as they came, or the roll-up an answer was made from."""


ExportFormat = Literal["csv", "xlsx", "parquet"]
"""Files that readings are given as."""

Shape = Literal["buckets", "lttb"]
"""How many values become few: all of a bucket condensed, or those picked that keep the look of the curve."""


class Point(BaseModel):
    """One point of an equipment, with what the dictionary says of it.

    Attributes:
        series_id: what values are asked for by.
        property: code of the dictionary entry, or "" where the point is not mapped; then the names are the point's own.
        unit: UN/ECE Rec 20 code; `unit_symbol` is what people read, "" for a bare number.
        aggregation: what one value made of many is; the mean where the point is not mapped.
        values: names of the coded values, by value.
    """

    series_id: int
    equipment_id: UUID
    name: str
    property: str
    name_en: str
    name_zh: str
    unit: str
    unit_symbol: str
    data_type: DataType | None
    aggregation: Aggregation
    values: dict[int, dict[str, str]] = Field(default={}, description='e.g. {3: {"en": "Executing", "zh": "运行"}}')


class Meaning(BaseModel):
    """What a point means that its gateway says nothing of."""

    model_config = ConfigDict(extra="forbid")

    entry: str = Field(max_length=64, description='Code of an entry of the company\'s own, "own:..."; "" for none.')


class Latest(BaseModel):
    """The latest reading of a series. `value` is null, with a bad quality, where there was none."""

    series_id: int
    equipment_id: UUID
    time: datetime
    value: float | str | None
    quality: int = Field(
        description="Upper 16 bits of an OPC UA StatusCode, signed: bad is negative, good below 16384."
    )


class Reading(BaseModel):
    """One reading."""

    time: datetime
    value: float | str | None
    quality: int


class ReadingPage(BaseModel):
    """Readings, oldest first. `next` goes into `after`; null on the last page."""

    items: list[Reading]
    next: datetime | None


class Sample(BaseModel):
    """One point of a chart: a reading, or all readings of a bucket that begins at `time`.

    `value` follows the entry's aggregation (a counter's growth within the bucket, a mean, ...), null where no reading was
    usable. `low` and `high` are the extremes. `n` readings were due an answer, `good` of them had good quality.
    `seconds`, of states aggregated by their duration, has the time in each by its code, and `unknown`; the rest is empty.
    """

    time: datetime
    value: float | str | None
    low: float | None
    high: float | None
    n: int
    good: int
    seconds: dict[str, float] | None = None


class Curve(BaseModel):
    """The samples of one series, oldest first.

    Attributes:
        aggregation: what `value` is: made of the readings of each sample by this.
        completeness: share of the readings behind the samples that have good quality, of durations the share of the time
            whose state is known; null where there are none.
        covered: share of the buckets of the span, up to now, that hold a usable reading; null where samples are readings
            or picked ones.
    """

    series_id: int
    aggregation: Aggregation
    completeness: float | None
    covered: float | None
    samples: list[Sample]


class History(BaseModel):
    """Series over [start, end).

    Attributes:
        resolution: what this was made from: the readings themselves ("raw") or a roll-up.
        shape: "lttb" where the samples are those of `resolution` that keep the look of the curve; each then carries the
            extremes, and the counts, of all up to the next.
        step_s: width of a bucket in seconds; 0 where every sample is a reading, or picked.
        sql_ms: time the database took, in milliseconds.
    """

    start: datetime
    end: datetime
    resolution: Resolution
    shape: Shape
    step_s: int
    sql_ms: float
    curves: list[Curve]


class Change(BaseModel):
    """The latest readings of the series that changed. `position` resumes the stream after this."""

    position: int
    values: list[Latest]


class Stats(BaseModel):
    """What is stored for a tenant.

    Attributes:
        readings: numbers and texts stored.
        ledger_readings: readings of all stored frames; equal to `readings` unless something was lost or doubled.
        frames: stored frames.
        duplicates: readings beyond the first of the same series and time.
        unmapped_points: current points without a dictionary entry; `properties` counts the distinct entries in use.
        stored_after_ms: how long readings took from source time to commit, over the last hours: 0.5 and 0.95 quantiles.
    """

    readings: int
    ledger_readings: int
    frames: int
    duplicates: int
    points: int
    unmapped_points: int
    properties: int
    stored_after_ms: dict[Literal["p50", "p95"], float | None]


class RetentionRule(BaseModel):
    """How long readings stay in the database before they move into files, where they can still be asked for."""

    property: str = Field(
        max_length=200, description='Code of the dictionary entry; "" is all without a rule of their own.'
    )
    keep_days: int = Field(ge=1, le=36_500)


class RetentionRules(BaseModel):
    """The rules of a company; what no rule speaks of stays in the database. Roll-ups always do."""

    rules: list[RetentionRule] = Field(max_length=1000)


Compared = Literal["none", "span", "shift", "day", "week"]
"""What curves are shown beside: nothing, the span, shift, day or week before."""


class ViewRequest(BaseModel):
    """A look at curves over the last `length_s` seconds: of `series`, or of every point of a class with one of `entries`."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
    ]
    series: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field([], max_length=8)
    equipment_class: str | None = Field(None, max_length=200)
    entries: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=8)
    length_s: int = Field(8 * 3600, ge=10, le=400 * 86400)
    compare: Compared = "none"

    @model_validator(mode="after")
    def _one_way(self) -> ViewRequest:
        if bool(self.series) == bool(self.entries):
            raise ValueError("name series, or entries, and not both / 请指定 series 或 entries，二者选一")
        if self.series and self.equipment_class:
            raise ValueError("equipment_class goes with entries / equipment_class 仅与 entries 一起使用")
        return self


class View(ViewRequest):
    """A kept look."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    changed_by: str
    changed_at: datetime
