"""HTTP of the semantics domain."""

from __future__ import annotations

from typing import Annotated, Any, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from cloud.core.access import Engineer, Reader
from cloud.dictionary.schemas import ImportReport
from cloud.semantics.package import MEDIA_TYPES, ShellFormat
from cloud.semantics.service import CSV, DictionaryFormat, Semantics, ShellFile

router = APIRouter(prefix="/api/v1", tags=["semantics"])


def semantics_of(request: Request) -> Semantics:
    """Return the running cloud's semantics domain."""
    return cast(Semantics, request.app.state.semantics)


SemanticsDoor = Annotated[Semantics, Depends(semantics_of)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TAKES_FILE = {
    "requestBody": {"required": True, "content": dict.fromkeys(("text/csv", *MEDIA_TYPES.values()), _BINARY)}
}
_FILES: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY)}}


@router.get("/equipment/{equipment_id}/shell", response_class=Response, responses=_FILES)
async def get_shell(
    principal: Reader, equipment_id: UUID, semantics: SemanticsDoor, format: ShellFormat = "aasx"
) -> Response:
    """A piece of equipment as an Asset Administration Shell: nameplate, technical data, latest values and KPIs.

    Each value names its dictionary entry, which is in the file with its names and definitions in Chinese and English.
    """
    return _download(await semantics.shell(principal.scope, equipment_id, format))


@router.get("/equipment:shells", response_class=Response, responses=_FILES)
async def get_shells(
    principal: Reader, semantics: SemanticsDoor, site_id: UUID | None = None, format: ShellFormat = "aasx"
) -> Response:
    """All equipment of a site, or of the company, as one package; at most 200 pieces, 422 above."""
    return _download(await semantics.shells(principal.scope, site_id, format))


@router.get(
    "/dictionary:export",
    response_class=Response,
    responses={200: {"content": dict.fromkeys((CSV, *MEDIA_TYPES.values()), _BINARY)}},
)
async def export_dictionary(principal: Reader, semantics: SemanticsDoor, format: DictionaryFormat = "csv") -> Response:
    """All entries of the dictionary in Chinese and English: a table, or concept descriptions as AASX or JSON (IEC 61360)."""
    return _download(await semantics.dictionary(principal.scope, format))


@router.post("/dictionary:import", openapi_extra=_TAKES_FILE)
async def import_dictionary(
    request: Request, principal: Engineer, semantics: SemanticsDoor, format: DictionaryFormat = "csv"
) -> ImportReport:
    """Propose the entries of a file as the company's own: all, or - where any row is amiss - none.

    The body is the file, at most 1 MiB: CSV with the columns of the export, or concept descriptions as AASX or JSON.
    """
    return await semantics.take_in(principal, await request.body(), format)


def _download(file: ShellFile) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    return Response(file.content, media_type=file.media_type, headers=headers)
