"""HTTP of the production domain."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from cloud.core.access import Engineer, Reader
from cloud.core.errors import Invalid
from cloud.production.schemas import (
    CalendarException,
    CalendarRequest,
    CalendarVersion,
    Day,
    ExceptionRequest,
    Node,
    NodeKind,
    Shift,
)
from cloud.production.service import Production
from protocols.text import Text

router = APIRouter(prefix="/api/v1/production", tags=["production"])

LONGEST_SPAN = timedelta(days=400)


def production_of(request: Request) -> Production:
    """Return the running cloud's production domain."""
    return cast(Production, request.app.state.production)


def node_of(
    node: Annotated[NodeKind, Query(description="What `node_id` is.")],
    node_id: Annotated[UUID, Query(description="A site, a line or a piece of equipment.")],
) -> Node:
    """Return the node a query names."""
    return Node(kind=node, id=node_id)


class Days:
    """The production days `first_day` to `last_day`, at most 400."""

    def __init__(self, first_day: Day, last_day: Day) -> None:
        if not timedelta(0) <= last_day - first_day < LONGEST_SPAN:
            raise Invalid(
                Text(
                    "first_day must not be after last_day, and at most 399 days before it.",
                    "first_day 不得晚于 last_day，且间隔不超过 399 天。",
                )
            )
        self.first, self.last = first_day, last_day


ProductionDoor = Annotated[Production, Depends(production_of)]
NodeQuery = Annotated[Node, Depends(node_of)]
DaysQuery = Annotated[Days, Depends()]


@router.get("/calendars")
async def list_calendars(principal: Reader, production: ProductionDoor) -> list[CalendarVersion]:
    """All versions of all calendars, by place and day. A line without one follows its site's."""
    return (await production.calendars.all(principal.scope)).versions


@router.put("/calendars")
async def put_calendar(principal: Engineer, production: ProductionDoor, body: CalendarRequest) -> CalendarVersion:
    """Say what a week looks like from a day on. Figures of the days it holds for are made again."""
    return await production.calendars.put(principal, body)


@router.delete("/calendars/{calendar_id}", status_code=204)
async def remove_calendar(principal: Engineer, production: ProductionDoor, calendar_id: UUID) -> None:
    """Take a version away; the one before it goes on."""
    await production.calendars.remove(principal, calendar_id)


@router.get("/calendar-exceptions")
async def list_exceptions(principal: Reader, production: ProductionDoor) -> list[CalendarException]:
    """All days that are not as the week says, by place and day."""
    return (await production.calendars.all(principal.scope)).exceptions


@router.put("/calendar-exceptions")
async def put_exception(principal: Engineer, production: ProductionDoor, body: ExceptionRequest) -> CalendarException:
    """Make a day a holiday, or one that is worked as another weekday."""
    return await production.calendars.put_exception(principal, body)


@router.delete("/calendar-exceptions/{exception_id}", status_code=204)
async def remove_exception(principal: Engineer, production: ProductionDoor, exception_id: UUID) -> None:
    """Let a day be as the week says again."""
    await production.calendars.remove_exception(principal, exception_id)


@router.get("/shifts")
async def list_shifts(principal: Reader, production: ProductionDoor, node: NodeQuery, days: DaysQuery) -> list[Shift]:
    """The shifts planned at a node, by their begin; a shift belongs to the production day it begins on."""
    return await production.shifts_of_days(principal.scope, node, days.first, days.last)
