"""Entries of a company's own: proposed by one person, reviewed by another, every change a version, none ever gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Forbidden, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.dictionary import store
from cloud.dictionary.schemas import CompanyEntry, EntryRequest, ReviewRequest
from protocols.dictionary.entries import Entry, load_dictionary
from protocols.text import Text

OWN = "own:"
"""How every code of a company's own begins, and no released one does."""

MOST_ENTRIES = 2000
"""Of one company: they are read together."""

_FULL = Text(f"A company has at most {MOST_ENTRIES} entries of its own.", f"企业自有条目最多 {MOST_ENTRIES} 个。")
_WAITING = Text(
    "A version of this entry is being reviewed; wait for that, or have it sent back.",
    "该条目有版本正在审核；请等待审核结果或先退回。",
)
_FIXED = Text(
    "{field} of a released entry stays as it is, or values stored before would mean something else; propose another code.",
    "已发布条目的 {field} 不可更改，否则已存数据的含义会改变；请使用新的代码。",
)
_SAME_NAME = Text(
    "'{other}' of the same equipment class has this name; give it another.",
    "同一设备类别的“{other}”已使用该名称，请换一个名称。",
)
_FOUR_EYES = Text(
    "You have proposed this yourself; another manager has to review it.", "这是您本人的提交，须由另一位管理者审核。"
)


class CompanyEntries:
    """The entries of tenants."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def latest(self, scope: TenantScope) -> list[CompanyEntry]:
        """Return the latest version of each entry, by code."""
        async with self._db.tenant(scope) as connection:
            return [_entry(row) for row in await store.select_latest(connection)]

    async def versions(self, scope: TenantScope, code: str) -> list[CompanyEntry]:
        """Return the last 100 versions of an entry, newest first; raises NotFound for an unknown one."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_versions(connection, code)
        if not rows:
            raise NotFound
        return [_entry(row) for row in rows]

    async def usable(self, scope: TenantScope) -> dict[str, Entry]:
        """Return the entries that more points may have: released and not withdrawn."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_known(connection)
        return {row["code"]: _stored(row).entry() for row in rows if row["state"] == "released"}

    async def known(self, scope: TenantScope) -> Mapping[str, Entry]:
        """Return what entries a tenant's points may have: released ones of the platform, and its own that were released."""
        async with self._db.tenant(scope) as connection:
            return {**load_dictionary(), **await own_entries(connection)}

    async def check(self, scope: TenantScope, requests: Sequence[EntryRequest]) -> list[Text | None]:
        """Return, of each of `requests`, what keeps it from being proposed along with those before it; None is nothing."""
        async with self._db.tenant(scope) as connection:
            latest = {row["code"]: row["state"] for row in await store.select_latest(connection)}
            known = {**load_dictionary(), **await own_entries(connection)}
        found, names = [], _names(known)
        for request in requests:
            if latest.get(request.code) == "proposed":
                fault: Text | None = _WAITING
            elif request.code not in latest and len(latest) >= MOST_ENTRIES:
                fault = _FULL
            else:
                fault = _fault(request, known, names)
            found.append(fault)
            for name, code in _names({request.code: request.entry()}).items():
                names.setdefault(name, code)
            latest[request.code] = "proposed"
        return found

    async def propose(self, principal: Principal, requests: Sequence[EntryRequest]) -> list[CompanyEntry]:
        """Propose entries, or new versions of them: all or none.

        Raises Conflict while a version is being reviewed, and Invalid for a name that is taken or a change that would alter
        what is stored.
        """
        if fault := next((fault for fault in await self.check(principal.scope, requests) if fault), None):
            raise Conflict(fault) if fault is _WAITING else Invalid(fault)
        async with self._db.tenant(principal.scope) as connection:
            stored = []
            for request in requests:
                body = audit.canonical(request.model_dump())
                try:
                    stored.append(_entry(await store.insert_version(connection, request.code, body, principal.actor)))
                except store.Waiting as error:
                    raise Conflict(_WAITING) from error
            await audit.record(
                *(connection, principal.actor, "dictionary.propose", ", ".join(one.code for one in stored)[:500]),
                versions={one.code: one.version for one in stored},
            )
        return stored

    async def review(self, principal: Principal, code: str, request: ReviewRequest) -> CompanyEntry:
        """Release a proposal or send it back; raises NotFound where nothing waits, Forbidden for one's own proposal."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.lock_version(connection, code, "proposed")
            if row is None:
                raise NotFound
            if row["proposed_by"] == principal.actor:
                raise Forbidden(_FOUR_EYES)
            if request.approve:
                known = {**load_dictionary(), **await own_entries(connection)}
                if fault := _fault(_stored(row), known, _names(known)):
                    raise Invalid(fault)
            state = "released" if request.approve else "returned"
            changed = await store.update_version(
                connection, row | {"state": state, "note": request.note, "by": principal.actor}
            )
            await audit.record(
                *(connection, principal.actor, f"dictionary.{'release' if request.approve else 'return'}", code),
                version=row["version"],
                note=request.note,
            )
        return _entry(changed)

    async def withdraw(self, principal: Principal, code: str, note: str) -> CompanyEntry:
        """Let an entry be used for no more points; those that have it keep it. Raises NotFound for one not released."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.lock_version(connection, code, "released")
            if row is None or code in await withdrawn(connection):
                raise NotFound
            changed = await store.update_version(connection, row | {"state": "withdrawn", "note": note, "by": None})
            await audit.record(
                *(connection, principal.actor, "dictionary.withdraw", code), version=row["version"], note=note
            )
        return _entry(changed)


async def own_entries(connection: AsyncConnection) -> dict[str, Entry]:
    """Return the tenant's entries that have been released, withdrawn or not, within `connection`."""
    rows = await store.select_known(connection)
    return {row["code"]: _stored(row).entry() for row in rows}


async def entries_of(connection: AsyncConnection, codes: Collection[str]) -> Mapping[str, Entry]:
    """Return the entries by their codes, at least those of `codes` that exist, within `connection`."""
    if not any(code.startswith(OWN) for code in codes):
        return load_dictionary()
    return {**load_dictionary(), **await own_entries(connection)}


async def withdrawn(connection: AsyncConnection) -> set[str]:
    """Return the codes of entries that have been withdrawn, within `connection`."""
    return {row["code"] for row in await store.select_known(connection) if row["state"] == "withdrawn"}


def _names(known: Mapping[str, Entry]) -> dict[tuple[str, str], str]:
    """Return the codes of entries by their class and each of their names."""
    return {(entry.equipment_class, name.lower()): code for code, entry in known.items() for name in entry.name}


def _fault(request: EntryRequest, known: Mapping[str, Entry], names: Mapping[tuple[str, str], str]) -> Text | None:
    wanted = request.entry()
    if before := known.get(request.code):
        for field in ("unit", "data_type", "aggregation"):
            if getattr(before, field) != getattr(wanted, field):
                return Text(_FIXED.en.format(field=field), _FIXED.zh.format(field=field))
    for name in wanted.name:
        other = names.get((wanted.equipment_class, name.lower()), request.code)
        if other != request.code:
            return Text(_SAME_NAME.en.format(other=other), _SAME_NAME.zh.format(other=other))
    return None


def _stored(row: Row) -> EntryRequest:
    """Return what is stored, as it was found valid when it was proposed."""
    return EntryRequest.model_construct(**row["body"])


def _entry(row: Row) -> CompanyEntry:
    return CompanyEntry(entry=_stored(row), **{name: value for name, value in row.items() if name != "body"})
