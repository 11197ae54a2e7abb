"""HTTP of the dictionary domain. The released entries are the same for every company and need no credential."""

from __future__ import annotations

from fastapi import APIRouter

from cloud.core.access import PUBLIC
from cloud.dictionary import service
from cloud.dictionary.schemas import DictionaryEntry

router = APIRouter(prefix="/api/v1/dictionary", tags=["dictionary"])


@router.get("/entries", openapi_extra=PUBLIC)
async def list_entries(equipment_class: str | None = None) -> list[DictionaryEntry]:
    """The released entries, of one class of equipment or of all."""
    return service.entries(equipment_class)


@router.get("/entries/{code}", openapi_extra=PUBLIC)
async def get_entry(code: str) -> DictionaryEntry:
    """One released entry."""
    return service.entry(code)
