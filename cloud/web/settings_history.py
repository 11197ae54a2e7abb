"""From when the settings of a machine hold, and what they were before: each version may be restored or taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Scope
from cloud.production.schemas import RunTime, RunTimeRequest, SettingsVersion
from cloud.production.service import BEGINNING
from cloud.web.elements import Words, box
from cloud.web.language import number
from cloud.web.visit import Visit
from cloud.web.words import YES
from protocols.text import Text

_SINCE = Text("Holds from", "生效时间")
_NOW, _EVER = Text("now on", "从现在起"), Text("the beginning: corrects the past", "从一开始：更正全部历史")
_DATE = Text("a day on: corrects the past since", "从某日起：更正该日以后的历史")
_DAY = Text("First day", "起始日期")
_NOTE = Text(
    "Figures before that stay as they were. A shift is counted as the settings say that hold at its end.",
    "此前的指标保持不变；每个班次按其结束时生效的设置计数。",
)
_HISTORY = Text("Settings until now ({count})", "历次设置（{count}）")
_CYCLES = Text("Ideal cycles until now ({count})", "历次理想节拍（{count}）")
_SECONDS, _ANY = Text("{seconds} s · {item}", "{seconds} 秒 · {item}"), Text("any item", "所有产品")
_ALWAYS = Text("from the beginning", "从一开始")
_BY = Text("set by {who}", "设置人：{who}")
_USUAL = Text("chosen by the dictionary entries", "按数据字典自动取数")
_RESTORE, _REMOVE = Text("Restore from now on", "从现在起恢复"), Text("Take away", "删除此版本")


class SinceFields:
    """From when new settings hold: now, but from the beginning for a machine that was not read so far."""

    def __init__(self, visit: Visit, *, known_before: bool, note: Text = _NOTE) -> None:
        self._visit = visit
        chosen = {"now": visit.say(_NOW), "day": visit.say(_DATE), "ever": visit.say(_EVER)}
        self._choice = ui.select(chosen, value="now" if known_before else "ever", label=visit.say(_SINCE))
        self._day = ui.input(visit.say(_DAY)).props("outlined dense type=date stack-label")
        self._day.bind_visibility_from(self._choice, "value", value="day")
        self._choice.props("outlined dense").mark("settings-since")
        Words(visit.say(note), "muted small", tag="p")

    @property
    def value(self) -> datetime | None:
        """The time chosen, None for now; raises ValueError for a day that is none."""
        if self._choice.value == "ever":
            return BEGINNING
        if self._choice.value == "now":
            return None
        begin = datetime.fromisoformat(str(self._day.value or "")).replace(tzinfo=self._visit.zone)
        return begin.replace(minute=0, second=0, microsecond=0)


class SettingsHistory:
    """The versions of a machine's settings, newest first."""

    def __init__(
        self,
        visit: Visit,
        equipment_id: UUID,
        versions: Sequence[SettingsVersion],
        labels: Mapping[str, Text],
        act: Callable[[Awaitable[object]], Awaitable[None]],
    ) -> None:
        self._visit, self._equipment_id, self._labels, self._act = visit, equipment_id, labels, act
        with ui.expansion(visit.say(_HISTORY, count=len(versions))).classes("editor"):
            for number, version in enumerate(versions):
                self._show(version, latest=number == 0)

    def _show(self, version: SettingsVersion, *, latest: bool) -> None:
        visit = self._visit
        with box("machine-row"):
            with box("stack"):
                Words(since_words(visit, version.valid_from), "strong")
                changed = version.settings.model_dump(exclude_defaults=True, mode="json")
                told = [f"{self._label(name)}: {_value(visit, value)}" for name, value in changed.items()]
                Words(" · ".join(told) or visit.say(_USUAL), "muted small", tag="div")
                if who := set_by(visit, version.set_by):
                    Words(who, "muted small", tag="div")
            with box("line"):
                if not latest:
                    _button(visit, _RESTORE, partial(self._restore, version))
                _button(visit, _REMOVE, partial(self._remove, version))

    def _label(self, name: str) -> str:
        return self._visit.say(self._labels[name]) if name in self._labels else name

    async def _restore(self, version: SettingsVersion) -> None:
        door = self._visit.domains.production.machine_settings
        await self._act(door.put(self._visit.acting(Scope.ENGINEER), self._equipment_id, version.settings))

    async def _remove(self, version: SettingsVersion) -> None:
        door = self._visit.domains.production.machine_settings
        person = self._visit.acting(Scope.ENGINEER)
        await self._act(door.remove_version(person, self._equipment_id, version.valid_from))


class RunTimeHistory:
    """The ideal cycles of a machine, newest first; each may be restored or taken away."""

    def __init__(
        self,
        visit: Visit,
        equipment_id: UUID,
        run_times: Sequence[RunTime],
        act: Callable[[Awaitable[object]], Awaitable[None]],
    ) -> None:
        self._visit, self._equipment_id, self._act = visit, equipment_id, act
        with ui.expansion(visit.say(_CYCLES, count=len(run_times))).classes("editor"):
            for one in sorted(run_times, key=lambda each: each.valid_from, reverse=True):
                self._show(one)

    def _show(self, run_time: RunTime) -> None:
        visit = self._visit
        begin = run_time.valid_from.astimezone(visit.zone)
        with box("machine-row"):
            with box("stack"):
                Words(
                    visit.say(_SECONDS, seconds=number(run_time.seconds), item=run_time.item or visit.say(_ANY)),
                    "strong",
                )
                Words(f"{begin:%Y-%m-%d %H:%M}", "muted small", tag="div")
            with box("line"):
                _button(visit, _RESTORE, partial(self._restore, run_time))
                _button(visit, _REMOVE, partial(self._remove, run_time))

    async def _restore(self, run_time: RunTime) -> None:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        request = RunTimeRequest(item=run_time.item, valid_from=now, seconds=run_time.seconds)
        door = self._visit.domains.production.machine_settings
        await self._act(door.put_run_time(self._visit.acting(Scope.ENGINEER), self._equipment_id, request))

    async def _remove(self, run_time: RunTime) -> None:
        door, person = self._visit.domains.production.machine_settings, self._visit.acting(Scope.ENGINEER)
        await self._act(door.remove_run_time(person, self._equipment_id, run_time.item, run_time.valid_from))


def since_words(visit: Visit, valid_from: datetime) -> str:
    """Return from when something holds."""
    return visit.say(_ALWAYS) if valid_from == BEGINNING else f"{valid_from.astimezone(visit.zone):%Y-%m-%d %H:%M}"


def set_by(visit: Visit, who: str) -> str:
    """Return who said it, "" where nobody is known."""
    return visit.say(_BY, who=who) if who else ""


def _button(visit: Visit, name: Text, act: Callable[[], Awaitable[None]]) -> None:
    with box("button quiet small", "button", type="button").on("click", lambda _: act()):
        Words(visit.say(name))


def _value(visit: Visit, value: object) -> str:
    return visit.say(YES) if value is True else str(value)
