"""HTTP of traceability: the capture and a subset of the query interface of EPCIS 2.0, and following things."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.core.access import Operator, Reader
from cloud.core.instants import Instant
from cloud.traceability.schemas import Captured, Trace
from cloud.traceability.service import EventQuery, Traceability, document_of

router = APIRouter(prefix="/api/v1/trace", tags=["traceability"])


def traceability_of(request: Request) -> Traceability:
    """Return the running cloud's traceability."""
    return cast(Traceability, request.app.state.traceability)


TraceDoor = Annotated[Traceability, Depends(traceability_of)]
Thing = Annotated[
    str, Query(max_length=300, description="A URI - EPC, GS1 Digital Link, your own - or a Handle 88.x.y/...")
]
Kind = Literal["ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent"]


@router.post("/capture", status_code=201)
async def capture_events(principal: Operator, traces: TraceDoor, body: dict[str, Any]) -> Captured:
    """Store an EPCIS 2.0 document, or one bare event: all of it or - where anything is amiss - nothing (rollback)."""
    return await traces.capture(principal, body)


@router.get("/events")
async def query_events(
    response: Response,
    principal: Reader,
    traces: TraceDoor,
    *,
    any_epc: Annotated[str | None, Query(alias="MATCH_anyEPC", max_length=300)] = None,
    event_type: Annotated[Kind | None, Query(alias="eventType")] = None,
    biz_step: Annotated[str | None, Query(alias="EQ_bizStep", max_length=300)] = None,
    start: Annotated[Instant | None, Query(alias="GE_eventTime")] = None,
    end: Annotated[Instant | None, Query(alias="LT_eventTime")] = None,
    per_page: Annotated[int, Query(alias="perPage", ge=1, le=500)] = 30,
    token: Annotated[str | None, Query(alias="nextPageToken", max_length=500)] = None,
) -> dict[str, Any]:
    """Events as an EPCISDocument, newest first. The header `X-Next-Page-Token` is there where there are more."""
    query = EventQuery(any_epc, event_type, biz_step, start, end, per_page, token)
    page = await traces.events(principal.scope, query)
    if page.next:
        response.headers["X-Next-Page-Token"] = page.next
    return document_of(page.events, datetime.now(UTC))


@router.get("/up")
async def trace_up(principal: Reader, traces: TraceDoor, thing: Thing) -> Trace:
    """What a thing was made of: inputs and parts, step by step, to where it all began."""
    return await traces.trace(principal.scope, thing, up=True)


@router.get("/down")
async def trace_down(principal: Reader, traces: TraceDoor, thing: Thing) -> Trace:
    """What was made of a thing, to the finished goods: what a recall has to reach."""
    return await traces.trace(principal.scope, thing, up=False)
