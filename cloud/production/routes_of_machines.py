"""HTTP of what belongs to one machine: its settings, run times, product runs, and people's words on its stops."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from cloud.core.access import Engineer, Operator, Reader
from cloud.core.instants import Instant
from cloud.production.query import ProductionDoor, SpanQuery
from cloud.production.schemas import (
    Counts,
    EquipmentSettings,
    PointName,
    ProductRun,
    ProductRunRequest,
    RunTime,
    RunTimeRequest,
    SettingsVersion,
    StopWord,
    Threshold,
)

router = APIRouter(prefix="/api/v1/production/equipment/{equipment_id}", tags=["production"])


@router.get("/settings")
async def get_settings(principal: Reader, production: ProductionDoor, equipment_id: UUID) -> EquipmentSettings:
    """How a machine is read."""
    return await production.machine_settings.get(principal.scope, equipment_id)


@router.put("/settings")
async def put_settings(
    principal: Engineer,
    production: ProductionDoor,
    equipment_id: UUID,
    body: EquipmentSettings,
    valid_from: Annotated[
        Instant | None,
        Query(
            description="A whole hour; this one unless told, but 1970-01-01, the beginning, where the machine was not read so far."
        ),
    ] = None,
) -> EquipmentSettings:
    """Say how a machine is read from an hour on. Its figures since then are made anew, those before stay as they were."""
    return await production.machine_settings.put(principal, equipment_id, body, valid_from)


@router.get("/settings/versions")
async def list_settings(principal: Reader, production: ProductionDoor, equipment_id: UUID) -> list[SettingsVersion]:
    """How a machine is and was read, newest first."""
    return await production.machine_settings.versions(principal.scope, equipment_id)


@router.delete("/settings/versions", status_code=204)
async def remove_settings(
    principal: Engineer, production: ProductionDoor, equipment_id: UUID, valid_from: Instant
) -> None:
    """Take a version of a machine's settings away; the one before it goes on."""
    await production.machine_settings.remove_version(principal, equipment_id, valid_from)


@router.get("/threshold")
async def propose_threshold(
    principal: Reader, production: ProductionDoor, equipment_id: UUID, point: Annotated[PointName, Query()]
) -> Threshold:
    """Where a point's last 14 days part into running and standing, for a machine that tells no state."""
    return await production.machine_settings.propose_threshold(principal.scope, equipment_id, point)


@router.get("/run-times")
async def list_run_times(principal: Reader, production: ProductionDoor, equipment_id: UUID) -> list[RunTime]:
    """The planned run times per item (PRI) of a machine, oldest first."""
    return await production.machine_settings.run_times(principal.scope, equipment_id)


@router.put("/run-times")
async def put_run_time(
    principal: Engineer, production: ProductionDoor, equipment_id: UUID, body: RunTimeRequest
) -> RunTime:
    """Set how long an item is planned to take from a minute on, in place of one of the same item and minute."""
    return await production.machine_settings.put_run_time(principal, equipment_id, body)


@router.delete("/run-times", status_code=204)
async def remove_run_time(
    principal: Engineer,
    production: ProductionDoor,
    equipment_id: UUID,
    valid_from: Instant,
    item: Annotated[str, Query(max_length=120, pattern=r"^[^\x00-\x1f]*$")] = "",
) -> None:
    """Take a planned run time away; the one before it goes on."""
    await production.machine_settings.remove_run_time(principal, equipment_id, item, valid_from)


@router.get("/product-runs")
async def list_product_runs(
    principal: Reader, production: ProductionDoor, equipment_id: UUID, span: SpanQuery
) -> list[ProductRun]:
    """What was made on a machine: runs that begin in [start, end), oldest first; each lasts until the next."""
    return await production.machine_settings.product_runs(principal.scope, equipment_id, span.start, span.end)


@router.put("/product-runs")
async def put_product_run(
    principal: Operator, production: ProductionDoor, equipment_id: UUID, body: ProductRunRequest
) -> ProductRun:
    """Say what is made on a machine from a minute on."""
    return await production.machine_settings.put_product_run(principal, equipment_id, body)


@router.delete("/product-runs", status_code=204)
async def remove_product_run(
    principal: Operator, production: ProductionDoor, equipment_id: UUID, start: Instant
) -> None:
    """Take a run away; the one before it goes on."""
    await production.machine_settings.remove_product_run(principal, equipment_id, start)


@router.get("/counts")
async def get_counts(principal: Reader, production: ProductionDoor, equipment_id: UUID, span: SpanQuery) -> Counts:
    """What was counted at a machine in [start, end), whole minutes, whether planned or not."""
    return await production.counts(principal.scope, equipment_id, span.start, span.end)


@router.put("/stops/{at}", status_code=204)
async def classify_stop(
    principal: Operator, production: ProductionDoor, equipment_id: UUID, at: Instant, body: StopWord
) -> None:
    """Give the stop that `at` lies in a reason from `at` on. A second word, within a stop, parts it there."""
    await production.stops.classify(principal, equipment_id, at, body)


@router.delete("/stops/{at}", status_code=204)
async def unclassify_stop(principal: Operator, production: ProductionDoor, equipment_id: UUID, at: Instant) -> None:
    """Take back what was said of a stop from `at` on."""
    await production.stops.unclassify(principal, equipment_id, at)
