"""The door of the energy domain.

energy = Energy(db, identity, fleet, production)                      app.state.energy in a running cloud
usage = await energy.usage(scope, node, window, "day")            -> Usage: energy, cost, CO2 by window and in total
summary = await energy.summary(scope, site_id, window)            -> Summary: what a page about a site shows
curve = await energy.load_curve(scope, node, window)              -> LoadCurve, each point in its band of the tariff
summary, curve = await energy.summary_and_load(scope, site_id, window)  both, read once
bill = await energy.bill(scope, site_id, day)                     -> Bill of the month that `day` is in
found = await energy.watched(scope, code, site_id, now)           -> {id: Figure}: what alarm rules watch
found = await energy.watched_at(scope, code, site_id, instants)   -> the same of times that are past
energy.registry                                                   meters, tariffs and factors
energy.renewals                                                   which machine to renew
note_changes                                                      a follower of the roll-ups; `tasks.keep_metered` computes

A node is a site, a line or a machine; one of another tenant does not exist: NotFound. What is not over yet is told so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.core.db import Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import TenantScope
from cloud.energy import figures
from cloud.energy.accounts import Account, load
from cloud.energy.bills import bill_lines, total_of
from cloud.energy.metering import INTERVAL_S
from cloud.energy.profiles import Profile, days, hours, midnight, month_of, months
from cloud.energy.registry import Registry
from cloud.energy.renewals import Renewals
from cloud.energy.schemas import (
    Bill,
    CarrierCode,
    Figure,
    Granularity,
    LoadCurve,
    LoadPoint,
    Meter,
    Summary,
    Usage,
    UsageRow,
    Window,
)
from cloud.energy.summaries import summarise
from cloud.energy.tariff_terms import BANDS
from cloud.energy.watched import HISTORY, demand_now, of_day
from cloud.energy.watched import WATCHED as WATCHED  # noqa: PLC0414 - other domains speak in it
from cloud.energy.watched import Day as Day  # noqa: PLC0414
from cloud.energy.watched import WatchedCode as WatchedCode  # noqa: PLC0414
from cloud.fleet.schemas import Equipment
from cloud.fleet.service import Fleet
from cloud.identity.schemas import Site
from cloud.identity.service import Identity
from cloud.production.schemas import Node
from cloud.production.service import Production
from protocols.text import Text

MAX_ROWS = 2_000
"""Rows of a usage; more are refused."""
_POINTS = 1_500
_COUNTED = ("good parts",)
_KNOWN = 0.9
"""Share of a point's time that has to be covered for it to have a load."""
_UNNAMED = Text("", "")
_LONGEST_S = 800 * 86_400


