"""The tariff of a site: its versions as pictures of the day, and the form for a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.energy.schemas import Tariff, TariffRequest
from cloud.identity.schemas import Site
from cloud.web.elements import Words, box
from cloud.web.energy_words import BANDS, CARRIERS, money
from cloud.web.tariff_text import (
    NotUnderstood,
    bands_text,
    months_text,
    read_bands,
    read_dates,
    read_months,
    read_number,
)
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE, _NEW = Text("Tariff", "电价"), Text("Enter a new version", "录入新版本")
_NONE = Text("No tariff yet. Start from the sample below and put in what your contract says.", "尚无电价。可从下方示例开始，改为供电合同中的数值。")  # fmt: skip
_SAMPLE = Text(
    "This is a made-up sample: replace every value by those of your contract or the grid company's current notice.",
    "以下为虚构示例，请将全部数值替换为供电合同或电网企业当期公告中的数值。",
)
_COPY = Text("The form starts from the version in force.", "表单以当前版本为初始值。")
_FROM, _BY = Text("valid from {day}", "自 {day} 起生效"), Text("entered by {name}", "录入：{name}")
_DELETE, _SAVE = Text("Remove", "删除"), Text("Save this version", "保存该版本")
_SURE = Text("Remove this version? Costs of its days are reckoned by the one before.", "删除该版本？其生效期内的费用将按前一版本重新核算。")  # fmt: skip
_NAME, _VALID, _CARRIER = Text("Name", "名称"), Text("Valid from", "生效日期"), Text("Carrier", "能源种类")
_PRICE, _SURCHARGE = Text("{band}, price per kWh", "{band}电价（元/kWh）"), Text("Funds and surcharges per kWh", "基金及附加（元/kWh）")  # fmt: skip
_DEMAND, _DEMAND_PRICE, _CONTRACT = (
    Text("Charge of the month", "基本电费方式"), Text("Price per kW or kVA and month", "单价（元/kW·月 或 元/kVA·月）"),
    Text("Contracted kW, or kVA", "合同需量 kW 或变压器容量 kVA"),
)  # fmt: skip
_KINDS = {
    "": Text("None", "无"),
    "maximum_demand": Text("By maximum demand", "按最大需量"),
    "capacity": Text("By capacity", "按变压器容量"),
}
_STANDARD, _NO_STANDARD = Text("Standard power factor", "功率因数考核标准"), Text("No adjustment", "不考核")
_MONTHS, _DAYS, _BANDS = Text("Months", "月份"), Text("Days", "日期类型"), Text("Bands, each from its time on", "时段（各自起始时间）")  # fmt: skip
_DAY_KINDS = {
    "all": Text("Every day", "每天"),
    "workdays": Text("Working days", "工作日"),
    "restdays": Text("Days of rest", "休息日"),
    "holidays": Text("Public holidays", "法定节假日"),
}
_HOLIDAYS, _WORKED = Text("Public holidays", "法定节假日"), Text("Weekend days that are worked", "调休上班的周末")
_MORE = Text("Add times of use", "增加一组时段")
_SCHEDULES = Text("Times of use; the first line that fits a day counts", "时段安排（自上而下，首个匹配的生效）")
_SAVED = Text("Saved.", "已保存。")
_OF_MONTHS = Text("months {months}", "{months} 月")


class TariffForm:
    """The card of a site's tariffs."""

    def __init__(self, visit: Visit, site: Site, *, may: bool) -> None:
        self._visit, self._site, self._may = visit, site, may
        with box("card stack", id="tariff"):
            Words(visit.say(_TITLE), tag="h2")
            self._place = box("stack wide")

    async def show(self) -> None:
        """Show the versions, and the form to those who may."""
        visit = self._visit
        versions = await visit.domains.energy.registry.tariffs(visit.scope, self._site.id)
        self._place.clear()
        with self._place:
            if not versions:
                Words(visit.say(_NONE), "muted", tag="p")
            for tariff in versions:
                self._show_version(tariff)
            if self._may:
                power = [tariff for tariff in versions if tariff.carrier == "electricity"]
                with ui.expansion(visit.say(_NEW), value=not versions).classes("editor"):
                    self._show_form(power[0] if power else None)

    def _show_version(self, tariff: Tariff) -> None:
        visit = self._visit
        with box("stack"):
            with box("line spread"):
                with box("line"):
                    Words(tariff.name, "strong-name")
                    Words(visit.say(CARRIERS[tariff.carrier]), "token")
                    Words(visit.say(_FROM, day=tariff.valid_from), "muted")
                    Words(visit.say(_BY, name=tariff.created_by.removeprefix("user:")), "muted small")
                if self._may:
                    with box("act", "button", type="button").on("click", lambda: self._ask_to_delete(tariff)):
                        Words(visit.say(_DELETE))
            prices = [
                f"{visit.say(BANDS[band][0])} {money(tariff.terms.prices[band], tariff.terms.currency)}"
                for band in BANDS
                if band in tariff.terms.prices
            ]
            Words(" · ".join(prices), "num", tag="p")
            show_day_bands(visit, tariff)

    def _ask_to_delete(self, tariff: Tariff) -> None:
        visit = self._visit
        with ui.dialog() as dialog, ui.card(), box("stack"):
            Words(visit.say(_SURE), tag="p")
            with box("button bad", "button", type="button").on("click", lambda: self._delete(dialog, tariff)):
                Words(visit.say(_DELETE))
        dialog.open()

    async def _delete(self, dialog: ui.dialog, tariff: Tariff) -> None:
        dialog.close()
        if await self._visit.may_still(Scope.ENGINEER):
            await self._visit.domains.energy.registry.delete_tariff(self._visit.acting(Scope.ENGINEER), tariff.id)
            await self.show()

    def _show_form(self, current: Tariff | None) -> None:
        visit, registry = self._visit, self._visit.domains.energy.registry
        Words(visit.say(_COPY if current else _SAMPLE), "muted" if current else "notice warn", tag="p")
        start = (current.terms if current else registry.sample_terms()).model_dump(mode="json")
        today = datetime.now(UTC).astimezone(ZoneInfo(self._site.time_zone)).date()
        fields: dict[str, Any] = {}
        with box("fields"):
            fields["name"] = _input(visit, _NAME, "")
            fields["valid_from"] = _input(visit, _VALID, today.replace(day=1).isoformat())
            offered = {code: visit.say(words) for code, words in CARRIERS.items() if code != "reactive"}
            fields["carrier"] = ui.select(offered, value="electricity", label=visit.say(_CARRIER)).props(
                "outlined dense"
            )
            for band, (words, _) in BANDS.items():
                name = visit.say(_PRICE, band=visit.say(words))
                fields[band] = ui.input(name, value=_shown(start["prices"].get(band))).props("outlined dense")
            fields["surcharge"] = _input(visit, _SURCHARGE, _shown(start["surcharge"]))
            demand = start["demand"] or {}
            kinds = {code: visit.say(words) for code, words in _KINDS.items()}
            fields["kind"] = ui.select(kinds, value=demand.get("kind", ""), label=visit.say(_DEMAND)).props(
                "outlined dense"
            )
            fields["price"] = _input(visit, _DEMAND_PRICE, _shown(demand.get("price")))
            fields["contract"] = _input(visit, _CONTRACT, _shown(demand.get("contract")))
            standards = {"": visit.say(_NO_STANDARD), **{each: each for each in ("0.90", "0.85", "0.80")}}
            fields["power_factor"] = ui.select(
                standards, value=start["power_factor"] or "", label=visit.say(_STANDARD)
            ).props("outlined dense")
        Words(visit.say(_SCHEDULES), "muted", tag="p")
        lines = box("stack")
        rows: list[tuple[Any, Any, Any]] = []

        def add(schedule: Mapping[str, Any] | None = None) -> None:
            with lines:
                rows.append(_schedule_row(visit, schedule))

        for schedule in start["schedules"]:
            add(schedule)
        with box("act", "button", type="button").on("click", lambda _: add()):
            Words(visit.say(_MORE))
        with box("fields"):
            fields["holidays"] = _input(visit, _HOLIDAYS, ", ".join(start["holidays"]))
            fields["working_days"] = _input(visit, _WORKED, ", ".join(start["working_days"]))
        notice = box("stack")
        with box("line"), box("button", "button", type="button").on("click", lambda: self._save(fields, rows, notice)):
            Words(visit.say(_SAVE))

    async def _save(self, fields: Mapping[str, Any], rows: Sequence[tuple[Any, Any, Any]], notice: ui.element) -> None:
        visit = self._visit
        if not await visit.may_still(Scope.ENGINEER):
            return
        said = await tell(visit, lambda: _request(self._site, fields, rows), notice)
        if said is None:
            return
        try:
            await visit.domains.energy.registry.create_tariff(visit.acting(Scope.ENGINEER), said)
        except Problem as problem:
            show_fault(notice, problem.detail.to(visit.language))
            return
        ui.notify(visit.say(_SAVED))
        await self.show()


