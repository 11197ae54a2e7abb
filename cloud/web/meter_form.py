"""The meters of a site: where each stands, what it measures, and the forms to say so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.keyset import Window
from cloud.core.principal import Scope
from cloud.core.since import BEGINNING
from cloud.energy.schemas import Meter, MeterChange, MeterRequest, PlaceVersion
from cloud.fleet.schemas import Where
from cloud.identity.schemas import Site
from cloud.telemetry.schemas import Point
from cloud.web.elements import Words, box
from cloud.web.energy_words import CARRIERS
from cloud.web.language import NOTHING
from cloud.web.search_select import MOST_POINTS, named_select
from cloud.web.settings_history import SinceFields, set_by, since_words
from cloud.web.tariff_form import show_fault
from cloud.web.tariff_text import NotUnderstood, read_number
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Meters", "计量点")
_HOW = Text(
    "A meter stands behind the one whose energy its own is part of. A site's energy is that of its topmost meters.",
    "若某计量点的用能已包含在另一计量点中，则它位于其后。站点用能为最上级计量点之和。",
)
_NONE = Text("No meter yet; points that measure energy become meters by themselves.", "尚无计量点；计量电能的数据点会自动成为计量点。")  # fmt: skip
_SITE, _TOP = Text("the whole site", "整个站点"), Text("nothing: it is a topmost one", "无（最上级）")
_MEASURES, _BEHIND, _NAME = Text("Measures", "计量对象"), Text("Stands behind", "上级计量点"), Text("Name", "名称")
_CARRIER, _POINT, _MACHINE = Text("Carrier", "能源种类"), Text("Point", "数据点"), Text("Machine", "设备")
_ROLLOVER = Text("Counter begins again at (if known)", "表计满量程回零值（如已知）")
_IGNORED = Text("Count it nowhere", "不参与统计")
_CHANGE, _SAVE, _CONFIRM = (
    Text("Change", "修改"),
    Text("Save", "保存"),
    Text("That is right: confirm all", "位置无误，全部确认"),
)
_ADD, _ADD_VIRTUAL = (
    Text("Add a meter of a point", "由数据点新增计量点"),
    Text("Add a computed meter", "新增虚拟计量点"),
)
_PLUS, _MINUS = Text("Sum of", "相加"), Text("less", "减去")
_DELETE = Text("Remove", "删除")
_BASES = {
    "counter": Text("counter", "计数器"),
    "power": Text("integrated power", "功率积分"),
    "virtual": Text("computed", "虚拟"),
}
_ASSUMED, _OUT = Text("place assumed", "位置待确认"), Text("not counted", "不参与统计")
_MEASURES_LIKE = Text("measures {what}", "计量{what}")

MOST_ROWS = 100
"""Meters that are listed; of more, the others are found by a search."""
_MANY = Text("{count} meters; the first {most} are listed.", "共 {count} 个计量点，列出前 {most} 个。")
_FIND = Text("Find a meter", "查找计量点")

_SINCE_NOTE = Text(
    "From then on it measures, and stands behind, what is said above; what came before stays as it was counted.",
    "自该时间起按上述对象与上级计量；此前的统计保持不变。",
)
_WAS_BEHIND = Text("behind {name}", "上级：{name}")
_DAY_MISSING, _TAKE_AWAY = Text("Choose the first day.", "请选择起始日期。"), Text("Take away", "删除此版本")


class MeterForm:
    """The card of a site's meters."""

    def __init__(self, visit: Visit, site: Site, *, may: bool) -> None:
        self._visit, self._site, self._may = visit, site, may
        self._meters: list[Meter] = []
        self._behind: dict[UUID | None, list[Meter]] = {}
        self._machines: dict[str, str] = {}
        self._places: dict[str, str] = {}
        with box("card stack", id="meters"):
            Words(visit.say(_TITLE), tag="h2")
            Words(visit.say(_HOW), "muted", tag="p")
            self._place = box("stack")

    async def show(self) -> None:
        """Show the trees, and to those who may the forms."""
        visit = self._visit
        self._meters = await visit.domains.energy.registry.meters(visit.scope, self._site.id)
        where = Where(site=self._site.id)
        machines = await visit.domains.fleet.equipment_list(visit.scope, where=where)
        self._places = {"": visit.say(_SITE)}
        for machine in machines:
            if machine.line_id:
                self._places[f"line:{machine.line_id}"] = machine.line or ""
        self._machines = {str(machine.id): machine.label for machine in machines}
        self._places |= {f"equipment:{machine}": label for machine, label in self._machines.items()}
        self._behind = {}
        for meter in self._meters:
            self._behind.setdefault(meter.parent_id, []).append(meter)
        points = (
            await visit.domains.telemetry.points(visit.scope, window=Window(limit=MOST_POINTS + 1)) if self._may else []
        )
        self._place.clear()
        with self._place:
            self._show_tree()
            if self._may:
                self._show_forms(points)

    def _show_tree(self) -> None:
        visit = self._visit
        if not self._meters:
            Words(visit.say(_NONE), "muted", tag="p")
        if len(self._meters) > MOST_ROWS:
            Words(visit.say(_MANY, count=len(self._meters), most=MOST_ROWS), "muted", tag="p")
            if self._may:
                self._show_search()
        with box("tree"):
            for meter, depth in islice(self._branches(None, 0), MOST_ROWS):
                self._row(meter, depth)

    def _show_search(self) -> None:
        names = {str(one.id): one.name for one in self._meters}
        field = named_select(self._visit, self._visit.say(_FIND), names, None)

        async def found() -> None:
            for meter in self._meters:
                if str(meter.id) == field.value:
                    await self._open(meter)

        field.props("borderless dense").classes("where").on_value_change(found)

    def _branches(self, parent: UUID | None, depth: int) -> Iterator[tuple[Meter, int]]:
        for meter in self._behind.get(parent, []):
            yield meter, depth
            yield from self._branches(meter.id, depth + 1)

    def _row(self, meter: Meter, depth: int) -> None:
        visit = self._visit
        with box("meter-row", style=f"--depth:{depth}"):
            with box("branch-name"):
                Words(meter.name, "name")
                Words(visit.say(_BASES[meter.basis]), "token")
                if meter.carrier != "electricity":
                    Words(visit.say(CARRIERS[meter.carrier]), "token")
                if meter.ignored or not meter.confirmed:
                    Words(visit.say(_OUT if meter.ignored else _ASSUMED), "token warn")
                measured = self._places.get(_place_of(meter), "")
                if measured != meter.name:
                    Words(visit.say(_MEASURES_LIKE, what=measured), "muted small")
            if self._may:
                with box("act", "button", type="button").on("click", lambda: self._open(meter)):
                    Words(visit.say(_CHANGE))

    def _show_forms(self, points: Sequence[Point]) -> None:
        visit = self._visit
        if any(not meter.confirmed for meter in self._meters):
            with box("line"), box("button", "button", type="button").on("click", self._confirm_all):
                Words(visit.say(_CONFIRM))
        with ui.expansion(visit.say(_ADD)).classes("editor"), box("stack"):
            self._show_new(points)
        if self._meters:
            with ui.expansion(visit.say(_ADD_VIRTUAL)).classes("editor"), box("stack"):
                self._show_new_virtual()

    def _free(self, points: Sequence[Point]) -> dict[int, str]:
        """Return which of `points` may become meters, by their names."""
        taken = {meter.series_id for meter in self._meters}
        return {
            point.series_id: f"{self._machines[str(point.equipment_id)]} · {self._visit.say(Text(point.name_en, point.name_zh))}"
            for point in points
            if str(point.equipment_id) in self._machines and point.series_id not in taken
            and (point.aggregation == "counter_delta" or point.unit == "KWT")
        }  # fmt: skip

    def _show_new(self, points: Sequence[Point]) -> None:
        visit, many = self._visit, len(points) > MOST_POINTS
        with box("fields"):
            if many:
                machine = named_select(visit, visit.say(_MACHINE), self._machines, None).props("outlined dense")
            point = ui.select({} if many else self._free(points), label=visit.say(_POINT), with_input=True)
            point.props("outlined dense")
            if many:

                async def chosen() -> None:
                    of_it = [UUID(machine.value)] if machine.value else []
                    point.set_options(self._free(await visit.domains.telemetry.points(visit.scope, of_it)), value=None)

                machine.on_value_change(chosen)
            fields = self._fields(None)
        notice = box("stack")

        async def save() -> None:
            series = point.value
            if series is not None:
                await self._create(fields, notice, {"series_id": int(series)})

        with box("line"), box("button", "button", type="button").on("click", save):
            Words(visit.say(_SAVE))

    def _show_new_virtual(self) -> None:
        visit = self._visit
        names = {str(meter.id): meter.name for meter in self._meters}
        with box("fields"):
            fields = self._fields(None)
            plus, minus = (
                named_select(visit, visit.say(label), names, None, multiple=True).props("outlined dense use-chips")
                for label in (_PLUS, _MINUS)
            )
        notice = box("stack")

        async def save() -> None:
            parts = [{"meter_id": one, "factor": 1} for one in plus.value or []]
            parts += [{"meter_id": one, "factor": -1} for one in minus.value or []]
            await self._create(fields, notice, {"parts": parts})

        with box("line"), box("button", "button", type="button").on("click", save):
            Words(visit.say(_SAVE))

    def _fields(self, meter: Meter | None) -> dict[str, Any]:
        visit = self._visit
        carriers = {code: visit.say(words) for code, words in CARRIERS.items()}
        above = {"": visit.say(_TOP)} | {
            str(one.id): one.name for one in self._meters if meter is None or one.id != meter.id
        }
        dense = "outlined dense"
        fields: dict[str, Any] = {
            "name": ui.input(visit.say(_NAME), value=meter.name if meter else "").props(dense),
            "carrier": ui.select(
                carriers, value=meter.carrier if meter else "electricity", label=visit.say(_CARRIER)
            ).props(dense),
            "place": named_select(visit, visit.say(_MEASURES), self._places, _place_of(meter) if meter else "").props(
                dense
            ),
            "parent_id": named_select(
                visit, visit.say(_BEHIND), above, str(meter.parent_id or "") if meter else ""
            ).props(dense),
            "rollover": ui.input(
                visit.say(_ROLLOVER), value=f"{meter.rollover:g}" if meter and meter.rollover else ""
            ).props(dense),
        }
        return fields

    async def _open(self, meter: Meter) -> None:
        visit = self._visit
        versions = await visit.domains.energy.registry.places.versions(visit.scope, meter.id)
        with ui.dialog() as dialog, ui.card().classes("meter-dialog"), box("stack wide"):
            Words(meter.name, tag="h2")
            with box("fields"):
                fields = self._fields(meter)
            since = SinceFields(visit, known_before=meter.confirmed, note=_SINCE_NOTE)
            ignored = ui.checkbox(visit.say(_IGNORED), value=meter.ignored)
            notice = box("stack")

            async def save() -> None:
                registry = visit.domains.energy.registry
                more = {"ignored": bool(ignored.value), "parts": meter.parts}
                try:
                    valid_from = since.value
                except ValueError:
                    show_fault(notice, visit.say(_DAY_MISSING))
                    return
                changed = await self._try(
                    fields,
                    notice,
                    lambda said: registry.change_meter(
                        self._acting(), meter.id, MeterChange.model_validate(said | more), valid_from
                    ),
                )
                if changed:
                    dialog.close()
                    await self.show()

            async def remove() -> None:
                registry = visit.domains.energy.registry
                if await self._try(fields, notice, lambda _: registry.delete_meter(self._acting(), meter.id)):
                    dialog.close()
                    await self.show()

            with box("line spread"):
                with box("button", "button", type="button").on("click", save):
                    Words(visit.say(_SAVE))
                if meter.basis == "virtual":
                    with box("button quiet", "button", type="button").on("click", remove):
                        Words(visit.say(_DELETE))
            for version in versions:
                self._show_version(meter, version, dialog, notice)
        dialog.open()

    def _show_version(self, meter: Meter, version: PlaceVersion, dialog: ui.dialog, notice: ui.element) -> None:
        visit, registry = self._visit, self._visit.domains.energy.registry
        told = [since_words(visit, version.valid_from), self._places.get(_place_of(version), NOTHING)]
        told += [visit.say(_WAS_BEHIND, name=one.name) for one in self._meters if one.id == version.parent_id]
        with box("machine-row"):
            with box("stack"):
                Words(" · ".join(told), "small")
                if who := set_by(visit, version.set_by):
                    Words(who, "muted small")
            if version.valid_from != BEGINNING:

                async def remove() -> None:
                    if not await visit.may_still(Scope.ENGINEER):
                        return
                    try:
                        await registry.places.remove(self._acting(), meter.id, version.valid_from)
                    except Problem as problem:
                        show_fault(notice, problem.detail.to(visit.language))
                        return
                    dialog.close()
                    await self.show()

                with box("button quiet small", "button", type="button").on("click", remove):
                    Words(visit.say(_TAKE_AWAY))

    async def _create(self, fields: Mapping[str, Any], notice: ui.element, more: Mapping[str, Any]) -> None:
        registry = self._visit.domains.energy.registry
        made = await self._try(
            fields,
            notice,
            lambda said: registry.create_meter(
                self._acting(), MeterRequest.model_validate({**said, **more, "site_id": self._site.id})
            ),
        )
        if made:
            await self.show()

    async def _confirm_all(self) -> None:
        if not await self._visit.may_still(Scope.ENGINEER):
            return
        await self._visit.domains.energy.registry.confirm_meters(self._acting(), self._site.id)
        await self.show()

    async def _try(self, fields: Mapping[str, Any], notice: ui.element, act: Any) -> bool:
        """Do `act` with what the form says; show in `notice` why that cannot be."""
        visit = self._visit
        if not await visit.may_still(Scope.ENGINEER):
            return False
        kind, _, place = str(fields["place"].value or "").partition(":")
        try:
            said = {
                "name": str(fields["name"].value or "").strip() or visit.say(CARRIERS[fields["carrier"].value]),
                "carrier": fields["carrier"].value,
                "equipment_id": place if kind == "equipment" else None,
                "line_id": place if kind == "line" else None,
                "parent_id": fields["parent_id"].value or None,
                "rollover": read_number(fields["rollover"].value, visit.say(_ROLLOVER)),
            }
            await act(said)
        except NotUnderstood as fault:
            show_fault(notice, fault.text.to(visit.language))
            return False
        except Problem as problem:
            show_fault(notice, problem.detail.to(visit.language))
            return False
        return True

    def _acting(self) -> Any:
        return self._visit.acting(Scope.ENGINEER)


def _place_of(meter: Meter | PlaceVersion) -> str:
    if meter.equipment_id:
        return f"equipment:{meter.equipment_id}"
    return f"line:{meter.line_id}" if meter.line_id else ""
