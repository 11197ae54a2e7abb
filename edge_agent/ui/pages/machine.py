"""Step 3: one machine - how its points are had, and the list of them to be confirmed."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from edge_agent.ui.agent_state import how_to_start, until_applied
from edge_agent.ui.drafts import Machine
from edge_agent.ui.elements import Field, Words, box, button, failure, icon, notice, progress_bar, show_progress
from edge_agent.ui.jobs import Job
from edge_agent.ui.layout import MACHINES, frame
from edge_agent.ui.learn import LEAST_SHOTS, SAMPLING_S, learn_from_library
from edge_agent.ui.live_values import LiveValues
from edge_agent.ui.pages.point_rows import PointRows
from edge_agent.ui.pages.trust import show_way_in
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import Tone, capital, duration
from edge_agent.ui.workplace import Flash
from protocols.errors import SunmaoError
from protocols.text import Text

_KNOWN = Text(
    "In the library: {name} ({score}). Its points are known.", "设备库中的型号：{name}（匹配度 {score}），测点已知。"
)
_BROWSED = Text("The machine told its points itself.", "测点由设备自行提供。")
_WATCHED = Text("Worked out from its registers.", "由寄存器数值变化推断得出。")
_FIND_TITLE = Text("Nobody knows this machine yet", "设备库中没有这台设备")
_FIND_HOW = Text(
    "I can find out: I read its registers for {time}, watch how they change, and work out type, word order, scale and"
    " meaning. Let it run meanwhile, so that its values move. Nothing is written.",
    "可以自动识别：读取寄存器 {time}，观察数值变化，推断类型、字节序、比例与含义。其间请让设备正常运行。只读不写。",
)
_FIND, _ENOUGH, _RETRY = Text("Find out", "开始识别"), Text("That is enough", "已足够"), Text("Try again", "重试")
_TIME_LEFT = Text("{time} to go; longer is surer", "还需 {time}，时间越长越可靠")
_MEANWHILE = Text("You may look at other machines meanwhile.", "其间可以先处理其他设备。")
_SAVE = Text("Confirm {sure} sure points and save", "确认 {sure} 个确定的点并保存")
_SAVE_AGAIN = Text("Save the changes", "保存更改")
_PLAIN_SAVE = Text("Save without entries", "不带条目保存")
_REST = Text(
    "{look} to look at, {none} without an entry: collected under their own names until you decide.",
    "另有 {look} 个待核对、{none} 个无条目：先按原名采集，可稍后确定。",
)
_SAVING = Text("Saving; the agent takes it over …", "正在保存，等待代理生效…")
_APPLIED = Text("{name} is set up; the agent collects it now.", "{name} 已配置，代理正在采集。")
_APPLIED_NEXT = Text("Next: {name}", "下一台：{name}")
_NO_AGENT = Text("{name} is saved, but no agent runs on this box.", "{name} 已保存，但本机没有代理在运行。")
_FAILED = Text(
    "The agent does not use what was saved; it goes on as before.", "代理未采用本次保存的内容，继续按原配置运行。"
)
_SLOW = Text("{name} is saved; the agent has not yet said that it uses it.", "{name} 已保存，代理尚未确认生效。")
GONE = Text("This machine is no longer in the list", "该设备已不在列表中")
_UNKNOWN = Text(
    "Something listens there, but it speaks neither Modbus nor OPC UA.",
    "该地址有设备监听，但不是 Modbus 或 OPC UA 协议。",
)
_UNKNOWN_HOW = Text(
    "Look into the machine's settings for a Modbus or OPC UA interface and its port.",
    "请在设备上查找 Modbus 或 OPC UA 接口及其端口。",
)
_ABOUT, _NAME, _RENAME, _REMOVE = (
    Text("About this machine", "设备信息"),
    Text("Name", "名称"),
    Text("Rename", "改名"),
    Text("Remove from this box", "从本机移除"),
)
_ADDRESS = Text("Address", "地址")
_OPEN_ABOUT = "const about = document.getElementById('about'); about.open = true; about.scrollIntoView()"
_OTHER = Text("It is rather:", "实际型号是：")
_NONE_OF_THEM = Text("none of them - find out", "都不是，自动识别")


async def build(visit: Visit, number: str) -> None:
    """Build the page of machine `number`."""
    machine = visit.workplace.drafts.machine(number)
    if machine is None:
        with frame(visit, visit.say(GONE), back=("/machines", visit.say(MACHINES))):
            return
    with frame(visit, machine.name, back=("/machines", visit.say(MACHINES))):
        page = _Page(visit, machine)
        await page.begin()


class _Page:
    def __init__(self, visit: Visit, machine: Machine) -> None:
        self._visit = visit
        self._machine = machine
        self._title = machine.name
        self._live = LiveValues(machine, visit.workplace.folder)
        self._rows: PointRows | None = None
        self._job: Job | None = visit.workplace.learning.get(machine.id)
        self._shown: object = None
        with box("chip slim", "button", type="button", onclick=_OPEN_ABOUT):
            icon("edit")
            Words(visit.say(_RENAME))
        flash, visit.workplace.flash = visit.workplace.flash, None
        if flash is not None:
            notice(visit.say(flash.text), flash.tone, mend=visit.say(flash.mend))
        self._place = box("stack")
        with box("actions") as self._actions:
            self._result = box()
            self._hint = Words("", "muted small", tag="div")
            self._save_button = box("button", "button", type="button").mark("save").on("click", self._save)
            with self._save_button:
                self._save_words = Words("")
        _About(visit, machine)
        ui.context.client.on_delete(self._live.stop)

    async def begin(self) -> None:
        """Fetch the points where that needs nobody's word, and follow what happens."""
        machine = self._machine
        if not machine.points and machine.protocol != "unknown":
            if machine.known is not None and machine.refused is None:
                await self._take_template(machine.known.template)
            elif machine.protocol == "opcua" and (self._job is None or not self._job.running):
                self._job = self._visit.workplace.start_learning(machine, self._visit.language)
        if machine.points:
            self._live.start()
        self._refresh()
        ui.timer(0.5, self._refresh)

    async def _take_template(self, template: str) -> None:
        try:
            await learn_from_library(self._machine, template, self._visit.workplace.folder)
        except SunmaoError as error:
            self._machine.refused = error.what
            with self._place:
                failure(error, self._visit.language)
            return
        self._visit.workplace.keep()

    def _refresh(self) -> None:
        job, machine = self._job, self._machine
        busy = job is not None and job.running
        state = (busy, bool(machine.points), job.failed if job else None)
        if machine.name != self._title:
            self._title = machine.name
            ui.navigate.reload()  # what it proved to be gave it a name
            return
        if state != self._shown:
            self._shown = state
            self._draw(busy)
        if busy and job is not None:
            self._follow(job)
        elif self._rows is not None:
            self._rows.refresh(self._live)

    def _draw(self, busy: bool) -> None:
        visit, machine, job = self._visit, self._machine, self._job
        self._place.clear()
        self._rows = None
        self._actions.set_visibility(bool(machine.points) and not busy)
        with self._place:
            if machine.protocol == "unknown":
                notice(visit.say(_UNKNOWN), "warn", mend=visit.say(_UNKNOWN_HOW))
            elif busy:
                self._draw_work()
            elif job is not None and job.failed is not None:
                notice(visit.say(job.failed), "bad", mend=visit.say(job.mend) if job.mend else "")
                if machine.protocol == "opcua":
                    show_way_in(visit, machine, job.failed, self._learn)
                button(visit.say(_RETRY), self._learn, "button quiet")
            elif machine.points:
                self._draw_points()
            elif machine.protocol == "modbus":
                with box("card stack"):
                    Words(visit.say(_FIND_TITLE), tag="h2")
                    Words(visit.say(_FIND_HOW, time=visit.say(duration(SAMPLING_S))), tag="p")
                    button(visit.say(_FIND), self._learn, sign="search").mark("find-out")

    def _draw_work(self) -> None:
        with box("card stack"):
            self._doing = Words("", tag="h2")
            self._bar = progress_bar()
            self._left = Words("", "muted", tag="div")
            self._enough = button(self._visit.say(_ENOUGH), self._stop_watching, "button").mark("enough")
            Words(self._visit.say(_MEANWHILE), "muted small", tag="div")

    def _follow(self, job: Job) -> None:
        watching = job.total == round(SAMPLING_S)
        self._doing.show(f"{capital(job.doing.to(self._visit.language))} …")
        show_progress(self._bar, job.share)
        left = f"{(job.total - job.done) // 60}:{(job.total - job.done) % 60:02d}"
        self._left.show(
            self._visit.say(_TIME_LEFT, time=left)
            if watching
            else f"{job.done} / {job.total}"
            if job.total
            else f"{job.done}"
        )
        self._enough.set_visibility(watching and job.done >= LEAST_SHOTS and not job.enough)

    def _stop_watching(self) -> None:
        if self._job is not None:
            self._job.enough = True

    def _learn(self) -> None:
        self._job = self._visit.workplace.start_learning(self._machine, self._visit.language)
        self._live.point_changed()
        self._refresh()

    def _draw_points(self) -> None:
        visit, machine = self._visit, self._machine
        known = next((match for match in machine.matches if match.template == machine.template), None)
        if known is not None:
            said = visit.say(_KNOWN, name=known.name.to(visit.language), score=f"{known.score:.0%}")
        else:
            said = visit.say(_BROWSED if machine.protocol == "opcua" else _WATCHED)
        Words(said, "muted", tag="p")
        if known is not None and known.reasons:
            mark = visit.say(Text("; ", "；"))
            Words(mark.join(visit.say(reason) for reason in known.reasons[:3]), "muted small", tag="p")
        self._rows = PointRows(visit, machine)
        sure = sum(point.sure for point in machine.points)
        look = sum(point.doubtful for point in machine.points)
        none = sum(point.included and point.code is None for point in machine.points)
        label = (
            visit.say(_SAVE_AGAIN) if machine.saved else visit.say(_SAVE, sure=sure) if sure else visit.say(_PLAIN_SAVE)
        )
        self._save_words.show(label)
        self._hint.show(visit.say(_REST, look=look, none=none) if look + none else "")
        self._live.start()

    async def _save(self) -> None:
        visit, machine, workplace = self._visit, self._machine, self._visit.workplace
        self._save_button.set_visibility(False)
        self._tell(visit.say(_SAVING), "idle")
        try:
            version = workplace.save(machine)
        except SunmaoError as error:
            self._result.clear()
            with self._result:
                failure(error, visit.language)
            self._save_button.set_visibility(True)
            return
        applied = await until_applied(workplace.state_dir, version)
        self._save_button.set_visibility(True)
        if applied.state in {"applied", "no_agent"}:  # without an agent there is nothing to wait for
            following = workplace.drafts.next_to_do(machine)
            said = _APPLIED if applied.state == "applied" else _NO_AGENT
            done = Text(said.en.format(name=machine.name), said.zh.format(name=machine.name))
            if following is not None:
                done = Text(
                    f"{done.en} {_APPLIED_NEXT.en.format(name=following.name)}",
                    f"{done.zh}{_APPLIED_NEXT.zh.format(name=following.name)}",
                )
            tone: Tone = "good" if applied.state == "applied" else "warn"
            how = (
                how_to_start(workplace.config_path) if tone == "warn" and following else Text("", "")
            )  # as /check says
            workplace.flash = Flash(done, tone, how)
            ui.navigate.to(f"/machine/{following.id}" if following else "/check")
        elif applied.state == "failed":
            self._tell(visit.say(_FAILED), "bad", visit.say(applied.reason))
        else:
            self._tell(visit.say(_SLOW, name=machine.name), "warn")

    def _tell(self, text: str, tone: str, mend: str = "") -> None:
        self._result.clear()
        with self._result:
            notice(text, tone, mend=mend)  # type: ignore[arg-type]


