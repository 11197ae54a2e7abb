"""A health model over stored readings: which model, of which machine, which point is which sensor, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.compute.schemas import JobRequest
from cloud.core.errors import Invalid
from cloud.registry.schemas import ModelVersion
from cloud.telemetry.schemas import Point
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field
from cloud.web.item_picker import figure_of
from cloud.web.plan_list import PlanList
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Judge stored readings by a health model", "用健康模型回填历史数据")
_NOTE = Text(
    "Scores and verdicts become readings of the machine, as if the model had watched it then; a time that has one keeps it.",
    "分值与结论写入该设备的历史读数，如同当时已启用该模型；已有读数的时刻保持不变。",
)
_MODEL, _MACHINE = Text("Model", "模型"), Text("Machine", "设备")
_SENSOR = Text("Sensor {name}", "传感器 {name}")
_FROM, _TO = Text("From", "开始时间"), Text("To", "结束时间")
_PERIOD, _HOLD = (
    Text("Seconds between two rows", "每行间隔，秒"),
    Text("A reading holds for, seconds", "读数保持时长，秒"),
)
_WITHIN, _BUDGET = Text("Done within, hours", "期限，小时"), Text("At most, yuan", "预算上限，元")
_TIME = Text("Give the time as the calendar shows it.", "请填写完整的时间。")
_FORM = "%Y-%m-%dT%H:%M"


class BackfillForm:
    """The form; `machines` are names by id, of those with points."""

    def __init__(
        self, visit: Visit, models: Sequence[ModelVersion], points: Sequence[Point], machines: Mapping[UUID, str]
    ) -> None:
        self._visit, say = visit, visit.say
        self._models = {str(one.id): one for one in models}
        self._points = points
        self._sensors: dict[str, Choice] = {}
        there = {str(one): name for one, name in machines.items() if any(point.equipment_id == one for point in points)}
        now = datetime.now(visit.zone).replace(minute=0)
        with box("card stack wide backfill"):
            Words(say(_TITLE), tag="h2")
            Words(say(_NOTE), "muted small", tag="p")
            with box("form-row"):
                named = {key: f"{one.name} {one.version}" for key, one in self._models.items()}
                self._model = Choice(say(_MODEL), named, next(iter(named)), self._again)
                self._machine = Choice(say(_MACHINE), there, next(iter(there)), self._again)
            self._place = box("form-row")
            with box("form-row"):
                self._from = Field(say(_FROM), (now - timedelta(days=1)).strftime(_FORM), type="datetime-local")
                self._to = Field(say(_TO), now.strftime(_FORM), type="datetime-local")
                self._period = Field(say(_PERIOD), "10", inputmode="decimal")
                self._hold = Field(say(_HOLD), "3600", inputmode="decimal")
            with box("form-row"):
                self._within = Field(say(_WITHIN), "12", inputmode="decimal")
                self._budget = Field(say(_BUDGET), "20", inputmode="decimal")
            PlanList(visit, self._request)
        self._show_sensors()

    async def _again(self, _: str) -> None:
        self._show_sensors()

    def _show_sensors(self) -> None:
        """Offer the machine's points for each sensor, the one of the same name first."""
        mine = [point for point in self._points if str(point.equipment_id) == self._machine.value]
        named = {str(one.series_id): self._visit.say(Text(one.name_en, one.name_zh)) for one in mine}
        same = {one.name: str(one.series_id) for one in mine}
        self._place.clear()
        self._sensors = {}
        with self._place:
            for sensor in self._models[self._model.value].card["sensors"]:
                chosen = same.get(sensor, next(iter(named)))
                self._sensors[sensor] = Choice(self._visit.say(_SENSOR, name=sensor), named, chosen)

    def _request(self, offer: str | None) -> JobRequest:
        return JobRequest.model_validate(
            {
                "kind": "backfill",
                "backfill": {
                    "model_id": self._model.value,
                    "equipment_id": self._machine.value,
                    "sensors": {name: int(choice.value) for name, choice in self._sensors.items()},
                    "start": self._at(self._from),
                    "end": self._at(self._to),
                    "period_s": figure_of(self._period.value),
                    "hold_s": figure_of(self._hold.value),
                },
                "deadline": datetime.now(UTC) + timedelta(hours=figure_of(self._within.value)),
                "budget": figure_of(self._budget.value),
                "offer": offer,
            }
        )

    def _at(self, field: Field) -> datetime:
        try:
            wall = datetime.strptime(field.value.strip(), _FORM)  # noqa: DTZ007 - the site's clock, as the next line says
        except ValueError as error:
            raise Invalid(_TIME) from error
        return wall.replace(tzinfo=self._visit.zone)
