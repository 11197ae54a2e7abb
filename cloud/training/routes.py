"""HTTP of the training domain."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from cloud.core.access import Engineer, Operator, Reader
from cloud.training.schemas import (
    Completeness,
    Counts,
    Fit,
    MachineRequest,
    Picture,
    PictureChange,
    PictureSet,
    PublicKey,
    SetChange,
    SetRequest,
    Stretch,
    Trial,
    UploadQuery,
    Version,
)
from cloud.training.service import MAX_PICTURE_BYTES, Training
from models.bundle import packed

router = APIRouter(prefix="/api/v1/training", tags=["training"])

UPLOADS = {f"{router.prefix}/{name}": MAX_PICTURE_BYTES for name in ("pictures", "trials")}
"""Paths that take a picture as their body, with the most bytes it may have."""

_PICTURES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/png")}
_TAKES_PICTURE: dict[str, Any] = {"requestBody": {"required": True, "content": _PICTURES}}
_KEPT = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}


def training_of(request: Request) -> Training:
    """Return the running cloud's training domain."""
    return cast(Training, request.app.state.training)


TrainingDoor = Annotated[Training, Depends(training_of)]
DigestPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.get("/key")
async def get_public_key(principal: Reader, training: TrainingDoor) -> PublicKey:
    """The key that vouches for this company's models; it is made with the first set."""
    return await training.public_key(principal.scope)


@router.get("/sets")
async def list_sets(principal: Reader, training: TrainingDoor) -> list[PictureSet]:
    """The picture sets, by name; at most 100."""
    return await training.sets(principal.scope)


@router.post("/sets", status_code=201)
async def create_set(principal: Engineer, training: TrainingDoor, body: SetRequest) -> PictureSet:
    """Make an empty set of pictures for one product at one camera."""
    return await training.create_set(principal, body)


@router.get("/sets/{set_id}")
async def get_set(principal: Reader, training: TrainingDoor, set_id: UUID) -> PictureSet:
    """One set, with how many pictures are uploaded."""
    return await training.picture_set(principal.scope, set_id)


@router.patch("/sets/{set_id}")
async def change_set(principal: Engineer, training: TrainingDoor, set_id: UUID, body: SetChange) -> PictureSet:
    """Change the station, how long uploaded pictures stay, or where models look."""
    return await training.change_set(principal, set_id, body)


@router.delete("/sets/{set_id}", status_code=204)
async def remove_set(principal: Engineer, training: TrainingDoor, set_id: UUID) -> None:
    """Delete a set with its pictures, fits and versions; boxes keep what they run."""
    await training.remove_set(principal, set_id)


@router.get("/sets/{set_id}/counts")
async def count_pictures(principal: Reader, training: TrainingDoor, set_id: UUID) -> Counts:
    """What a fit would use now: uploaded pictures, and parts that operators judged at the station."""
    return await training.counts(principal.scope, set_id)


@router.post("/pictures", status_code=201, openapi_extra=_TAKES_PICTURE)
async def add_picture(
    request: Request, principal: Operator, training: TrainingDoor, query: Annotated[UploadQuery, Query()]
) -> Picture:
    """Put a picture, JPEG or PNG of at most 8 MiB, into a set; the same one again changes only what is said of it."""
    return await training.add_picture(principal, query, await request.body())


@router.get("/sets/{set_id}/pictures")
async def list_pictures(principal: Reader, training: TrainingDoor, set_id: UUID) -> list[Picture]:
    """A set's uploaded pictures, newest first; at most 2000."""
    return await training.pictures(principal.scope, set_id)


@router.patch("/sets/{set_id}/pictures/{digest}")
async def change_picture(
    principal: Operator, training: TrainingDoor, set_id: UUID, digest: DigestPath, body: PictureChange
) -> Picture:
    """Say what a picture shows."""
    return await training.change_picture(principal, set_id, digest, body)


@router.delete("/sets/{set_id}/pictures/{digest}", status_code=204)
async def remove_picture(principal: Operator, training: TrainingDoor, set_id: UUID, digest: DigestPath) -> None:
    """Delete a picture."""
    await training.remove_picture(principal, set_id, digest)


