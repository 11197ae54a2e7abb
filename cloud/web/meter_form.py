"""The meters of a site: where each stands, what it measures, and the forms to say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.core.since import BEGINNING
from cloud.energy.schemas import Meter, MeterChange, MeterRequest, PlaceVersion
from cloud.identity.schemas import Site
from cloud.web.elements import Words, box
from cloud.web.energy_words import CARRIERS
from cloud.web.language import NOTHING
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
_CARRIER, _POINT = Text("Carrier", "能源种类"), Text("Point", "数据点")
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
        self._places: dict[str, str] = {}
        with box("card stack", id="meters"):
            Words(visit.say(_TITLE), tag="h2")
            Words(visit.say(_HOW), "muted", tag="p")
            self._place = box("stack")

    async def show(self) -> None:
        """Show the trees, and to those who may the forms."""
        visit = self._visit
        self._meters = await visit.domains.energy.registry.meters(visit.scope, self._site.id)
        machines = [
            one for one in await visit.domains.fleet.equipment_list(visit.scope) if one.site_id == self._site.id
        ]
        self._places = {"": visit.say(_SITE)}
        for machine in machines:
            if machine.line_id:
                self._places[f"line:{machine.line_id}"] = machine.line or ""
        self._places |= {f"equipment:{machine.id}": machine.label for machine in machines}
        points = await visit.domains.telemetry.points(visit.scope) if self._may else []
        taken, names = {meter.series_id for meter in self._meters}, {machine.id: machine.label for machine in machines}
        free = {
            point.series_id: f"{names[point.equipment_id]} · {point.name_zh if visit.language == 'zh' else point.name_en}"
            for point in points
            if point.equipment_id in names and point.series_id not in taken
            and (point.aggregation == "counter_delta" or point.unit == "KWT")
        }  # fmt: skip
        self._place.clear()
        with self._place:
            if not self._meters:
                Words(visit.say(_NONE), "muted", tag="p")
            with box("tree"):
                for meter in self._meters:
                    if meter.parent_id is None:
                        self._branch(meter, 0)
            if self._may:
                self._show_forms(free)

    def _branch(self, meter: Meter, depth: int) -> None:
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
        for child in self._meters:
            if child.parent_id == meter.id:
                self._branch(child, depth + 1)

    def _show_forms(self, free: Mapping[int, str]) -> None:
        visit = self._visit
        if any(not meter.confirmed for meter in self._meters):
            with box("line"), box("button", "button", type="button").on("click", self._confirm_all):
                Words(visit.say(_CONFIRM))
        with ui.expansion(visit.say(_ADD)).classes("editor"), box("stack"):
            self._show_new(free)
        if self._meters:
            with ui.expansion(visit.say(_ADD_VIRTUAL)).classes("editor"), box("stack"):
                self._show_new_virtual()

    def _show_new(self, free: Mapping[int, str]) -> None:
        visit = self._visit
        with box("fields"):
            point = ui.select(dict(free), label=visit.say(_POINT), with_input=True).props("outlined dense")
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
            plus = ui.select(names, label=visit.say(_PLUS), multiple=True).props("outlined dense use-chips")
            minus = ui.select(names, label=visit.say(_MINUS), multiple=True).props("outlined dense use-chips")
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
            "place": ui.select(self._places, value=_place_of(meter) if meter else "", label=visit.say(_MEASURES)).props(
                dense
            ),
            "parent_id": ui.select(
                above, value=str(meter.parent_id or "") if meter else "", label=visit.say(_BEHIND)
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
                more = {"ignored": bool(ignored.value), "parts": meter.parts}
                try:
                    valid_from = since.value
                except ValueError:
                    show_fault(notice, visit.say(_DAY_MISSING))
                    return
                if await self._try(fields, notice, lambda said: self._change(meter.id, said | more, valid_from)):
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

    async def _change(self, meter_id: UUID, said: Mapping[str, Any], valid_from: datetime | None = None) -> None:
        await self._visit.domains.energy.registry.change_meter(
            self._acting(), meter_id, MeterChange.model_validate(said), valid_from
        )

    async def _confirm_all(self) -> None:
        if not await self._visit.may_still(Scope.ENGINEER):
            return
        for meter in self._meters:
            if not meter.confirmed:
                await self._change(meter.id, meter.model_dump(include=set(MeterChange.model_fields)))
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
