"""Evaluates the rules of one tenant as readings are committed: each reading once, by one process at a time.

The process that has the lease of the tenant's cursor keeps in memory where every source stands; all that is not normal, and
how far it has read, is in the database, written in the transaction that raises the alarms. Another process, or the same
one after a restart, goes on from there.

A reading is evaluated if it is later, by its own clock, than the last one of its series that was evaluated; what comes later
than that raises nothing. Nor does what is older than `HORIZON` or more than `AHEAD` in the future: a backlog that arrives
after hours is history, not an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cloud.alarms.condition_kinds import AgentHealth, EnergyLimit, KpiLimit, OutOfControl, RejectRate
from cloud.alarms.energy_rules import usable
from cloud.alarms.raising import Raising, moment
from cloud.alarms.restoring import prime, restore, row_of
from cloud.alarms.sources import Plan, Plant, Watch, figure_of, measured, rule_of
from cloud.alarms.store import alarms as alarm_store
from cloud.alarms.store import rules as store
from cloud.alarms.track import Track, Transition, steps
from cloud.core.db import AsyncConnection, Database
from cloud.core.listen import announce
from cloud.core.principal import TenantScope
from cloud.energy.service import Energy
from cloud.fleet.service import Fleet
from cloud.notify.service import Notify
from cloud.production.service import Production
from cloud.quality.service import Quality
from cloud.spc.service import Spc
from cloud.telemetry.service import Readings, Telemetry, groups

HORIZON = timedelta(minutes=15)
"""What is older when it arrives raises no alarm."""

AHEAD = timedelta(minutes=5)
"""What is further in the future raises no alarm: its clock is wrong."""

SETTLE = timedelta(seconds=10)
"""So long a value is waited for before the last one is taken to hold: what is on its way has come by then."""

LEASE_S = 15.0
_PLAN_LIFE = timedelta(minutes=2)
_SEEN_EVERY = timedelta(seconds=10)
_OTHERS_EVERY = timedelta(seconds=10)
_ENERGY_EVERY = timedelta(seconds=30)  # it is metered by the minute
_GRACE = timedelta(minutes=3)  # after nobody has evaluated for a while: agents take so long to be back
_ALIVE = timedelta(seconds=90)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Move = tuple[Watch, Transition]


class Doors(NamedTuple):
    """The domains the evaluation asks."""

    fleet: Fleet
    telemetry: Telemetry
    quality: Quality
    production: Production
    notify: Notify
    spc: Spc
    energy: Energy


class Evaluator:
    """The evaluation of one tenant in one process. `run` is called again and again, never twice at once."""

    def __init__(self, db: Database, scope: TenantScope, owner: UUID, doors: Doors) -> None:
        self._db = db
        self._scope = scope
        self._owner = owner
        self._doors = doors
        self._plan: Plan | None = None
        self._plan_until = datetime.min.replace(tzinfo=UTC)
        self._version = -1
        self._position: int | None = None
        self._seen: dict[int, int] = {}
        self._behind: set[int] = set()
        self._seen_kept = self._others_asked = self._energy_asked = self._quiet_until = self._plan_until

    async def run(self, now: datetime | None = None) -> bool:
        """Evaluate what has been committed since the last time; True if there is more at once.

        `now` is the cloud's clock unless told. Whatever fails leaves the database as it was, and is done again.
        """
        now = now or datetime.now(UTC)
        try:
            if self._plan is None or now >= self._plan_until:
                self._plan = await self._load_plan(self._plan)
                self._plan_until = now + _PLAN_LIFE
            values = await self._ask_others(self._plan, now)
            return await self._evaluate(self._plan, now, values)
        except BaseException:
            self._version = -1  # memory may be ahead of the database
            raise

    async def _load_plan(self, before: Plan | None) -> Plan:
        async with self._db.tenant(self._scope) as connection:
            version = await store.select_rules_version(connection)
            rules = [rule_of(row) for row in await store.select_rules(connection)]
        charted = any(isinstance(rule.condition, OutOfControl) for rule in rules)
        plant = Plant(
            await self._doors.fleet.equipment_list(self._scope),
            await self._doors.telemetry.points(self._scope),
            await self._doors.fleet.agents(self._scope),
            await self._doors.spc.frozen(self._scope) if charted else {},
        )
        plan = Plan(version, rules, plant)
        alike = before is not None and before.version == version and before.plant.limits == plant.limits
        if before is not None and alike and set(before.watches) == set(plan.watches):
            for key, watch in before.watches.items():
                plan.watches[key].track = watch.track
            plan.timed = [plan.watches[watch.key] for watch in before.timed]
        else:
            self._version = -1
        return plan

    async def _evaluate(self, plan: Plan, now: datetime, values: Mapping[tuple[UUID, str], float]) -> bool:
        async with self._db.tenant(self._scope) as connection:
            cursor = await store.take_cursor(connection, self._owner, LEASE_S)
            if cursor is None:
                self._version = -1
                return False
            if cursor["rules"] != plan.version:
                self._plan = None
                return True
            raising = Raising(connection, self._doors.notify, plan)
            moves: list[Move] = []
            if cursor["version"] != self._version:
                moves += await self._restore(connection, plan, cursor, now)
            position, changed = await self._doors.telemetry.feed.changes(connection, self._position)
            wanted = self._wanted(plan, changed if self._position is not None else plan.by_series, now)
            self._position = position
            readings = await self._doors.telemetry.feed.readings(connection, wanted, now + AHEAD)
            found, touched = self._take(plan, readings)
            moves += found
            moves += self._take_others(plan, values, now, touched)
            moves += self._pass_time(plan, now, touched)
            moves.sort(key=lambda move: move[1].time_us)  # the first one out is the first one raised
            silent = await alarm_store.silent_agents(connection)
            for watch, made in moves:
                mine = plan.plant.equipment[watch.source.equipment_id].agent_id if watch.source.equipment_id else None
                await raising.apply(watch, made, [agent for agent in silent if agent == mine])
            await self._keep_house(connection, raising, now)
            if touched:
                await store.put_tracks(connection, [row_of(watch) for watch in touched.values()])
            seen = None
            if now - self._seen_kept >= _SEEN_EVERY:
                self._seen_kept = now
                seen = (list(self._seen), [moment(time) for time in self._seen.values()])
            version = await store.advance_cursor(connection, position, seen)
            if raising.changed:
                await announce(connection, self._scope.tenant_id)
        self._version = version
        if not set(changed) <= plan.known:
            self._plan_until = now  # there are new series: they may be watched, too
        return bool(self._behind)

    def _wanted(self, plan: Plan, changed: Iterable[int], now: datetime) -> dict[int, int]:
        """Return the series to read, and up to when they were read."""
        oldest = _us(now - HORIZON)
        series = {one for one in changed if one in plan.by_series} | self._behind
        return {one: max(self._seen.get(one, 0), oldest) for one in series}

    def _take(self, plan: Plan, readings: Readings) -> tuple[list[Move], dict[tuple[UUID, str], Watch]]:
        """Take readings; returns what comes of them and the watches whose state is another than before."""
        moves: list[Move] = []
        touched: dict[tuple[UUID, str], Watch] = {}
        self._behind = set()
        times, values = readings.time, readings.value
        usable = readings.quality >= 0
        for group in groups(readings):
            part, last = group.place, int(times[group.place.stop - 1])
            self._seen[group.series] = last
            if part.stop - part.start >= self._doors.telemetry.feed.at_once:
                self._behind.add(group.series)
            for watch in plan.by_series[group.series]:
                track = watch.track
                band = track.band()
                if group.usable and track.steady and band.low < group.low and group.high < band.high:
                    track.skip(last, float(values[part.stop - 1]))
                    continue
                before = (track.level, track.wanted, track.since)
                moves += [(watch, made) for made in steps(track, times[part], values[part], usable[part])]
                if (track.level, track.wanted, track.since) != before:
                    touched[watch.key] = watch
        return moves, touched

    def _pass_time(self, plan: Plan, now: datetime, touched: dict[tuple[UUID, str], Watch]) -> list[Move]:
        """Let the last values hold, and find what has gone silent."""
        moves: list[Move] = []
        held = _us(now - SETTLE)
        for watch in [one for one in plan.watches.values() if isinstance(one.track, Track) and not one.track.steady]:
            if watch.source.series_id is None or self._alive(plan, watch, now):
                moves += self._advance(watch, held, touched)
        if now >= self._quiet_until:
            for watch in plan.timed:
                moves += self._advance(watch, _us(now), touched)
        return moves

    @staticmethod
    def _advance(watch: Watch, time_us: int, touched: dict[tuple[UUID, str], Watch]) -> list[Move]:
        made = watch.track.advance(time_us)
        if made:
            touched[watch.key] = watch
        return [(watch, one) for one in made]

    @staticmethod
    def _alive(plan: Plan, watch: Watch, now: datetime) -> bool:
        """Whether the source's agent was heard lately: else nobody knows what its value is now."""
        equipment = plan.plant.equipment.get(watch.source.equipment_id) if watch.source.equipment_id else None
        agent = plan.plant.agents.get(equipment.agent_id) if equipment else None
        return agent is not None and agent.last_seen is not None and agent.last_seen > now - _ALIVE

    async def _ask_others(self, plan: Plan, now: datetime) -> dict[tuple[UUID, str], float]:
        """Return the present values of what is no series: agents, shares of rejected parts and KPIs."""
        if now - self._others_asked < _OTHERS_EVERY:
            return {}
        self._others_asked = now
        plan.plant.agents = {
            agent.id: agent for agent in await self._doors.fleet.agents(self._scope) if agent.revoked_at is None
        }
        values: dict[tuple[UUID, str], float] = {}
        for watch in plan.others:
            condition, source = watch.rule.condition, watch.source
            if isinstance(condition, AgentHealth) and source.agent_id in plan.plant.agents:
                values[watch.key] = measured(plan.plant.agents[source.agent_id], condition.measure, now)
            elif isinstance(condition, RejectRate):
                start = now - timedelta(minutes=condition.window_minutes)
                found = await self._doors.quality.summary(self._scope, start, now, source.equipment_id)
                if found.total >= condition.least_parts:
                    values[watch.key] = 100 * found.reject / found.total
        return values | await self._figures(plan, now) | await self._energy(plan, now)

    async def _figures(self, plan: Plan, now: datetime) -> dict[tuple[UUID, str], float]:
        """Return the KPIs that are watched, of the machines of which enough is known."""
        watched: dict[bool, list[tuple[KpiLimit, UUID, Watch]]] = {}
        for watch in plan.others:
            condition, machine = watch.rule.condition, watch.source.equipment_id
            if isinstance(condition, KpiLimit) and machine:
                watched.setdefault(condition.period == "running_shift", []).append((condition, machine, watch))
        values: dict[tuple[UUID, str], float] = {}
        for running, those in watched.items():
            machines = {machine for _, machine, _ in those}
            found = await self._doors.production.shift_figures(self._scope, machines, now, running=running)
            for condition, machine, watch in those:
                value = figure_of(condition, found[machine]) if machine in found else None
                if value is not None:
                    values[watch.key] = value
        return values

    async def _energy(self, plan: Plan, now: datetime) -> dict[tuple[UUID, str], float]:
        """Return the energy figures that are watched, of the places of which enough is known."""
        watches = [one for one in plan.others if isinstance(one.rule.condition, EnergyLimit)]
        if not watches or now - self._energy_asked < _ENERGY_EVERY:
            return {}
        self._energy_asked = now
        watched = [(one.rule.condition, one.source) for one in watches if isinstance(one.rule.condition, EnergyLimit)]
        values = await usable(self._doors.energy, self._scope, watched, now)
        return {one.key: value for one, value in zip(watches, values, strict=True) if value is not None}

    def _take_others(
        self,
        plan: Plan,
        values: Mapping[tuple[UUID, str], float],
        now: datetime,
        touched: dict[tuple[UUID, str], Watch],
    ) -> list[Move]:
        moves: list[Move] = []
        for key, value in values.items():
            watch = plan.watches[key]
            silent = isinstance(watch.rule.condition, AgentHealth) and watch.rule.condition.measure == "silent_s"
            if not math.isfinite(value) or (silent and now < self._quiet_until):
                continue
            before = (watch.track.level, watch.track.wanted, watch.track.since)
            moves += [(watch, made) for made in watch.track.step(_us(now), value, True)]
            if (watch.track.level, watch.track.wanted, watch.track.since) != before:
                touched[key] = watch
        return moves

    async def _keep_house(self, connection: AsyncConnection, raising: Raising, now: datetime) -> None:
        for row in await store.end_shelves(connection):
            await raising.unshelve(row["rule_id"], row["source"])
        await raising.escalate(now)

    async def _restore(self, connection: AsyncConnection, plan: Plan, cursor: store.Row, now: datetime) -> list[Move]:
        """Take up where the last evaluation, of whichever process, has ended."""
        self._position = await self._doors.telemetry.feed.begin(connection, cursor["position"])
        if cursor["evaluated_at"] is None or now - cursor["evaluated_at"] > timedelta(minutes=1):
            self._quiet_until = now + _GRACE
        self._seen, known = await restore(connection, plan)
        held = await self._doors.telemetry.feed.latest(connection, list(plan.by_series))
        begun = prime(
            plan,
            known=known,
            held=held,
            seen=self._seen,
            is_alive=lambda watch: self._alive(plan, watch, now),
            now_us=_us(now),
        )
        await store.put_tracks(connection, [row_of(watch) for watch, _ in begun])
        self._behind |= {series for series, (time, _, _) in held.items() if time > self._seen[series]}
        return begun


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
