"""The door of the training domain.

training = Training(db, secrets, telemetry)                    app.state.training in a running cloud
one = await training.create_set(principal, SetRequest(...))     -> PictureSet; also makes the company's signing key
picture = await training.add_picture(principal, UploadQuery(...), content)      -> Picture; raises Invalid, Conflict
counts = await training.counts(scope, set_id)                   -> Counts, what a fit would use now
fit = await training.request_fit(principal, set_id)             -> Fit, which waits; `tasks` sees to it
fit = await training.machines.request_fit(principal, set_id, stretch)    of a machine's health, from stored readings
versions = await training.versions(scope, set_id)               -> list[Version], newest first
files = await training.bundle(scope, version_id)                -> dict[str, bytes], the signed folder
trial = await training.try_version(scope, version_id, content)  -> Trial

A set, picture, fit or version of another tenant, or out of reach, does not exist: NotFound.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound, TooLarge
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.core.settings import Secrets
from cloud.quality.service import JudgedPart
from cloud.telemetry.service import Telemetry
from cloud.training import child, store
from cloud.training.comparison import compare
from cloud.training.machines import Machines
from cloud.training.orders import MAX_PICTURES, MIN_LEARN, chosen_of, judged_of, request_fit, set_of
from cloud.training.rented import Rented
from cloud.training.schemas import (
    Counts,
    Figures,
    Fit,
    KindCount,
    Picture,
    PictureChange,
    PictureSet,
    PublicKey,
    SetChange,
    SetRequest,
    Trial,
    UploadQuery,
    Version,
)
from cloud.training.selection import Candidate, held_back
from cloud.training.signing import Signer
from models.card import parse_card
from models.errors import InputError
from models.kinds import missing
from models.task import LookTask
from models.vision.thumbnail import thumbnail
from protocols.text import Text

MAX_SETS = 100
MAX_PICTURE_BYTES = 8 * 1024 * 1024

_LOOK_S = 60.0
_FITS_SHOWN = 20
_BUNDLE = {"card.toml": "card", "model.onnx": "onnx", "checksums.txt": "checksums", "signature": "signature"}

_NAME_TAKEN = Text("There is a set of this name; choose another one.", "已有同名的图片集，请换一个名称。")
_NO_STATION = Text("There is no such station.", "没有该工位。")
_TOO_MANY_SETS = Text(
    f"A company has at most {MAX_SETS} sets; remove one first.", f"每个企业最多 {MAX_SETS} 个图片集，请先删除一个。"
)
_FULL = Text(
    f"A set has at most {MAX_PICTURES} pictures; remove some first.",
    f"每个图片集最多 {MAX_PICTURES} 张图片，请先删除一些。",
)
_TOO_LARGE = Text(
    f"A picture has at most {MAX_PICTURE_BYTES >> 20} MiB; save it smaller.",
    f"每张图片最大 {MAX_PICTURE_BYTES >> 20} MiB，请压缩后再上传。",
)
_ENDED = Text("This fit has ended.", "该训练已结束。")
_RENTED = Text("It runs on rented computing; cancel its job.", "该训练在租用算力上运行，请取消对应的作业。")


class Training:
    """Picture sets of a tenant, fits and versions."""

    def __init__(self, db: Database, secrets: Secrets, telemetry: Telemetry) -> None:
        self._db = db
        self.signer = Signer(secrets)
        self.machines = Machines(db, telemetry, self.signer)
        self.rented = Rented(self.signer)
        self.requested = asyncio.Event()
        """Set when a fit was asked for in this process: nobody has to wait for the next look round."""
        self._trials = asyncio.Semaphore(1)

    async def public_key(self, scope: TenantScope) -> PublicKey:
        """Return the key that vouches for the tenant's models; raises NotFound before the first set."""
        async with self._db.tenant(scope) as connection:
            row = await store.select_key(connection)
        if row is None:
            raise NotFound
        return PublicKey(public_key=row["public_key"], created_at=row["created_at"])

    async def sets(self, scope: TenantScope) -> list[PictureSet]:
        """Return the sets the scope reaches, by name."""
        async with self._db.tenant(scope) as connection:
            return [PictureSet(**row) for row in await store.select_sets(connection)]

    async def picture_set(self, scope: TenantScope, identity: UUID) -> PictureSet:
        """Return one set."""
        async with self._db.tenant(scope) as connection:
            return await set_of(connection, identity)

    async def create_set(self, principal: Principal, request: SetRequest) -> PictureSet:
        """Make an empty set; raises Conflict for a taken name, Invalid for a station that is none."""
        tenant = principal.scope.tenant_id
        async with self._db.tenant(TenantScope(tenant)) as connection:
            await self.signer.ensure(connection, tenant)
        identity = uuid7()
        row = request.model_dump() | {"id": identity, "created_by": principal.actor}
        try:
            async with self._db.tenant(principal.scope) as connection:
                if len(await store.select_sets(connection)) >= MAX_SETS:
                    raise Conflict(_TOO_MANY_SETS)
                await store.insert_set(connection, row)
                await audit.record(connection, principal.actor, "training.create", request.name, set=str(identity))
                return await set_of(connection, identity)
        except store.NameTaken as error:
            raise Conflict(_NAME_TAKEN) from error
        except store.NoSuchPlace as error:
            raise Invalid(_NO_STATION) from error

    async def change_set(self, principal: Principal, identity: UUID, change: SetChange) -> PictureSet:
        """Change the station, how long pictures stay, where and how models look; what is left out stays as it is."""
        try:
            async with self._db.tenant(principal.scope) as connection:
                found = await set_of(connection, identity)
                after = found.model_dump(include={"equipment_id", "keep_days", "region", "family"}) | change.model_dump(
                    exclude_unset=True
                )
                await store.update_set(connection, identity, after)
                await audit.record(connection, principal.actor, "training.change", found.name, after=after)
                return await set_of(connection, identity)
        except store.NoSuchPlace as error:
            raise Invalid(_NO_STATION) from error

    async def remove_set(self, principal: Principal, identity: UUID) -> None:
        """Delete a set with its pictures and versions."""
        async with self._db.tenant(principal.scope) as connection:
            found = await set_of(connection, identity)
            await store.delete_set(connection, identity)
            await audit.record(connection, principal.actor, "training.remove", found.name, set=str(identity))

    async def add_picture(self, principal: Principal, query: UploadQuery, content: bytes) -> Picture:
        """Put a picture into a set; the same content again changes only what is said of it.

        Raises Invalid for what is no JPEG or PNG, TooLarge, Conflict where the set is full.
        """
        if len(content) > MAX_PICTURE_BYTES:
            raise TooLarge(_TOO_LARGE)
        digest = sha256(content).hexdigest()
        try:
            small = await asyncio.to_thread(thumbnail, content, query.part or digest[:8])
        except InputError as error:
            raise Invalid(Text(str(error), error.zh)) from error
        change = PictureChange(kind=query.kind, defect=query.defect if query.kind == "defect" else "")
        row = {
            "set_id": query.set_id,
            "digest": digest,
            "kind": change.kind,
            "defect": change.defect.strip() or None,
            "part": query.part.strip() or digest[:16],
            "width": small.width,
            "height": small.height,
            "size": len(content),
            "content": content,
            "thumbnail": small.jpeg,
            "added_by": principal.actor,
        }
        async with self._db.tenant(principal.scope) as connection:
            found = await set_of(connection, query.set_id)
            if found.good + found.defect + found.unknown >= MAX_PICTURES:
                raise Conflict(_FULL)
            await store.insert_picture(connection, row)
            return await _picture(connection, query.set_id, digest)

    async def pictures(self, scope: TenantScope, set_id: UUID) -> list[Picture]:
        """Return a set's uploaded pictures, newest first."""
        async with self._db.tenant(scope) as connection:
            await set_of(connection, set_id)
            return [_as_picture(row) for row in await store.select_pictures(connection, set_id)]

    async def change_picture(self, principal: Principal, set_id: UUID, digest: str, change: PictureChange) -> Picture:
        """Say what a picture shows."""
        defect, part = change.defect.strip() or None, (change.part or "").strip() or None
        async with self._db.tenant(principal.scope) as connection:
            if not await store.update_picture(connection, set_id, digest, kind=change.kind, defect=defect, part=part):
                raise NotFound
            after = {"kind": change.kind, "defect": defect, "part": part}
            await audit.record(connection, principal.actor, "training.judge", digest, set=str(set_id), after=after)
            return await _picture(connection, set_id, digest)

    async def remove_picture(self, principal: Principal, set_id: UUID, digest: str) -> None:
        """Delete a picture."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.delete_picture(connection, set_id, digest):
                raise NotFound
            await audit.record(connection, principal.actor, "training.discard", digest, set=str(set_id))

    async def content(self, scope: TenantScope, set_id: UUID, digest: str, *, small: bool = False) -> bytes:
        """Return a picture as it was uploaded, or its small copy."""
        async with self._db.tenant(scope) as connection:
            content = await store.select_content(connection, set_id, digest, small=small)
        if content is None:
            raise NotFound
        return content

    async def counts(self, scope: TenantScope, set_id: UUID) -> Counts:
        """Return what a fit would use now."""
        async with self._db.tenant(scope) as connection:
            found = await set_of(connection, set_id)
            judged = await judged_of(connection, found, digests=False)
            chosen = await chosen_of(connection, set_id, judged)
            versions = await store.select_versions(connection, set_id=set_id)
        since = versions[0]["created_at"] if versions else None
        return Counts(
            learn=len(chosen.learn),
            needed=MIN_LEARN,
            held_good=len(chosen.held_good),
            held_defect=len(chosen.held_bad),
            judged=len(judged),
            unknown=found.unknown,
            new=_new(judged, since),
            kinds=_kinds(chosen.held_bad),
        )

    async def request_fit(self, principal: Principal, set_id: UUID) -> Fit:
        """Ask for a model fitted from the set as it is now; raises Invalid with too few pictures, Conflict while one runs."""
        async with self._db.tenant(principal.scope) as connection:
            identity, _ = await request_fit(connection, principal, set_id, rented=False)
            fit = await _fit(connection, identity)
        self.requested.set()
        return fit

    async def cancel_fit(self, principal: Principal, identity: UUID) -> Fit:
        """Let a fit end; raises Conflict if it has."""
        async with self._db.tenant(principal.scope) as connection:
            if (await _fit(connection, identity)).rented:
                raise Conflict(_RENTED)
            if not await store.cancel_fit(connection, identity):
                raise Conflict(_ENDED)
            await audit.record(connection, principal.actor, "training.cancel", str(identity))
            return await _fit(connection, identity)

    async def fits(self, scope: TenantScope, set_id: UUID) -> list[Fit]:
        """Return a set's latest fits, newest first."""
        async with self._db.tenant(scope) as connection:
            await set_of(connection, set_id)
            return [Fit(**row) for row in await store.select_fits(connection, set_id, _FITS_SHOWN)]

    async def fit(self, scope: TenantScope, identity: UUID) -> Fit:
        """Return one fit."""
        async with self._db.tenant(scope) as connection:
            return await _fit(connection, identity)

    async def versions(self, scope: TenantScope, set_id: UUID) -> list[Version]:
        """Return a set's versions, newest first."""
        async with self._db.tenant(scope) as connection:
            await set_of(connection, set_id)
            return [_version(row) for row in await store.select_versions(connection, set_id=set_id)]

    async def version(self, scope: TenantScope, identity: UUID) -> Version:
        """Return one version."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_versions(connection, identity=identity)
        if not rows:
            raise NotFound
        return _version(rows[0])

    async def bundle(self, scope: TenantScope, identity: UUID) -> dict[str, bytes]:
        """Return the files of a version's signed folder, by name."""
        async with self._db.tenant(scope) as connection:
            row = await store.select_bundle(connection, identity)
        if row is None:
            raise NotFound
        return {name: row[column] for name, column in _BUNDLE.items()}

    async def try_version(self, scope: TenantScope, identity: UUID, content: bytes) -> Trial:
        """Return what a version says of a picture; raises Invalid for what is no JPEG or PNG, TooLarge."""
        if len(content) > MAX_PICTURE_BYTES:
            raise TooLarge(_TOO_LARGE)
        files = await self.bundle(scope, identity)
        async with self._trials:
            with TemporaryDirectory(prefix="sunmao-look-") as name:
                folder = Path(name)
                (folder / "before.toml").write_bytes(files["card.toml"])
                (folder / "before.onnx").write_bytes(files["model.onnx"])
                (folder / "picture").write_bytes(content)
                looked = (await child.run(LookTask("picture"), folder, wall_s=_LOOK_S))["looked"]
                heatmap = b64encode((folder / "heatmap.png").read_bytes()).decode()
                return Trial(**looked, heatmap=heatmap, region=parse_card(files["card.toml"]).region)


