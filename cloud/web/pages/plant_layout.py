"""The plant as a tree: sites, the lines in them, and which machine stands in which line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.fleet.schemas import Equipment, EquipmentChange
from cloud.identity.schemas import Line, LineChange, LineRequest, Site, SiteChange, SiteRequest
from cloud.web.elements import Words, box, icon
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from cloud.web.words import BY_HAND
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

TITLE = Text("Plant", "工厂结构")
FOLDED = 200
"""With more machines than this, a line's are drawn once somebody opens it."""

_HOW = Text(
    "Put every machine into its line: drag it there, or choose the line beside it. Shifts, figures, alarms and roles follow.",
    "请将设备归入所在产线：拖动设备，或在其旁选择产线。班次、指标、报警与权限均据此划分。",
)
_NO_LINE = Text("Not in a line", "未归入产线")
_EMPTY = Text("No machine stands here yet.", "暂无设备。")
_NO_EQUIPMENT = Text(
    "No machine has been reported at this site yet. Connect a gateway first.", "该站点尚无设备，请先接入网关。"
)
_MACHINES = Text("{count} machines", "{count} 台设备")
_IN_LINE = Text("Line of {name}", "{name} 所在产线")
_DETAILS = Text("Details", "详情")
_RENAME, _REMOVE, _SAVE = Text("Rename", "重命名"), Text("Remove", "移除"), Text("Save", "保存")
_NEW_LINE, _ADD_LINE = Text("New line", "新产线"), Text("Add the line", "添加产线")
_NEW_SITE, _ADD_SITE = Text("New site", "新站点"), Text("Add the site", "添加站点")
_SHELLS = Text("Asset Administration Shells (AASX)", "资产管理壳(AASX)")
_ZONE = Text("Time zone", "时区")
_NAME = Text("Name", "名称")


async def build(visit: Visit) -> None:
    """Build the page."""
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_HOW) if visit.may(Scope.ENGINEER) else "")
        layout = _Layout(visit)
    await layout.show()


