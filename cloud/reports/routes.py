"""HTTP of the reports domain."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud.core.access import Engineer, Reader
from cloud.production.schemas import Node, NodeKind
from cloud.reports.schemas import MEDIA_TYPES, Format, Kind, Schedule, ScheduleRequest
from cloud.reports.service import Reports, printed
from protocols.text import Language

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])


def reports_of(request: Request) -> Reports:
    """Return the running cloud's reports domain."""
    return cast(Reports, request.app.state.reports)


ReportsDoor = Annotated[Reports, Depends(reports_of)]


class Asked(BaseModel):
    """What a report is about, and how it is wanted."""

    model_config = ConfigDict(extra="forbid")

    node: NodeKind = Field(description="What `node_id` is.")
    node_id: UUID = Field(description="A site, a line or a piece of equipment.")
    period: Kind
    at: AwareDatetime | None = Field(
        None, description="An instant in the period; without it the last one that is over."
    )
    format: Format = "pdf"
    language: Language = "zh"


AskedQuery = Annotated[Asked, Query()]
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/file", response_class=Response, responses={200: {"content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY)}}
)
async def make_report(principal: Reader, reports: ReportsDoor, asked: AskedQuery) -> Response:
    """The report of a shift, day, week or month, as a PDF or an Excel workbook."""
    document = await reports.document(principal.scope, Node(kind=asked.node, id=asked.node_id), asked.period, asked.at)
    file = await asyncio.to_thread(printed, document, asked.format, asked.language)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    return Response(file.content, media_type=file.media_type, headers=headers)


@router.get("/schedules")
async def list_schedules(principal: Reader, reports: ReportsDoor) -> list[Schedule]:
    """The reports that are sent by themselves, oldest first; at most 100."""
    return await reports.schedules(principal.scope)


@router.post("/schedules", status_code=201)
async def create_schedule(principal: Engineer, reports: ReportsDoor, body: ScheduleRequest) -> Schedule:
    """Have a report sent whenever its period is over, from the next one on."""
    return await reports.create_schedule(principal, body)


@router.delete("/schedules/{schedule_id}", status_code=204)
async def remove_schedule(principal: Engineer, reports: ReportsDoor, schedule_id: UUID) -> None:
    """Stop a report from being sent."""
    await reports.remove_schedule(principal, schedule_id)


@router.post("/schedules/{schedule_id}/send", status_code=202)
async def send_now(principal: Engineer, reports: ReportsDoor, schedule_id: UUID) -> None:
    """Send the report of the last period that is over, now, whether it has been sent before or not."""
    await reports.send_now(principal, schedule_id)