async def _fit(connection: AsyncConnection, identity: UUID) -> Fit:
    row = await store.select_fit(connection, identity)
    if row is None:
        raise NotFound
    return Fit(**row)


async def _picture(connection: AsyncConnection, set_id: UUID, digest: str) -> Picture:
    (row,) = await store.select_pictures(connection, set_id, digest)
    return _as_picture(row)


def _as_picture(row: Row) -> Picture:
    return Picture(**row, held_back=row["kind"] == "defect" or (row["kind"] == "good" and held_back(row["part"])))


def _version(row: Row) -> Version:
    card = msgspec.to_builtins(parse_card(row.pop("card")))
    figures = row.pop("figures")
    after = Figures(**figures["after"])
    before = Figures(**figures["before"]) if figures["before"] else None
    return Version(
        **row,
        card=card,
        after=after,
        before=before,
        comparison=compare(before, after, readings=card["task"] == "health"),
    )


def _kinds(defective: list[Candidate]) -> list[KindCount]:
    shown = {(one.defect, one.part) for one in defective if one.defect}
    return [
        KindCount(name=name, parts=sum(kind == name for kind, _ in shown), missing=lacks)
        for name, lacks in missing(shown).items()
    ]


def _new(judged: list[JudgedPart], since: datetime | None) -> int:
    return sum(since is None or one.judged_at > since for one in judged)
