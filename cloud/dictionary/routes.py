"""HTTP of the dictionary domain. The released entries are the same for every company and need no credential."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request

from cloud.core.access import PUBLIC, Admin, Engineer, Reader
from cloud.dictionary import service
from cloud.dictionary.schemas import CompanyEntry, DictionaryEntry, EntryRequest, ReviewRequest, WithdrawalRequest
from cloud.dictionary.service import CompanyEntries

router = APIRouter(prefix="/api/v1/dictionary", tags=["dictionary"])


def company_entries_of(request: Request) -> CompanyEntries:
    """Return the running cloud's entries of companies."""
    return cast(CompanyEntries, request.app.state.company_entries)


CompanyDoor = Annotated[CompanyEntries, Depends(company_entries_of)]
EntryCode = Annotated[str, Path(max_length=64)]


@router.get("/entries", openapi_extra=PUBLIC)
async def list_entries(equipment_class: str | None = None) -> list[DictionaryEntry]:
    """The released entries, of one class of equipment or of all."""
    return service.entries(equipment_class)


@router.get("/entries/{code}", openapi_extra=PUBLIC)
async def get_entry(code: str) -> DictionaryEntry:
    """One released entry."""
    return service.entry(code)


@router.get("/company-entries")
async def list_company_entries(principal: Reader, own: CompanyDoor) -> list[CompanyEntry]:
    """The company's own entries by code, each as its latest version is; at most 2000."""
    return await own.latest(principal.scope)


@router.post("/company-entries", status_code=201)
async def propose_entry(principal: Engineer, own: CompanyDoor, body: EntryRequest) -> CompanyEntry:
    """Propose an entry, or a new version of one. Somebody else reviews it."""
    return (await own.propose(principal, [body]))[0]


@router.get("/company-entries/{entry_code}")
async def list_entry_versions(principal: Reader, own: CompanyDoor, entry_code: EntryCode) -> list[CompanyEntry]:
    """The last 100 versions of one of the company's own entries, newest first: who, when, and what became of it."""
    return await own.versions(principal.scope, entry_code)


@router.post("/company-entries/{entry_code}/review")
async def review_entry(principal: Admin, own: CompanyDoor, entry_code: EntryCode, body: ReviewRequest) -> CompanyEntry:
    """Release the proposed version or send it back with a reason; 403 for one's own proposal."""
    return await own.review(principal, entry_code, body)


@router.post("/company-entries/{entry_code}/withdrawal")
async def withdraw_entry(
    principal: Admin, own: CompanyDoor, entry_code: EntryCode, body: WithdrawalRequest
) -> CompanyEntry:
    """Let an entry be given to no more points. Those that have it keep it, and it stays in every answer and file."""
    return await own.withdraw(principal, entry_code, body.note)
