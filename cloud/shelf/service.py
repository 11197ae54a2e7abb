"""The door of the shelf domain.

packages = await shelf.packages(scope)                        -> list[PackageInfo]: the newest of each, and all of one's own
made = await shelf.publish(principal, request)                a version made of what the company has, signed, for good
await shelf.withdraw(principal, package_id)                   off the shelf; who has it keeps it, and is told
plan = await shelf.plan(principal, package_id)                -> Plan: what installing or updating would do, thing by thing
done = await shelf.install(principal, package_id, digest)     -> Installation: exactly that, all of it or nothing
plan = await shelf.removal(scope, installation_id)            -> Plan: what would be taken out, and what left
await shelf.remove(principal, installation_id, digest)

Nothing of a provider's travels but what a package says by meaning, nothing of an installer's comes back but a count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database, enter
from cloud.core.errors import Conflict, Invalid, NotFound, Stale
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from cloud.shelf import store
from cloud.shelf.builtin import PLATFORM, PROVIDER, built_in
from cloud.shelf.compose import Composer
from cloud.shelf.kinds import Doors, Hand, Here, here, points_of
from cloud.shelf.package import Package, digest_of, read_package, signed_bytes, version_of
from cloud.shelf.plan import Wanted, digest_of_plan, removal_of, steps_of
from cloud.shelf.schemas import Action, Installation, Item, PackageInfo, Plan, PublishRequest, Step
from cloud.training.service import Training
from models.bundle import Bundle
from models.signing import signed_by
from protocols.library.sharing import handed_on
from protocols.text import Language, Text

__all__ = ["Doors", "Shelf"]

MOST_VERSIONS = 200
"""Versions one company may publish."""
MOST_SHOWN = 1000

_SEEN_OTHER = Text(
    "Something has changed since you looked; look at the plan again.", "内容已有变化，请重新查看安装计划。"
)
_NOT_WHOLE = Text(
    "The signature of this package does not hold; it was changed after it was published.",
    "套件签名无效：发布之后内容被改动。",
)
_NOT_ABOVE = Text("Version {new} is not above version {old}.", "版本 {new} 不高于已有版本 {old}。")
_INSTALLED = Text("Version {old} is installed already.", "已安装版本 {old}。")
_NOTHING = Text("Nothing of it can be had here; the plan says why.", "该套件在本企业无可安装的内容，原因见安装计划。")


class Shelf:
    """Packages of all companies, and what a tenant has installed of them."""

    def __init__(self, db: Database, doors: Doors, training: Training, notify: Notify) -> None:
        self._db = db
        self._doors = doors
        self._training = training
        self._notify = notify
        self._composer = Composer(doors)

    async def packages(self, scope: TenantScope) -> list[PackageInfo]:
        """Return the newest version of every package on the shelf, and all of one's own, newest first."""
        async with self._db.tenant(scope) as connection:
            rows = [*await store.select_packages(connection, MOST_SHOWN), *_platform_rows()]
            counts = await store.select_counts(connection)
            installed = await store.select_installations(connection)
        has = {(row["provider_id"], row["code"]): _dotted(row["version"]) for row in installed}
        return [_info(row, counts, has) for row in rows]

    async def package(self, scope: TenantScope, identity: UUID) -> tuple[PackageInfo, Package]:
        """Return a package and what is in it; raises NotFound, Invalid where its signature does not hold."""
        async with self._db.tenant(scope) as connection:
            row, package = await _package(connection, identity)
            counts = await store.select_counts(connection)
            installed = await store.select_installations(connection)
        has = {(one["provider_id"], one["code"]): _dotted(one["version"]) for one in installed}
        return _info(row, counts, has), package

    async def publish(self, principal: Principal, request: PublishRequest) -> PackageInfo:
        """Publish a version; raises NotFound for what is not there, Invalid for what may not travel, Conflict."""
        package = await self._composer.compose(principal.scope, request)
        document, version = package.document, version_of(package.manifest.version)
        identity, tenant = uuid7(), principal.scope.tenant_id
        async with self._db.tenant(principal.scope) as connection:
            before = await store.select_own(connection, package.manifest.id)
            if before and tuple(before[0]["version"]) >= version:
                raise Conflict(_filled(_NOT_ABOVE, new=_dotted(version), old=_dotted(before[0]["version"])))
            if await store.count_own(connection) >= MOST_VERSIONS:
                raise Conflict(
                    Text(
                        f"A company may publish {MOST_VERSIONS} versions.", f"每家企业最多发布 {MOST_VERSIONS} 个版本。"
                    )
                )
            key, signature = await self._training.signer.vouch(connection, tenant, signed_bytes(document))
            row = _row(identity, package) | {"public_key": key, "signature": signature, "document": document}
            try:
                await store.insert_package(connection, row)
            except store.Taken as error:
                raise Conflict(_filled(_NOT_ABOVE, new=_dotted(version), old=_dotted(version))) from error
            subject = f"{package.manifest.id} {package.manifest.version}"
            await audit.record(connection, principal.actor, "shelf.publish", subject, digest=row["digest"])
        return (await self.package(principal.scope, identity))[0]

    async def withdraw(self, principal: Principal, identity: UUID) -> None:
        """Take one's own package off the shelf, and tell who has it; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.withdraw(connection, identity)
            if row is None:
                raise NotFound
            tell = await store.installers(connection, identity)
            subject = f"{row['code']} {_dotted(row['version'])}"
            await audit.record(connection, principal.actor, "shelf.withdraw", subject)
            for company in tell:
                await enter(connection, TenantScope(company))
                await self._notify.tell(connection, None, f"shelf:{identity}", _withdrawn(row))

    async def plan(self, principal: Principal, identity: UUID) -> Plan:
        """Return what installing a package, or updating to it, would do; raises NotFound, Conflict, Invalid."""
        points = await points_of(self._doors, principal.scope)
        await self._doors.production.reasons.all(principal.scope)
        async with self._db.tenant(principal.scope) as connection:
            row, package = await _package(connection, identity)
            before = await store.lock_installation(connection, row["provider_id"], row["code"])
            have = await here(connection, self._doors, points)
        return _planned(row, package, before, have, _language(principal, before))[0]

    async def install(self, principal: Principal, identity: UUID, digest: str) -> Installation:
        """Do what the plan of `digest` says, all of it or nothing; raises as `plan`, Stale where it is another by now."""
        points = await points_of(self._doors, principal.scope)
        await self._doors.production.reasons.all(principal.scope)
        bundles = await self._verified(principal, identity)
        async with self._db.tenant(principal.scope) as connection:
            row, package = await _package(connection, identity)
            before = await store.lock_installation(connection, row["provider_id"], row["code"])
            have = await here(connection, self._doors, points)
            plan, wanted = _planned(row, package, before, have, _language(principal, before))
            if plan.digest != digest:
                raise Stale(_SEEN_OTHER)
            if before is None and not any(step.action == "add" for step in plan.steps):
                raise Conflict(_NOTHING)
            hand = Hand(connection, self._doors, principal, f"shelf:{row['code']}", have, bundles)
            items = await _carried_out(hand, plan.steps, wanted, _items(before))
            stored = await store.put_installation(
                connection,
                {
                    "id": before["id"] if before else uuid7(),
                    "package_id": identity,
                    "language": _language(principal, before),
                    "items": [item.model_dump(mode="json") for item in items],
                    "installed_by": principal.email,
                    **{name: row[name] for name in ("provider_id", "provider", "code", "version", "manifest")},
                },
            )
            subject = f"{row['code']} {_dotted(row['version'])}"
            await audit.record(
                *(connection, principal.actor, "shelf.install", subject),
                digest=row["digest"],
                steps=[[step.action, step.kind, step.name] for step in plan.steps],
            )
        for reason in hand.recount:
            await self._doors.production.reasons.recount(principal, reason)
        return _installation(stored, set(), None)

    async def installations(self, scope: TenantScope) -> list[Installation]:
        """Return what the tenant has installed, newest first."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_installations(connection)
            withdrawn = await store.select_withdrawn(connection)
            shown = [*await store.select_packages(connection, MOST_SHOWN), *_platform_rows()]
        return [_installation(row, withdrawn, _newer(row, shown)) for row in rows]

    async def removal(self, scope: TenantScope, identity: UUID) -> Plan:
        """Return what removing an installation would do; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            row = await _installed(connection, identity)
            have = await here(connection, self._doors, ())
        return _removal(row, have)

    async def remove(self, principal: Principal, identity: UUID, digest: str) -> None:
        """Take out what an installation brought and nobody has changed; raises NotFound, Stale."""
        async with self._db.tenant(principal.scope) as connection:
            row = await _installed(connection, identity)
            await store.lock_installation(connection, row["provider_id"], row["code"])
            row = await _installed(connection, identity)
            have = await here(connection, self._doors, ())
            plan = _removal(row, have)
            if plan.digest != digest:
                raise Stale(_SEEN_OTHER)
            hand = Hand(connection, self._doors, principal, "", have)
            await _taken_out(hand, plan.steps, _items(row))
            await store.delete_installation(connection, identity)
            subject = f"{row['code']} {_dotted(row['version'])}"
            left = [[step.kind, step.name] for step in plan.steps if step.action == "leave"]
            await audit.record(connection, principal.actor, "shelf.remove", subject, left=left)

    async def template(self, scope: TenantScope, identity: UUID, name: str) -> str:
        """Return an installed device template as the file `sunmao-edge library add` takes; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            row = await _installed(connection, identity)
        for item in _items(row):
            if item.kind == "template" and item.key == name:
                return handed_on(name, item.base["version"], item.base["text"])
        raise NotFound

    async def _verified(self, principal: Principal, identity: UUID) -> dict[str, Bundle]:
        """Return the package's models after every check a box makes: whoever signed them is who the plan named."""
        async with self._db.tenant(principal.scope) as connection:
            _, package = await _package(connection, identity)
            have = {one.digest for one in await self._doors.registry.versions_within(connection)}
        registry = self._doors.registry
        return {
            part.digest: await registry.verified(principal.scope, part.unpacked(), [part.signer])
            for part in package.contents.models
            if part.digest not in have
        }