class _About:
    """What the machine says of itself, its name, and other templates it might be."""

    def __init__(self, visit: Visit, machine: Machine) -> None:
        self._visit = visit
        self._machine = machine
        with box("card", "details", id="about"):
            with box("", "summary"):
                Words(visit.say(_ABOUT))
            with box("stack"):
                with box("facts", "dl"):
                    for name, value in ((visit.say(_ADDRESS), machine.place), *machine.identity.items()):
                        if value:
                            Words(name, tag="dt")
                            Words(value, tag="dd")
                self._said = box()
                self._name = Field(visit.say(_NAME), machine.name)
                button(visit.say(_RENAME), self._rename, "button quiet small")
                if machine.protocol == "modbus" and machine.matches:
                    Words(visit.say(_OTHER), "muted small")
                    for match in (match for match in machine.matches if match.template != machine.template):
                        label = f"{match.name.to(visit.language)} ({match.score:.0%})"
                        button(label, partial(self._take, match.template), "button quiet small")
                    button(visit.say(_NONE_OF_THEM), partial(self._take, ""), "button quiet small")
                button(visit.say(_REMOVE), self._remove, "button quiet small")

    def _rename(self) -> None:
        self._attempt(
            lambda: self._visit.workplace.rename(self._machine, self._name.value), f"/machine/{self._machine.id}"
        )

    def _remove(self) -> None:
        self._attempt(lambda: self._visit.workplace.forget(self._machine), "/machines")

    async def _take(self, template: str) -> None:
        workplace = self._visit.workplace
        if template:
            try:
                await learn_from_library(self._machine, template, workplace.folder)
            except SunmaoError as error:
                self._show(error)
                return
        else:
            self._machine.points = []
            workplace.start_learning(self._machine, self._visit.language)
        workplace.keep()
        ui.navigate.to(f"/machine/{self._machine.id}")

    def _attempt(self, act: object, then: str) -> None:
        try:
            act()  # type: ignore[operator]
        except SunmaoError as error:
            self._show(error)
        else:
            ui.navigate.to(then)

    def _show(self, error: SunmaoError) -> None:
        self._said.clear()
        with self._said:
            failure(error, self._visit.language)
