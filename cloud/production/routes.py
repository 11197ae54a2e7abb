"""HTTP of the production domain."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from cloud.core.access import AgentCaller, Engineer, Reader
from cloud.core.body import message, read_message, speaks
from cloud.core.errors import Invalid
from cloud.core.instants import Instant
from cloud.production.kpi_file import MEDIA_TYPES, Format, kpi_file
from cloud.production.query import DaysQuery, NodeQuery, ProductionDoor, SpanQuery
from cloud.production.routes_of_machines import router as machines
from cloud.production.schemas import (
    CalendarException,
    CalendarRequest,
    CalendarVersion,
    ExceptionRequest,
    Granularity,
    KpiReport,
    LossVersion,
    MachineReading,
    ReasonRequest,
    Shift,
    StateSpan,
    StopPage,
    StopReason,
)
from cloud.production.stops import StopFilter, StopLoss
from protocols.text import Language, Text
from protocols.uplink.shifts import ShiftsPlanned, ShiftsRequest

_AT = "/api/v1/production"

router = APIRouter(tags=["production"])


@router.post("/api/v1/uplink/shifts", openapi_extra=speaks(ShiftsRequest, ShiftsPlanned))
async def get_planned_shifts(request: Request, agent: AgentCaller, production: ProductionDoor) -> Response:
    """Get the shifts of the lines that the agent's stations are in, from yesterday on."""
    return message(await production.calendars.of_stations(agent, await read_message(request, ShiftsRequest)))


@router.get(f"{_AT}/calendars")
async def list_calendars(principal: Reader, production: ProductionDoor) -> list[CalendarVersion]:
    """All versions of all calendars, by place and day. A line without one follows its site's."""
    return (await production.calendars.all(principal.scope)).versions


@router.put(f"{_AT}/calendars")
async def put_calendar(principal: Engineer, production: ProductionDoor, body: CalendarRequest) -> CalendarVersion:
    """Say what a week looks like from a day on. Figures of the days it holds for are made again."""
    return await production.calendars.put(principal, body)


@router.delete(f"{_AT}/calendars/{{calendar_id}}", status_code=204)
async def remove_calendar(principal: Engineer, production: ProductionDoor, calendar_id: UUID) -> None:
    """Take a version away; the one before it goes on."""
    await production.calendars.remove(principal, calendar_id)


@router.get(f"{_AT}/calendar-exceptions")
async def list_exceptions(principal: Reader, production: ProductionDoor) -> list[CalendarException]:
    """All days that are not as the week says, by place and day."""
    return (await production.calendars.all(principal.scope)).exceptions


@router.put(f"{_AT}/calendar-exceptions")
async def put_exception(principal: Engineer, production: ProductionDoor, body: ExceptionRequest) -> CalendarException:
    """Make a day a holiday, or one that is worked as another weekday."""
    return await production.calendars.put_exception(principal, body)


@router.delete(f"{_AT}/calendar-exceptions/{{exception_id}}", status_code=204)
async def remove_exception(principal: Engineer, production: ProductionDoor, exception_id: UUID) -> None:
    """Let a day be as the week says again."""
    await production.calendars.remove_exception(principal, exception_id)


@router.get(f"{_AT}/shifts")
async def list_shifts(principal: Reader, production: ProductionDoor, node: NodeQuery, days: DaysQuery) -> list[Shift]:
    """The shifts planned at a node, by their begin; a shift belongs to the production day it begins on."""
    return await production.shifts_of_days(principal.scope, node, days.first, days.last)


@router.get(f"{_AT}/kpis")
async def get_kpis(
    principal: Reader,
    production: ProductionDoor,
    node: NodeQuery,
    days: DaysQuery,
    granularity: Granularity = "total",
) -> KpiReport:
    """Time elements, counts, KPIs of ISO 22400-2 and losses: by period, over all, and machine by machine.

    Figures of several shifts or machines are computed on their union. Every value names its inputs, its unit, how complete
    its data is, and which machines are not in it; where there is no value, why.
    """
    return await production.kpis(principal.scope, node, days.first, days.last, granularity)


@router.get(
    f"{_AT}/kpis/file",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)
