"""Which machine to renew: a ranked list that shows its arithmetic line by line, and says what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.principal import Scope
from cloud.energy.schemas import Advice, Assumptions
from cloud.identity.schemas import Site
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.energy_words import money
from cloud.web.language import number
from cloud.web.layout import frame, page_head
from cloud.web.search_select import named_select
from cloud.web.tariff_form import show_fault
from cloud.web.tariff_text import NotUnderstood, read_number
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Which machine to renew", "设备更新建议")

_ENERGY = Text("Energy", "能源")
_HOW = Text(
    "Measured figures and your assumptions, with the arithmetic. Nothing is guessed: what is missing is listed.",
    "依据实测数据与您的假设逐项计算；不做猜测，缺少的数据会逐一列出。",
)
_NONE = Text("No machine of this site has a meter of its own yet.", "该站点尚无设备单独计量。")
_NO_SITE = Text("There is no site yet.", "尚无站点。")
_PAYS = Text("pays back in {years} years", "{years} 年回收")
_NEVER, _OPEN = Text("does not pay back", "无法回收"), Text("not enough is known", "数据不足")
_NOW = Text("{money} of energy a year", "年能源费用 {money}")
_MISSING = Text("Missing", "缺少")
_ASSUME, _SAVE = Text("What do you assume of a new machine?", "录入对新设备的假设"), Text("Save", "保存")
_FIELDS: Mapping[str, Text] = {
    "price": Text("Price of the new machine, installed", "新设备价格（含安装）"),
    "resale": Text("What the old one still brings", "旧设备残值"),
    "saving_percent": Text("Less energy for the same work, %", "同等产出节能比例 %"),
    "maintenance_now": Text("Maintenance a year, now", "现年维护费用"),
    "maintenance_then": Text("Maintenance a year, then", "更新后年维护费用"),
    "discount_percent": Text("Discount rate, %", "折现率 %"),
    "life_years": Text("Years it will serve", "使用年限（年）"),
}
MOST_CARDS = 50
"""Machines that are listed; of more, the others are found by a search."""
_MANY = Text("{count} machines; the first {most} are listed.", "共 {count} 台设备，列出前 {most} 台。")
_FIND = Text("Find a machine", "查找设备")
_RANGE = Text("{name}: outside of what is possible.", "{name}：超出合理范围。")


async def build(visit: Visit) -> None:
    """Build the page."""
    sites = await visit.domains.identity.sites(visit.scope)
    site = next((one for one in sites if str(one.id) == visit.request.query_params.get("site")), None)
    site = site or next(iter(sites), None)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), back=("/energy", visit.say(_ENERGY)), note=visit.say(_HOW))
        if site is None:
            Words(visit.say(_NO_SITE), "card muted", tag="p")
            return
        if len(sites) > 1:
            with box("line"), box("choices", "nav"):
                for one in sites:
                    with box("here" if one.id == site.id else "", "a", href=f"?{urlencode({'site': one.id})}"):
                        Words(one.name)
        page = _Page(visit, site, may=await visit.may_at(Scope.ENGINEER, site.id))
        live.fill_in(visit, page.show)  # of a large plant it takes seconds

    async def stay(_: Collection[Latest], __: datetime) -> None:
        """What is weighed here changes from month to month; a session that ends closes the page."""

    live.follow(visit, stay)


class _Page:
    """The ranked list."""

    def __init__(self, visit: Visit, site: Site, *, may: bool) -> None:
        self._visit, self._site, self._may = visit, site, may
        self._place = box("stack wide")

    async def show(self) -> None:
        """Show the advice."""
        visit = self._visit
        found = await visit.domains.energy.renewals.advice(visit.scope, self._site.id)
        self._place.clear()
        with self._place:
            if not found:
                Words(visit.say(_NONE), "card muted", tag="p")
            if len(found) > MOST_CARDS:
                self._show_search(found)
            for place, advice in enumerate(found[:MOST_CARDS], 1):
                with box("card stack"):
                    self._show_one(place, advice)

    def _show_search(self, found: Sequence[Advice]) -> None:
        visit = self._visit
        Words(visit.say(_MANY, count=len(found), most=MOST_CARDS), "muted", tag="p")
        names = {str(one.equipment_id): one.path for one in found}
        field = named_select(visit, visit.say(_FIND), names, None).props("borderless dense").classes("where")
        chosen = box("stack")

        def show() -> None:
            chosen.clear()
            for place, advice in enumerate(found, 1):
                if str(advice.equipment_id) == field.value:
                    with chosen, box("card stack"):
                        self._show_one(place, advice)

        field.on_value_change(show)

    def _show_one(self, place: int, advice: Advice) -> None:
        visit, zh = self._visit, self._visit.language == "zh"
        with box("line spread"):
            with box("line"):
                Words(str(place), "rank")
                with box("", "a", href=f"/equipment/{advice.equipment_id}"):
                    Words(advice.name, "strong-name")
            with box("line"):
                if advice.payback_years is not None:
                    Words(visit.say(_PAYS, years=number(advice.payback_years)), "headline")
                else:
                    lost = advice.saving is not None and advice.saving <= 0
                    Words(visit.say(_NEVER if lost else _OPEN), "muted")
        if advice.year_cost is not None:
            Words(visit.say(_NOW, money=money(advice.year_cost, advice.currency)), "muted", tag="p")
        with box("arithmetic", "dl"):
            for line in advice.lines:
                with box("", "dt"):
                    Words(line.name_zh if zh else line.name_en, "name")
                    Words(line.how_zh if zh else line.how_en, "muted small", tag="div")
                unit = line.unit_zh if zh else line.unit_en
                Words(f"{number(line.value)} {unit}".strip(), tag="dd")
        missing = advice.missing_zh if zh else advice.missing_en
        if missing:
            with box("notice warn small"), box("stack"):
                Words(visit.say(_MISSING), tag="headline")
                with box("", "ul"):
                    for one in missing:
                        Words(one, tag="li")
        if self._may:
            with ui.expansion(visit.say(_ASSUME)).classes("editor"), box("stack"):
                self._show_form(advice)

    def _show_form(self, advice: Advice) -> None:
        visit = self._visit
        held = advice.assumptions.model_dump()
        with box("fields"):
            fields = {
                key: ui.input(visit.say(name), value="" if held[key] is None else f"{held[key]:g}").props(
                    "outlined dense"
                )
                for key, name in _FIELDS.items()
            }
        notice = box("stack")
        with (
            box("line"),
            box("button", "button", type="button").on("click", lambda: self._save(advice, fields, notice)),
        ):
            Words(visit.say(_SAVE))

    async def _save(self, advice: Advice, fields: Mapping[str, Any], notice: ui.element) -> None:
        visit = self._visit
        if not await visit.may_still(Scope.ENGINEER):
            return
        said: dict[str, float | None] = {}
        for key, name in _FIELDS.items():
            try:
                said[key] = read_number(fields[key].value, visit.say(name))
                Assumptions.model_validate({key: said[key]})
            except NotUnderstood as fault:
                show_fault(notice, fault.text.to(visit.language))
                return
            except ValueError:
                show_fault(notice, visit.say(_RANGE, name=visit.say(name)))
                return
        await visit.domains.energy.renewals.assume(
            visit.acting(Scope.ENGINEER), advice.equipment_id, Assumptions.model_validate(said)
        )
        await self.show()
