"""The report of a shift, day, week or month on the screen, to take away, and to have sent by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.production.schemas import Node
from cloud.reports.schemas import Kind, ScheduleRequest
from cloud.web import live
from cloud.web.elements import Words, box, chooser, option_markup
from cloud.web.layout import frame, page_head
from cloud.web.report_view import show_document
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Reports", "报告")

KINDS: Mapping[Kind, Text] = {
    "shift": Text("Shift", "班次"),
    "day": Text("Day", "日报"),
    "week": Text("Week", "周报"),
    "month": Text("Month", "月报"),
}
_NO_SITE = Text("There is nothing to report on yet", "尚无可生成报告的站点")
_NO_SITE_WHY = Text(
    "Enrol a gateway first; what its machines make and use is then reported here.",
    "请先注册网关；之后设备的产量与能耗会汇总到这里。",
)
_CONNECT = Text("To the gateways", "前往网关")
_PLACE, _DAY, _SHOW = Text("Place", "范围"), Text("Date", "日期"), Text("Show", "查看")
_PDF, _EXCEL = Text("Download PDF", "下载 PDF"), Text("Download Excel", "下载 Excel")
_BY_ITSELF = Text("Sent by itself", "自动发送")
_NO_SCHEDULE = Text("No report is sent by itself yet.", "尚未设置自动发送的报告。")
_NO_CHANNEL = Text("To have a report sent, an e-mail channel is needed first.", "自动发送报告需要先设置邮件渠道。")
_CHANNELS = Text("To the channels", "前往通知渠道")
_SEND_THIS = Text("Have this report sent", "自动发送此报告")
_CHANNEL, _FORMAT = Text("To", "发送至"), Text("As", "格式")
_SCHEDULE, _REMOVE, _NOW = Text("Schedule it", "设置自动发送"), Text("Stop", "停止"), Text("Send now", "立即发送")
_AFTER = Text("{minutes} min after its end", "结束后 {minutes} 分钟发送")
_SENT = Text("It is on its way.", "正在发送。")


async def build(visit: Visit) -> None:
    """Build the page for the place, kind and date of its address; the last period that is over without them."""
    places = await _places(visit)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE))
        if not places:
            with box("card stack"):
                Words(visit.say(_NO_SITE), tag="h2")
                Words(visit.say(_NO_SITE_WHY), "muted", tag="p")
                with box("button", "a", href="/gateways"):
                    Words(visit.say(_CONNECT))
            return
        query = visit.request.query_params
        place = query.get("place", "") if query.get("place") in places else next(iter(places))
        kind: Kind = next((one for one in KINDS if one == query.get("kind")), "day")
        node = _node(place)
        at = _instant(query.get("at", ""), query.get("day", ""), visit.zone)
        _show_choice(visit, places, place, kind)

        async def show() -> None:
            try:
                document = await visit.domains.reports.document(visit.scope, node, kind, at)
            except Problem as problem:
                Words(visit.say(problem.detail), "notice warn", tag="p")
            else:
                _show_files(visit, node, kind, at)
                show_document(visit, document)

        live.fill_in(visit, show)  # of a large plant it takes seconds
        await _Schedules(visit, places, node, kind).show()


async def _places(visit: Visit) -> dict[str, str]:
    """Return what a report can be about, as `kind:id`, with its path; sites first of their lines and machines."""
    identity, fleet = visit.domains.identity, visit.domains.fleet
    found = {f"site:{site.id}": site.name for site in await identity.sites(visit.scope)}
    found |= {f"line:{line.id}": line.path for line in (await identity.plant.lines(visit.scope)).items}
    found |= {f"equipment:{one.id}": one.path for one in await fleet.equipment_list(visit.scope)}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _node(place: str) -> Node:
    kind, _, identity = place.partition(":")
    return Node.model_validate({"kind": kind, "id": identity})


def _instant(at: str, day: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant a link names, or noon of the day that was chosen; None for the last period that is over."""
    try:
        if at:
            return datetime.fromisoformat(at).astimezone(UTC)
        return datetime.combine(datetime.fromisoformat(day).date(), time(12), zone).astimezone(UTC) if day else None
    except (ValueError, OverflowError):
        return None