async def get_kpi_file(
    principal: Reader,
    production: ProductionDoor,
    node: NodeQuery,
    days: DaysQuery,
    *,
    granularity: Granularity = "shift",
    format: Format = "csv",
    language: Language = "zh",
) -> Response:
    """The same figures, to the last digit, as a table for a spreadsheet: a row per period, and per machine."""
    report = await production.kpis(principal.scope, node, days.first, days.last, granularity)
    name = f"kpi-{days.first}-{days.last}.{format}"
    return Response(
        kpi_file(report, format, language),
        media_type=MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(f"{_AT}/machines")
async def list_machines(principal: Reader, production: ProductionDoor, node: NodeQuery) -> list[MachineReading]:
    """How the machines of a node are read, and what their figures still lack, by name."""
    return await production.machine_settings.readings(principal.scope, node)


@router.get(f"{_AT}/states")
async def list_states(
    principal: Reader, production: ProductionDoor, node: NodeQuery, span: SpanQuery
) -> dict[UUID, list[StateSpan]]:
    """What the machines of a node did in [start, end), without gap or overlap, by equipment id."""
    _few_days(span.end - span.start, 7 if node.kind != "equipment" else 31)
    return await production.timeline(principal.scope, node, span.start, span.end)


@router.get(f"{_AT}/stops")
async def list_stops(
    principal: Reader,
    production: ProductionDoor,
    node: NodeQuery,
    span: SpanQuery,
    *,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    least_s: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)] = 0,
    loss: Annotated[StopLoss | None, Query(description="What they are counted as.")] = None,
    reason_id: Annotated[UUID | None, Query(description="Given this reason, or one under it.")] = None,
    unexplained: Annotated[bool, Query(description="Only those that nobody has given a reason.")] = False,
) -> StopPage:
    """Stops of at least `least_s` seconds in planned time, newest first. For the next page give its `next` as `end`."""
    _few_days(span.end - span.start, 7 if node.kind != "equipment" else 31)
    wanted = StopFilter(least_s, loss=loss, reason_id=reason_id, unexplained=unexplained)
    return await production.stops.page(principal.scope, node, span.start, span.end, limit=limit, wanted=wanted)


@router.get(f"{_AT}/stop-reasons")
async def list_reasons(principal: Reader, production: ProductionDoor) -> list[StopReason]:
    """Why machines stand, in their order; a reason without a parent is of the first of two levels."""
    return await production.reasons.all(principal.scope)


@router.post(f"{_AT}/stop-reasons")
async def add_reason(principal: Engineer, production: ProductionDoor, body: ReasonRequest) -> StopReason:
    """Add a reason."""
    return await production.reasons.add(principal, body)


@router.put(f"{_AT}/stop-reasons/{{reason_id}}")
async def change_reason(
    principal: Engineer,
    production: ProductionDoor,
    reason_id: UUID,
    body: ReasonRequest,
    valid_from: Annotated[
        Instant | None, Query(description="A whole hour (UTC) from which its loss holds; this hour unless told.")
    ] = None,
) -> StopReason:
    """Change or retire a reason. Where its loss changes, stops since then are counted anew; what comes before stays."""
    return await production.reasons.change(principal, reason_id, body, valid_from)


@router.get(f"{_AT}/stop-reasons/{{reason_id}}/losses")
async def list_losses(principal: Reader, production: ProductionDoor, reason_id: UUID) -> list[LossVersion]:
    """What a reason is and was counted as, newest first."""
    return await production.reasons.losses(principal.scope, reason_id)


@router.delete(f"{_AT}/stop-reasons/{{reason_id}}/losses", status_code=204)
async def remove_loss(principal: Engineer, production: ProductionDoor, reason_id: UUID, valid_from: Instant) -> None:
    """Take a version of what a reason is counted as away; the one before it goes on."""
    await production.reasons.remove_loss(principal, reason_id, valid_from)


router.include_router(machines)


def _few_days(span: timedelta, most: int) -> None:
    if span > timedelta(days=most):
        raise Invalid(Text(f"start and end may be {most} days apart here.", f"此处 start 与 end 最多相隔 {most} 天。"))
