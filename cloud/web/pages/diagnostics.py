"""Remote diagnostics of one gateway: have it read a machine now, test a point, check a device or itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound, Problem
from cloud.core.principal import Scope
from cloud.fleet.schemas import Diagnostic, DiagnosticKind, DiagnosticRequest
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.diagnostic_view import show_diagnostic
from cloud.web.elements import Words, box
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Remote diagnostics", "远程诊断")

EXPIRES_S = 60.0
"""How long a question waits for a gateway that is not connected at the moment."""
WAIT_S = 20.0
"""How long a press of a button waits for the gateway; what comes later is shown when it comes."""

SHOWN = 20
"""Of the last questions."""

_GATEWAYS = Text("Gateways", "网关")
_ONLY_LOOKS = Text("It only looks: nothing is ever written to a machine.", "仅读取，绝不向设备写入。")
_ASK = Text("What shall the gateway look at?", "让网关检查什么？")
_DEVICE, _POINTS = Text("Machine", "设备"), Text("Points (all, if none is chosen)", "数据点（不选则为全部）")
_READ, _TEST = Text("Read now", "立即读取"), Text("Test this point", "测试该点")
_CHECK, _REPORT = Text("Check this machine", "检查该设备"), Text("Check the whole gateway", "检查整台网关")
_NO_DEVICE = Text(
    "This gateway reads no machine yet. Connect one at the gateway: sunmao-edge ui", "该网关尚未接入设备。请在网关上接入：sunmao-edge ui"
)  # fmt: skip
_ONLY_ENGINEER = Text("Only an engineer can ask a gateway.", "只有工程师及以上角色可以发起诊断。")
_NONE_YET = Text(
    "Nothing has been asked yet. “Read now” shows within seconds what a machine says at this moment.",
    "尚无诊断记录。点击“立即读取”，数秒内即可看到设备当前的数值。",
)


async def build(visit: Visit) -> None:
    """Build the page and keep it up to date; raises NotFound."""
    try:
        agent_id = UUID(visit.request.path_params["agent_id"])
    except ValueError as error:
        raise NotFound from error
    agent = next((each for each in await visit.domains.fleet.agents(visit.scope) if each.id == agent_id), None)
    if agent is None:
        raise NotFound
    points: dict[UUID, list[str]] = {}
    for point in await visit.domains.telemetry.points(visit.scope):
        points.setdefault(point.equipment_id, []).append(point.name)
    devices = {
        each.name: points.get(each.id, [])
        for each in await visit.domains.fleet.equipment_list(visit.scope)
        if each.agent_id == agent_id and each.state != "removed"
    }
    title = f"{agent.name} · {visit.say(TITLE)}"
    with frame(visit, title):
        page_head(title, back=("/gateways", visit.say(_GATEWAYS)), note=visit.say(_ONLY_LOOKS))
        page = _Page(visit, agent_id, devices)
        await page.refresh()

    async def refresh(_: Collection[Latest], __: datetime) -> None:
        await page.refresh()

    live.follow(visit, refresh)


class _Page:
    """The form, and below it what was asked."""

    def __init__(self, visit: Visit, agent_id: UUID, devices: Mapping[str, Sequence[str]]) -> None:
        self._visit = visit
        self._agent_id = agent_id
        self._devices = devices
        self._shown: list[Diagnostic] | None = None
        self._device: ui.select | None = None
        self._points: ui.select | None = None
        with box("card stack"):
            Words(visit.say(_ASK), tag="h2")
            if visit.may(Scope.ENGINEER):
                self._show_form()
            else:
                Words(visit.say(_ONLY_ENGINEER), "muted", tag="p")
            self._notice = box("stack")
        self._answers = box("stack wide")

    def _show_form(self) -> None:
        names = list(self._devices)
        if not names:
            Words(self._visit.say(_NO_DEVICE), "muted", tag="p")
        else:
            self._device = ui.select(names, value=names[0], label=self._visit.say(_DEVICE)).props("outlined")
            self._points = ui.select([], multiple=True, with_input=True, label=self._visit.say(_POINTS))
            self._points.props("outlined use-chips")
            for select in (self._device, self._points):
                select.classes("editor")
            self._device.on_value_change(lambda _: self._offer_points())
            self._offer_points()
        with box("line"):
            if names:
                self._button(_READ, "read", "button")
                self._button(_TEST, "test", "button quiet")
                self._button(_CHECK, "check", "button quiet")
            self._button(_REPORT, "report", "button quiet")

    def _offer_points(self) -> None:
        if self._device is not None and self._points is not None:
            self._points.set_options(list(self._devices[str(self._device.value)]), value=[])

    def _button(self, name: Text, kind: DiagnosticKind, classes: str) -> None:
        with box(classes, "button", type="button").on("click", lambda _: self._ask(kind)):
            Words(self._visit.say(name))

    async def _ask(self, kind: DiagnosticKind) -> None:
        visit, diagnostics = self._visit, self._visit.domains.fleet.diagnostics
        if not await visit.may_still(Scope.ENGINEER):
            return
        device = str(self._device.value) if self._device is not None and kind != "report" else ""
        points = list(self._points.value or []) if self._points is not None and kind in ("read", "test") else []
        self._notice.clear()
        try:
            request = DiagnosticRequest(kind=kind, device=device, points=points, expires_s=EXPIRES_S)
            scope = visit.acting(Scope.ENGINEER).scope
            asked = await diagnostics.ask(scope, self._agent_id, request, visit.principal.actor)
        except Problem as problem:
            with self._notice:
                Words(problem.detail.to(visit.language), "notice bad", tag="p")
            return
        await self.refresh()
        await diagnostics.diagnostic(visit.scope, self._agent_id, asked.id, WAIT_S)
        await self.refresh()

    async def refresh(self) -> None:
        """Show what was asked and answered, if there is news."""
        page = await self._visit.domains.fleet.diagnostics.diagnostics(self._visit.scope, self._agent_id)
        if page.items == self._shown:
            return
        self._shown = page.items
        self._answers.clear()
        with self._answers:
            if not page.items:
                Words(self._visit.say(_NONE_YET), "card muted", tag="p")
            for asked in page.items[:SHOWN]:
                show_diagnostic(self._visit, asked)
