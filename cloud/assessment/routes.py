"""HTTP of the maturity assessment."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.assessment.schemas import Answers, Assessment, Evidence
from cloud.assessment.service import Assessments, edition_2024
from cloud.core.access import Admin, Reader
from cloud.core.errors import language_of
from protocols.text import Language

router = APIRouter(prefix="/api/v1/assessment", tags=["assessment"])


def assessments_of(request: Request) -> Assessments:
    """Return the running cloud's assessments."""
    return cast(Assessments, request.app.state.assessments)


AssessmentDoor = Annotated[Assessments, Depends(assessments_of)]


@router.get("/edition")
async def get_assessment_edition(principal: Reader) -> dict[str, Any]:
    """What is asked in the edition of 2024, how it scores, and which level follows."""
    return cast(dict[str, Any], msgspec.to_builtins(edition_2024()))


@router.get("/evidence")
async def get_assessment_evidence(
    principal: Reader,
    assessments: AssessmentDoor,
    machines: Annotated[int | None, Query(ge=1, le=100_000, description="Production machines of the company.")] = None,
) -> list[Evidence]:
    """What the platform knows towards the answers, and which it proposes."""
    return await assessments.evidence(principal.scope, machines)


@router.get("/results")
async def list_assessments(principal: Reader, assessments: AssessmentDoor) -> list[Assessment]:
    """The assessments made, newest first, each with its level and what the next one lacks; at most 100."""
    return await assessments.all(principal.scope)


@router.post("/results", status_code=201)
async def assess(principal: Admin, assessments: AssessmentDoor, body: Answers) -> Assessment:
    """Score answers, and keep them."""
    return await assessments.assess(principal, body)


@router.get(
    "/results/{assessment_id}/report", response_class=Response, responses={200: {"content": {"application/pdf": {}}}}
)
async def get_assessment_report(
    request: Request,
    principal: Reader,
    assessments: AssessmentDoor,
    *,
    assessment_id: UUID,
    lang: Annotated[Language | None, Query(description="Accept-Language unless told.")] = None,
) -> Response:
    """An assessment as a PDF."""
    file = await assessments.report(principal.scope, assessment_id, lang or language_of(request))
    headers = {
        "Content-Disposition": f'attachment; filename="assessment-{assessment_id}.pdf"',
        "Cache-Control": "no-store",
    }
    return Response(file.content, media_type=file.media_type, headers=headers)
