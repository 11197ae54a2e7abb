"""HTTP of the telemetry domain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from cloud.core.access import Admin, AgentCaller, Engineer, Reader, StillValid
from cloud.core.body import message, read_message, speaks
from cloud.core.errors import language_of
from cloud.core.gate import Gate
from cloud.core.instants import Instant
from cloud.core.keyset import BY_EQUIPMENT
from cloud.core.paging import Paged, Typed
from cloud.telemetry.export import MAX_SERIES, MEDIA
from cloud.telemetry.schemas import (
    ExportFormat,
    History,
    Latest,
    Meaning,
    Point,
    ReadingPage,
    Resolution,
    RetentionRule,
    RetentionRules,
    Shape,
    Stats,
    View,
    ViewRequest,
)
from cloud.telemetry.service import Telemetry
from protocols.dictionary.entries import Aggregation
from protocols.text import Language
from protocols.uplink.messages import Delivery, Receipt

router = APIRouter(prefix="/api/v1", tags=["telemetry"])

DELIVERIES = "/api/v1/uplink/batches"
MAX_DELIVERY_BYTES = 16 * 1024 * 1024
_CHECK_S = 2.0


async def telemetry_of(request: Request) -> Telemetry:
    """Return the running cloud's telemetry domain."""
    return cast(Telemetry, request.app.state.telemetry)


TelemetryDoor = Annotated[Telemetry, Depends(telemetry_of)]
SeriesId = Annotated[int, Query(ge=0, lt=2**31)]
Series = Annotated[int, Path(ge=0, lt=2**31)]
Start = Annotated[Instant | None, Query(description="Inclusive; an hour before `end` unless told.")]
End = Annotated[Instant | None, Query(description="Exclusive; now unless told.")]


@router.post("/uplink/batches", openapi_extra=speaks(Delivery, Receipt))
async def deliver(request: Request, agent: AgentCaller, telemetry: TelemetryDoor) -> Response:
    """Deliver frames. Each is stored exactly once; the receipt comes after the commit.

    429 or 503 with `Retry-After` while more come in than can be stored: nothing is lost, deliver again then.
    """
    gate: Gate = request.app.state.gate
    delivery = await read_message(request, Delivery)
    async with gate.admitted(str(agent.agent_id)):
        return message(await telemetry.deliver(agent, delivery))


@router.get("/points")
async def list_points(
    principal: Reader, telemetry: TelemetryDoor, page: Paged, equipment_id: UUID | None = None, search: Typed = ""
) -> list[Point]:
    """The points of one equipment or of all, with what the dictionary says of them; or those that `search` finds."""
    if search:
        return await telemetry.catalogue.find(principal.scope, search, page.limit, equipment_id)
    points = await telemetry.points(principal.scope, equipment_id, page.window(BY_EQUIPMENT))
    return page.cut(points, lambda one: (one.equipment_id, one.name, one.series_id))


@router.get("/latest")
async def list_latest(
    principal: Reader, telemetry: TelemetryDoor, page: Paged, equipment_id: UUID | None = None
) -> list[Latest]:
    """The latest reading of every point of one equipment or of all."""
    latest = await telemetry.latest(principal.scope, equipment_id, page.window((0,)))
    return page.cut(latest, lambda one: (one.series_id,))


