"""Alarms: what is open now, what was, and how the alarm system fares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.alarms.schemas import Alarm, BadActor, Statistics
from cloud.alarms.service import Filter
from cloud.core.principal import Scope
from cloud.web.alarm_chart import bars
from cloud.web.alarm_feed import follow_alarms
from cloud.web.alarm_history import show_history
from cloud.web.alarm_list import AlarmList
from cloud.web.alarm_words import PRIORITIES
from cloud.web.elements import Words, box, icon
from cloud.web.language import NOTHING, duration, number
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Alarms", "报警")
VIEWS = {"": Text("Open", "当前报警"), "history": Text("History", "历史"), "statistics": Text("Statistics", "统计")}
MOST_OPEN = 200

_CALM = Text("Nothing alarms.", "当前无报警。")
_CALM_WHY = Text("All sources are within their rules.", "所有监测对象均处于正常范围。")
_NO_RULES = Text("There is no rule yet, so nothing can alarm.", "尚未建立规则，因此不会产生报警。")
_MAKE_RULE = Text("Make the first rule", "建立第一条规则")
_ASK_ENGINEER = Text("Ask an engineer to make one.", "请联系工程师建立规则。")
_SHELVED, _SUPPRESSED = Text("Shelved", "已搁置"), Text("Suppressed", "已抑制")
_SOUND_ON, _SOUND_OFF = Text("Sound on", "声音：开"), Text("Sound off", "声音：关")
_RAISED = Text("Raised, last 7 days", "近 7 天触发")
_PER_HOUR = Text("Per hour", "每小时平均")
_FEW = Text("up to 6 an hour is what a person can follow (EEMUA 191)", "不超过 6 次/小时为可接受(EEMUA 191)")
_PEAK = Text("Most in 10 minutes", "10 分钟峰值")
_FLOOD = Text("{share} % of the time in a flood (above 10)", "{share}% 的时段处于报警泛滥(超过 10 次)")
_SEEN_AFTER = Text("Acknowledged after", "确认用时(中位数)")
_BY_HOUR = Text("Raised per hour", "每小时触发次数")
_WORST = Text("Raised most often", "触发最频繁(前十)")
_CHATTERING = Text("Chattering: three times or more within a minute", "抖动报警：一分钟内三次及以上")
_CHATTER_HELP = Text("A deadband or a delay in the rule ends this.", "在规则中设置回差或延时即可消除。")
_STANDING = Text("Standing: active for more than a day", "长期报警：持续超过一天")
_NONE = Text("None.", "无。")

_BEEP = """
(() => { const c = new AudioContext(); [0, .22].forEach(t => { const o = c.createOscillator(), g = c.createGain();
o.frequency.value = 880; g.gain.value = .08; o.connect(g).connect(c.destination); o.start(c.currentTime + t); o.stop(c.currentTime + t + .12); }); })()
"""
"""Two short tones, made by the browser: no sound file has to load."""


async def build(visit: Visit) -> None:
    """Build the page; the list of open alarms is kept up to date."""
    query = visit.request.query_params
    view = query.get("view", "")
    view = view if view in VIEWS else ""
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)), box("choices", "nav"):
            for name, words in VIEWS.items():
                with box("here" if name == view else "", "a", href=f"/alarms?view={name}" if name else "/alarms"):
                    Words(visit.say(words))
        if view == "statistics":
            now = datetime.now(UTC)
            _show_statistics(visit, await visit.domains.alarms.statistics(visit.scope, now - timedelta(days=7), now))
        elif view == "history":
            await show_history(visit)
        else:
            await _Open(visit).show()


class _Open:
    """What is open, by how urgent it is."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._sound = False
        self._known: set[str] | None = None

    async def show(self) -> None:
        """Build the lists, and keep them."""
        visit = self._visit
        with box("line spread"):
            self._count = Words("", "muted")
            with box("button quiet", "button", type="button").on("click", lambda _: self._toggle()):
                icon("alarm")
                self._sound_words = Words(visit.say(_SOUND_OFF))
        self._rules = len([rule for rule in await visit.domains.alarms.rules.all(visit.scope) if rule.enabled])
        self._lists = [AlarmList(visit, self._refresh)]
        self._asides = []
        for name in (_SHELVED, _SUPPRESSED):
            with box("stack wide") as aside:
                Words(visit.say(name), tag="h2")
                self._lists.append(AlarmList(visit, self._refresh))
            self._asides.append(aside)
        await self._refresh()
        follow_alarms(visit, self._refresh)

    async def _refresh(self) -> None:
        visit = self._visit
        page = await visit.domains.alarms.page(visit.scope, Filter(is_open=True), limit=MOST_OPEN)
        shelved = [alarm for alarm in page.items if alarm.shelved_until is not None]
        suppressed = [alarm for alarm in page.items if alarm.suppressed and alarm not in shelved]
        told = sorted((alarm for alarm in page.items if alarm not in shelved and alarm not in suppressed), key=_urgency)
        self._lists[0].show(told, self._empty)
        for aside, shown, alarms in zip(self._asides, self._lists[1:], (shelved, suppressed), strict=True):
            aside.set_visibility(bool(alarms))
            shown.show(alarms, lambda: None)
        counts = [
            sum(alarm.priority == one and alarm.state == "unacknowledged" for alarm in told) for one in PRIORITIES
        ]
        named = zip(PRIORITIES.values(), counts, strict=True)
        self._count.show(" · ".join(f"{visit.say(mark.text)} {count}" for mark, count in named if count))
        fresh = {f"{alarm.id}{alarm.raises}{alarm.level}" for alarm in told if alarm.state == "unacknowledged"}
        if self._sound and self._known is not None and fresh - self._known:
            ui.run_javascript(_BEEP)
        self._known = fresh

    async def _toggle(self) -> None:
        self._sound = not self._sound
        self._sound_words.show(self._visit.say(_SOUND_ON if self._sound else _SOUND_OFF))
        if self._sound:
            ui.run_javascript(_BEEP)

    def _empty(self) -> None:
        visit = self._visit
        with box("card stack empty"):
            Words(visit.say(_CALM if self._rules else _NO_RULES), tag="h2")
            if self._rules:
                Words(visit.say(_CALM_WHY), "muted", tag="p")
            elif visit.may(Scope.ENGINEER):
                with box("line"), box("button", "a", href="/alarm-rules"):
                    Words(visit.say(_MAKE_RULE))
            else:
                Words(visit.say(_ASK_ENGINEER), "muted", tag="p")


