"""Step 4: is everything in order? Each thing green or red with the next step, and how the box fares at this moment."""

from __future__ import annotations

from nicegui import ui

from edge_agent.check import Finding
from edge_agent.health import Status
from edge_agent.ui.agent_state import how_to_start, running_status
from edge_agent.ui.elements import MarkView, Words, box, button, icon, link_button, notice, progress_bar, show_progress
from edge_agent.ui.layout import frame
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import DEVICE_STATES, FINDING_TONES, NOTHING, Tone, capital, duration
from protocols.reading import now_us
from protocols.text import Text

TITLE = Text("Check", "检查")

_CHECKING = Text("Reading every point once …", "正在读取每个测点…")
_ALL_WELL = Text("Everything is in order", "一切正常")
_NOT_WELL = Text("Not in order: {count}", "有 {count} 项需要处理")
_WELL_BUT = Text("Everything works. To look at when there is time: {count}", "一切可用，另有 {count} 项建议查看")
_DETAILS = Text("Details", "详情")
_AGAIN, _REPORT = Text("Check again", "重新检查"), Text("Report for the office", "生成报告")
_NO_MACHINE = Text("No machine is set up yet.", "尚未配置设备。")
_NO_MACHINE_HOW = Text("Find machines first.", "请先搜索设备。")
_NOW = Text("At this moment", "当前状态")
_NO_AGENT = Text("No agent runs on this box: nothing is collected.", "本机没有代理在运行，数据未被采集。")
_LINK = Text("Cloud", "云端")
_LINK_STATES: dict[str, tuple[Text, Tone]] = {
    "up": (Text("connected", "已连接"), "good"),
    "down": (Text("not reached; values wait here", "无法连接，数据暂存本机"), "bad"),
    "waiting": (Text("connecting", "连接中"), "idle"),
}
_ROOM, _WAITING, _COLLECTED, _DROPPED = (
    Text("Buffer used", "缓存占用"),
    Text("Waiting to be sent", "待上传"),
    Text("Values collected", "已采集"),
    Text("Values dropped", "已丢弃"),
)
_CLOCK, _RUNNING, _DISK = (
    Text("Clock against the cloud", "与云端时差"),
    Text("Running for", "已运行"),
    Text("Disk free", "磁盘剩余"),
)
_OF = Text("{used} of {limit} MB", "{used} / {limit} MB")
_FOR = Text("{rows} values, for {time}", "{rows} 个值，已等待 {time}")
_ROWS = Text("{rows} values", "{rows} 个值")
_SECONDS = Text("{seconds} s", "{seconds} 秒")


async def build(visit: Visit) -> None:
    """Build the page and start a check."""
    with frame(visit, visit.say(TITLE)):
        _Page(visit)


