"""Values for machines that no gateway reads: name the machine, download what is to be filled in, check the file, store it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Scope
from cloud.dictionary.service import entry_of
from cloud.fleet.schemas import Equipment, MachineRequest
from cloud.identity.schemas import Site
from cloud.sharing.service import Item, name_of
from cloud.uploads.schemas import Upload, UploadedSeries, UploadReport
from cloud.uploads.service import Asks
from cloud.web.elements import Words, box
from cloud.web.file_choice import FileChoice
from cloud.web.forms import Choice, Field, attempt, done
from cloud.web.forms import button as press
from cloud.web.language import NOTHING, moment, number
from cloud.web.layout import frame, page_head
from cloud.web.share_words import how, named
from cloud.web.visit import Visit
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

PATH = "/uploads"
TITLE = Text("Values by file", "数据填报")
OFFER = Text("No gateway? Enter values by file", "没有网关？用表格填报数据")
ENTER = Text("Enter values of this machine by file", "用表格填报该设备的数据")

_NOTE = Text(
    "For machines that no gateway reads. Download the template, fill it in, upload it. Whoever sees the values sees that they"
    " were entered by hand.",
    "适用于没有网关的设备：下载模板，填写后上传。查看数据的人会看到“人工填报”标记。",
)
_SITE = Text("Site", "站点")
_NO_SITE = Text("Your company has no site that you may see.", "没有您可查看的站点。")
_MACHINES = Text("1. Machines", "1. 设备")
_NO_MACHINES = Text("Name the first machine whose values you enter.", "请登记第一台需要填报的设备。")
_NAME, _KIND, _ADD = Text("Name of the machine", "设备名称"), Text("Kind", "类别"), Text("Add machine", "添加设备")
_ASK_ENGINEER = Text("An engineer of your company names machines.", "设备由本企业工程师登记。")
_TEMPLATE = Text("2. Template", "2. 模板")
_ASKED = Text("It has a column for everything that is asked of you:", "模板包含对方申请的全部数据项：")
_ASKED_BY = Text("{entry}: {how} - {leader}", "{entry}：{how} - {leader}")
_NOT_ASKED = Text(
    "Nobody asks you for values now; it has a column for everything machines of these kinds have.",
    "目前没有企业申请数据；模板包含这些类别设备的全部数据项。",
)
_FEW = Text(
    "A mean is shown to others only if at least three values stand behind it; of one figure an hour, enter three an hour.",
    "均值至少需要三个数值才会对外显示；如按小时共享，每小时至少填写三个数值。",
)
_WHICH, _EVERY = Text("For which machines", "填报哪些设备"), Text("all of them", "全部")
_EXCEL, _CSV = Text("Excel template", "Excel 模板"), Text("CSV template", "CSV 模板")
_ALL = Text("Excel template with all entries", "Excel 模板(全部数据项)")
_UPLOAD = Text("3. Upload", "3. 上传")
_DROP = Text(
    "Drop the file here, or choose it. It is checked first; nothing is stored before you say so. At most 20 MB and 1,000,000 cells.",
    "将文件拖到此处，或点击选择。系统先检查，确认后才入库。最大 20 MB、1,000,000 个单元格。",
)
_RULE = Text(
    "What is stored is never changed: the same value again changes nothing, another value for the same time is refused.",
    "已入库的数据不可更改：重复上传相同数值不会产生变化，同一时间的不同数值会被拒绝。",
)
_FAULTS = Text("Nothing is stored: {count} faults.", "未入库：共 {count} 处错误。")
_FAULT_HEAD = (
    Text("Row", "行"),
    Text("Cell", "单元格"),
    Text("Column", "列"),
    Text("What is wrong, and how to mend it", "问题与更正方法"),
)
_FIRST = Text("The first {count} are shown.", "仅显示前 {count} 处。")
_UNDERSTOOD = Text(
    "{rows} rows, {values} values. This is how they are understood:", "{rows} 行、{values} 个数值，识别结果："
)
_KNOWN = Text("{count} of them are stored already and stay as they are.", "其中 {count} 个已入库，保持不变。")
_REPEATED = Text("These values have been uploaded before; nothing has changed.", "这些数据此前已上传，没有任何变化。")
_SERIES_HEAD = (
    Text("Machine", "设备"),
    Text("Entry", "数据项"),
    Text("Values", "数量"),
    Text("First", "最早"),
    Text("Last", "最晚"),
    Text("Least", "最小"),
    Text("Greatest", "最大"),
    Text("Last value", "最新值"),
)
_STORE = Text("Store {count} values", "入库 {count} 个数值")
_STORED = Text("{count} values are stored.", "已入库 {count} 个数值。")
_PAST, _NONE = Text("What was stored", "已入库的文件"), Text("Nothing yet.", "暂无。")
_PAST_LINE = Text(
    "{readings} values in {rows} rows, {earliest} to {latest}", "{rows} 行、{readings} 个数值，{earliest} 至 {latest}"
)
_FAULTS_SHOWN, _SERIES_SHOWN, _PAST_SHOWN = 50, 50, 20
_SHORT = 16
"""Characters that are not broken into lines, so that the sentences beside them have room on a phone."""


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound for a site in its address that is not to be seen."""
    sites = await visit.domains.identity.sites(visit.scope)
    wanted = visit.request.query_params.get("site", str(sites[0].id) if sites else "")
    site = next((one for one in sites if str(one.id) == wanted), None)
    if sites and site is None:
        raise NotFound
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if site is None:
            Words(visit.say(_NO_SITE), "card muted", tag="p")
            return
        if len(sites) > 1:

            async def go(identity: str) -> None:
                ui.navigate.to(f"{PATH}?site={identity}")

            Choice(visit.say(_SITE), {str(one.id): one.name for one in sites}, wanted, go)
        machines = await visit.domains.uploads.machines(visit.scope, site.id)
        _machines(visit, site, machines)
        if machines:
            await _template(visit, site.id, await visit.domains.uploads.asked(visit.scope), machines)
        page = _Page(visit, site)
        if machines and visit.may(Scope.OPERATE):
            page.offer()
        await page.show_past()