class Energy:
    """What a tenant's sites use, and what it costs."""

    def __init__(self, db: Database, identity: Identity, fleet: Fleet, production: Production) -> None:
        self._db = db
        self._identity = identity
        self._fleet = fleet
        self._production = production
        self.registry = Registry(db)
        self.renewals = Renewals(db, identity, fleet, production)

    async def usage(
        self,
        scope: TenantScope,
        node: Node,
        window: Window,
        granularity: Granularity,
        carrier: CarrierCode = "electricity",
    ) -> Usage:
        """Return what a node used, window by window; raises NotFound, and Invalid for too long a span."""
        account = await self._account(scope, node, window, carrier)
        meters = account.forest.of(node)
        profile, inputs = account.sum_of(meters), _inputs(meters)
        parts = await self._parts(scope, node, account, granularity)
        if len(parts) > MAX_ROWS:
            raise Invalid(
                Text(
                    f"{len(parts)} rows; choose a shorter span or a coarser step, for at most {MAX_ROWS}.",
                    f"共 {len(parts)} 行；请缩短时间范围或选用更粗的粒度，最多 {MAX_ROWS} 行。",
                )
            )
        made = await self._made(scope, node, account, granularity)
        rows = [_row(account, profile, part, inputs, name=name, good=made.get(part.start)) for part, name in parts]
        return Usage(
            carrier=carrier,
            granularity=granularity,
            time_zone=account.zone.key,
            rows=rows,
            total=_row(account, profile, account.window, inputs, good=made.get(None)),
        )

    async def summary(
        self, scope: TenantScope, site_id: UUID, window: Window, carrier: CarrierCode = "electricity"
    ) -> Summary:
        """Return what a site used, how, and what of it which machine; raises NotFound."""
        node = Node(kind="site", id=site_id)
        return await self._summary(scope, await self._account(scope, node, window, carrier, whole=True))

    async def load_curve(
        self, scope: TenantScope, node: Node, window: Window, carrier: CarrierCode = "electricity"
    ) -> LoadCurve:
        """Return the course of a node's load in at most about 1,500 points; raises NotFound."""
        return _load_curve(await self._account(scope, node, window, carrier), node)

    async def summary_and_load(
        self, scope: TenantScope, site_id: UUID, window: Window, carrier: CarrierCode = "electricity"
    ) -> tuple[Summary, LoadCurve]:
        """Return `summary` and `load_curve` of a site, from what is read once; raises NotFound."""
        node = Node(kind="site", id=site_id)
        account = await self._account(scope, node, window, carrier, whole=True)
        return await self._summary(scope, account), _load_curve(account, node)

    async def bill(self, scope: TenantScope, site_id: UUID, day: date) -> Bill:
        """Return the bill of the calendar month that `day` is in, so far if it is not over; raises NotFound."""
        node = Node(kind="site", id=site_id)
        site, machines = await self._site(scope, node)
        window = _until_now(month_of(day, ZoneInfo(site.time_zone)))
        async with self._db.tenant(scope) as connection:
            account = await load(connection, site, machines, "electricity", window, node=node)
            reactive = await load(connection, site, machines, "reactive", window, node=node)
        part = account.sum_of(account.forest.of_site()).within(window)
        reactive_part = reactive.sum_of(reactive.forest.of_site()).within(window)
        terms = account.terms
        lines = []
        if terms:
            peak = figures.demand(part)
            lines = bill_lines(
                terms,
                account.cost_of(part),
                maximum_kw=peak.load if peak else None,
                active=part.total,
                reactive=reactive_part.total if reactive_part.covered.any() else None,
            )
        first = window.start.astimezone(account.zone).date()
        names = [name for valid_from, name in sorted(account.names.items()) if valid_from <= first]
        return Bill(
            site_id=site_id,
            start=window.start,
            end=window.end,
            currency=account.currency,
            tariff=names[-1] if names else next(iter(account.names.values()), None),
            completeness=part.completeness,
            lines=lines,
            total=total_of(lines) if lines else None,
        )

    async def watched(
        self, scope: TenantScope, code: WatchedCode, site_id: UUID, now: datetime, day: Day = "today"
    ) -> dict[UUID, Figure]:
        """Return one figure of `WATCHED` for a site, or for its machines, by id; raises NotFound."""
        node = Node(kind="site", id=site_id)
        site, machines = await self._site(scope, node)
        zone = ZoneInfo(site.time_zone)
        first = now.astimezone(zone).date() - timedelta(days=day == "yesterday")
        window = Window(midnight(first, zone), min(midnight(first + timedelta(days=1), zone), now))
        if not WATCHED[code].of_day:
            window = Window(now - HISTORY, now)
        elif code != "power_factor":
            return of_day(code, await self.summary(scope, site_id, window))
        async with self._db.tenant(scope) as connection:
            account = await load(connection, site, machines, "electricity", window, node=node)
            if code != "power_factor":
                return {site_id: demand_now(code, account, now)}
            reactive = await load(connection, site, machines, "reactive", window, node=node)
        active, other = account.forest.of_site(), reactive.forest.of_site()
        part, reactive_part = account.sum_of(active).within(window), reactive.sum_of(other).within(window)
        return {site_id: figures.power_factor(part, reactive_part, _inputs([*active, *other]))}

    async def watched_at(
        self, scope: TenantScope, code: WatchedCode, site_id: UUID, instants: Sequence[datetime], day: Day = "today"
    ) -> list[dict[UUID, Figure]]:
        """Return what `watched` would have said at each of `instants`, in the order of time; raises NotFound.

        Demands of a day are told from one account: the tariff's contract is that of its begin.
        """
        if WATCHED[code].of_day:
            return [await self.watched(scope, code, site_id, at, day) for at in instants]
        node = Node(kind="site", id=site_id)
        site, machines = await self._site(scope, node)
        zone = ZoneInfo(site.time_zone)
        found: list[dict[UUID, Figure]] = []
        for _, those in groupby(instants, key=lambda at: (at - HISTORY).astimezone(zone).date()):
            of_day = list(those)
            async with self._db.tenant(scope) as connection:
                window = Window(of_day[0] - HISTORY, of_day[-1])
                account = await load(connection, site, machines, "electricity", window, node=node)
            found += await asyncio.to_thread(
                lambda now, day: [{site_id: demand_now(code, now, at)} for at in day], account, of_day
            )
        return found

    async def _made(
        self, scope: TenantScope, node: Node, account: Account, granularity: Granularity
    ) -> Mapping[datetime | None, float | None]:
        """Return the good parts of a machine by begin of a row, and of all under None; parts of several do not add up.

        They are those of the production days, or shifts, that begin in the row.
        """
        if node.kind != "equipment" or granularity == "hour":
            return {}
        report = await self._production.kpis(scope, node, *_days_of(account), granularity)
        found: dict[datetime | None, float | None] = {None: report.total.good if report.total else None}
        for row in report.rows:
            begin = row.start if granularity == "shift" else midnight(row.first_day, account.zone)
            if granularity == "month":
                begin = month_of(row.first_day, account.zone).start
            found[max(begin, account.window.start)] = row.good
        return found

    async def _parts(
        self, scope: TenantScope, node: Node, account: Account, granularity: Granularity
    ) -> list[tuple[Window, Text]]:
        if granularity == "shift":
            shifts = await self._production.shifts_between(scope, node, account.window.start, account.window.end)
            cut = [Window(max(one.start, account.window.start), min(one.end, account.window.end)) for one in shifts]
            return list(zip(cut, [one.name for one in shifts], strict=True))
        if granularity == "hour":
            return [(part, _UNNAMED) for part in hours(account.window)]
        return [(part, _UNNAMED) for part in (days if granularity == "day" else months)(account.window, account.zone)]

    async def _account(
        self, scope: TenantScope, node: Node, window: Window, carrier: CarrierCode, *, whole: bool = False
    ) -> Account:
        """Return the account of what a node's meters measured, or of all meters and machines of its site."""
        if not 0 < window.seconds <= _LONGEST_S:
            raise Invalid(
                Text("start must be before end, by at most 800 days.", "start 必须早于 end，且间隔不超过 800 天。")
            )
        site, machines = await self._site(scope, node)
        async with self._db.tenant(scope) as connection:
            chosen = None if whole else node
            return await load(connection, site, machines, carrier, _until_now(window), node=chosen, states=whole)

    async def _summary(self, scope: TenantScope, account: Account) -> Summary:
        made = await self._production.good_parts(scope, Node(kind="site", id=account.site.id), *_days_of(account))
        return await asyncio.to_thread(summarise, account, made)

    async def _site(self, scope: TenantScope, node: Node) -> tuple[Site, Sequence[Equipment]]:
        """Return the site a node is at, and all machines."""
        sites = {site.id: site for site in await self._identity.sites(scope)}
        machines = await self._fleet.equipment_list(scope)
        site_id: UUID | None = node.id
        if node.kind == "equipment":
            site_id = next((machine.site_id for machine in machines if machine.id == node.id), None)
        elif node.kind == "line":
            site_id = (await self._identity.plant.line(scope, node.id)).site_id
        if site_id not in sites:
            raise NotFound
        return sites[site_id], machines


