"""HTTP of the registry: models, keys, stations and roll-outs (JSON), and what boxes fetch (MessagePack)."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from cloud.core.access import Admin, AgentCaller, Engineer, Reader
from cloud.core.body import message, read_message, speaks
from cloud.registry.bundles import MAX_UPLOAD_BYTES
from cloud.registry.schemas import (
    ModelKey,
    ModelVersion,
    PublicKeyText,
    ReleaseRequest,
    Rollout,
    RolloutRequest,
    StationModel,
    StoredKey,
)
from cloud.registry.service import Registry
from models.bundle import packed
from protocols.uplink.models import BundlePart, ModelsReport, ModelsWanted, PartRequest

router = APIRouter(prefix="/api/v1", tags=["registry"])

UPLOADS = {f"{router.prefix}/models": MAX_UPLOAD_BYTES}
"""Paths that take a bundle as their body, with the most bytes it may have."""

_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
_TAKES_ZIP: dict[str, Any] = {"requestBody": {"required": True, "content": _ZIP}}


def registry_of(request: Request) -> Registry:
    """Return the running cloud's registry."""
    return cast(Registry, request.app.state.registry)


RegistryDoor = Annotated[Registry, Depends(registry_of)]


@router.get("/models")
async def list_models(principal: Reader, registry: RegistryDoor) -> list[ModelVersion]:
    """The released models, newest first; at most 500."""
    return await registry.versions(principal.scope)


@router.post("/models", status_code=201, openapi_extra=_TAKES_ZIP)
async def upload_model(request: Request, principal: Engineer, registry: RegistryDoor) -> ModelVersion:
    """Release a signed bundle, a ZIP file of its folder: verified and run once as a box would do."""
    return await registry.upload(principal, await request.body())


@router.post("/models/from-training", status_code=201)
async def release_model(principal: Engineer, registry: RegistryDoor, body: ReleaseRequest) -> ModelVersion:
    """Release a version that was fitted here."""
    return await registry.release(principal, body.training_version_id)


@router.get("/models/keys")
async def list_model_keys(principal: Reader, registry: RegistryDoor) -> list[StoredKey]:
    """Whose signatures count for uploads, besides the company's own."""
    return await registry.keys(principal.scope)


@router.post("/models/keys", status_code=204)
async def add_model_key(principal: Admin, registry: RegistryDoor, body: ModelKey) -> None:
    """Let a signature count."""
    await registry.add_key(principal, body)


@router.delete("/models/keys", status_code=204)
async def remove_model_key(
    principal: Admin, registry: RegistryDoor, public_key: Annotated[PublicKeyText, Query()]
) -> None:
    """Let a signature count no more; released models stay."""
    await registry.remove_key(principal, public_key)


@router.get("/models/stations")
async def list_station_models(principal: Reader, registry: RegistryDoor) -> list[StationModel]:
    """What the inspection stations run and shall run."""
    return await registry.stations(principal.scope)


@router.get("/models/{version_id}")
async def get_model(principal: Reader, registry: RegistryDoor, version_id: UUID) -> ModelVersion:
    """One released model."""
    return await registry.version(principal.scope, version_id)


@router.get("/models/{version_id}/bundle", response_class=Response, responses={200: {"content": _ZIP}})
async def get_model_bundle(principal: Reader, registry: RegistryDoor, version_id: UUID) -> Response:
    """The signed folder of a model, as a ZIP file."""
    name, files = await registry.bundle(principal.scope, version_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(packed(name, files), media_type="application/zip", headers=headers)


@router.get("/rollouts")
async def list_rollouts(principal: Reader, registry: RegistryDoor) -> list[Rollout]:
    """The latest 50 roll-outs, newest first, those that run with their evidence."""
    return await registry.rollouts.all(principal.scope)


@router.post("/rollouts", status_code=201)
async def begin_rollout(principal: Engineer, registry: RegistryDoor, body: RolloutRequest) -> Rollout:
    """Bring a model to stations: beside the old one, at a few, at all; back by itself if it rejects more or is too slow."""
    return await registry.rollouts.begin(principal, body)


@router.get("/rollouts/{rollout_id}")
async def get_rollout(principal: Reader, registry: RegistryDoor, rollout_id: UUID) -> Rollout:
    """One roll-out."""
    return await registry.rollouts.one(principal.scope, rollout_id)


@router.post("/rollouts/{rollout_id}/promote")
async def promote_rollout(principal: Engineer, registry: RegistryDoor, rollout_id: UUID) -> Rollout:
    """Go on to the next stage whatever the evidence."""
    return await registry.rollouts.promote(principal, rollout_id)


@router.post("/rollouts/{rollout_id}/return")
async def return_rollout(principal: Engineer, registry: RegistryDoor, rollout_id: UUID) -> Rollout:
    """Let every station run what it ran before."""
    return await registry.rollouts.take_back(principal, rollout_id)


@router.post("/uplink/models", openapi_extra=speaks(ModelsReport, ModelsWanted))
async def report_models(request: Request, agent: AgentCaller, registry: RegistryDoor) -> Response:
    """Tell what the agent's stations run, and hear what they shall run."""
    return message(await registry.report(agent, await read_message(request, ModelsReport)))


@router.post("/uplink/models/part", openapi_extra=speaks(PartRequest, BundlePart))
async def get_model_part(request: Request, agent: AgentCaller, registry: RegistryDoor) -> Response:
    """Get a piece of a bundle's file."""
    return message(await registry.part(agent, await read_message(request, PartRequest)))