@router.get("/series/{series_id}/readings")
async def list_readings(
    principal: Reader,
    telemetry: TelemetryDoor,
    *,
    series_id: int,
    start: Start = None,
    end: End = None,
    after: Annotated[Instant | None, Query(description="The `next` of the page before this one.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> ReadingPage:
    """Readings as they came, oldest first. Readings of one instant are never parted, so a page may exceed `limit`."""
    first, last = _span(start, end)
    return await telemetry.readings(principal.scope, series_id, first, last, after=after, limit=limit)


@router.get("/history")
async def get_history(
    principal: Reader,
    telemetry: TelemetryDoor,
    *,
    series_id: Annotated[list[int], Query(min_length=1, max_length=50)],
    start: Start = None,
    end: End = None,
    max_points: Annotated[
        int, Query(ge=1, le=10_000, description="Samples a curve may have: about the chart's width in pixels.")
    ] = 1000,
    resolution: Resolution | Literal["auto"] = "auto",
    shape: Annotated[
        Shape, Query(description="`lttb` picks the samples that keep the look of the curve (Steinarsson 2013).")
    ] = "buckets",
    aligned: Annotated[bool, Query(description="Every curve gets a sample for every bucket, empty ones too.")] = False,
    aggregation: Annotated[
        Aggregation | None, Query(description="Instead of the dictionary entry's own, where it allows another.")
    ] = None,
) -> History:
    """Curves for a chart; the answer says which roll-up they were made from and how long the database took."""
    first, last = _span(start, end)
    return await telemetry.history(
        principal.scope,
        series_id,
        first,
        last,
        max_points,
        resolution=resolution,
        shape=shape,
        aligned=aligned,
        aggregation=aggregation,
    )


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {media.partition(";")[0]: {} for media in MEDIA.values()}}},
)
async def export_readings(
    request: Request,
    principal: Reader,
    still_valid: StillValid,
    telemetry: TelemetryDoor,
    *,
    series_id: Annotated[list[int], Query(min_length=1, max_length=MAX_SERIES)],
    start: Start = None,
    end: End = None,
    format: Annotated[ExportFormat, Query(description="`parquet` keeps quality and every reading.")] = "csv",
    lang: Annotated[Language | None, Query(description="Of the headings; Accept-Language unless told.")] = None,
) -> StreamingResponse:
    """A file of readings of any span.

    CSV and XLSX have a row per instant and a column per point, times on the site's clock and in UTC; a bad reading is an
    empty cell. XLSX goes on in a new sheet after 1,048,576 rows. The download ends when the credential does.
    """
    first, last = _span(start, end)
    export = telemetry.export(principal.scope)
    plan = await export.plan(series_id, first, last, lang or language_of(request))

    async def pieces() -> AsyncIterator[bytes]:
        checked = monotonic()
        async for piece in export.file(plan, format):
            if monotonic() - checked > _CHECK_S:
                if not await still_valid():
                    raise ConnectionAbortedError("the credential of an export has ended")
                checked = monotonic()
            yield piece

    name = f"sunmao-{plan.start.astimezone(plan.zone):%Y%m%d}-{plan.end.astimezone(plan.zone):%Y%m%d}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces(), media_type=MEDIA[format], headers=headers)


@router.get("/changes", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def follow_changes(
    principal: Reader,
    still_valid: StillValid,
    telemetry: TelemetryDoor,
    equipment_id: UUID | None = None,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> StreamingResponse:
    """Server-sent events: first all latest readings, then those that change.

    With `Last-Event-ID` the stream goes on where it was cut, also over a restart of the cloud. It ends when the
    credential does.
    """

    async def events() -> AsyncIterator[str]:
        async for change in telemetry.changes(principal.scope, equipment_id, last_event_id):
            if not await still_valid():
                return
            if change.values:
                yield f"id: {change.position}\nevent: change\ndata: {change.model_dump_json()}\n\n"
            else:
                yield ":\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/telemetry/stats")
async def get_stats(principal: Reader, telemetry: TelemetryDoor) -> Stats:
    """What is stored, whether the ledger agrees with it, and how long readings took to get there."""
    return await telemetry.stats(principal.scope)


@router.put("/points/{series_id}/meaning", status_code=204)
async def set_meaning(principal: Engineer, telemetry: TelemetryDoor, series_id: Series, body: Meaning) -> None:
    """Say which of the company's own entries a point has that the gateway has not mapped; "" takes it away."""
    await telemetry.meanings.set(principal, series_id, body.entry)


@router.get("/retention")
async def get_retention(principal: Reader, telemetry: TelemetryDoor) -> RetentionRules:
    """How long readings stay in the database before they move into files."""
    return _rules(await telemetry.retention.rules(principal.scope))


@router.put("/retention")
async def set_retention(principal: Admin, telemetry: TelemetryDoor, body: RetentionRules) -> RetentionRules:
    """Replace the rules; older readings move within the hour. Of two rules for one entry the last one counts."""
    rules = {rule.property: rule.keep_days for rule in body.rules}
    await telemetry.retention.set_rules(principal.scope, rules, principal.actor)
    return _rules(rules)


def _rules(rules: dict[str, int]) -> RetentionRules:
    return RetentionRules(rules=[RetentionRule(property=code, keep_days=rules[code]) for code in sorted(rules)])


def _span(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    last = end or datetime.now(UTC)
    return start or last - timedelta(hours=1), last


@router.get("/trend-views")
async def list_trend_views(principal: Reader, telemetry: TelemetryDoor) -> list[View]:
    """The looks at curves that the company keeps, by name."""
    return await telemetry.views.all(principal.scope)


@router.post("/trend-views", status_code=201)
async def keep_trend_view(principal: Engineer, telemetry: TelemetryDoor, body: ViewRequest) -> View:
    """Keep a look at curves."""
    return await telemetry.views.create(principal, body)


@router.delete("/trend-views/{view_id}", status_code=204)
async def remove_trend_view(principal: Engineer, telemetry: TelemetryDoor, view_id: UUID) -> None:
    """Forget a look at curves."""
    await telemetry.views.remove(principal, view_id)
