"""HTTP of process control."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from cloud.core.access import Engineer, Operator, Reader
from cloud.core.errors import Invalid
from cloud.core.instants import Instant
from cloud.spc.schemas import (
    ControlChart,
    ControlPlan,
    Counts,
    Lot,
    LotRequest,
    Lots,
    PlanRequest,
    Sampling,
    SamplingQuery,
    ShareChart,
    Words,
)
from cloud.spc.service import Spc, sampling
from protocols.text import Text

router = APIRouter(prefix="/api/v1/spc", tags=["process control"])

_LONGEST = timedelta(days=92)
SeriesId = Annotated[int, Path(ge=1, le=2**63 - 1)]


def spc_of(request: Request) -> Spc:
    """Return the running cloud's process control."""
    return cast(Spc, request.app.state.spc)


SpcDoor = Annotated[Spc, Depends(spc_of)]


@router.get("/plans")
async def list_control_plans(principal: Reader, spc: SpcDoor) -> list[ControlPlan]:
    """The points that have a control plan, with the one in force; at most 1000."""
    return await spc.plans(principal.scope)


@router.get("/plans/{series_id}")
async def list_control_plan_versions(principal: Reader, spc: SpcDoor, series_id: SeriesId) -> list[ControlPlan]:
    """Every version of a point's control plan, newest first."""
    return await spc.versions(principal.scope, series_id)


@router.put("/plans/{series_id}")
async def set_control_plan(principal: Engineer, spc: SpcDoor, series_id: SeriesId, body: PlanRequest) -> ControlPlan:
    """Say how a point is charted, what it is to keep to, and on which span its control limits rest."""
    return await spc.set_plan(principal, series_id, body)


@router.get("/charts/{series_id}")
async def get_control_chart(
    principal: Reader, spc: SpcDoor, series_id: SeriesId, start: Instant | None = None, end: Instant | None = None
) -> ControlChart:
    """A point's control chart with what signals, and its capability; the last 8 hours unless told, at most 92 days."""
    return await spc.chart(principal.scope, series_id, *_span(start, end, timedelta(hours=8)))


@router.get("/rejects")
async def get_reject_chart(
    principal: Reader,
    spc: SpcDoor,
    *,
    equipment_id: UUID | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    kind: Counts = "p",
) -> ShareChart:
    """The p, np or u chart of rejected parts at a station, or all; the last 30 days unless told, at most 92."""
    return await spc.shares(principal.scope, equipment_id, *_span(start, end, timedelta(days=30)), kind=kind)


@router.get("/sampling-plan")
async def get_sampling_plan(principal: Reader, query: Annotated[SamplingQuery, Query()]) -> Sampling:
    """How many parts of a lot to inspect, and how many nonconforming ones it may have (ISO 2859-1, GB/T 2828.1)."""
    return sampling(query)


@router.get("/products")
async def list_products(principal: Reader, spc: SpcDoor) -> list[str]:
    """The products of which lots were sampled, by name."""
    return await spc.products(principal.scope)


@router.get("/lots")
async def list_lots(principal: Reader, spc: SpcDoor, product: Annotated[Words, Query()]) -> Lots:
    """A product's latest 100 lots, newest first, and how severely the next is inspected."""
    return await spc.lots(principal.scope, product)


@router.post("/lots", status_code=201)
async def sample_lot(principal: Operator, spc: SpcDoor, body: LotRequest) -> Lot:
    """Enter what a lot's sample showed; the answer says whether it is accepted."""
    return await spc.add_lot(principal, body)


def _span(start: datetime | None, end: datetime | None, usual: timedelta) -> tuple[datetime, datetime]:
    end = end or datetime.now(UTC)
    start = start or end - usual
    if not timedelta(0) < end - start <= _LONGEST:
        raise Invalid(Text("start must be before end, by at most 92 days.", "start 必须早于 end，且间隔不超过 92 天。"))
    return start, end