async def _package(connection: AsyncConnection, identity: UUID) -> tuple[Row, Package]:
    if identity in built_in():
        package = built_in()[identity].package
        return _platform_row(identity, package), package
    row = await store.select_package(connection, identity)
    if row is None:
        raise NotFound
    document = row.pop("document")
    whole = signed_by(row.pop("signature"), signed_bytes(document), [row["public_key"]])
    if whole is None or digest_of(document) != row["digest"]:
        raise Invalid(_NOT_WHOLE)
    return row, await asyncio.to_thread(read_package, document)


async def _installed(connection: AsyncConnection, identity: UUID) -> Row:
    rows = await store.select_installations(connection, identity)
    if not rows:
        raise NotFound
    return rows[0]


def _planned(
    row: Row, package: Package, before: Row | None, have: Here, language: Language
) -> tuple[Plan, list[Wanted]]:
    """Return the plan and what the package wants; raises Conflict where as high a version is installed."""
    if before and list(before["version"]) >= list(row["version"]):
        raise Conflict(_filled(_INSTALLED, old=_dotted(before["version"])))
    items = _items(before)
    wanted = have.wanted(package.contents, language)
    steps = steps_of(wanted, items, have.now(), have.held())
    return Plan(steps=steps, digest=digest_of_plan(row["digest"], steps)), wanted


