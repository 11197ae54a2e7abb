"""HTTP of the energy domain."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.core.access import Engineer, Reader
from cloud.core.instants import Instant
from cloud.core.keyset import BY_NAME
from cloud.core.paging import Paged
from cloud.energy.schemas import (
    Advice,
    Assumptions,
    Bill,
    CarrierCode,
    Factor,
    FactorRequest,
    Granularity,
    LoadCurve,
    Meter,
    MeterChange,
    MeterRequest,
    PlaceVersion,
    Summary,
    Tariff,
    TariffRequest,
    Usage,
    Window,
)
from cloud.energy.service import Energy
from cloud.energy.usage_sheet import MEDIA, SheetFormat, usage_sheet
from cloud.production.schemas import Day, Node, NodeKind
from protocols.text import Language

router = APIRouter(prefix="/api/v1/energy", tags=["energy"])


def energy_of(request: Request) -> Energy:
    """Return the running cloud's energy domain."""
    return cast(Energy, request.app.state.energy)


EnergyDoor = Annotated[Energy, Depends(energy_of)]


class SpanQuery(BaseModel):
    """Which time and which carrier are asked for: [start, end)."""

    model_config = ConfigDict(extra="forbid")

    start: Instant
    end: Instant
    carrier: CarrierCode = "electricity"

    @property
    def window(self) -> Window:
        """The span."""
        return Window(self.start, self.end)


class NodeQuery(SpanQuery):
    """Which node is asked about."""

    node: NodeKind = Field(description="What `node_id` is.")
    node_id: UUID = Field(description="A site, a line or a piece of equipment.")

    @property
    def place(self) -> Node:
        """The node."""
        return Node(kind=self.node, id=self.node_id)


class UsageQuery(NodeQuery):
    """How finely a span is told."""

    granularity: Granularity = "day"


class ExportQuery(UsageQuery):
    """Which file is wanted."""

    format: SheetFormat = "csv"
    language: Language = "zh"


class SiteQuery(SpanQuery):
    """Which site is asked about."""

    site_id: UUID


@router.get("/usage")
async def get_usage(principal: Reader, energy: EnergyDoor, query: Annotated[UsageQuery, Query()]) -> Usage:
    """Energy, cost and CO2 of a site, line or machine, by hour, shift, day or month of the site, and in total."""
    return await energy.usage(principal.scope, query.place, query.window, query.granularity, query.carrier)


@router.get("/export", response_class=Response, responses={200: {"content": {kind: {} for kind in MEDIA.values()}}})
async def export_usage(principal: Reader, energy: EnergyDoor, query: Annotated[ExportQuery, Query()]) -> Response:
    """The rows of `usage` as a table for people, times on the site's clock."""
    usage = await energy.usage(principal.scope, query.place, query.window, query.granularity, query.carrier)
    content = await asyncio.to_thread(usage_sheet, usage, query.format, query.language)
    name = f"energy-{query.carrier}-{query.start:%Y%m%d}-{query.end:%Y%m%d}.{query.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=MEDIA[query.format], headers=headers)


@router.get("/load")
async def get_load_curve(principal: Reader, energy: EnergyDoor, query: Annotated[NodeQuery, Query()]) -> LoadCurve:
    """The course of the load of a site, line or machine, each point with its band of the tariff."""
    return await energy.load_curve(principal.scope, query.place, query.window, query.carrier)


@router.get("/summary")
async def get_summary(principal: Reader, energy: EnergyDoor, query: Annotated[SiteQuery, Query()]) -> Summary:
    """What a site used, what it cost and emitted, when its demand was largest, and what of it each machine used."""
    return await energy.summary(principal.scope, query.site_id, query.window, query.carrier)


@router.get("/bill")
async def get_bill(principal: Reader, energy: EnergyDoor, site_id: UUID, day: Day) -> Bill:
    """The electricity bill of the calendar month that `day` is in, line by line; so far, if the month is not over."""
    return await energy.bill(principal.scope, site_id, day)


@router.get("/renewal")
async def get_renewal_advice(principal: Reader, energy: EnergyDoor, site_id: UUID) -> list[Advice]:
    """Which machine of a site to renew, ranked, with the arithmetic and with what is missing."""
    return await energy.renewals.advice(principal.scope, site_id)