class _Layout:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._answer = box("stack")
        self._sites = box("stack wide")
        self._dragged: UUID | None = None
        self._count = 0

    async def show(self) -> None:
        """Draw the plant anew from what is stored."""
        visit, domains = self._visit, self._visit.domains
        sites = await domains.identity.sites(visit.scope)
        lines = await _all_lines(visit)
        machines = await domains.fleet.equipment_list(visit.scope)
        self._count = len(machines)
        self._sites.clear()
        with self._sites:
            for site in sites:
                self._show_site(
                    site,
                    sorted((line for line in lines if line.site_id == site.id), key=lambda line: line.name),
                    sorted((one for one in machines if one.site_id == site.id), key=lambda one: one.label),
                )
            if visit.may(Scope.ADMIN):
                self._show_new_site()

    def _show_site(self, site: Site, lines: Sequence[Line], machines: Sequence[Equipment]) -> None:
        visit = self._visit
        with box("card stack wide"):
            with box("card-head"):
                with box("line"):
                    icon("site")
                    Words(site.name, tag="h2")
                    Words(site.time_zone, "muted small")
                if visit.may(Scope.ADMIN):
                    self._rename(site.name, partial(self._rename_site, site.id))
            if not machines:
                Words(visit.say(_NO_EQUIPMENT), "muted", tag="p")
            else:
                with (
                    box("line"),
                    box("button quiet", "a", href=f"/api/v1/equipment:shells?site_id={site.id}", download=""),
                ):
                    Words(visit.say(_SHELLS))
            with box("lines"):
                for line in lines:
                    self._show_line(line, lines, [one for one in machines if one.line_id == line.id])
                loose = [one for one in machines if one.line_id is None]
                if loose:
                    self._show_line(None, lines, loose)
                if visit.may(Scope.ENGINEER):
                    self._show_new_line(site)

    def _show_line(self, line: Line | None, lines: Sequence[Line], machines: Sequence[Equipment]) -> None:
        visit = self._visit
        with box("plant-line" if line else "plant-line loose") as place:
            with box("line spread"):
                Words(line.name if line else visit.say(_NO_LINE), "strong", tag="h3")
                if line is not None and visit.may(Scope.ENGINEER):
                    self._rename(line.name, partial(self._rename_line, line.id))
            if not machines:
                Words(visit.say(_EMPTY), "muted small", tag="p")
                if line is not None and visit.may(Scope.ENGINEER):
                    with box("line"):
                        button(visit.say(_REMOVE), partial(self._remove_line, line.id), "button quiet")
            if self._count > FOLDED and machines:
                with box("", "details") as details:
                    with box("link small", "summary"):
                        Words(visit.say(_MACHINES, count=len(machines)))
                    inside = box("stack")
                details.on("toggle", partial(self._open, machines, lines, inside), args=[])
            else:
                for machine in machines:
                    self._show_machine(machine, lines)
        if visit.may(Scope.ENGINEER):
            place.on("dragover", js_handler="event => event.preventDefault()")
            place.on("drop", lambda _, to=line.id if line else None: self._drop(to))

    def _open(self, machines: Sequence[Equipment], lines: Sequence[Line], inside: ui.element) -> None:
        if not inside.default_slot.children:
            with inside:
                for machine in machines:
                    self._show_machine(machine, lines)

    def _show_machine(self, machine: Equipment, lines: Sequence[Line]) -> None:
        visit, may = self._visit, self._visit.may(Scope.ENGINEER)
        with box("machine", draggable="true" if may else "false") as row:
            with box("stack"):
                with box("link", "a", href=f"/equipment/{machine.id}", draggable="false"):
                    Words(machine.label)
                kind = equipment_classes().get(machine.equipment_class)
                said = [kind.to(visit.language)] if kind else []
                source = visit.say(BY_HAND.text) if machine.state == "by_hand" else machine.agent
                Words(" · ".join([*said, source]), "muted small", tag="div")
            if may:
                options = {"": visit.say(_NO_LINE)} | {str(line.id): line.name for line in lines}
                label = visit.say(_IN_LINE, name=machine.label)
                chosen = str(machine.line_id) if machine.line_id else ""
                Choice(label, options, chosen, partial(self._choose, machine.id), shown=False).mark(
                    f"line-of-{machine.name}"
                )
                with box("link small", "a", href=f"/plant/equipment/{machine.id}"):
                    Words(visit.say(_DETAILS))

        def take(_: object) -> None:
            self._dragged = machine.id

        row.on("dragstart", take, js_handler="event => { event.dataTransfer.setData('text/plain', ''); emit(); }")

    def _rename(self, name: str, act: Callable[[str], Awaitable[None]]) -> None:
        visit = self._visit
        with box("", "details"):
            with box("link small", "summary"):
                Words(visit.say(_RENAME))
            field = Field(visit.say(_NAME), name, maxlength="120")
            button(visit.say(_SAVE), lambda: act(field.value.strip()), "button quiet")

    def _show_new_line(self, site: Site) -> None:
        visit = self._visit
        with box("plant-line new"):
            field = Field(visit.say(_NEW_LINE), maxlength="120")
            with box("line"):
                button(visit.say(_ADD_LINE), lambda: self._add_line(site.id, field.value.strip()), "button quiet").mark(
                    "add-line"
                )

    def _show_new_site(self) -> None:
        visit = self._visit
        with box("card stack"):
            Words(visit.say(_NEW_SITE), tag="h2")
            with box("granted new"):
                name = Field(visit.say(_NAME), maxlength="120")
                zone = Field(visit.say(_ZONE), "Asia/Shanghai", maxlength="64")
                button(
                    visit.say(_ADD_SITE), lambda: self._add_site(name.value.strip(), zone.value.strip()), "button quiet"
                )

    async def _drop(self, line: UUID | None) -> None:
        if self._dragged is not None:
            await self._place(self._dragged, line)
            self._dragged = None

    async def _choose(self, machine: UUID, line: str) -> None:
        await self._place(machine, UUID(line) if line else None)

    async def _place(self, machine: UUID, line: UUID | None) -> None:
        async def act(principal: Principal) -> None:
            change = EquipmentChange.model_validate({"line_id": line})
            await self._visit.domains.fleet.describe(principal.scope, machine, change, principal.actor)

        await self._do(Scope.ENGINEER, act)

    async def _add_line(self, site: UUID, name: str) -> None:
        async def act(principal: Principal) -> None:
            request = LineRequest(site_id=site, name=name)
            await self._visit.domains.identity.plant.create_line(principal.scope, request, principal.actor)

        await self._do(Scope.ENGINEER, act)

    async def _rename_line(self, line: UUID, name: str) -> None:
        async def act(principal: Principal) -> None:
            change = LineChange(name=name)
            await self._visit.domains.identity.plant.change_line(principal.scope, line, change, principal.actor)

        await self._do(Scope.ENGINEER, act)

    async def _remove_line(self, line: UUID) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.identity.plant.remove_line(principal.scope, line, principal.actor)

        await self._do(Scope.ENGINEER, act)

    async def _add_site(self, name: str, zone: str) -> None:
        async def act(principal: Principal) -> None:
            request = SiteRequest(name=name, time_zone=zone)
            await self._visit.domains.identity.create_site(principal.scope, request, principal.actor)

        await self._do(Scope.ADMIN, act)

    async def _rename_site(self, site: UUID, name: str) -> None:
        async def act(principal: Principal) -> None:
            change = SiteChange(name=name)
            await self._visit.domains.identity.plant.change_site(principal.scope, site, change, principal.actor)

        await self._do(Scope.ADMIN, act)

    async def _do(self, demand: Scope, act: Callable[[Principal], Awaitable[None]]) -> None:
        if await attempt(self._visit, self._answer, demand, act):
            await self.show()


async def _all_lines(visit: Visit) -> list[Line]:
    found: list[Line] = []
    after: UUID | None = None
    while True:
        page = await visit.domains.identity.plant.lines(visit.scope, after=after, limit=1000)
        found += page.items
        after = page.next
        if after is None:
            return found