class _Page:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        flash, visit.workplace.flash = visit.workplace.flash, None
        if flash is not None:
            notice(visit.say(flash.text), flash.tone, mend=visit.say(flash.mend))
        config = visit.workplace.config()
        self._shown: object = None
        if not config.devices and not config.inspections:
            notice(visit.say(_NO_MACHINE), "warn", mend=visit.say(_NO_MACHINE_HOW))
            link_button(visit.say(Text("Find machines", "搜索设备")), "/machines", sign="search")
        else:
            if visit.workplace.checking is None or not visit.workplace.checking.job.running:
                visit.workplace.start_check()
            self._place = box("stack")
        self._live = box("stack")
        self._live_shown: object = None
        self._refresh()
        ui.timer(1.0, self._refresh)

    def _refresh(self) -> None:
        checking = self._visit.workplace.checking
        if checking is not None and hasattr(self, "_place"):
            state = (id(checking), len(checking.findings), checking.job.running, checking.job.failed)
            if state != self._shown:
                self._shown = state
                self._place.clear()
                with self._place:
                    self._findings(checking.findings, checking.job.running)
                    if checking.job.failed:
                        notice(self._visit.say(checking.job.failed), "bad")
        status = running_status(self._visit.workplace.state_dir)
        if status != self._live_shown or status is None:
            if status is None and self._live_shown == "none":
                return
            self._live_shown = status if status is not None else "none"
            self._live.clear()
            with self._live:
                self._show_live(status)

    def _findings(self, findings: list[Finding], running: bool) -> None:
        visit, checking = self._visit, self._visit.workplace.checking
        order = {"wrong": 0, "look": 1, "ok": 2}
        listed = sorted(findings, key=lambda finding: order[finding.severity])
        wrong = sum(finding.severity == "wrong" for finding in findings)
        look = sum(finding.severity == "look" for finding in findings)
        if running and checking is not None:
            with box("card stack"):
                Words(visit.say(_CHECKING), tag="h2")
                show_progress(progress_bar(), len(findings) / max(checking.job.total, 1))
        else:
            with box("", data_check="bad" if wrong else "good"):
                if wrong:
                    notice(visit.say(_NOT_WELL, count=wrong), "bad")
                elif look:
                    notice(visit.say(_WELL_BUT, count=look), "warn")
                else:
                    notice(visit.say(_ALL_WELL), "good")
        if findings:
            with box("card"):
                for finding in listed:
                    show_finding(visit, finding)
        if not running:
            link_button(visit.say(_REPORT), "/report", sign="report")
            button(visit.say(_AGAIN), self._again, "button quiet")

    def _again(self) -> None:
        self._visit.workplace.start_check()
        self._refresh()

    def _show_live(self, status: Status | None) -> None:
        visit = self._visit
        with box("card stack"):
            Words(visit.say(_NOW), tag="h2")
            if status is None:
                notice(visit.say(_NO_AGENT), "bad", mend=visit.say(how_to_start(visit.workplace.config_path)))
                return
            text, tone = _LINK_STATES.get(status.uplink.state, _LINK_STATES["waiting"])
            _state(
                visit.say(_LINK),
                visit.say(Text(status.uplink.reason_en, status.uplink.reason_zh)),
                visit.say(text),
                tone,
            )
            for device in status.health.devices:
                text, tone = DEVICE_STATES.get(device.state, DEVICE_STATES["waiting"])
                _state(device.name, visit.say(Text(device.reason_en, device.reason_zh)), visit.say(text), tone)
            with box("facts", "dl"):
                for name, value in live_facts(visit, status):
                    Words(name, tag="dt")
                    Words(value, tag="dd")


def _state(name: str, reason: str, state: str, tone: Tone) -> None:
    with box("stack tight"):
        with box("spread"):
            Words(name, "what", tag="div")
            MarkView(state, tone)
        if reason:
            Words(reason, "muted small", tag="div")


def live_facts(visit: Visit, status: Status) -> list[tuple[str, str]]:
    """Return what the running agent says of its buffer, its clock and itself."""
    health, say = status.health, visit.say
    waiting = say(_ROWS, rows=f"{health.buffer_rows:,}")
    if health.oldest_unsent:
        age = say(duration((now_us() - health.oldest_unsent) / 1e6))
        waiting = say(_FOR, rows=f"{health.buffer_rows:,}", time=age)
    clock = NOTHING
    if status.clock_offset_us is not None:
        clock = say(_SECONDS, seconds=f"{round(-status.clock_offset_us / 1e6, 1) + 0.0:+.1f}")
    used, limit = (f"{size / 1e6:,.0f}" for size in (health.buffer_bytes, health.buffer_limit_bytes))
    return [
        (say(_WAITING), waiting),
        (say(_ROOM), say(_OF, used=used, limit=limit)),
        (say(_COLLECTED), f"{health.collected:,}"),
        (say(_DROPPED), f"{health.dropped:,}"),
        (say(_CLOCK), clock),
        (say(_RUNNING), say(duration((now_us() - health.started) / 1e6))),
        (say(_DISK), f"{health.disk_free_bytes / 1e9:,.1f} GB"),
    ]


def show_finding(visit: Visit, finding: Finding) -> None:
    """Add one thing looked at: how it is, the next step, and behind a tap what the sentence sums up."""
    tone = FINDING_TONES[finding.severity]
    with box("finding"):
        with box(f"tone-{tone}"):
            icon(tone)
        with box("stack tight grow"):
            Words(capital(visit.say(finding.title)), "what", tag="div")
            Words(visit.say(finding.found), "small", tag="div")
            if finding.severity != "ok" and finding.mend.en:
                Words("→ " + visit.say(finding.mend), "small", tag="div")
            if finding.details:
                with box("", "details"):
                    with box("", "summary"):
                        Words(f"{visit.say(_DETAILS)} ({len(finding.details)})")
                    for detail in finding.details:
                        Words(visit.say(detail), "small muted", tag="div")
