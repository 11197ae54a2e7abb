"""The door of the semantics domain.

semantics = Semantics(company_entries, fleet, telemetry, production)           app.state.semantics in a running cloud
file = await semantics.shell(scope, equipment_id, "aasx")      -> ShellFile: a machine as an Asset Administration Shell
file = await semantics.shells(scope, site_id, "aasx")          -> ShellFile: every machine of a site, or of the company
file = await semantics.dictionary(scope, "csv")                -> ShellFile: all entries, the company's own last
report = await semantics.take_in(principal, content, "csv")    -> ImportReport: a file proposed as own entries, or what is amiss
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.dictionary.schemas import ImportReport
from cloud.dictionary.service import CompanyEntries, answer
from cloud.fleet.schemas import Equipment
from cloud.fleet.service import Fleet
from cloud.production.schemas import KpiRow, Node
from cloud.production.service import Production
from cloud.semantics.concepts import concept_of, described
from cloud.semantics.entry_table import entry_table
from cloud.semantics.package import MEDIA_TYPES, ShellFormat, packed
from cloud.semantics.reading import read_concepts, read_requests, read_table
from cloud.semantics.shell import objects_of
from cloud.semantics.twin import Twin, device_model
from cloud.telemetry.schemas import Latest, Point
from cloud.telemetry.service import Telemetry
from protocols.dictionary.entries import load_dictionary
from protocols.text import Text

CSV = "text/csv; charset=utf-8"
DictionaryFormat = Literal["csv", "aasx", "json"]
MOST_SHELLS = 200
"""Machines of one package: they are put together in memory."""

_Each = TypeVar("_Each", Point, Latest)
_LOOKED_BACK = timedelta(days=7)


class ShellFile(NamedTuple):
    """A file to download."""

    name: str
    media_type: str
    content: bytes


class Semantics:
    """What a tenant has, in the words of the Asset Administration Shell."""

    def __init__(
        self, company_entries: CompanyEntries, fleet: Fleet, telemetry: Telemetry, production: Production
    ) -> None:
        self._company_entries = company_entries
        self._fleet = fleet
        self._telemetry = telemetry
        self._production = production

    async def shell(self, scope: TenantScope, equipment_id: UUID, kind: ShellFormat) -> ShellFile:
        """Return a machine as a shell; raises NotFound."""
        equipment = await self._fleet.equipment(scope, equipment_id)
        return await _file(equipment.label, await self._twins(scope, [equipment], equipment_id), kind)

    async def shells(self, scope: TenantScope, site_id: UUID | None, kind: ShellFormat) -> ShellFile:
        """Return the machines of a site, or of the company, as one package of shells.

        Raises NotFound for a site without machines, Invalid where there are more than 200.
        """
        machines = [one for one in await self._fleet.equipment_list(scope) if site_id in (None, one.site_id)]
        if not machines:
            raise NotFound
        if len(machines) > MOST_SHELLS:
            raise Invalid(
                Text(
                    f"{len(machines)} machines are more than the {MOST_SHELLS} of one package; ask site by site with"
                    " site_id, or machine by machine.",
                    f"共 {len(machines)} 台设备，超过单个文件上限 {MOST_SHELLS} 台；请用 site_id 按工厂下载，或逐台下载。",
                )
            )
        return await _file(machines[0].site if site_id else "plant", await self._twins(scope, machines), kind)

    async def dictionary(self, scope: TenantScope, kind: DictionaryFormat) -> ShellFile:
        """Return all entries, the company's own last: as a table, or as concept descriptions."""
        known = (await self._company_entries.known(scope)).values()
        if kind == "csv":
            return ShellFile("dictionary.csv", CSV, entry_table(map(answer, known)))
        concepts = (one for entry in known for one in described(concept_of(entry, scope.tenant_id)))
        return ShellFile(f"dictionary.{kind}", MEDIA_TYPES[kind], await asyncio.to_thread(packed, [concepts], kind))

    async def take_in(self, principal: Principal, content: bytes, kind: DictionaryFormat) -> ImportReport:
        """Propose the entries of a file as the company's own: all of them, or none where any is amiss.

        Entries in it that are known as they are, are left aside. Raises Invalid for what is no such file.
        """
        written = await asyncio.to_thread(read_table if kind == "csv" else read_concepts, content)
        fresh = [one for one in written if one.fields.get("code") not in load_dictionary()]
        requests, faults = await asyncio.to_thread(read_requests, fresh)
        known = await self._company_entries.known(principal.scope)
        changed = (
            []
            if faults
            else [
                (one, request)
                for one, request in zip(fresh, requests, strict=True)
                if known.get(request.code) != request.entry()
            ]
        )
        wanted = [request for _, request in changed]
        checked = await self._company_entries.check(principal.scope, wanted)
        faults += [one.fault(fault) for (one, _), fault in zip(changed, checked, strict=True) if fault]
        if faults:
            return ImportReport(proposed=[], known=0, faults=faults)
        if wanted:
            await self._company_entries.propose(principal, wanted)
        return ImportReport(proposed=[request.code for request in wanted], known=len(written) - len(wanted), faults=[])

    async def _twins(self, scope: TenantScope, machines: Sequence[Equipment], only: UUID | None = None) -> list[Twin]:
        """Return what is known of `machines`; `only` is the one they are, so that nothing is read of others."""
        entries = await self._company_entries.known(scope)
        points = _by_equipment(await self._telemetry.points(scope, only))
        latest = _by_equipment(await self._telemetry.latest(scope, only))
        sites = {Node(kind="site", id=machine.site_id) for machine in machines}
        run_times = {
            one.equipment_id: one.run_time_s
            for node in ([Node(kind="equipment", id=only)] if only else sites)
            for one in await self._production.machine_settings.readings(scope, node)
        }
        return [
            Twin(
                company=scope.tenant_id,
                entries=entries,
                equipment=machine,
                model=device_model(machine.template),
                points=points.get(machine.id, []),
                latest={one.series_id: one for one in latest.get(machine.id, [])},
                run_time_s=run_times.get(machine.id),
                shift=await self._last_shift(scope, machine),
            )
            for machine in machines
        ]

    async def _last_shift(self, scope: TenantScope, equipment: Equipment) -> KpiRow | None:
        """Return the figures of the last shift that is over, by the function that all pages take them from."""
        node = Node(kind="equipment", id=equipment.id)
        now = datetime.now(UTC)
        today = now.astimezone(ZoneInfo(equipment.time_zone)).date()
        shifts = await self._production.shifts_of_days(scope, node, today - _LOOKED_BACK, today)
        over = max((shift for shift in shifts if shift.end <= now), key=lambda shift: shift.end, default=None)
        if over is None:
            return None
        report = await self._production.kpis(scope, node, over.day, over.day, "shift")
        return next((row for row in report.rows if row.start == over.start), None)


async def _file(name: str, twins: Sequence[Twin], kind: ShellFormat) -> ShellFile:
    content = await asyncio.to_thread(lambda: packed(map(objects_of, twins), kind))
    return ShellFile(f"{name}.{kind}", MEDIA_TYPES[kind], content)


def _by_equipment(rows: Sequence[_Each]) -> dict[UUID, list[_Each]]:
    ordered = sorted(rows, key=lambda row: row.equipment_id)
    return {equipment: list(some) for equipment, some in groupby(ordered, key=lambda row: row.equipment_id)}
