"""What a site uses, what it costs, where it goes and when the load is high."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.energy.schemas import CarrierCode, LoadCurve, Meter, Summary, Window
from cloud.identity.schemas import Site
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.energy_charts import course_chart, load_chart
from cloud.web.energy_view import show_bands, show_bill, show_figures, show_machines, show_peak, show_tree
from cloud.web.energy_words import CARRIERS, SPANS, span_of
from cloud.web.language import number
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Energy", "能源")
REFRESH_S = 60.0
_PAUSE = 20
"""How many times as long as the figures took they are left as they are, at least."""

_SETTINGS = Text("Meters, tariff, factors", "计量、电价与因子")
_RENEWAL = Text("Which machine to renew", "设备更新建议")
_NO_METERS = Text("No energy is metered yet", "尚无能源计量")
_NO_METERS_WHY = Text(
    "Connect an energy meter, or a machine that tells its power or energy: map the point to “Active energy import” or"
    " “Total active power”, and it becomes a meter by itself.",
    "请接入电能表，或能提供功率或电能的设备：将数据点映射为“正向有功电能”或“总有功功率”，系统会自动将其作为计量点。",
)
_CONNECT = Text("To the gateways", "前往网关")
_UNCONFIRMED = Text(
    "{count} meters stand where the cloud assumes they do. Confirm it, so that nothing is counted twice.",
    "有 {count} 个计量点的位置由系统推定，请确认，以免重复计量。",
)
_CONFIRM = Text("Check the meters", "核对计量点")
_LOAD, _COURSE = Text("Load", "负荷曲线"), Text("Mean day", "典型日负荷")
_LOAD_NOTE = Text(
    "mean load per {minutes} min, in the colours of the tariff", "每 {minutes} 分钟平均负荷，颜色为电价时段"
)
_BASE, _CONTRACT = Text("base load {load}", "基荷 {load}"), Text("contract {load}", "合同需量 {load}")
_MEAN = Text("Mean load", "平均负荷")
_NOTHING = Text("Nothing was measured in this time.", "该时段没有计量数据。")
_TREE = Text("Where it goes", "能源流向")
_TABLE = Text("Export: ", "导出：")
_FILES = (("csv", "CSV"), ("xlsx", "XLSX"))


async def build(visit: Visit) -> None:
    """Build the page and keep what it says of today up to date."""
    energy, query = visit.domains.energy, visit.request.query_params
    sites = await visit.domains.identity.sites(visit.scope)
    meters = await energy.registry.meters(visit.scope)
    metered = [site for site in sites if any(meter.site_id == site.id for meter in meters)]
    with frame(visit, visit.say(TITLE)):
        if not metered:
            page_head(visit.say(TITLE))
            _show_empty(visit)
            live.follow(visit, _wait_for_meters(visit))
            return
        site = next((one for one in metered if str(one.id) == query.get("site")), metered[0])
        known = {meter.carrier for meter in meters if meter.site_id == site.id} - {"reactive"}
        carriers = [carrier for carrier in CARRIERS if carrier in known] or ["electricity"]
        chosen = query.get("carrier", "")
        carrier: CarrierCode = chosen if chosen in carriers else carriers[0]
        span = query.get("span", "") if query.get("span") in SPANS else "today"
        with page_head(visit.say(TITLE)), box("line"):
            _choose(visit, "span", {name: words.to(visit.language) for name, words in SPANS.items()}, span)
        with box("line spread"):
            with box("line"):
                if len(metered) > 1:
                    _choose(visit, "site", {str(one.id): one.name for one in metered}, str(site.id))
                if len(carriers) > 1:
                    _choose(visit, "carrier", {one: CARRIERS[one].to(visit.language) for one in carriers}, carrier)
            with box("line"):
                for path, name in (("/energy/settings", _SETTINGS), ("/energy/renewal", _RENEWAL)):
                    with box("link", "a", href=f"{path}?site={site.id}"):
                        Words(visit.say(name))
        page = _Page(visit, site, carrier, span)
        live.fill_in(visit, page.show)

    live.follow(visit, page.refresh)


class _Page:
    """Everything below the choices."""

    def __init__(self, visit: Visit, site: Site, carrier: CarrierCode, span: str) -> None:
        self._visit, self._site, self._carrier, self._span = visit, site, carrier, span
        self._place = box("stack wide")
        self._bill_place = box("stack wide")
        self._again = math.inf

    async def refresh(self, _: Collection[Latest], __: datetime) -> None:
        """Show what has come in, once a minute; figures that take long are left as they are for longer."""
        if time.monotonic() > self._again:
            await self.show()

    async def show(self) -> None:
        """Ask for the figures and show them."""
        began = time.monotonic()
        visit, energy = self._visit, self._visit.domains.energy
        zone, now = ZoneInfo(self._site.time_zone), datetime.now(UTC)
        window = Window(*span_of(self._span, zone, now))
        summary, curve = await energy.summary_and_load(visit.scope, self._site.id, window, self._carrier)
        self._place.clear()
        with self._place:
            self._fill(summary, curve, zone)
        if self._carrier == "electricity":
            bill = await energy.bill(visit.scope, self._site.id, window.start.astimezone(zone).date())
            self._bill_place.clear()
            with self._bill_place:
                show_bill(visit, bill, zone)
        if self._span not in ("yesterday", "last_month"):
            now_s = time.monotonic()
            self._again = now_s + max(REFRESH_S, _PAUSE * (now_s - began))

    def _fill(self, summary: Summary, curve: LoadCurve, zone: ZoneInfo) -> None:
        visit = self._visit
        if summary.unconfirmed and len(summary.machines) + len(summary.tree) > 1:
            with box("notice warn"), box("line spread wide"):
                Words(visit.say(_UNCONFIRMED, count=summary.unconfirmed))
                with box("link", "a", href=f"/energy/settings?site={summary.site_id}"):
                    Words(visit.say(_CONFIRM))
        show_figures(visit, summary)
        with box("columns"):
            with box("card filled"):
                self._show_load(summary, curve)
            show_bands(visit, summary)
        with box("columns"):
            with box("card stack"):
                Words(visit.say(_TREE), tag="h2")
                show_tree(visit, summary)
            with box("stack wide"):
                show_peak(visit, summary, zone)
                self._show_course(summary)
        show_machines(visit, summary)
        self._show_files(summary)

    def _show_load(self, summary: Summary, curve: LoadCurve) -> None:
        visit = self._visit
        with box():
            Words(visit.say(_LOAD), tag="h2")
            Words(visit.say(_LOAD_NOTE, minutes=curve.step_s // 60), "muted small", tag="div")
        contract = summary.peak.contract if summary.peak else None
        limit = (visit.say(_CONTRACT, load=f"{number(contract)} {summary.rate}"), contract) if contract else None
        if any(point.load is not None for point in curve.points):
            ui.echart(load_chart(curve, visit.language, limit=limit)).classes("chart tall")
        else:
            Words(visit.say(_NOTHING), "muted", tag="p")

    def _show_course(self, summary: Summary) -> None:
        visit = self._visit
        if all(load is None for load in summary.course):
            return
        with box("card filled"):
            Words(visit.say(_COURSE), tag="h2")
            base = summary.base_load.value
            line = (visit.say(_BASE, load=f"{number(base)} {summary.rate}"), base) if base is not None else None
            ui.echart(course_chart(summary.course, summary.rate, visit.say(_MEAN), line)).classes("chart")

    def _show_files(self, summary: Summary) -> None:
        visit = self._visit
        asked = {
            "node": "site", "node_id": summary.site_id, "carrier": summary.carrier, "start": summary.start.isoformat(),
            "end": summary.end.isoformat(), "granularity": "hour" if self._span in ("today", "yesterday") else "day",
            "language": visit.language,
        }  # fmt: skip
        with box("line"):
            Words(visit.say(_TABLE), "muted")
            for kind, name in _FILES:
                with box(
                    "link", "a", href=f"/api/v1/energy/export?{urlencode({**asked, 'format': kind})}", download=""
                ):
                    Words(name)


def _choose(visit: Visit, key: str, names: dict[str, str], chosen: str) -> None:
    query = {name: value for name, value in visit.request.query_params.items() if name in ("site", "carrier", "span")}
    with box("choices", "nav"):
        for value, name in names.items():
            with box("here" if value == chosen else "", "a", href=f"/energy?{urlencode({**query, key: value})}"):
                Words(name)


def _show_empty(visit: Visit) -> None:
    with box("card stack"):
        Words(visit.say(_NO_METERS), tag="h2")
        Words(visit.say(_NO_METERS_WHY), "muted", tag="p")
        with box("button", "a", href="/gateways"):
            Words(visit.say(_CONNECT))


def _wait_for_meters(visit: Visit) -> live.Refresh:
    async def refresh(_: Collection[Latest], __: datetime) -> None:
        meters: Sequence[Meter] = await visit.domains.energy.registry.meters(visit.scope)
        if meters:
            ui.navigate.reload()

    return refresh
