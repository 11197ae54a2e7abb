"""The door of the suppliers domain: programmes, whom they invite, and how far each supplier has come.

programme = await suppliers.create(principal, request)            what every supplier is asked for
report = await suppliers.invite(principal, programme_id, file)    -> ImportReport: all of a CSV or XLSX file, or none of it
states = await suppliers.states(principal, programme_id)          -> list[Supplier]: the funnel, by name
state = await suppliers.check(principal, supplier_id)             -> Supplier: what is missing, by reads over its grant
cards = await suppliers.scorecards(principal, programme_id)       -> list[Scorecard]: what values come to, compared
rows = await suppliers.wall(principal, programme_id)              -> list[WallRow]: OEE, quality, energy, maturity, risk
made = await suppliers.remind(principal, supplier_id)             -> NewInvitation | None: another link and code
asked = await suppliers.open(key, address)                        -> Invited: what the supplier sees with both halves
done = await suppliers.register(registration, address)            -> Registered: a company with an owner, and its answer

What a supplier is asked is a request of the sharing domain: it may as well be answered there, and is granted and ended there.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets as randomness
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.codes import canonical, new_code
from cloud.core.db import Database, enter
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.limits import RateLimit
from cloud.core.principal import Principal, Role, Scope, TenantScope
from cloud.core.rows import Row
from cloud.core.settings import Secrets
from cloud.identity.schemas import SiteRequest, UserRequest
from cloud.identity.service import Identity, InvitationRefused
from cloud.notify.service import Notify
from cloud.sharing.schemas import RequestBody, SharedRead
from cloud.sharing.service import Asker, Item, Question, Sharing, Terms
from cloud.suppliers import store
from cloud.suppliers.conformance import judged, span_of, stage_of
from cloud.suppliers.schemas import (
    Cadence,
    ImportReport,
    InvitationKey,
    Invited,
    NewInvitation,
    Programme,
    ProgrammeRequest,
    Registered,
    Registration,
    RowFault,
    Score,
    Scorecard,
    Stage,
    Supplier,
    WallRow,
)
from cloud.suppliers.scorecards import Standing, drift_notice, drifts, last_week, standings
from cloud.suppliers.sheet import Line, read_suppliers
from cloud.suppliers.wall import wall_row
from protocols.text import Text

DAYS = 60
"""How long an invitation is good for."""
CHECKED_S = 3600.0
"""How often a supplier that shows something is looked at."""
WAITED_FOR_S = 30.0
"""How often one that has agreed and shows nothing yet is; nothing is read then, so there is no receipt."""
SHOWING: tuple[Stage, ...] = ("agreed", "device", "conformant", "live")
"""The stages under a live grant."""
_MAX_WRONG_CODES = 5
_DAYS = 30


@dataclass(frozen=True)
class _Upkeep:
    """The platform, on behalf of a company that follows its suppliers."""

    scope: TenantScope
    actor: str = "programme"


class Suppliers:
    """Programmes of a tenant. Opening an invitation is limited to 30 tries per address, then one per 2 s; five wrong codes end it."""

    def __init__(self, db: Database, secrets: Secrets, identity: Identity, sharing: Sharing, notify: Notify) -> None:
        self._db = db
        self._key = secrets.lookup_key.encode()
        self._identity = identity
        self._sharing = sharing
        self._notify = notify
        self._per_address = RateLimit(burst=30, period_s=2)

    async def programmes(self, scope: TenantScope) -> list[Programme]:
        """Return the tenant's programmes, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Programme(**row) for row in await store.select_programmes(connection)]

    async def programme(self, scope: TenantScope, identity: UUID) -> Programme:
        """Return a programme; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_programmes(connection, identity)
        if not rows:
            raise NotFound
        return Programme(**rows[0])

    async def create(self, principal: Principal, request: ProgrammeRequest) -> Programme:
        """Make a programme; raises Conflict if there is one of its name."""
        row = request.model_dump() | {"terms": request.terms.model_dump(mode="json"), "id": uuid7()}
        try:
            async with self._db.tenant(principal.scope) as connection:
                stored = await store.insert_programme(connection, row | {"created_by": principal.actor})
                after = request.model_dump(mode="json")
                await audit.record(connection, principal.actor, "programme.create", str(row["id"]), after=after)
        except store.Taken as error:
            raise Conflict(Text("There is a programme of this name.", "已有同名计划。")) from error
        return Programme(**stored)

    async def invite(self, principal: Principal, identity: UUID, content: bytes) -> ImportReport:
        """Invite every supplier of a file, or - where anything in it is wrong - none; raises NotFound, Invalid."""
        programme = await self.programme(principal.scope, identity)
        lines, faults = await asyncio.to_thread(read_suppliers, content)
        if faults:
            return ImportReport(rows=len(lines), faults=faults, invited=[])
        async with self._db.tenant(principal.scope) as connection:
            there = await store.select_codes(connection, identity)
            own = (await self._sharing.company(connection))["credit_code"]
            faults = [fault for line in lines if (fault := _amiss(line, there, own))]
            if faults:
                return ImportReport(rows=len(lines), faults=faults, invited=[])
            invited = []
            for line in lines:
                body = RequestBody(
                    credit_code=line.credit_code, supplier=line.name, purpose=programme.purpose, terms=programme.terms
                )
                request = await self._sharing.ask_within(connection, principal, body)
                made = _new(uuid7(), line.name, line.credit_code, line.contact)
                row = {"id": made.supplier_id, "programme_id": identity, "request_id": request.id, "days": DAYS}
                row |= {"credit_code": line.credit_code, "name": line.name, "contact": line.contact}
                await store.insert_supplier(connection, row | self._hashes(made))
                invited.append(made)
            codes = [line.credit_code for line in lines]
            await audit.record(connection, principal.actor, "programme.invite", str(identity), suppliers=codes)
        return ImportReport(rows=len(lines), faults=[], invited=invited)

    async def states(self, principal: Principal, identity: UUID) -> list[Supplier]:
        """Return how far each supplier of a programme has come, by name; raises NotFound."""
        programme = await self.programme(principal.scope, identity)
        async with self._db.tenant(principal.scope) as connection:
            rows = await store.select_suppliers(connection, identity)
        return [_supplier(row, programme) for row in rows]

    async def check(self, asker: Asker, supplier: UUID) -> Supplier:
        """Look over the supplier's grant whether all that is asked for is there; the supplier sees these reads.

        What its numbers come to is kept by day; where one drifts, the company is told. Raises NotFound, Conflict where no
        grant is in force.
        """
        row = await self._row(asker.scope, supplier)
        programme = await self.programme(asker.scope, row["programme_id"])
        now = datetime.now(UTC)
        if not row["live"]:
            raise Conflict(Text("This supplier shows nothing yet, or no longer.", "该供应商尚未共享数据，或已终止。"))
        grant = await self._sharing.grant(asker.scope, row["grant_id"])
        machines = await self._sharing.reader.machines(asker, grant.id)
        found = []
        for item in programme.terms.items:
            read = None
            with suppress(NotFound):  # narrowed away
                read = await self._look(asker, grant.id, item, (programme.cadence, now))
            found.append(judged(item, grant.terms, machines, read))
        level = None
        if programme.terms.maturity:
            with suppress(NotFound):
                level = (await self._sharing.levels.read(asker, grant.id, way="check")).level
        async with self._db.tenant(TenantScope(asker.scope.tenant_id)) as connection:
            await store.keep_conformance(connection, supplier, [one.model_dump(mode="json") for one in found], level)
            past = await store.select_scores(connection, [supplier], _DAYS)
            for one in found:
                if one.mean is None:
                    continue
                before = [each["mean"] for each in past if each["entry"] == one.entry and each["day"] != now.date()]
                score: Row = one.model_dump(include={"entry", "mean", "completeness"}) | {"day": now.date()}
                score |= {"drifting": drifts(before, one.mean), "named": grant.terms.compare == "named"}
                score["passes"] = grant.terms.passes(one.entry)
                if await store.keep_score(connection, supplier, score):
                    key = f"drift:{supplier}:{one.entry}:{now.date()}"
                    await self._notify.tell(connection, None, key, drift_notice(row["name"], one, before, programme))
        return _supplier(await self._row(asker.scope, supplier), programme)

    async def _look(self, asker: Asker, grant: UUID, item: Item, when: tuple[Cadence, datetime]) -> SharedRead | None:
        """Return what the grant shows of an entry, over as long as its cadence wants unless that is too much at once."""
        cadence, now = when
        try:
            question = Question(item.entry, now - span_of(item, cadence), now)
            return await self._sharing.reader.read(asker, grant, question, way="check", empty=False)
        except Invalid:
            if span_of(item, cadence) == span_of(item, "continuous"):
                raise
            return await self._look(asker, grant, item, ("continuous", now))

    async def check_next(self, scope: TenantScope) -> bool:
        """Check a supplier that was not looked at for its time, on behalf of its company; False if there is none."""
        async with self._db.tenant(scope) as connection:
            supplier = await store.claim_due(connection, CHECKED_S, WAITED_FOR_S)
        if supplier is None:
            return False
        with suppress(Conflict, NotFound):  # ended meanwhile
            await self.check(_Upkeep(scope), supplier)
        return True

    async def scorecards(self, principal: Principal, identity: UUID) -> list[Scorecard]:
        """Return what the suppliers of a programme that show something come to, by name; raises NotFound."""
        states = [one for one in await self.states(principal, identity) if one.stage in SHOWING and one.grant_id]
        async with self._db.tenant(principal.scope) as connection:
            rows = await store.select_scores(connection, [one.id for one in states], _DAYS)
            today = datetime.now(UTC).date()
            compared = standings(await store.select_compared(connection, *last_week(today)), today)
        days = _by_supplier(rows)
        return [
            Scorecard(
                supplier_id=one.id,
                **one.model_dump(include={"name", "stage", "grant_id"}),
                scores=[
                    Score(
                        entry=entry,
                        mean=own[-1]["mean"],
                        week=fmean(each["mean"] for each in own[-8:-1]) if len(own) > 1 else None,
                        drifting=own[-1]["drifting"],
                        **compared.get((one.credit_code, entry, own[-1]["passes"]), Standing())._asdict(),
                        days=[(each["day"], each["mean"]) for each in own],
                    )
                    for entry, own in days.get(one.id, {}).items()
                ],
            )
            for one in states
        ]

    async def wall(self, principal: Principal, identity: UUID) -> list[WallRow]:
        """Return of each supplier of a programme what its grant shows, a figure a column, by name; raises NotFound."""
        programme = await self.programme(principal.scope, identity)
        async with self._db.tenant(principal.scope) as connection:
            rows = await store.select_suppliers(connection, identity)
            scores = await store.select_scores(connection, [row["id"] for row in rows if row["live"]], _DAYS)
        days = _by_supplier(scores)
        now = datetime.now(UTC)
        return [
            wall_row(
                _supplier(row, programme),
                Terms.model_validate(row["granted"]) if row["live"] else None,
                programme,
                days.get(row["id"], {}),
                now=now,
                maturity=row["maturity"],
            )
            for row in rows
        ]

    async def remind(self, principal: Principal, supplier: UUID) -> NewInvitation | None:
        """Make another link and code for a supplier that has not registered; the old ones end.

        One that is here and has not answered is told on its own channels: None. Raises NotFound, Conflict if it has answered.
        """
        row = await self._row(principal.scope, supplier)
        if row["answer"]:
            raise Conflict(Text("This supplier has answered.", "该供应商已答复。"))
        made = None if row["registered_at"] else _new(supplier, row["name"], row["credit_code"], row["contact"])
        now = datetime.now(UTC)
        async with self._db.tenant(principal.scope) as connection:
            change: Row = {"reminded_at": now}
            if made:
                change |= {**self._hashes(made), "wrong": 0}
            await store.change_supplier(connection, supplier, change)
            await audit.record(connection, principal.actor, "supplier.remind", str(supplier))
        return made

    async def open(self, key: InvitationKey, address: str) -> Invited:
        """Return what the holder of both halves is asked; raises InvitationRefused, TooMany."""
        self._per_address.spend(address)
        tenant, row = await self._unlocked(key)
        programme = await self.programme(TenantScope(tenant), row["programme_id"])
        async with self._db.tenant(TenantScope(tenant)) as connection:
            await store.mark_opened(connection, row["id"])
            leader = (await self._sharing.company(connection))["name"]
        return Invited(
            leader=leader,
            name=row["name"],
            credit_code=row["credit_code"],
            programme=programme.name,
            **programme.model_dump(include={"purpose", "deadline"}),
            terms=programme.terms,
            here=await self._identity.is_registered(row["credit_code"]),
        )

    async def register(self, registration: Registration, address: str) -> Registered:
        """Found the invited company with its owner, and answer the request if it says how.

        Raises InvitationRefused, TooMany, Conflict if the company or the e-mail is here already, Invalid for a wrong time
        zone or for more than was asked; then nothing is left behind, but for an answer the company stays and answers later.
        """
        self._per_address.spend(address)
        tenant, row = await self._unlocked(registration)
        session = await self._identity.found(
            registration.company,
            row["credit_code"],
            SiteRequest(name=registration.site, time_zone=registration.time_zone),
            UserRequest(
                email=registration.email,
                password=registration.password,
                role=Role.OWNER,
                language=registration.language,
            ),
        )
        principal = await self._identity.resolve(session.token)
        assert principal is not None  # noqa: S101 - made this very moment
        async with self._db.tenant(TenantScope(tenant)) as connection:
            await store.change_supplier(connection, row["id"], {"registered_at": datetime.now(UTC)})
            await audit.record(connection, f"supplier:{row['credit_code']}", "supplier.register", str(row["id"]))
        grant = None
        if registration.acceptance:
            acting = principal.demanding(Scope.ADMIN)
            grant = await self._sharing.accept(acting, row["request_id"], registration.acceptance)
        await self._identity.log_out(principal)
        return Registered(email=principal.email, grant_id=grant.id if grant else None)

    async def _unlocked(self, key: InvitationKey) -> tuple[UUID, Row]:
        """Return the open invitation of these two halves, with its tenant; a wrong code counts. Raises InvitationRefused."""
        async with self._db.door() as connection:
            found = await store.find_supplier(connection, self._hash("supplier", key.token))
            if found is None:
                raise InvitationRefused
            await enter(connection, TenantScope(found["tenant_id"]))
            row = await store.lock_invitation(connection, found["id"], _MAX_WRONG_CODES)
            if row is None:
                raise InvitationRefused
            right = hmac.compare_digest(row["code_hash"], self._hash("supplier-code", canonical(key.code)))
            if not right:
                await store.count_wrong_code(connection, found["id"])
        if not right:
            raise InvitationRefused
        return found["tenant_id"], row

    async def _row(self, scope: TenantScope, supplier: UUID) -> Row:
        async with self._db.tenant(scope) as connection:
            rows = await store.select_suppliers(connection, identity=supplier)
        if not rows:
            raise NotFound
        return rows[0]

    def _hashes(self, made: NewInvitation) -> Row:
        return {
            "token_hash": self._hash("supplier", made.token),
            "code_hash": self._hash("supplier-code", canonical(made.code)),
        }

    def _hash(self, purpose: str, secret: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}:{secret}".encode(), hashlib.sha256)


def _new(supplier: UUID, name: str, credit_code: str, contact: str) -> NewInvitation:
    return NewInvitation(
        supplier_id=supplier,
        name=name,
        credit_code=credit_code,
        contact=contact,
        token=f"sunmao-supplier-{randomness.token_urlsafe(32)}",
        code=new_code(),
    )


def _amiss(line: Line, there: set[str], own: str | None) -> RowFault | None:
    """Return what speaks against inviting who stands in a line, as the programme is now."""
    if line.credit_code == own:
        words = Text("this is your own company", "这是本企业自己的代码")
    elif line.credit_code in there:
        words = Text("is in this programme already", "该供应商已在本计划中")
    else:
        return None
    return RowFault(row=line.row, column="credit_code", message_en=words.en, message_zh=words.zh)


def _by_supplier(scores: list[Row]) -> dict[UUID, dict[str, list[Row]]]:
    """Return the scores of each supplier by entry, in their order."""
    found: dict[UUID, dict[str, list[Row]]] = {}
    for score in scores:
        found.setdefault(score["supplier_id"], {}).setdefault(score["entry"], []).append(score)
    return found


def _supplier(row: Row, programme: Programme) -> Supplier:
    stage, since = stage_of(row, programme, datetime.now(UTC))
    names = ("id", "credit_code", "name", "contact", "reminded_at", "checked_at", "grant_id")
    return Supplier(**{name: row[name] for name in names}, stage=stage, since=since, items=row["conformance"] or [])
