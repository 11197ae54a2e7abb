"""What the traceability domain takes and gives. Times are UTC."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Captured(BaseModel):
    """What became of a document: all its events are stored, those that were there already counted as `known`."""

    stored: int
    known: int


class Step(BaseModel):
    """One thing came of another: `made` of `used`, or holds it.

    Attributes:
        depth: how many steps it is from the thing that was asked for.
        event_time, kind, biz_step: of the event that says so, the earliest.
    """

    used: str
    made: str
    depth: int
    event_time: datetime
    kind: str
    biz_step: str | None


class Link(Step):
    """A step with all that is told of its event; `depth` counts from the nearest of the things that were asked for.

    Attributes:
        read_point, biz_location, disposition: where it was seen, where it is now, what state it is in, as the event says.
    """

    event_id: str
    read_point: str | None = None
    biz_location: str | None = None
    disposition: str | None = None


class Trace(BaseModel):
    """What a thing was made of, or what was made of it.

    Attributes:
        things: all that were met, nearest first, without the one that was asked for.
        ends: those of them that lead nowhere further: what it all began with, or the finished goods.
        complete: False where there is more than is told.
    """

    thing: str
    things: list[str]
    ends: list[str]
    steps: list[Step]
    complete: bool


class EventPage(BaseModel):
    """Events as an EPCISDocument's list; `next` goes into `nextPageToken`, null on the last page."""

    events: list[dict[str, object]] = Field(description="Newest first, as they were captured, with recordTime.")
    next: str | None