def show_day_bands(visit: Visit, tariff: Tariff) -> None:
    """Draw the bands of each kind of day over its 24 hours."""
    with box("day-bands"):
        for schedule in tariff.terms.schedules:
            months = "" if len(schedule.months) == 12 else visit.say(_OF_MONTHS, months=months_text(schedule.months))
            kind = "" if schedule.days == "all" and months else visit.say(_DAY_KINDS[schedule.days])
            Words(" ".join(filter(None, (months, kind))), "muted")
            starts = [*((begin.minute, begin.band) for begin in schedule.bands), (1440, "")]
            with box("band-bar", title=bands_text(starts[:-1], visit.language)):
                for (minute, band), (until, _) in pairwise(starts):
                    box("", style=f"flex-grow:{until - minute};background:{BANDS[band][1]}")


async def tell(visit: Visit, make: Callable[[], TariffRequest], notice: ui.element) -> TariffRequest | None:
    """Return what `make` makes of a form, or show in `notice` what is wrong with it and return None."""
    try:
        return make()
    except NotUnderstood as fault:
        show_fault(notice, fault.text.to(visit.language))
    except ValidationError as error:
        # Faults of our own say it in both languages; the others name the field.
        messages = [str(fault["msg"]).split(" / ") for fault in error.errors()]
        where = [".".join(map(str, fault["loc"])) for fault in error.errors()]
        own = [parts[-1 if visit.language == "zh" else 0] for parts in messages if len(parts) == 2]
        show_fault(
            notice, "; ".join(own or [f"{place}: {parts[0]}" for place, parts in zip(where, messages, strict=True)])
        )
    return None


