"""HTTP of the quality domain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.core.access import Operator, Reader
from cloud.core.errors import Invalid
from cloud.core.instants import Instant
from cloud.quality.schemas import (
    Defects,
    Filter,
    Inspection,
    InspectionPage,
    JudgementRequest,
    ListQuery,
    PictureKind,
    Summary,
)
from cloud.quality.service import MEDIA_TYPES, Quality
from protocols.text import Text

router = APIRouter(prefix="/api/v1/inspections", tags=["quality"])

_LONGEST_SUMMARY = timedelta(days=92)


def quality_of(request: Request) -> Quality:
    """Return the running cloud's quality domain."""
    return cast(Quality, request.app.state.quality)


QualityDoor = Annotated[Quality, Depends(quality_of)]


@router.get("")
async def list_inspections(
    principal: Reader, quality: QualityDoor, query: Annotated[ListQuery, Query()]
) -> InspectionPage:
    """Inspections, newest first. Times are half-open: `start` <= time < `end`."""
    wanted = Filter(**query.model_dump(exclude={"limit", "before"}))
    return await quality.inspections(principal.scope, wanted, limit=query.limit, before=query.before)


@router.get("/summary")
async def summarise_inspections(
    principal: Reader,
    quality: QualityDoor,
    start: Instant | None = None,
    end: Instant | None = None,
    equipment_id: UUID | None = None,
) -> Summary:
    """How many inspections had which verdict, in total and per hour; the last 24 hours unless told, at most 92 days."""
    start, end = _span(start, end)
    return await quality.summary(principal.scope, start, end, equipment_id)


@router.get("/defects")
async def count_defects(
    principal: Reader,
    quality: QualityDoor,
    start: Instant | None = None,
    end: Instant | None = None,
    equipment_id: UUID | None = None,
) -> Defects:
    """How many parts had which defect, the most frequent first; the last 24 hours unless told, at most 92 days."""
    start, end = _span(start, end)
    return await quality.defects(principal.scope, start, end, equipment_id)


def _span(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    end = end or datetime.now(UTC)
    start = start or end - timedelta(days=1)
    if not timedelta(0) < end - start <= _LONGEST_SUMMARY:
        raise Invalid(Text("start must be before end, by at most 92 days.", "start 必须早于 end，且间隔不超过 92 天。"))
    return start, end


@router.get("/uncertain")
async def list_uncertain(
    principal: Reader, quality: QualityDoor, equipment_id: UUID, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[Inspection]:
    """A station's latest parts that nobody has judged: those to review first, then the nearest to one of the limits."""
    return await quality.uncertain(principal.scope, equipment_id, limit)


@router.get("/{inspection_id}")
async def get_inspection(principal: Reader, quality: QualityDoor, inspection_id: UUID) -> Inspection:
    """One inspection."""
    return await quality.inspection(principal.scope, inspection_id)


@router.get("/{inspection_id}/picture", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def get_picture(principal: Reader, quality: QualityDoor, inspection_id: UUID) -> Response:
    """The picture of the part, JPEG."""
    return await _image(principal, quality, inspection_id, "picture")


@router.get("/{inspection_id}/heatmap", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def get_heatmap(principal: Reader, quality: QualityDoor, inspection_id: UUID) -> Response:
    """Where the part looked unusual: a grey PNG of the picture's aspect ratio, brighter is more unusual."""
    return await _image(principal, quality, inspection_id, "heatmap")


async def _image(principal: Reader, quality: Quality, inspection_id: UUID, kind: PictureKind) -> Response:
    image = await quality.image(principal.scope, inspection_id, kind)
    # An image never changes under its id; only the reader's own browser may keep it.
    headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(image.content, media_type=MEDIA_TYPES[kind], headers=headers)


@router.post("/{inspection_id}/judgement")
async def judge_inspection(
    principal: Operator, quality: QualityDoor, inspection_id: UUID, body: JudgementRequest
) -> Inspection:
    """Say what an inspected part really is. The last word counts; every word is in the audit log."""
    return await quality.judge(principal, inspection_id, body.judgement, body.defect)


@router.delete("/{inspection_id}/judgement")
async def withdraw_judgement(principal: Operator, quality: QualityDoor, inspection_id: UUID) -> Inspection:
    """Take an operator's word back, as if nobody had said anything; the audit log keeps both."""
    return await quality.withdraw(principal, inspection_id)
