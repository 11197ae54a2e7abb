"""HTTP of the shelf."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from cloud.core.access import Admin, Reader
from cloud.shelf.schemas import Confirmed, Installation, PackageInfo, Plan, PublishRequest
from cloud.shelf.service import Shelf

router = APIRouter(prefix="/api/v1/shelf", tags=["shelf"])


def shelf_of(request: Request) -> Shelf:
    """Return the running cloud's shelf."""
    return cast(Shelf, request.app.state.shelf)


ShelfDoor = Annotated[Shelf, Depends(shelf_of)]


@router.get("/packages")
async def list_packages(principal: Reader, shelf: ShelfDoor) -> list[PackageInfo]:
    """The newest version of every package on the shelf, and every version of the company's own."""
    return await shelf.packages(principal.scope)


@router.post("/packages", status_code=201)
async def publish_package(principal: Admin, shelf: ShelfDoor, body: PublishRequest) -> PackageInfo:
    """Publish a version, made of what the company has and signed with its key; it is never changed again."""
    return await shelf.publish(principal, body)


@router.get(
    "/packages/{package_id}/document", response_class=Response, responses={200: {"content": {"application/json": {}}}}
)
async def get_package_document(principal: Reader, shelf: ShelfDoor, package_id: UUID) -> Response:
    """All that is in a package, as it is signed."""
    info, package = await shelf.package(principal.scope, package_id)
    name = f'attachment; filename="{info.code}-{info.version}.json"'
    return Response(package.document, media_type="application/json", headers={"Content-Disposition": name})


@router.post("/packages/{package_id}/withdrawal", status_code=204)
async def withdraw_package(principal: Admin, shelf: ShelfDoor, package_id: UUID) -> None:
    """Take one's own package off the shelf; who has it keeps it, and is told."""
    await shelf.withdraw(principal, package_id)


@router.get("/packages/{package_id}/plan")
async def get_installation_plan(principal: Reader, shelf: ShelfDoor, package_id: UUID) -> Plan:
    """What installing the package, or updating to it, would do, thing by thing."""
    return await shelf.plan(principal, package_id)


@router.post("/packages/{package_id}/installation", status_code=201)
async def install_package(principal: Admin, shelf: ShelfDoor, package_id: UUID, body: Confirmed) -> Installation:
    """Do exactly what the plan says, all of it or nothing; 412 where it would do something else by now."""
    return await shelf.install(principal, package_id, body.plan)


@router.get("/installations")
async def list_installations(principal: Reader, shelf: ShelfDoor) -> list[Installation]:
    """What the company has installed, newest first."""
    return await shelf.installations(principal.scope)


@router.get("/installations/{installation_id}/removal")
async def get_removal_plan(principal: Reader, shelf: ShelfDoor, installation_id: UUID) -> Plan:
    """What removing it would take out, and what it would leave because the company has changed it."""
    return await shelf.removal(principal.scope, installation_id)


@router.delete("/installations/{installation_id}", status_code=204)
async def remove_installation(
    principal: Admin,
    shelf: ShelfDoor,
    installation_id: UUID,
    plan: Annotated[str, Query(max_length=64, description="Digest of the removal that was seen.")],
) -> None:
    """Take out what it brought and nobody has changed."""
    await shelf.remove(principal, installation_id, plan)


@router.get(
    "/installations/{installation_id}/templates/{template}",
    response_class=Response,
    responses={200: {"content": {"application/toml": {}}}},
)
async def get_installed_template(
    principal: Reader,
    shelf: ShelfDoor,
    installation_id: UUID,
    template: Annotated[str, Path(max_length=64)],
) -> Response:
    """A device template it brought, as the file that `sunmao-edge library add` takes."""
    text = await shelf.template(principal.scope, installation_id, template)
    headers = {"Content-Disposition": f'attachment; filename="{template}.toml"'}
    return Response(text, media_type="application/toml", headers=headers)