def show_fault(notice: ui.element, text: str) -> None:
    """Show one fault in `notice`."""
    notice.clear()
    with notice:
        Words(text, "notice bad", tag="p")


def _schedule_row(visit: Visit, schedule: Mapping[str, Any] | None) -> tuple[Any, Any, Any]:
    bands = [(begin["minute"], begin["band"]) for begin in schedule["bands"]] if schedule else [(0, "flat")]
    with box("fields schedule"):
        months = _input(visit, _MONTHS, months_text(schedule["months"]) if schedule else "1-12")
        kinds = {code: visit.say(words) for code, words in _DAY_KINDS.items()}
        days = ui.select(kinds, value=schedule["days"] if schedule else "all", label=visit.say(_DAYS)).props(
            "outlined dense"
        )
        times = _input(visit, _BANDS, bands_text(bands, visit.language))
    return months, days, times


def _request(site: Site, fields: Mapping[str, Any], rows: Sequence[tuple[Any, Any, Any]]) -> TariffRequest:
    prices = {band: read_number(fields[band].value, band) for band in BANDS}
    kind = fields["kind"].value
    demand = {"kind": kind, "price": read_number(fields["price"].value, "price") or 0.0,
              "contract": read_number(fields["contract"].value, "contract")}  # fmt: skip
    return TariffRequest.model_validate(
        {
            "site_id": site.id,
            "carrier": fields["carrier"].value,
            "name": str(fields["name"].value or "").strip() or CARRIERS[fields["carrier"].value].zh,
            "valid_from": next(iter(read_dates(str(fields["valid_from"].value))), None),
            "terms": {
                "prices": {band: price for band, price in prices.items() if price is not None},
                "surcharge": read_number(fields["surcharge"].value, "surcharge") or 0.0,
                "demand": demand if kind else None,
                "power_factor": fields["power_factor"].value or None,
                "holidays": read_dates(str(fields["holidays"].value or "")),
                "working_days": read_dates(str(fields["working_days"].value or "")),
                "schedules": [
                    {
                        "months": read_months(str(months.value)),
                        "days": days.value,
                        "bands": read_bands(str(times.value)),
                    }
                    for months, days, times in rows
                    if str(times.value).strip()
                ],
            },
        }
    )


def _input(visit: Visit, name: Text, value: str) -> ui.input:
    return ui.input(visit.say(name), value=value).props("outlined dense")


def _shown(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