def _show_choice(visit: Visit, places: Mapping[str, str], place: str, kind: Kind) -> None:
    with box("choices", "nav"):
        for one, words in KINDS.items():
            with box("here" if one == kind else "", "a", href=f"/reports?{urlencode({'place': place, 'kind': one})}"):
                Words(visit.say(words))
    with box("report-form", "form", method="get", action="/reports"):
        box("", "input", type="hidden", name="kind", value=kind)
        with box("field", "label"):
            Words(visit.say(_PLACE))
            chooser(option_markup(places, place), name="place")
        with box("field", "label"):
            Words(visit.say(_DAY))
            box("", "input", type="date", name="day", value=visit.request.query_params.get("day", ""))
        with box("button quiet", "button", type="submit"):
            Words(visit.say(_SHOW))


def _show_files(visit: Visit, node: Node, kind: Kind, at: datetime | None) -> None:
    asked: dict[str, object] = {"node": node.kind, "node_id": node.id, "period": kind, "language": visit.language}
    asked |= {"at": at.isoformat()} if at else {}
    with box("line"):
        for suffix, name in (("pdf", _PDF), ("xlsx", _EXCEL)):
            href = f"/api/v1/reports/file?{urlencode({**asked, 'format': suffix})}"
            with box("button quiet", "a", href=href, download=""):
                Words(visit.say(name))


class _Schedules:
    """What is sent by itself, and the form to have the shown report sent."""

    def __init__(self, visit: Visit, places: Mapping[str, str], node: Node, kind: Kind) -> None:
        self._visit, self._places, self._node, self._kind = visit, places, node, kind
        with box("card stack"):
            Words(visit.say(_BY_ITSELF), tag="h2")
            self._place = box("stack wide")

    async def show(self) -> None:
        visit = self._visit
        schedules = await visit.domains.reports.schedules(visit.scope)
        channels = {
            str(one.id): one.name for one in await visit.domains.notify.channels(visit.scope) if one.kind == "email"
        }
        self._place.clear()
        with self._place:
            if not schedules:
                Words(visit.say(_NO_SCHEDULE), "muted", tag="p")
            for one in schedules:
                with box("line spread"):
                    with box("stack"):
                        place = self._places.get(f"{one.node.kind}:{one.node.id}", "")
                        Words(f"{visit.say(KINDS[one.kind])} · {place} · {one.format.upper()}", "strong-name")
                        sent = visit.say(_AFTER, minutes=one.wait_min)
                        Words(f"{channels.get(str(one.channel_id), '')} · {sent}", "muted small")
                        if one.reason_en:
                            Words(visit.say(Text(one.reason_en, one.reason_zh)), "bad small")
                    if visit.may(Scope.ENGINEER):
                        with box("line"):
                            self._button(_NOW, lambda _, one=one: self._send(one.id))
                            self._button(_REMOVE, lambda _, one=one: self._remove(one.id))
            if visit.may(Scope.ENGINEER):
                self._show_form(channels)

    def _button(self, name: Text, press: Callable[..., object]) -> None:
        with box("link", "button", type="button").on("click", press):
            Words(self._visit.say(name))

    def _show_form(self, channels: Mapping[str, str]) -> None:
        visit = self._visit
        if not channels:
            Words(visit.say(_NO_CHANNEL), "muted", tag="p")
            with box("link", "a", href="/channels"):
                Words(visit.say(_CHANNELS))
            return
        with box("line"):
            Words(visit.say(_SEND_THIS))
            to = ui.select(dict(channels), value=next(iter(channels)), label=visit.say(_CHANNEL)).props(
                "outlined dense"
            )
            kind = ui.select({"pdf": "PDF", "xlsx": "Excel"}, value="pdf", label=visit.say(_FORMAT)).props(
                "outlined dense"
            )
            with box("button", "button", type="button").on(
                "click", lambda: self._create(str(to.value), str(kind.value))
            ):
                Words(visit.say(_SCHEDULE))

    async def _create(self, channel: str, file: str) -> None:
        visit = self._visit
        request = ScheduleRequest.model_validate(
            {"kind": self._kind, "node": self._node, "language": visit.language, "format": file, "channel_id": channel}
        )
        if await visit.may_still(Scope.ENGINEER):
            await visit.domains.reports.create_schedule(visit.acting(Scope.ENGINEER), request)
            await self.show()

    async def _remove(self, identity: UUID) -> None:
        visit = self._visit
        if await visit.may_still(Scope.ENGINEER):
            await visit.domains.reports.remove_schedule(visit.acting(Scope.ENGINEER), identity)
            await self.show()

    async def _send(self, identity: UUID) -> None:
        visit = self._visit
        if not await visit.may_still(Scope.ENGINEER):
            return
        try:
            await visit.domains.reports.send_now(visit.acting(Scope.ENGINEER), identity)
        except Problem as problem:
            ui.notify(visit.say(problem.detail))
        else:
            ui.notify(visit.say(_SENT))