def offer(visit: Visit, words: Text = OFFER, site: UUID | None = None) -> None:
    """Lead to the page, of a site or of the first, from where a company without a gateway would look for it."""
    with box("link", "a", href=f"{PATH}?site={site}" if site else PATH):
        Words(visit.say(words))


def _machines(visit: Visit, site: Site, machines: Sequence[Equipment]) -> None:
    say, classes = visit.say, equipment_classes()
    with box("card stack wide"):
        Words(say(_MACHINES), tag="h2")
        if not machines:
            Words(say(_NO_MACHINES if visit.may(Scope.ENGINEER) else _ASK_ENGINEER), "muted", tag="p")
        for machine in machines:
            with box("line"):
                with box("link", "a", href=f"/equipment/{machine.id}"):
                    Words(machine.label)
                if kind := classes.get(machine.equipment_class):
                    Words(say(kind), "muted small")
        if not visit.may(Scope.ENGINEER):
            return
        with box("form-row"):
            name = Field(say(_NAME), maxlength="120")
            kind_of = Choice(say(_KIND), {code: say(words) for code, words in classes.items()}, "generic")
        answer = box("stack")

        async def add() -> None:
            async def act(principal: Principal) -> None:
                request = MachineRequest(site_id=site.id, name=name.value.strip(), equipment_class=kind_of.value)
                await visit.domains.fleet.desks.add_machine(principal, request)

            if await attempt(visit, answer, Scope.ENGINEER, act):
                ui.navigate.to(f"{PATH}?site={site.id}")

        with box("line"):
            press(say(_ADD), add, "button quiet" if machines else "button")


async def _template(visit: Visit, site: UUID, asks: Asks, machines: Sequence[Equipment]) -> None:
    say = visit.say
    with box("card stack wide"):
        Words(say(_TEMPLATE), tag="h2")
        asked = asks.entries(machines)
        Words(say(_ASKED if asked else _NOT_ASKED), tag="p")
        for code in asked:
            for leader, item in asks.items[code]:
                shown = say(_ASKED_BY, entry=_entry(visit, code, item), how=how(item, visit.language), leader=leader)
                Words(shown, "small", tag="div")
        if asked:
            Words(say(_FEW), "muted small", tag="p")

        async def link(machine: str) -> None:
            links.clear()
            wanted = {"site_id": str(site), "language": visit.language} | ({"equipment_id": machine} if machine else {})
            with links:
                _link(visit, _EXCEL, wanted | {"format": "xlsx"}, "button")
                _link(visit, _CSV, wanted | {"format": "csv"}, "button quiet")
                if asked:
                    _link(visit, _ALL, wanted | {"of_class": "true"}, "button quiet")

        if len(machines) > 1:
            named = {str(one.id): one.label for one in machines}
            with box("form-row"):
                Choice(say(_WHICH), {"": say(_EVERY)} | named, "", link)
        links = box("line")
        await link("")


def _link(visit: Visit, words: Text, query: Mapping[str, str], classes: str) -> None:
    with box(classes, "a", href=f"/api/v1/uploads/template?{urlencode(query)}", download=""):
        Words(visit.say(words))


def _entry(visit: Visit, code: str, item: Item) -> str:
    """Return what is to be entered: what an item is called, or what its KPI is made of."""
    return named(item, visit.language) if item.entry == code else visit.say(name_of(code))


