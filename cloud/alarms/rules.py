"""The rules of a tenant: written down, tried on what is stored, and made from the default rules of an equipment class."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from cloud.alarms.backtest import MAX_SOURCES, back_test
from cloud.alarms.condition_kinds import AgentHealth, EnergyLimit, KpiLimit, OutOfControl, RejectRate
from cloud.alarms.conditions import NORMAL
from cloud.alarms.default_rules import default_rules
from cloud.alarms.energy_rules import present
from cloud.alarms.evaluator import Doors
from cloud.alarms.past_figures import replay_figures
from cloud.alarms.schemas import BackTestResult, Rule, RuleRequest
from cloud.alarms.sources import Plant, rule_of
from cloud.alarms.store import alarms as alarm_store
from cloud.alarms.store import rules as store
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.keyset import WHOLE, Window
from cloud.core.limits import RateLimit
from cloud.core.listen import announce
from cloud.core.principal import Principal, TenantScope
from cloud.dictionary.service import entries_of
from protocols.text import Text

MAX_RULES = 1000
_NOT_FROZEN = Text(
    "This point has no frozen control limits: freeze them on the page of process control while the process is in control.",
    "该数据点尚未冻结控制限：请在过程受控时，于“过程控制”页面冻结控制限。",
)
_STATES_A_SOURCE = ("selection", "condition", "on_delay_s", "off_delay_s", "latching")
"""What of a rule decides where its sources stand; with another the rule begins anew."""


class Rules:
    """Rules of a tenant."""

    def __init__(self, db: Database, doors: Doors) -> None:
        self._db = db
        self._doors = doors
        self._trials = RateLimit(burst=10, period_s=6)

    async def all(self, scope: TenantScope, window: Window = WHOLE) -> list[Rule]:
        """Return the tenant's rules, by name."""
        async with self._db.tenant(scope) as connection:
            return await self.all_within(connection, window)

    async def one(self, scope: TenantScope, rule: UUID) -> Rule:
        """Return one rule; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return rule_of(await _one(connection, rule))

    async def create(self, principal: Principal, request: RuleRequest, origin: str = "") -> Rule:
        """Write down a rule; raises Conflict for a name that is taken, Invalid for what it names and there is not."""
        (made,) = await self.create_all(principal, [(request, origin)])
        return made

    async def create_all(self, principal: Principal, requests: list[tuple[RuleRequest, str]]) -> list[Rule]:
        """Write down rules, all or none; each comes with its origin. Raises Conflict, Invalid."""
        for request, _ in requests:
            await self.check(principal.scope, request)
        async with self._db.tenant(principal.scope) as connection:
            return await self.create_within(connection, principal, requests)

    async def create_within(
        self, connection: AsyncConnection, principal: Principal, requests: list[tuple[RuleRequest, str]]
    ) -> list[Rule]:
        """As `create_all`, in the caller's transaction, of what has passed `check`; raises Conflict."""
        rows = [
            {
                **{"id": uuid4(), "name": request.name, "enabled": request.enabled, "origin": origin},
                **{"definition": _definition(request), "changed_by": principal.email},
            }
            for request, origin in requests
        ]
        if len(await store.select_rules(connection)) + len(rows) > MAX_RULES:
            raise Conflict(Text(f"There may be {MAX_RULES} rules.", f"规则数量上限为 {MAX_RULES}。"))
        try:
            await store.insert_rules(connection, rows)
        except store.NameTaken as error:
            raise _name_taken() from error
        await announce(connection, principal.scope.tenant_id)
        made = [rule_of(await _one(connection, UUID(str(row["id"])))) for row in rows]
        for rule in made:
            await audit.record(
                *(connection, principal.actor, "alarm_rule.create", rule.name),
                rule=str(rule.id),
                after=_definition(rule),
            )
        return made

    async def change(self, principal: Principal, rule: UUID, request: RuleRequest) -> Rule:
        """Put another version in place of a rule; raises NotFound, Conflict, Invalid.

        With another condition, selection or delay, or switched off, its alarms are over and it begins anew.
        """
        await self.check(principal.scope, request)
        async with self._db.tenant(principal.scope) as connection:
            return await self.change_within(connection, principal, rule, request)

    async def change_within(
        self, connection: AsyncConnection, principal: Principal, rule: UUID, request: RuleRequest
    ) -> Rule:
        """As `change`, in the caller's transaction, to what has passed `check`; raises NotFound, Conflict."""
        before = rule_of(await _one(connection, rule))
        row = {"id": rule, "name": request.name, "enabled": request.enabled, "changed_by": principal.email}
        try:
            await store.update_rule(connection, row | {"definition": _definition(request)})
        except store.NameTaken as error:
            raise _name_taken() from error
        if not request.enabled or any(getattr(before, name) != getattr(request, name) for name in _STATES_A_SOURCE):
            await _close(connection, principal, rule)
        await announce(connection, principal.scope.tenant_id)
        await audit.record(
            *(connection, principal.actor, "alarm_rule.change", request.name),
            rule=str(rule),
            before=_definition(before),
            after=_definition(request),
        )
        return rule_of(await _one(connection, rule))

    async def remove(self, principal: Principal, rule: UUID) -> None:
        """Take a rule out. Its open alarms are over, its history remains. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            await self.remove_within(connection, principal, rule)

    @staticmethod
    async def remove_within(connection: AsyncConnection, principal: Principal, rule: UUID) -> None:
        """As `remove`, in the caller's transaction."""
        name = await store.remove_rule(connection, rule, principal.email)
        if name is None:
            raise NotFound
        await _close(connection, principal, rule)
        await announce(connection, principal.scope.tenant_id)
        await audit.record(connection, principal.actor, "alarm_rule.remove", name, rule=str(rule))

    @staticmethod
    async def all_within(connection: AsyncConnection, window: Window = WHOLE) -> list[Rule]:
        """As `all`, in the caller's transaction."""
        return [rule_of(row) for row in await store.select_rules(connection, window=window)]

    @staticmethod
    def classes_with_defaults() -> list[str]:
        """Return the equipment classes that have default rules; "" is for rules of none."""
        return list(dict.fromkeys(rule.equipment_class for rule in default_rules()))

    async def add_defaults(self, principal: Principal, equipment_class: str) -> list[Rule]:
        """Write down the default rules of an equipment class that the tenant has not got yet, switched off.

        Raises NotFound for a class that has none.
        """
        wanted = default_rules(equipment_class)
        if not wanted:
            raise NotFound(Text("There are no default rules for this class.", "该设备类型没有预置规则。"))
        known = await self.all(principal.scope)
        origins, names = {rule.origin for rule in known}, {rule.name for rule in known}
        language = principal.language or "zh"
        fresh = [(each.request(language), each.origin) for each in wanted if each.origin not in origins]
        fresh = [(request, origin) for request, origin in fresh if request.name not in names]
        return await self.create_all(principal, fresh) if fresh else []

    async def back_test(self, scope: TenantScope, request: RuleRequest, days: int) -> BackTestResult:
        """Return what a rule would have done in the last `days` days, and says now; raises Invalid, NotFound, TooMany."""
        self._trials.spend(str(scope.tenant_id))
        await self.check(scope, request)
        plant = await self._plant(scope)
        if isinstance(request.condition, EnergyLimit | KpiLimit):
            now, sources = datetime.now(UTC), list(plant.sources(request))
            start = now - timedelta(days=days)
            energy, production = self._doors.energy, self._doors.production
            found = await replay_figures(energy, production, scope, request, sources, start, now)
            if isinstance(request.condition, EnergyLimit):
                found.present = await present(energy, scope, request, sources[:MAX_SOURCES], now)
            return found
        return await back_test(self._db, self._doors.telemetry, scope, rule=request, plant=plant, days=days)

    async def _plant(self, scope: TenantScope) -> Plant:
        return Plant(
            await self._doors.fleet.equipment_list(scope),
            await self._doors.telemetry.points(scope),
            await self._doors.fleet.agents(scope),
            await self._doors.spc.frozen(scope),
        )

    async def _is_entry(self, scope: TenantScope, code: str) -> bool:
        async with self._db.tenant(scope) as connection:
            return code in await entries_of(connection, [code])

    async def check(self, scope: TenantScope, request: RuleRequest) -> None:
        """Raise Invalid for what a rule names and the tenant has not got."""
        wanted = request.selection
        missing = None
        if wanted.property and not await self._is_entry(scope, wanted.property):
            missing = Text(f"dictionary entry '{wanted.property}'", f"数据字典条目“{wanted.property}”")
        if wanted.series_id is not None:
            points = {point.series_id for point in await self._doors.telemetry.points(scope)}
            if wanted.series_id not in points:
                missing = Text(f"series {wanted.series_id}", f"数据点 {wanted.series_id}")
        channels = {*request.channels, *(channel for step in request.escalation for channel in step.channels)}
        if channels and not channels <= {channel.id for channel in await self._doors.notify.channels(scope)}:
            missing = Text("one of the channels", "某个通知渠道")
        if missing:
            raise Invalid(Text(f"There is no {missing.en}.", f"不存在：{missing.zh}。"))
        if (
            isinstance(request.condition, AgentHealth | RejectRate | KpiLimit | EnergyLimit)
            and wanted.series_id is not None
        ):
            raise Invalid(Text("This kind of rule watches no series.", "该类规则不针对数据点。"))
        charted = isinstance(request.condition, OutOfControl) and wanted.series_id is not None
        if charted and wanted.series_id not in await self._doors.spc.frozen(scope):
            raise Invalid(_NOT_FROZEN)


def _definition(rule: RuleRequest) -> dict[str, object]:
    return rule.model_dump(mode="json", include=set(RuleRequest.model_fields))


async def _one(connection: AsyncConnection, rule: UUID) -> store.Row:
    rows = await store.select_rules(connection, rule)
    if not rows:
        raise NotFound
    return rows[0]


async def _close(connection: AsyncConnection, principal: Principal, rule: UUID) -> None:
    for alarm in await alarm_store.close_of_rule(connection, rule):
        await alarm_store.insert_event(connection, alarm, "returned", NORMAL, actor=principal.email)


def _name_taken() -> Conflict:
    return Conflict(Text("There is a rule of this name.", "已有同名规则。"))
