"""HTTP of uploads."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.core.access import Operator, Reader
from cloud.core.errors import language_of
from cloud.core.keyset import BY_ID_NEWEST
from cloud.core.paging import Paged
from cloud.uploads.schemas import Upload, UploadReport
from cloud.uploads.service import MAX_BYTES, TemplateOrder, Uploads
from cloud.uploads.template import MEDIA
from protocols.text import Language

router = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])

UPLOADS = {router.prefix: MAX_BYTES, f"{router.prefix}/check": MAX_BYTES}
"""Paths that take a file as their body, with the most bytes it may have."""

_FILE = {"schema": {"type": "string", "format": "binary"}}
_TAKES_FILE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {kind.partition(";")[0]: _FILE for kind in MEDIA.values()}}
}


def uploads_of(request: Request) -> Uploads:
    """Return the running cloud's uploads."""
    return cast(Uploads, request.app.state.uploads)


UploadsDoor = Annotated[Uploads, Depends(uploads_of)]
SiteId = Annotated[UUID, Query(description="The site whose machines the file is about.")]


class TemplateQuery(TemplateOrder):
    """Which template is wanted, and in which language it explains itself."""

    language: Language | None = None


@router.get("/template", response_class=Response, responses={200: {"content": {kind: {} for kind in MEDIA.values()}}})
async def get_template(
    request: Request, principal: Reader, uploads: UploadsDoor, query: Annotated[TemplateQuery, Query()]
) -> Response:
    """A file to be filled in: what others ask of the machines that are entered by hand, or all that their classes have."""
    language = query.language or language_of(request)
    content = await uploads.template(principal.scope, query, language)
    headers = {"Content-Disposition": f'attachment; filename="sunmao-template.{query.format}"'}
    return Response(content, media_type=MEDIA[query.format], headers=headers)


@router.post("/check", openapi_extra=_TAKES_FILE)
async def check_upload(request: Request, principal: Operator, uploads: UploadsDoor, site_id: SiteId) -> UploadReport:
    """Tell what is wrong with a file, cell by cell, or how it is understood; nothing is stored."""
    with uploads.room():
        return await uploads.check(principal, site_id, await request.body())


@router.post("", openapi_extra=_TAKES_FILE)
async def store_upload(request: Request, principal: Operator, uploads: UploadsDoor, site_id: SiteId) -> UploadReport:
    """Store all values of a file - CSV or XLSX, at most 20 MB and 1,000,000 cells - or, where anything is wrong, none.

    The same values again change nothing. Another value for a time that has one is refused: what is stored is never changed.
    """
    with uploads.room():
        return await uploads.store(principal, site_id, await request.body())


@router.get("")
async def list_uploads(principal: Reader, uploads: UploadsDoor, page: Paged) -> list[Upload]:
    """The files that were taken, newest first."""
    return page.cut(await uploads.uploads(principal.scope, page.window(BY_ID_NEWEST)), lambda one: (one.id,))