class _Page:
    """The upload, what it is answered, and what was stored before."""

    def __init__(self, visit: Visit, site: Site) -> None:
        self._visit, self._site = visit, site
        self._zone = ZoneInfo(site.time_zone)
        self._upload = box("contents")
        self._past = box("card stack wide")

    def offer(self) -> None:
        """Offer to choose a file or to drop one."""
        visit, query = self._visit, urlencode({"site_id": str(self._site.id)})
        with self._upload, box("card stack wide drop-area") as area:
            Words(visit.say(_UPLOAD), tag="h2")
            Words(visit.say(_DROP), tag="p")
            Words(visit.say(_RULE), "muted small", tag="p")
            with box("line"):
                choice = FileChoice(visit, f"/api/v1/uploads/check?{query}", ".csv,.xlsx")
            answer, act = box("stack"), box("line")  # apart: what is answered takes the place of what was there

        async def checked(text: str) -> None:
            report = UploadReport.model_validate_json(text)
            act.clear()
            if report.fault_count:
                self._show_faults(report)
                return
            self._show_series(report)
            if not report.repeated:
                with act, box("button", "button", type="button") as store:
                    Words(visit.say(_STORE, count=report.values - report.known))
                choice.again(store, f"/api/v1/uploads?{query}", answer, stored)

        async def stored(text: str) -> None:
            report = UploadReport.model_validate_json(text)
            act.clear()
            if report.fault_count:
                self._show_faults(report)
                return
            done(answer, visit.say(_STORED, count=report.values - report.known))
            await self.show_past()

        choice.answers_in(answer, checked)
        choice.drops_on(area, answer, checked)

    def _show_faults(self, report: UploadReport) -> None:
        say = self._visit.say
        Words(say(_FAULTS, count=report.fault_count), "notice bad", tag="p").props["role"] = "alert"
        rows = [
            (str(one.row), one.cell, one.column, one.message.to(self._visit.language))
            for one in report.faults[:_FAULTS_SHOWN]
        ]
        self._table(_FAULT_HEAD, rows)
        if report.fault_count > len(rows):
            Words(say(_FIRST, count=len(rows)), "muted small", tag="p")

    def _show_series(self, report: UploadReport) -> None:
        say = self._visit.say
        if report.repeated:
            Words(say(_REPEATED), "notice good", tag="p").props["role"] = "status"
        else:
            Words(say(_UNDERSTOOD, rows=report.rows, values=report.values), tag="p")
            if report.known:
                Words(say(_KNOWN, count=report.known), "muted small", tag="p")
        self._table(_SERIES_HEAD, [self._series(one) for one in report.series[:_SERIES_SHOWN]])

    def _series(self, one: UploadedSeries) -> tuple[str, ...]:
        name = self._visit.say(name_of(one.entry)) + (f" ({one.unit})" if one.unit else "")
        figures = [self._value(one, each) for each in (one.low, one.high, one.last)]
        return (one.machine, name, str(one.values), self._at(one.earliest), self._at(one.latest), *figures)

    def _value(self, one: UploadedSeries, value: float | str | None) -> str:
        if value is None or isinstance(value, str):
            return value or NOTHING
        entry = entry_of(one.entry)
        meant = entry.values.get(int(value)) if entry else None
        return self._visit.say(meant) if meant else number(value)

    def _table(self, heads: Sequence[Text], rows: Sequence[Sequence[str]]) -> None:
        with box("wide-table"), box("ledger words", "table"):
            with box("", "thead"), box("", "tr"):
                for head in heads:
                    Words(self._visit.say(head), tag="th")
            with box("", "tbody"):
                for row in rows:
                    with box("", "tr"):
                        for cell in row:
                            Words(cell, "nowrap" if len(cell) < _SHORT else "", tag="td")

    def _at(self, at: datetime) -> str:
        return moment(at, self._zone, self._visit.language, now=datetime.now(UTC), seconds=False)

    async def show_past(self) -> None:
        """Show what was stored, newest first."""
        visit = self._visit
        listed = [one for one in await visit.domains.uploads.uploads(visit.scope) if one.site_id == self._site.id]
        self._past.clear()
        with self._past:
            Words(visit.say(_PAST), tag="h2")
            if not listed:
                Words(visit.say(_NONE), "muted", tag="p")
            for one in listed[:_PAST_SHOWN]:
                self._file(one)

    def _file(self, one: Upload) -> None:
        said = self._visit.say(
            _PAST_LINE,
            readings=one.readings,
            rows=one.rows,
            earliest=self._at(one.earliest),
            latest=self._at(one.latest),
        )
        with box("lot"):
            Words(said, tag="div")
            by = f"{one.uploaded_by.removeprefix('user:')} · {self._at(one.uploaded_at)}"
            Words(by, "muted small", tag="div")