@router.get(
    "/sets/{set_id}/pictures/{digest}/content", response_class=Response, responses={200: {"content": _PICTURES}}
)
async def get_content(principal: Reader, training: TrainingDoor, set_id: UUID, digest: DigestPath) -> Response:
    """A picture as it was uploaded."""
    content = await training.content(principal.scope, set_id, digest)
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
    return Response(content, media_type=kind, headers=_KEPT)


@router.get(
    "/sets/{set_id}/pictures/{digest}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": _PICTURES["image/jpeg"]}}},
)
async def get_thumbnail(principal: Reader, training: TrainingDoor, set_id: UUID, digest: DigestPath) -> Response:
    """A small grey copy of a picture."""
    content = await training.content(principal.scope, set_id, digest, small=True)
    return Response(content, media_type="image/jpeg", headers=_KEPT)


@router.post("/sets/{set_id}/fits", status_code=202)
async def request_fit(principal: Engineer, training: TrainingDoor, set_id: UUID) -> Fit:
    """Have a model fitted from the set as it is now; follow it at `/fits/{fit_id}`."""
    return await training.request_fit(principal, set_id)


@router.post("/machines", status_code=201)
async def create_machine(principal: Engineer, training: TrainingDoor, body: MachineRequest) -> PictureSet:
    """Note a machine and its sensors, for models of its health from stored readings."""
    return await training.machines.create(principal, body)


@router.get("/sets/{set_id}/completeness")
async def get_completeness(
    principal: Reader, training: TrainingDoor, set_id: UUID, stretch: Annotated[Stretch, Query()]
) -> Completeness:
    """How much of a stretch there is to learn a machine's model from."""
    return await training.machines.completeness(principal.scope, set_id, stretch)


@router.post("/sets/{set_id}/machine-fits", status_code=202)
async def request_machine_fit(principal: Engineer, training: TrainingDoor, set_id: UUID, body: Stretch) -> Fit:
    """Have a machine's model fitted from a stretch of good running; follow it at `/fits/{fit_id}`."""
    fit = await training.machines.request_fit(principal, set_id, body)
    training.requested.set()
    return fit


@router.get("/sets/{set_id}/fits")
async def list_fits(principal: Reader, training: TrainingDoor, set_id: UUID) -> list[Fit]:
    """A set's latest fits, newest first."""
    return await training.fits(principal.scope, set_id)


@router.get("/fits/{fit_id}")
async def get_fit(principal: Reader, training: TrainingDoor, fit_id: UUID) -> Fit:
    """How far a fit is, or what became of it."""
    return await training.fit(principal.scope, fit_id)


@router.post("/fits/{fit_id}/cancel", status_code=202)
async def cancel_fit(principal: Engineer, training: TrainingDoor, fit_id: UUID) -> Fit:
    """Let a fit end; one that runs does so within a second."""
    return await training.cancel_fit(principal, fit_id)


@router.get("/sets/{set_id}/versions")
async def list_versions(principal: Reader, training: TrainingDoor, set_id: UUID) -> list[Version]:
    """The models fitted from a set, newest first, each beside the one before on the same held-back pictures."""
    return await training.versions(principal.scope, set_id)


@router.get("/versions/{version_id}")
async def get_version(principal: Reader, training: TrainingDoor, version_id: UUID) -> Version:
    """One fitted model."""
    return await training.version(principal.scope, version_id)


@router.get(
    "/versions/{version_id}/bundle",
    response_class=Response,
    responses={200: {"content": {"application/zip": _PICTURES["image/jpeg"]}}},
)
async def get_bundle(principal: Reader, training: TrainingDoor, version_id: UUID) -> Response:
    """The signed folder of a version, as a ZIP file: unpack it at the box and name it as `bundle` of the station."""
    version = await training.version(principal.scope, version_id)
    name = f"{version.name}-{version.number}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    content = packed(name, await training.bundle(principal.scope, version_id))
    return Response(content, media_type="application/zip", headers=headers)


@router.post("/trials", openapi_extra=_TAKES_PICTURE)
async def try_version(request: Request, principal: Operator, training: TrainingDoor, version_id: UUID) -> Trial:
    """What a version says of a picture, JPEG or PNG of at most 8 MiB; nothing is stored."""
    return await training.try_version(principal.scope, version_id, await request.body())