def _removal(row: Row, have: Here) -> Plan:
    items = _items(row)
    steps = removal_of(items, have.now(), have.held())
    return Plan(steps=steps, digest=digest_of_plan(str(row["id"]), steps))


async def _carried_out(hand: Hand, steps: Sequence[Step], wanted: list[Wanted], items: list[Item]) -> list[Item]:
    """Do the steps and return what the installation has brought from now on."""
    does: dict[tuple[str, str], Action] = {(step.kind, step.key): step.action for step in steps}
    before = {(item.kind, item.key): item for item in items}
    await _taken_out(hand, steps, items)
    brought = []
    for one in wanted:
        action, item = does[one.kind, one.key], before.get((one.kind, one.key))
        if action == "refuse":
            continue
        if item is None:
            target = await hand.add(one)
        else:
            target = item.target
            if action == "update":
                await hand.change(target, one)
        brought.append(Item(kind=one.kind, key=one.key, name=one.name, target=target, base=one.definition))
    return brought


async def _taken_out(hand: Hand, steps: Sequence[Step], items: list[Item]) -> None:
    out = {(step.kind, step.key) for step in steps if step.action == "remove"}
    # A reason that others stand under goes after them: its key begins with the slash before its own name.
    for item in sorted(items, key=lambda item: item.key.startswith("/")):
        if (item.kind, item.key) in out:
            await hand.remove(item)


