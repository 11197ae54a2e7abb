"""What the production domain takes and gives. Times are UTC; days are production days on the site's calendar."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
    weekdays: set[Annotated[int, Field(ge=1, le=7)]] = Field(
        min_length=1, description="ISO weekdays it begins on: 1 is Monday."
    )
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