@router.put("/renewal/{equipment_id}", status_code=204)
async def put_assumptions(principal: Engineer, energy: EnergyDoor, equipment_id: UUID, body: Assumptions) -> None:
    """Say what is assumed of renewing a machine, in place of what was."""
    await energy.renewals.assume(principal, equipment_id, body)


@router.get("/meters")
async def list_meters(principal: Reader, energy: EnergyDoor, page: Paged, site_id: UUID | None = None) -> list[Meter]:
    """The meters, of one site or of all. Points that measure energy become meters by themselves."""
    meters = await energy.registry.meters(principal.scope, site_id, page.window(BY_NAME))
    return page.cut(meters, lambda one: (one.name, one.id))


@router.post("/meters", status_code=201)
async def create_meter(principal: Engineer, energy: EnergyDoor, body: MeterRequest) -> Meter:
    """Make a meter of a point, e.g. a gas meter's volume, or a virtual one that is computed from others."""
    return await energy.registry.create_meter(principal, body)


@router.put("/meters/{meter_id}")
async def change_meter(
    principal: Engineer,
    energy: EnergyDoor,
    meter_id: UUID,
    body: MeterChange,
    valid_from: Annotated[
        Instant | None,
        Query(
            description="A whole hour (UTC) from which it measures and stands behind what is said; this hour unless told."
        ),
    ] = None,
) -> Meter:
    """Say what a meter measures and which one it stands behind. What held before `valid_from` stays."""
    return await energy.registry.change_meter(principal, meter_id, body, valid_from)


@router.get("/meters/{meter_id}/places")
async def list_places(principal: Reader, energy: EnergyDoor, meter_id: UUID) -> list[PlaceVersion]:
    """What a meter measures and stands behind, and did, newest first; none where that has always been the same."""
    return await energy.registry.places.versions(principal.scope, meter_id)


@router.delete("/meters/{meter_id}/places", status_code=204)
async def remove_place(principal: Engineer, energy: EnergyDoor, meter_id: UUID, valid_from: Instant) -> None:
    """Take a version of what a meter measures and stands behind away; the one before it goes on."""
    await energy.registry.places.remove(principal, meter_id, valid_from)


@router.delete("/meters/{meter_id}", status_code=204)
async def delete_meter(principal: Engineer, energy: EnergyDoor, meter_id: UUID) -> None:
    """Remove a virtual meter; have a measured one counted nowhere."""
    await energy.registry.delete_meter(principal, meter_id)


@router.get("/tariffs")
async def list_tariffs(principal: Reader, energy: EnergyDoor, site_id: UUID | None = None) -> list[Tariff]:
    """The versions of tariffs, of one site or of all; of each site and carrier the newest first."""
    return await energy.registry.tariffs(principal.scope, site_id)


@router.post("/tariffs", status_code=201)
async def create_tariff(principal: Engineer, energy: EnergyDoor, body: TariffRequest) -> Tariff:
    """Enter a version of a tariff. Versions are never changed: what was reckoned by one can be reckoned again."""
    return await energy.registry.create_tariff(principal, body)


@router.delete("/tariffs/{tariff_id}", status_code=204)
async def delete_tariff(principal: Engineer, energy: EnergyDoor, tariff_id: UUID) -> None:
    """Remove a version that was entered by mistake."""
    await energy.registry.delete_tariff(principal, tariff_id)


@router.get("/factors")
async def list_factors(principal: Reader, energy: EnergyDoor, site_id: UUID | None = None) -> list[Factor]:
    """The factors for CO2 and standard coal: the sites' own, then those that come with the product."""
    return await energy.registry.factors(principal.scope, site_id)


@router.post("/factors", status_code=201)
async def create_factor(principal: Engineer, energy: EnergyDoor, body: FactorRequest) -> Factor:
    """Enter a factor of a site, with its source; it goes before those that come with the product."""
    return await energy.registry.create_factor(principal, body)


@router.delete("/factors/{factor_id}", status_code=204)
async def delete_factor(principal: Engineer, energy: EnergyDoor, factor_id: UUID) -> None:
    """Remove a factor of a site."""
    await energy.registry.delete_factor(principal, factor_id)
