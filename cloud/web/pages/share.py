"""One grant: what it shows, its values where they are shown to the reader's company, who read what, narrowing and ending it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from nicegui import ui

from cloud.assessment.service import edition_2024, level_name
from cloud.core.errors import Invalid, NotFound, Problem
from cloud.core.principal import Principal, Scope
from cloud.sharing.schemas import Grant, Receipt, SharedLevel, SharedRead
from cloud.sharing.service import Item, Question, Terms, name_of
from cloud.web import live
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import NOTHING, moment, number
from cloud.web.layout import frame, page_head
from cloud.web.pages.uploads import offer
from cloud.web.share_request_form import Beside, item_choice, kept
from cloud.web.share_words import GRANULARITIES, MATURITY, all_of, state_of
from cloud.web.trend_chart import MOST_LINES, Axis, DrawnCurve, options
from cloud.web.trend_curves import Dot
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Data sharing", "数据共享")

_LOOK_S = 2.0
"""How often an open page asks whether its grant still is what it was."""
_SPANS = {"24": Text("24 hours", "近 24 小时"), "168": Text("7 days", "近 7 天"), "720": Text("30 days", "近 30 天")}
_TO, _FROM = Text("Shown to {company}", "共享给{company}"), Text("Shown by {company}", "由{company}共享")
_SHOWN = Text("What is shown", "共享内容")
_WINDOW = Text("Values from {since} on, until {until}", "数据自 {since} 起，有效至 {until}")
_MACHINES = Text("Machines: {names}", "设备：{names}")
_ALL = Text("all, later ones too", "全部(含以后新增)")
_ENDED = Text("Ended by {by} at {at}.", "由{by}于 {at} 终止。")
_ENTRY, _SPAN = Text("What", "数据项"), Text("Time", "时段")
_NO_VALUES = Text("Nothing is shown for this time yet.", "该时段暂无可显示的数据。")
_LATEST = Text("{name}: {value}", "{name}：{value}")
_UNASSESSED = Text("not assessed yet", "尚未评测")
_YES, _NO = Text("within limits", "在限值内"), Text("outside", "超出限值")
_BY_HAND = Text("Entered by hand, not measured by a gateway: {names}", "人工填报，非网关采集：{names}")
_FEW = Text("Left out where too few readings stand behind a value.", "读数过少的时段不予显示。")
_EXPORT = Text("As a spreadsheet", "导出表格")
_NARROW, _SAVE = Text("Show less", "缩小范围"), Text("Put into force", "生效")
_NARROW_NOTE = Text(
    "Takes effect at once. To show more, the other side has to ask.", "立即生效。如需扩大，须由对方重新申请。"
)
_END, _REASON = Text("End this grant", "终止授权"), Text("Reason, for the other side", "终止原因(对方可见)")
_END_NOTE = Text(
    "It ends for good and at once: reading, downloads and open pages stop within seconds, and the other side is told.",
    "立即且永久终止：读取、下载和已打开的页面数秒内停止，并通知对方。",
)
_WHO = Text("Who read what", "读取记录")
_WHO_NOTE = Text(
    "Every act and every read, in a chain nobody can change unnoticed. Both companies see the same.",
    "每项操作与每次读取均记录成链，任何改动都会被发现；双方看到的内容相同。",
)
_DOWNLOAD = Text("Download the receipts", "下载凭据")
_PROOF = Text("Prove the file whole, anywhere:", "可在任何地方校验该文件：")
_COMMAND = "sunmao-cloud sharing verify receipts.jsonl"
_READ = Text("read {what}: {count} values, {start} to {end}", "读取 {what}：{count} 个数值，{start} 至 {end}")
_FOLLOWED = {
    "up": Text("followed things up: {count} named", "向上追溯：涉及 {count} 个对象"),
    "down": Text("followed things down: {count} named", "向下追溯：涉及 {count} 个对象"),
}
_LOOKED = Text("looked at the level of maturity", "查看了数字化水平等级")
_ACTS = {
    "granted": Text("accepted the request", "同意了申请"),
    "changed": Text("changed what is shown", "变更了共享内容"),
    "ended": Text("ended the grant", "终止了授权"),
}
_RECEIPTS = 50


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["grant_id"])
    except ValueError as error:
        raise NotFound from error
    grant = await visit.domains.sharing.grant(visit.scope, identity)
    other = grant.leader if grant.side == "supplier" else grant.supplier
    with frame(visit, other):
        title = visit.say(_TO if grant.side == "supplier" else _FROM, company=other)
        page_head(title, back=("/shares", visit.say(TITLE)), note=grant.purpose)
        place = box("stack wide")
        await _Grant(visit, place, grant).show()


class _Grant:
    """The page below its head, drawn anew when the grant is no longer what it was."""

    def __init__(self, visit: Visit, place: ui.element, grant: Grant) -> None:
        self._visit, self._place, self._grant = visit, place, grant
        self._shown: SharedLevel | None = None
        ui.timer(_LOOK_S, self._look)

    async def show(self) -> None:
        """Draw it."""
        visit, grant = self._visit, self._grant
        names = {each.id: each.label for each in await visit.domains.fleet.equipment_list(visit.scope)}
        if grant.side == "leader" and grant.live:
            shown = await visit.domains.sharing.reader.machines(visit.acting(Scope.READ), grant.id)
            names = {each.equipment_id: each.name for each in shown}
        self._place.clear()
        with self._place:
            self._terms(names)
            if grant.side == "leader" and grant.live and grant.terms.maturity:
                await self._level()
            if grant.side == "leader" and grant.live and grant.terms.items:
                _Values(visit, grant)
            if grant.live and visit.may(Scope.ADMIN):
                if grant.side == "supplier":
                    self._narrowing()
                self._ending()
            await self._receipts()

    async def _look(self) -> None:
        if not await self._visit.may_still(Scope.READ):
            return
        found = await self._visit.domains.sharing.grant(self._visit.scope, self._grant.id)
        if (found.version, found.live) != (self._grant.version, self._grant.live):
            self._grant = found
            await self.show()

    def _at(self, at: datetime) -> str:
        return moment(at, self._visit.zone, self._visit.language, now=datetime.now(UTC), seconds=False)

    def _terms(self, names: Mapping[UUID, str]) -> None:
        visit, grant, say = self._visit, self._grant, self._visit.say
        with box("card stack wide"):
            with box("line spread"):
                Words(say(_SHOWN), tag="h2")
                MarkView(state_of(grant), visit.language)
            if grant.ended_at:
                by = grant.leader if grant.ended_by == "leader" else grant.supplier
                said = say(_ENDED, by=by, at=self._at(grant.ended_at))
                Words(f"{said} {grant.end_reason}".strip(), "notice warn", tag="p")
            for line in all_of(grant.terms, visit.language):
                Words(line, tag="p")
            machines = grant.terms.machines
            listed = say(_ALL) if machines is None else "、".join(names.get(each, NOTHING) for each in machines)
            Words(say(_MACHINES, names=listed), "small", tag="p")
            if grant.side == "supplier" and grant.live:
                offer(visit)
            window = say(_WINDOW, since=self._at(grant.terms.since), until=self._at(grant.terms.until))
            Words(window, "muted small", tag="p")

    async def _level(self) -> None:
        """Show the level of maturity. It is read, and receipted, once a page."""
        visit = self._visit
        if self._shown is None:
            self._shown = await visit.domains.sharing.levels.read(visit.acting(Scope.READ), self._grant.id, way="page")
        level = self._shown.level
        with box("card stack wide"):
            Words(visit.say(MATURITY), tag="h2")
            Words(visit.say(_UNASSESSED) if level is None else visit.say(level_name(edition_2024(), level)), tag="p")

    def _narrowing(self) -> None:
        visit, grant = self._visit, self._grant
        with box("card stack wide"):
            Words(visit.say(_NARROW), tag="h2")
            Words(visit.say(_NARROW_NOTE), "muted small", tag="p")
            with box("form-row"):
                chosen = [(item, item_choice(visit, item)) for item in grant.terms.items]
                beside = Beside(visit, grant.terms)
            answer = box("stack")

            async def save() -> None:
                async def act(principal: Principal) -> None:
                    terms = Terms.model_validate(grant.terms.model_dump() | kept(chosen, beside))
                    self._grant = await visit.domains.sharing.narrow(principal, grant.id, terms)

                if await attempt(visit, answer, Scope.ADMIN, act):
                    await self.show()

            with box("line"):
                button(visit.say(_SAVE), save)

    def _ending(self) -> None:
        visit = self._visit
        with box("card stack wide"):
            Words(visit.say(_END), tag="h2")
            Words(visit.say(_END_NOTE), "muted small", tag="p")
            reason = Field(visit.say(_REASON), maxlength="500")
            answer = box("stack")

            async def end() -> None:
                async def act(principal: Principal) -> None:
                    self._grant = await visit.domains.sharing.end(principal, self._grant.id, reason.value.strip())

                if await attempt(visit, answer, Scope.ADMIN, act):
                    await self.show()

            with box("line"):
                button(visit.say(_END), end, "button bad")

    async def _receipts(self) -> None:
        visit, grant = self._visit, self._grant
        page = await visit.domains.sharing.receipts(visit.scope, grant.id, limit=_RECEIPTS)
        with box("card stack wide"):
            with box("line spread"):
                Words(visit.say(_WHO), tag="h2")
                with box("button quiet", "a", href=f"/api/v1/sharing/grants/{grant.id}/receipts/chain"):
                    Words(visit.say(_DOWNLOAD))
            Words(visit.say(_WHO_NOTE), "muted small", tag="p")
            for receipt in page.items:
                with box("lot receipt"):
                    Words(f"{receipt.actor.removeprefix('user:')} {self._said(receipt)}", tag="div")
                    Words(f"{receipt.seq} · {self._at(receipt.at)} · {receipt.hash[:16]}", "muted small num", tag="div")
            Words(visit.say(_PROOF), "muted small", tag="p")
            Words(_COMMAND, "command", tag="code")

    def _said(self, receipt: Receipt) -> str:
        if receipt.kind != "read":
            return self._visit.say(_ACTS[receipt.kind])
        body = {name: str(value) for name, value in receipt.body.items()}
        if "trace" in body:
            return self._visit.say(_FOLLOWED[body["direction"]], count=body["things"])
        if "maturity" in body:
            return self._visit.say(_LOOKED)
        granularity = next(words for name, words in GRANULARITIES.items() if name == body["granularity"])
        return self._visit.say(
            _READ,
            what=f"{self._visit.say(name_of(body['entry']))}({self._visit.say(granularity)})",
            count=body["values"],
            start=self._at(datetime.fromisoformat(body["start"])),
            end=self._at(datetime.fromisoformat(body["end"])),
        )


class _Values:
    """What the grant shows of one entry, as curves."""

    def __init__(self, visit: Visit, grant: Grant) -> None:
        self._visit, self._grant = visit, grant
        entries = {item.entry: visit.say(name_of(item.entry)) for item in grant.terms.items}
        with box("card stack wide"):
            with box("form-row"):
                self._entry = Choice(visit.say(_ENTRY), entries, next(iter(entries)), self._show)
                spans = {hours: visit.say(words) for hours, words in _SPANS.items()}
                self._span = Choice(visit.say(_SPAN), spans, "24", self._show)
            # One chart for all that is chosen: one that is taken away while it still builds itself complains.
            self._chart = ui.echart({}).classes("chart")
            self._place = box("stack wide")
        live.fill_in(visit, self._show)

    async def _show(self, _: str = "") -> None:
        visit, grant, now = self._visit, self._grant, datetime.now(UTC)
        chosen = self._entry.value, self._span.value
        question = Question(self._entry.value, now - timedelta(hours=int(self._span.value)), now)
        try:
            found = await visit.domains.sharing.reader.read(visit.acting(Scope.READ), grant.id, question, way="page")
        except NotFound:
            self._place.clear()
            return  # ended meanwhile; the page is about to say so
        except Problem as problem:
            self._place.clear()
            with self._place:
                Words(problem.detail.to(visit.language), "notice warn", tag="p")
            return
        item = grant.terms.item(question.entry)
        if found is None or item is None:
            raise Invalid(_NO_VALUES)
        if (self._entry.value, self._span.value) != chosen:
            return  # something else has been chosen meanwhile, and may have been drawn already
        self._place.clear()
        with self._place:
            self._draw(found, item)

    def _draw(self, found: SharedRead, item: Item) -> None:
        visit = self._visit
        series = [one for one in found.series if one.values][:MOST_LINES]
        if not series:
            Words(visit.say(_NO_VALUES), "muted", tag="p")
        passing = item.granularity == "pass_fail"
        axis = Axis(found.unit, {0: visit.say(_NO), 1: visit.say(_YES)} if passing else {})
        curves = [
            DrawnCurve(
                " · ".join(filter(None, (one.name, one.point))),
                axis,
                [Dot(value.time, _height(value.value)) for value in one.values],
                place,
                steps=passing,
            )
            for place, one in enumerate(series)
        ]
        self._chart.options.update(options(curves, start=found.start, end=found.end, zone=visit.zone))
        self._chart.update()
        if by_hand := list(dict.fromkeys(one.name for one in series if one.by_hand)):
            Words(visit.say(_BY_HAND, names="、".join(by_hand)), "muted small", tag="p")
        for curve, one in zip(curves, series, strict=True):
            last = one.values[-1].value
            shown = visit.say(_YES if last else _NO) if isinstance(last, bool) else number(_height(last))
            text = visit.say(_LATEST, name=curve.name, value=shown)
            Words(text if passing else f"{text} {found.unit}".strip(), "small shared-value", tag="div")
        if any(value.few for one in series for value in one.values):
            Words(visit.say(_FEW), "muted small", tag="p")
        if not series:
            return
        query = urlencode({"entry": item.entry, "start": found.start.isoformat(), "end": found.end.isoformat()})
        with box("line"), box("button quiet", "a", href=f"/api/v1/sharing/grants/{found.grant_id}/export?{query}"):
            Words(visit.say(_EXPORT))


def _height(value: object) -> float | None:
    """Return where a value is drawn; a text, and times per state, are not: they are read over the API or in the file."""
    return float(value) if isinstance(value, int | float) else None
