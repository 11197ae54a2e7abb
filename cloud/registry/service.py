"""The door of the registry: released models, whose signatures count, and what stations run.

version = await registry.release(principal, training_version_id)     a version fitted here -> ModelVersion
version = await registry.upload(principal, zip_bytes)                a signed bundle from elsewhere; raises Invalid, Conflict
wanted = await registry.report(agent, report)                        what an agent's stations run -> what they shall run
piece = await registry.part(agent, request)                          a piece of a bundle's file
rollout = await registry.rollouts.begin(principal, request)          and `promote`, `take_back`, `all`, `one`
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import AgentPrincipal, Principal, TenantScope
from cloud.core.rows import Row
from cloud.fleet.service import equipment_of
from cloud.registry import store
from cloud.registry.bundles import unpacked, verified
from cloud.registry.rollouts import Rollouts
from cloud.registry.schemas import ModelKey, ModelVersion, StationModel, StoredKey
from cloud.training.service import Training
from models.bundle import Bundle
from models.card import parse_card
from protocols.errors import Malformed
from protocols.text import Text
from protocols.uplink.models import PART_BYTES, BundlePart, ModelOrder, ModelsReport, ModelsWanted, PartRequest

MOST_STATIONS = 200
"""Stations one box may report."""
_MAX_TEXT = 500

_TAKEN = Text(
    "There is another model of this name and version; release it under another version.",
    "已有同名同版本的另一模型；请换一个版本号发布。",
)
_KNOWN_KEY = Text("This key is trusted already.", "该公钥已受信任。")
_NO_KEYS = Text(
    "No signature counts here yet: add the public key of whoever signs your models, or make a picture set.",
    "尚无受信任的签名公钥：请添加模型签名者的公钥，或新建一个图片集。",
)


class Registry:
    """The models of a tenant and where they run."""

    def __init__(self, db: Database, training: Training) -> None:
        self._db = db
        self._training = training
        self.rollouts = Rollouts(db)
        self._trials = asyncio.Semaphore(1)

    async def release(self, principal: Principal, training_version_id: UUID) -> ModelVersion:
        """Release a version that was fitted here; the same one again is the one that is there."""
        files = await self._training.bundle(principal.scope, training_version_id)
        return await self._add(principal, files)

    async def upload(self, principal: Principal, content: bytes) -> ModelVersion:
        """Release a signed bundle, a ZIP file of its folder; raises Invalid by the rule it breaks, Conflict."""
        return await self._add(principal, unpacked(content))

    async def versions(self, scope: TenantScope) -> list[ModelVersion]:
        """Return the latest 500 versions, newest first."""
        async with self._db.tenant(scope) as connection:
            return await self.versions_within(connection)

    async def version(self, scope: TenantScope, identity: UUID) -> ModelVersion:
        """Return one version; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _one(connection, identity)

    async def bundle(self, scope: TenantScope, identity: UUID) -> tuple[str, dict[str, bytes]]:
        """Return a version's folder: its name and its files."""
        async with self._db.tenant(scope) as connection:
            row = await store.select_bundle(connection, identity)
        if row is None:
            raise NotFound
        return f"{row['name']}-{row['version']}", {name: row[column] for name, column in store.FILES.items()}

    async def keys(self, scope: TenantScope) -> list[StoredKey]:
        """Return whose signatures count besides the company's own."""
        async with self._db.tenant(scope) as connection:
            return [StoredKey(**row) for row in await store.select_keys(connection)]

    async def add_key(self, principal: Principal, key: ModelKey) -> None:
        """Let a signature count; raises Conflict if it does."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.insert_key(connection, key.public_key, key.name, principal.actor):
                raise Conflict(_KNOWN_KEY)
            await audit.record(connection, principal.actor, "model_key.add", key.name, public_key=key.public_key)

    async def remove_key(self, principal: Principal, public_key: str) -> None:
        """Let a signature count no more; what it has vouched for stays."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.delete_key(connection, public_key):
                raise NotFound
            await audit.record(connection, principal.actor, "model_key.remove", public_key)

    async def stations(self, scope: TenantScope) -> list[StationModel]:
        """Return what the stations the scope reaches run and shall run."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_stations(connection)
        return [
            StationModel(
                **{name: row[name] for name in StationModel.model_fields if name in row and name != "shadow"},
                shadow=row["beside"],
                wanted=row["run"],
                wanted_shadow=row["shadow"],
                settled=row["dealt_with"] >= row["number"],
            )
            for row in rows
        ]

    async def report(self, agent: AgentPrincipal, report: ModelsReport) -> ModelsWanted:
        """Keep what an agent's stations run; return their orders. Raises Malformed for what no honest agent sends."""
        for station in report.stations:
            texts = [text for text in msgspec.structs.astuple(station) if isinstance(text, str)]
            if not station.station or any(len(text) > _MAX_TEXT or "\0" in text for text in texts):
                raise Malformed(Text("a station's report is not valid", "工位报告无效"))
            if not 0 <= station.order < 2**63:
                raise Malformed(Text("a station's order is not valid", "工位指令编号无效"))
        if len(report.stations) > MOST_STATIONS:
            raise Malformed(Text(f"more than {MOST_STATIONS} stations", f"超过 {MOST_STATIONS} 个工位"))
        orders = []
        async with self._db.tenant(agent.scope) as connection:
            equipment = await equipment_of(connection, agent, {each.station for each in report.stations})
            for station in report.stations:
                row = await store.upsert_report(connection, equipment[station.station], msgspec.structs.asdict(station))
                if row["number"]:
                    orders.append(ModelOrder(station.station, **row))
        return ModelsWanted(orders)

    async def part(self, agent: AgentPrincipal, request: PartRequest) -> BundlePart:
        """Return a piece of a bundle's file; raises Malformed for a file that no bundle has, NotFound."""
        if request.file not in store.FILES or not 0 <= request.offset < 2**31 or "\0" in request.digest:
            raise Malformed(Text("there is no such file in a bundle", "模型包中没有该文件"))
        async with self._db.tenant(agent.scope) as connection:
            found = await store.select_part(connection, request.digest, request.file, request.offset, PART_BYTES)
        if found is None:
            raise NotFound
        return BundlePart(*found)

    async def _add(self, principal: Principal, files: Mapping[str, bytes]) -> ModelVersion:
        bundle = await self.verified(principal.scope, files)
        async with self._db.tenant(principal.scope) as connection:
            return await self.add_within(connection, principal, bundle, files)

    async def verified(self, scope: TenantScope, files: Mapping[str, bytes], also: Sequence[str] = ()) -> Bundle:
        """Return the bundle of files after every check a box makes; the keys `also` count besides. Raises Invalid."""
        trust = [*also, *(key.public_key for key in await self.keys(scope))]
        try:
            trust.append((await self._training.public_key(scope)).public_key)
        except NotFound:
            if not trust:
                raise Invalid(_NO_KEYS) from None
        async with self._trials:
            return await verified(files, trust)

    @staticmethod
    async def add_within(
        connection: AsyncConnection, principal: Principal, bundle: Bundle, files: Mapping[str, bytes]
    ) -> ModelVersion:
        """Release a verified bundle in the caller's transaction; raises Conflict if its name and version are another's."""
        try:
            fresh = await store.insert_version(connection, _row(bundle, files, principal.actor))
        except store.Taken as error:
            raise Conflict(_TAKEN) from error
        if fresh:
            name = f"{bundle.card.name} {bundle.card.version}"
            await audit.record(connection, principal.actor, "model.release", name, digest=bundle.digest)
        rows = await store.select_versions(connection, digest=bundle.digest)
        return _version(rows[0])

    @staticmethod
    async def versions_within(connection: AsyncConnection) -> list[ModelVersion]:
        """As `versions`, in the caller's transaction."""
        return [_version(row) for row in await store.select_versions(connection)]


def _row(bundle: Bundle, files: Mapping[str, bytes], by: str) -> Row:
    card = bundle.card
    row: Row = {"id": uuid7(), "name": card.name, "version": card.version, "task": card.task, "added_by": by}
    row |= {"digest": bundle.digest, "signer": bundle.signer}
    return row | {column: files[name] for name, column in store.FILES.items()}


async def _one(connection: AsyncConnection, identity: UUID) -> ModelVersion:
    rows = await store.select_versions(connection, identity=identity)
    if not rows:
        raise NotFound
    return _version(rows[0])


def _version(row: Row) -> ModelVersion:
    return ModelVersion(**row | {"card": msgspec.to_builtins(parse_card(row["card"]))})
