"""A machine whose health model is fitted here: a stretch of good running, how complete it is, the fit, and where it goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud.core.errors import Invalid
from cloud.core.principal import Principal, Scope
from cloud.training.schemas import PictureSet, Stretch, Version
from cloud.web.elements import Words, box
from cloud.web.fit_progress import FitProgress
from cloud.web.forms import Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.version_list import VersionList
from cloud.web.visit import Visit
from protocols.text import Text

_STRETCH, _FIT = Text("1 · A time of good running", "1 · 正常运行时段"), Text("2 · Train", "2 · 训练")
_SENSORS = Text("Sensors: {names}, every {period} s.", "传感器：{names}，每 {period} 秒一行。")
_FROM, _TO = Text("From", "开始时间"), Text("To", "结束时间")
_HOLD = Text("A reading holds for, seconds", "读数保持时长，秒")
_HALF = Text("Smoothing: half life in rows", "平滑：半衰期，行")
_FAULT_FROM, _FAULT_TO = (
    Text("Known fault from (optional)", "已知故障开始(可选)"),
    Text("Known fault until", "已知故障结束"),
)
_LOOK = Text("How complete is it?", "查看完整度")
_THERE = Text(
    "{used} of {rows} rows can be learnt from; the others lie in rest, or nothing was read.",
    "共 {rows} 行，其中 {used} 行可用于训练；其余为停机或无读数。",
)
_PATCHY = Text("{name}: read in {share} % of them", "{name}：其中 {share}% 有读数")
_FULL = Text("Every sensor was read in all of them.", "所有传感器均有读数。")
_HELD = Text(
    "The time is cut into five blocks; each is judged by what the others taught, so the false alarms below are of readings"
    " never learnt from.",
    "时段被分为五段，每段由其余各段训练的模型评估，因此下方的误报率来自未参与训练的读数。",
)
_UNPACK = Text(
    "Roll out sends it to the watches, stage by stage. For the first model of a machine, unpack the download beside agent.toml at the"
    " box and name it there as below; the sensors are the points' names at their device.",
    "点击“下发”即可分阶段发送到设备监测。首个模型请下载后解压到网关的 agent.toml 旁，并按下方内容配置；传感器为其设备上的点名。",
)
_TIME = Text("Give the time as the calendar shows it.", "请填写完整的时间。")
_FORM = "%Y-%m-%dT%H:%M"


class MachineSet:
    """Draws the page of `found`, whose machine the box calls `machine`, and `running` the point that says that it runs."""

    def __init__(self, visit: Visit, found: PictureSet, machine: str, running: str) -> None:
        self._visit, self._found, self._machine, self._running = visit, found, machine, running
        say, now = visit.say, datetime.now(visit.zone)
        with box("card stack wide"):
            Words(say(_STRETCH), tag="h2")
            named = ", ".join(found.sensors or {})
            Words(say(_SENSORS, names=named, period=f"{found.period_s:g}"), "small", tag="p")
            with box("form-row"):
                self._from = Field(say(_FROM), (now - timedelta(days=7)).strftime(_FORM), type="datetime-local")
                self._to = Field(say(_TO), now.strftime(_FORM), type="datetime-local")
                self._hold = Field(say(_HOLD), "3600", inputmode="decimal")
                self._half = Field(say(_HALF), "12", inputmode="decimal")
                self._fault_from = Field(say(_FAULT_FROM), type="datetime-local")
                self._fault_to = Field(say(_FAULT_TO), type="datetime-local")
            with box("line"):
                button(say(_LOOK), self._look, "button quiet")
            self._answer = box("stack")
        with box("card stack wide"):
            Words(say(_FIT), tag="h2")
            Words(say(_HELD), "muted small", tag="p")
            self._progress = FitProgress(visit, found.id, self.show, self._fit, may_fit=visit.may(Scope.ENGINEER))
        self._versions = VersionList(visit, _UNPACK, self._configuration)

    async def show(self) -> None:
        """Bring all but the form up to date."""
        versions = await self._visit.domains.training.versions(self._visit.scope, self._found.id)
        await self._progress.show(again=bool(versions))
        self._versions.show(versions)

    async def _fit(self, principal: Principal) -> None:
        training = self._visit.domains.training
        await training.machines.request_fit(principal, self._found.id, self._stretch())
        training.requested.set()

    async def _look(self) -> None:
        async def act(principal: Principal) -> None:
            training, say = self._visit.domains.training, self._visit.say
            there = await training.machines.completeness(principal.scope, self._found.id, self._stretch())
            patchy = {name: share for name, share in there.read.items() if share < 1}
            with self._answer:
                Words(say(_THERE, used=f"{there.used:,}", rows=f"{there.rows:,}"), "num completeness", tag="p")
                for name, share in patchy.items():
                    Words(say(_PATCHY, name=name, share=f"{100 * share:.1f}"), "num small", tag="p")
                if there.used and not patchy:
                    Words(say(_FULL), "small", tag="p")

        await attempt(self._visit, self._answer, Scope.READ, act)

    def _stretch(self) -> Stretch:
        return Stretch(
            start=self._at(self._from),
            end=self._at(self._to),
            hold_s=figure_of(self._hold.value),
            half_life=figure_of(self._half.value),
            fault_start=self._at(self._fault_from) if self._fault_from.value else None,
            fault_end=self._at(self._fault_to) if self._fault_to.value else None,
        )

    def _at(self, field: Field) -> datetime:
        try:
            wall = datetime.strptime(field.value.strip(), _FORM)  # noqa: DTZ007 - the site's clock, as the next line says
        except ValueError as error:
            raise Invalid(_TIME) from error
        return wall.replace(tzinfo=self._visit.zone)

    def _configuration(self, version: Version) -> str:
        """Return the table in agent.toml that makes a box watch the machine by `version`."""
        at_rest = [f'running = {{ device = "{self._machine}", point = "{self._running}" }}'] if self._running else []
        sensors = [
            f'"{name}" = {{ device = "{self._machine}", point = "{name}" }}' for name in self._found.sensors or {}
        ]
        return "\n".join(
            [
                "[[machine_health]]",
                f'device = "{self._machine}-health"',
                f'bundle = "{version.name}-{version.number}"',
                f'trust = ["{version.signer}"]',
                f"period_s = {self._found.period_s}",
                *at_rest,
                "[machine_health.sensors]",
                *sensors,
            ]
        )