def _items(row: Row | None) -> list[Item]:
    return [Item(**item) for item in row["items"]] if row else []


def _language(principal: Principal, before: Row | None) -> Language:
    """Return the language of the names: that of the first installation, so that a name does not look changed."""
    language: Language = before["language"] if before else principal.language or "zh"
    return language


def _row(identity: UUID, package: Package) -> Row:
    classes, entries = package.needs
    manifest = package.manifest.model_dump(mode="json")
    return {
        "id": identity,
        "code": package.manifest.id,
        "version": list(version_of(package.manifest.version)),
        "digest": digest_of(package.document),
        "manifest": manifest | {"classes": classes, "entries": entries, "brings": package.counts},
    }


def _platform_row(identity: UUID, package: Package) -> Row:
    nobody: Row = {"provider_id": PLATFORM, "provider": PROVIDER, "public_key": "", "mine": False}
    return _row(identity, package) | nobody | {"published_at": None, "withdrawn_at": None}


def _platform_rows() -> list[Row]:
    return [_platform_row(one.id, one.package) for one in built_in().values()]


def _info(row: Row, counts: dict[str, int], has: dict[tuple[UUID, str], str]) -> PackageInfo:
    names = ("id", "code", "provider", "digest", "public_key", "published_at", "withdrawn_at", "mine")
    told = ("title", "description", "licence", "classes", "entries", "brings")
    return PackageInfo(
        **{name: row[name] for name in names},
        **{name: row["manifest"][name] for name in told},
        version=_dotted(row["version"]),
        with_platform=row["provider_id"] == PLATFORM,
        installs=counts.get(row["code"], 0) if row["mine"] else None,
        installed=has.get((row["provider_id"], row["code"])),
    )


def _installation(row: Row, withdrawn: set[UUID], newer: UUID | None) -> Installation:
    items = _items(row)
    names = ("id", "package_id", "code", "provider", "installed_by", "installed_at")
    return Installation(
        **{name: row[name] for name in names},
        version=_dotted(row["version"]),
        title=row["manifest"]["title"],
        items=items,
        templates=[item.key for item in items if item.kind == "template"],
        withdrawn=row["package_id"] in withdrawn,
        newer=newer,
    )


def _newer(row: Row, shown: Sequence[Row]) -> UUID | None:
    above = [
        one
        for one in shown
        if (one["provider_id"], one["code"]) == (row["provider_id"], row["code"])
        and one["withdrawn_at"] is None
        and list(one["version"]) > list(row["version"])
    ]
    return max(above, key=lambda one: list(one["version"]))["id"] if above else None


def _withdrawn(row: Row) -> Notice:
    title, version = row["manifest"]["title"], _dotted(row["version"])
    return Notice(
        title_en=f"{title['en']} {version} was withdrawn",
        title_zh=f"{title['zh']} {version} 已下架",
        body_en=f"{row['provider']} has taken it off the shelf. What you have installed stays as it is.",
        body_zh=f"{row['provider']} 已将其下架。您已安装的内容不受影响。",
        link="/shelf",
        data={"kind": "shelf.withdrawn", "code": row["code"], "version": version},
    )


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _filled(text: Text, **values: str) -> Text:
    return Text(text.en.format(**values), text.zh.format(**values))
