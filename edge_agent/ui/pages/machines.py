"""Step 2: search the ranges a technician names, and the list of what is there."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from edge_agent.ui.drafts import Machine
from edge_agent.ui.elements import (
    Field,
    MarkView,
    Words,
    box,
    button,
    failure,
    icon,
    link_button,
    notice,
    progress_bar,
    show_progress,
)
from edge_agent.ui.layout import frame
from edge_agent.ui.networks import suggested_ranges
from edge_agent.ui.search import serial_ports
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import Tone
from protocols.errors import SunmaoError
from protocols.library.templates import load_template
from protocols.text import Text

TITLE = Text("Find machines", "搜索设备")

_NOTE = Text(
    "Only what you name is looked at, gently, and nothing is written to any machine.",
    "只访问您填写的范围，请求节奏平缓，不会向任何设备写入。",
)
_RANGES = Text("Where are the machines?", "设备在哪里？")
_RANGES_HINT = Text(
    "an address, or a range: 192.168.1.20-40; with a port: 192.168.1.20:502; a serial port: /dev/ttyUSB0",
    "地址或范围：192.168.1.20-40；可带端口：192.168.1.20:502；串口：/dev/ttyUSB0",
)
_OWN = Text("Networks and serial ports of this box - tap to take over:", "本机所在网络与串口，点按即可填入：")
_MORE = Text("Several devices behind one address", "同一地址下有多台设备")
_UNITS = Text("Modbus unit ids to ask for", "要询问的 Modbus 从站号")
_UNITS_HINT = Text(
    "e.g. 1-10 behind a serial gateway; each silent one costs a second",
    "例如串口网关后的 1-10；每个无应答的从站多等一秒",
)
_SEARCH, _STOP = Text("Search", "搜索"), Text("Stop", "停止")
_NONE_YET = Text("Nothing found yet.", "尚未发现设备。")
_NOTHING = Text("Nobody answered there.", "该范围内无设备应答。")
_NOTHING_WHY = Text(
    "Are the machines switched on and in the same network? Is the Modbus or OPC UA interface enabled on them?",
    "请确认设备已通电、与本机在同一网络，且已启用 Modbus 或 OPC UA 接口。",
)
_CHECK = Text("Check everything", "全部检查")
_SAVED, _READY, _LISTENS = Text("set up", "已配置"), Text("waits for you", "待确认"), Text("not understood", "无法识别")
_IN_LIBRARY = Text("{name}, {score} sure", "{name}，匹配度 {score}")
_TWINS = Text("has the same registers: {names}", "寄存器相同的型号：{names}")
_UNKNOWN = Text("Unknown - I can find out", "未知设备，可自动识别")
_OPEN, _CONFIRM, _FIND_OUT = Text("Open", "打开"), Text("Confirm its points", "确认测点"), Text("Find out", "开始识别")
_PROTOCOLS = {
    "modbus": Text("Modbus", "Modbus"),
    "opcua": Text("OPC UA", "OPC UA"),
    "unknown": Text("no known protocol", "协议未知"),
}
_SECURED = Text("encrypted", "已加密")
_NOT_SECURED = Text("offers no encryption", "不支持加密")


async def build(visit: Visit) -> None:
    """Build the page; the list fills itself while a search runs."""
    visit.workplace.adopt_configured()
    with frame(visit, visit.say(TITLE), note=visit.say(_NOTE)):
        _Page(visit)


class _Page:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: object = None
        drafts = visit.workplace.drafts
        with box("card stack"):
            self._said = box()
            self._ranges = Field(visit.say(_RANGES), drafts.ranges, hint=visit.say(_RANGES_HINT), inputmode="text")
            networks = [*suggested_ranges(), *serial_ports()]
            if networks:
                with box("stack tight"):
                    Words(visit.say(_OWN), "muted small")
                    with box("line"):
                        for network in networks:
                            button(network, partial(self._take, network), "chip")
            with box("", "details", **({"open": ""} if drafts.units not in {"", "1"} else {})):
                with box("", "summary"):
                    Words(visit.say(_MORE))
                self._units = Field(visit.say(_UNITS), drafts.units, hint=visit.say(_UNITS_HINT))
            self._go = button(visit.say(_SEARCH), self._search, sign="search").mark("search")
            with box("stack") as self._progress:
                self._doing = Words("", "muted", tag="div")
                self._bar = progress_bar()
                button(visit.say(_STOP), self._stop, "button quiet small")
        self._list = box("stack")
        self._refresh()
        ui.timer(0.5, self._refresh)

    def _take(self, network: str) -> None:
        self._ranges.put(network)

    def _search(self) -> None:
        self._said.clear()
        try:
            self._visit.workplace.start_search(self._ranges.value, self._units.value)
        except SunmaoError as error:
            with self._said:
                failure(error, self._visit.language)
        self._refresh()

    async def _stop(self) -> None:
        if self._visit.workplace.search is not None:
            await self._visit.workplace.search.stop()

    def _refresh(self) -> None:
        search = self._visit.workplace.search
        running = search is not None and search.running
        self._progress.set_visibility(running)
        self._go.set_visibility(not running)
        if search is not None and running:
            self._doing.show(f"{search.doing.to(self._visit.language)} … {search.done} / {search.total}")
            show_progress(self._bar, search.share)
        machines = self._visit.workplace.drafts.machines
        state = (running, [(m.id, m.name, m.saved, m.protocol, m.matches) for m in machines], search and search.failed)
        if state != self._shown:
            self._shown = state
            self._list.clear()
            with self._list:
                self._fill(machines, running)

    def _fill(self, machines: list[Machine], running: bool) -> None:
        visit, search = self._visit, self._visit.workplace.search
        if search is not None and search.failed:
            notice(search.failed.to(visit.language), "bad", mend=search.mend.to(visit.language) if search.mend else "")
        if not machines:
            if search is not None and not running:
                notice(visit.say(_NOTHING), "warn", mend=visit.say(_NOTHING_WHY))
            elif not running:
                Words(visit.say(_NONE_YET), "muted", tag="p")
        for machine in machines:
            show_machine(visit, machine)
        if machines and not running and all(m.saved for m in machines if m.protocol != "unknown"):
            link_button(visit.say(_CHECK), "/check", sign="check")


def show_machine(visit: Visit, machine: Machine) -> None:
    """Add the card of one machine: what it is, where, and the next step."""
    known, tone = machine.known, _tone(machine)
    with box(f"card machine {tone}", "a", href=f"/machine/{machine.id}"):
        with box("spread"):
            with box("stack tight"):
                Words(machine.name, "name", tag="div")
                said = [visit.say(_PROTOCOLS[machine.protocol]), machine.place if machine.place != machine.name else ""]
                if machine.protocol == "opcua":
                    secured = machine.connection.get("security") != "none"
                    said.append(visit.say(_SECURED if secured else _NOT_SECURED))
                Words(" · ".join(filter(None, said)), "muted small", tag="div")
            MarkView(
                visit.say(_SAVED if machine.saved else _LISTENS if machine.protocol == "unknown" else _READY), tone
            )
        if known is not None:
            Words(visit.say(_IN_LIBRARY, name=known.name.to(visit.language), score=f"{known.score:.0%}"), tag="div")
            if machine.twins:
                Words(
                    visit.say(_TWINS, names=", ".join(load_template(m.template).device.model for m in machine.twins)),
                    "muted small",
                )
        elif machine.protocol == "modbus" and not machine.points:
            Words(visit.say(_UNKNOWN), tag="div")
        companions = machine.details.get("companions", ())
        if companions:
            Words(", ".join(companions), "small", tag="div")
        if machine.note:
            Words(machine.note.to(visit.language), "muted small", tag="div")
        if machine.protocol != "unknown":
            with box("go"):
                unknown = machine.protocol == "modbus" and known is None and not machine.points
                Words(visit.say(_OPEN if machine.saved else _FIND_OUT if unknown else _CONFIRM))
                icon("next")


def _tone(machine: Machine) -> Tone:
    if machine.saved:
        return "good"
    return "off" if machine.protocol == "unknown" else "idle"
