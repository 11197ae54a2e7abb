"""HTTP of the alarms domain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from cloud.alarms.schemas import (
    Alarm,
    AlarmDetail,
    AlarmPage,
    BackTest,
    BackTestResult,
    Comment,
    Counts,
    Priority,
    Rule,
    RuleRequest,
    Shelf,
    Statistics,
)
from cloud.alarms.service import Alarms, Filter
from cloud.core.access import Engineer, Operator, Reader, StillValid
from cloud.core.instants import Instant
from cloud.core.paging import Paged

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"])


def alarms_of(request: Request) -> Alarms:
    """Return the running cloud's alarms domain."""
    return cast(Alarms, request.app.state.alarms)


AlarmsDoor = Annotated[Alarms, Depends(alarms_of)]


@router.get("")
async def list_alarms(
    principal: Reader,
    alarms: AlarmsDoor,
    *,
    state: Annotated[Literal["open", "closed", "all"], Query(description="Open: not over yet.")] = "open",
    equipment_id: UUID | None = None,
    priority: Priority | None = None,
    rule_id: UUID | None = None,
    start: Annotated[Instant | None, Query(description="Noticed then or later.")] = None,
    end: Annotated[Instant | None, Query(description="Noticed before.")] = None,
    site_id: UUID | None = None,
    line_id: UUID | None = None,
    text: Annotated[str, Query(max_length=200, description="Part of the source or the message.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(max_length=200, description="The `next` of the page before this one.")] = None,
) -> AlarmPage:
    """Alarms, noticed last first."""
    is_open = {"open": True, "closed": False, "all": None}[state]
    wanted = Filter(is_open, equipment_id, priority, rule_id, start, end, site_id, line_id, text.replace("\0", ""))
    return await alarms.page(principal.scope, wanted, limit=limit, before=before)


@router.get("/counts")
async def count_alarms(principal: Reader, alarms: AlarmsDoor) -> Counts:
    """How many alarms are open, and how many of them nobody has acknowledged."""
    return await alarms.counts(principal.scope)


@router.get("/statistics")
async def get_alarm_statistics(
    principal: Reader,
    alarms: AlarmsDoor,
    start: Annotated[Instant | None, Query(description="Inclusive; a week before `end` unless told.")] = None,
    end: Annotated[Instant | None, Query(description="Exclusive; now unless told.")] = None,
) -> Statistics:
    """How the alarm system fares: rates, floods, bad actors, standing and chattering alarms (IEC 62682, EEMUA 191)."""
    last = end or datetime.now(UTC)
    return await alarms.statistics(principal.scope, start or last - timedelta(days=7), last)


@router.get("/changes", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def follow_alarms(
    principal: Reader,
    still_valid: StillValid,
    alarms: AlarmsDoor,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> StreamingResponse:
    """Server-sent events: first all open alarms, then those to which something happens.

    With `Last-Event-ID` the stream goes on where it was cut, also over a restart of the cloud. It ends when the
    credential does.
    """

    async def events() -> AsyncIterator[str]:
        async for change in alarms.changes(principal.scope, last_event_id):
            if not await still_valid():
                return
            if change.alarms:
                yield f"id: {change.position}\nevent: alarms\ndata: {change.model_dump_json()}\n\n"
            else:
                yield ":\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/rules")
async def list_alarm_rules(principal: Reader, alarms: AlarmsDoor, page: Paged) -> list[Rule]:
    """The company's alarm rules, by name; at most 1,000."""
    return page.cut(await alarms.rules.all(principal.scope, page.window(("",))), lambda one: (one.name,))


@router.post("/rules", status_code=201)
async def create_alarm_rule(principal: Engineer, body: RuleRequest, alarms: AlarmsDoor) -> Rule:
    """Write down a rule. Switched on, it is evaluated from the present values on."""
    return await alarms.rules.create(principal, body)


@router.post("/rules/test")
async def test_alarm_rule(principal: Engineer, body: BackTest, alarms: AlarmsDoor) -> BackTestResult:
    """Try a rule on what is stored of the last days: how often it would have been raised."""
    return await alarms.rules.back_test(principal.scope, body.rule, body.days)


@router.post("/rules/defaults", status_code=201)
async def add_default_alarm_rules(
    principal: Engineer,
    alarms: AlarmsDoor,
    equipment_class: Annotated[
        str, Query(max_length=200, description='"" for rules on gateways and any machine.')
    ] = "",
) -> list[Rule]:
    """Write down the default rules of an equipment class that are not there yet, switched off."""
    return await alarms.rules.add_defaults(principal, equipment_class)


@router.get("/rules/{rule_id}")
async def get_alarm_rule(principal: Reader, rule_id: UUID, alarms: AlarmsDoor) -> Rule:
    """One rule."""
    return await alarms.rules.one(principal.scope, rule_id)


@router.put("/rules/{rule_id}")
async def change_alarm_rule(principal: Engineer, rule_id: UUID, body: RuleRequest, alarms: AlarmsDoor) -> Rule:
    """Put another version in place of a rule. With another condition, selection or delay its open alarms are over."""
    return await alarms.rules.change(principal, rule_id, body)


@router.delete("/rules/{rule_id}", status_code=204)
async def remove_alarm_rule(principal: Engineer, rule_id: UUID, alarms: AlarmsDoor) -> None:
    """Take a rule out. Its open alarms are over; its history remains."""
    await alarms.rules.remove(principal, rule_id)


@router.get("/{alarm_id}")
async def get_alarm(principal: Reader, alarm_id: UUID, alarms: AlarmsDoor) -> AlarmDetail:
    """One alarm with all that happened to it."""
    return await alarms.alarm(principal.scope, alarm_id)


@router.post("/{alarm_id}/acknowledgement")
async def acknowledge_alarm(principal: Operator, alarm_id: UUID, body: Comment, alarms: AlarmsDoor) -> Alarm:
    """Say that somebody has seen it and sees to it; resets one that latches."""
    return await alarms.acknowledge(principal, alarm_id, body.comment)


@router.put("/{alarm_id}/shelf")
async def shelve_alarm(principal: Operator, alarm_id: UUID, body: Shelf, alarms: AlarmsDoor) -> Alarm:
    """Put it aside for a time: nobody is told, and it comes back by itself."""
    return await alarms.shelve(principal, alarm_id, minutes=body.minutes, reason=body.reason)


@router.delete("/{alarm_id}/shelf")
async def unshelve_alarm(principal: Operator, alarm_id: UUID, alarms: AlarmsDoor) -> Alarm:
    """Take it up again."""
    return await alarms.unshelve(principal, alarm_id)