def _urgency(alarm: Alarm) -> tuple[bool, int, bool, float]:
    """What nobody has seen first, then by priority, causes before what follows from them, then the newest."""
    seen, place = alarm.state != "unacknowledged", list(PRIORITIES).index(alarm.priority)
    return seen, place, alarm.first_out is not None, -alarm.raised_at.timestamp()


def _say(visit: Visit, text: Text) -> None:
    Words(visit.say(text), "muted", tag="p")


def _show_statistics(visit: Visit, figures: Statistics) -> None:
    after = figures.acknowledged_after_s
    with box("card figures"):
        _figure(visit, _RAISED, f"{figures.raised:,}", " · ".join(
            f"{visit.say(PRIORITIES[one].text)} {count}" for one, count in figures.by_priority.items() if count
        ))  # fmt: skip
        _figure(visit, _PER_HOUR, number(figures.per_hour), visit.say(_FEW))
        share = f"{100 * figures.flood_share:.1f}"
        _figure(visit, _PEAK, str(figures.peak_ten_minutes), visit.say(_FLOOD, share=share))
        _figure(visit, _SEEN_AFTER, NOTHING if after is None else visit.say(duration(after)), "")
    with box("card"):
        Words(visit.say(_BY_HOUR), tag="h2")
        ui.echart(bars(figures, visit.zone, visit.say(_BY_HOUR))).classes("chart")
    with box("columns"):
        with box("card stack"):
            Words(visit.say(_WORST), tag="h2")
            _actors(visit, figures.bad_actors)
        with box("stack wide"):
            with box("card stack"):
                Words(visit.say(_CHATTERING), tag="h2")
                _actors(visit, figures.chattering)
                if figures.chattering:
                    Words(visit.say(_CHATTER_HELP), "muted small", tag="p")
            with box("card stack"):
                Words(visit.say(_STANDING), tag="h2")
                for alarm in figures.standing:
                    with box("link", "a", href=f"/alarms/{alarm.id}"):
                        Words(alarm.message(visit.language))
                    Words(alarm.source, "muted small", tag="div")
                if not figures.standing:
                    _say(visit, _NONE)


def _figure(visit: Visit, name: Text, value: str, note: str) -> None:
    with box("figure"):
        Words(visit.say(name), "label", tag="div")
        Words(value, "big", tag="div")
        Words(note, "note", tag="div")


def _actors(visit: Visit, actors: list[BadActor]) -> None:
    if not actors:
        _say(visit, _NONE)
        return
    with box("actors"):
        for actor in actors:
            with box("actor"):
                with box("", "a", href=f"/alarm-rules/{actor.rule_id}"):
                    Words(actor.rule, tag="div")
                    Words(actor.source, "muted small", tag="div")
                Words(f"{actor.raised:,}", "num")
                box("bar").style(f"width: {max(100 * actor.share, 1):.1f}%")
