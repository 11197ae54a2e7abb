"""HTTP of programmes and of the suppliers they invite."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from cloud.core.access import PUBLIC, Admin, Reader, address_of
from cloud.suppliers.schemas import (
    ImportReport,
    InvitationKey,
    Invited,
    NewInvitation,
    Programme,
    ProgrammeRequest,
    Registered,
    Registration,
    Scorecard,
    Supplier,
    WallRow,
)
from cloud.suppliers.service import Suppliers

router = APIRouter(prefix="/api/v1", tags=["suppliers"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
_TAKES_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": _FILE,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _FILE,
        },
    }
}


def suppliers_of(request: Request) -> Suppliers:
    """Return the running cloud's suppliers."""
    return cast(Suppliers, request.app.state.suppliers)


SuppliersDoor = Annotated[Suppliers, Depends(suppliers_of)]


@router.get("/programmes")
async def list_programmes(principal: Reader, suppliers: SuppliersDoor) -> list[Programme]:
    """What suppliers are asked for, newest first; at most 500."""
    return await suppliers.programmes(principal.scope)


@router.post("/programmes", status_code=201)
async def create_programme(principal: Admin, suppliers: SuppliersDoor, body: ProgrammeRequest) -> Programme:
    """Say what every supplier of a programme is asked for, and how good its data has to be."""
    return await suppliers.create(principal, body)


@router.get("/programmes/{programme_id}/suppliers")
async def list_suppliers(principal: Reader, suppliers: SuppliersDoor, programme_id: UUID) -> list[Supplier]:
    """How far each supplier has come, and what is missing."""
    return await suppliers.states(principal, programme_id)


@router.post("/programmes/{programme_id}/suppliers", openapi_extra=_TAKES_FILE)
async def invite_suppliers(
    request: Request, principal: Admin, suppliers: SuppliersDoor, programme_id: UUID
) -> ImportReport:
    """Invite every supplier of a CSV or XLSX file (credit_code, name, contact), or tell what is wrong with it and invite none.

    Links and codes are told this once.
    """
    return await suppliers.invite(principal, programme_id, await request.body())


@router.get("/programmes/{programme_id}/scorecards")
async def list_scorecards(principal: Reader, suppliers: SuppliersDoor, programme_id: UUID) -> list[Scorecard]:
    """What the values of suppliers come to, day by day; compared where at least five companies show them."""
    return await suppliers.scorecards(principal, programme_id)


@router.get("/programmes/{programme_id}/wall")
async def get_supplier_wall(principal: Reader, suppliers: SuppliersDoor, programme_id: UUID) -> list[WallRow]:
    """OEE, quality, energy, maturity and delivery risk of each supplier, as far as its grant shows what they are made of."""
    return await suppliers.wall(principal, programme_id)


@router.post("/suppliers/{supplier_id}/reminder")
async def remind_supplier(principal: Admin, suppliers: SuppliersDoor, supplier_id: UUID) -> NewInvitation | None:
    """Make another link and code for a supplier that has not registered; null where it has, and only has to answer."""
    return await suppliers.remind(principal, supplier_id)


@router.post("/suppliers/{supplier_id}/check")
async def check_supplier(principal: Admin, suppliers: SuppliersDoor, supplier_id: UUID) -> Supplier:
    """Look, over its grant, whether a supplier shows all that is asked for. It sees that this was read."""
    return await suppliers.check(principal, supplier_id)


@router.post("/supplier-invitations/open", openapi_extra=PUBLIC)
async def open_supplier_invitation(request: Request, suppliers: SuppliersDoor, body: InvitationKey) -> Invited:
    """What the holder of an invitation's link and code is asked to show, and what for."""
    return await suppliers.open(body, address_of(request))


@router.post("/supplier-invitations/register", status_code=201, openapi_extra=PUBLIC)
async def register_supplier(request: Request, suppliers: SuppliersDoor, body: Registration) -> Registered:
    """Found the invited company with its owner, and say what it shows, or leave that for later."""
    return await suppliers.register(body, address_of(request))