def _until_now(window: Window) -> Window:
    return Window(window.start, max(min(window.end, datetime.now(UTC)), window.start))


def _days_of(account: Account) -> tuple[date, date]:
    """Return the first and the last day of the account on the site's calendar."""
    last = max(account.window.end - timedelta(microseconds=1), account.window.start)
    return account.window.start.astimezone(account.zone).date(), last.astimezone(account.zone).date()


def _inputs(meters: Sequence[Meter]) -> list[str]:
    return [f"{meter.name} ({meter.basis})" for meter in meters]


def _row(
    account: Account,
    profile: Profile,
    window: Window,
    inputs: Sequence[str],
    *,
    name: Text = _UNNAMED,
    good: float | None = None,
) -> UsageRow:
    part = profile.within(window)
    energy = figures.consumption(part, account.carrier, inputs)
    return UsageRow(
        start=window.start,
        end=window.end,
        name_en=name.en,
        name_zh=name.zh,
        energy=energy,
        cost=figures.energy_cost(account.cost_of(part), part, account.currency, inputs),
        co2=account.emission(part, "co2", inputs),
        specific=figures.specific_energy(energy, good, _COUNTED),
        good=good,
    )


def _load_curve(account: Account, node: Node) -> LoadCurve:
    profile = account.sum_of(account.forest.of(node)).within(account.window)
    steps = max(-(-len(profile.energy) // _POINTS), 1)
    width = next((known for known in (1, 3, 6, 12, 36, 72, 144, 288) if known >= steps), 288)
    return LoadCurve(
        carrier=account.carrier.code,
        rate=account.carrier.rate,
        time_zone=account.zone.key,
        step_s=width * INTERVAL_S,
        points=list(_points(account, profile, width)),
    )


def _points(account: Account, profile: Profile, width: int) -> Iterator[LoadPoint]:
    begin = (profile.start_s - account.nothing.start_s) // INTERVAL_S
    bands = account.prices.band[begin : begin + len(profile.energy)]
    for at in range(0, len(profile.energy), width):
        known = profile.covered[at : at + width].sum()
        energy = profile.energy[at : at + width].sum()
        band = int(bands[at])
        yield LoadPoint(
            start=datetime.fromtimestamp(profile.start_s + at * INTERVAL_S, UTC),
            load=float(energy * 3600 / (width * INTERVAL_S)) if known >= _KNOWN * width * INTERVAL_S else None,
            band=BANDS[band] if band >= 0 else None,
        )
