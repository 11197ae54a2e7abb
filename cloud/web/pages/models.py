"""Models: what each inspection station and each watch over a machine runs, the roll-outs and their evidence, the released versions, a new roll-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from nicegui import ui

from cloud.core.errors import Invalid
from cloud.core.principal import Principal, Scope
from cloud.registry.schemas import ModelVersion, Plan, RolloutRequest, StationModel
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import Choice, attempt, button
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.rollout_card import RolloutCard
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Models and roll-outs", "模型与下发")

_NOTE = Text(
    "A new model first judges beside the old one, then at one station, then at all - and is taken back by itself if it rejects"
    " more than before or is too slow. Models of pictures, of machine health and forecasts alike.",
    "新模型先与旧模型并行判定，再到试点工位，最后到全部工位；若拒收率升高或耗时过长，自动撤回。图片、设备健康与预测模型均适用。",
)
_STATIONS, _ROLLOUTS, _VERSIONS = (
    Text("Stations", "工位"),
    Text("Roll-outs", "下发"),
    Text("Released models", "已发布模型"),
)
_NO_STATION = Text(
    "No inspection station and no watch over a machine has said yet what it runs. A box with one and present software does so"
    " by itself.",
    "尚无检测工位或设备监测报告所用模型。已配置检测工位或设备监测且软件为新版的网关会自动报告。",
)
_NO_MODEL = Text(
    "No model has been released yet. Train one under Model training and press Roll out, or upload a signed folder by the API.",
    "尚无已发布的模型。请在“模型训练”中训练后点击“下发”，或通过 API 上传已签名的模型文件夹。",
)
_FOREIGN = Text("a model of the box's own", "网关自带的模型")
_WAITS = Text("waits for the box", "等待网关执行")
_OUTCOMES = {
    "": Mark(Text("As configured", "按本机配置"), "idle"),
    "trial": Mark(Text("On trial", "试运行"), "warn"),
    "done": Mark(Text("In use", "使用中"), "good"),
    "failed": Mark(Text("Refused by the box", "被网关拒绝"), "bad"),
    "returned": Mark(Text("Sent back by the box", "已由网关退回"), "bad"),
}
_BEGIN = Text("New roll-out", "新建下发")
_MODEL, _WHERE = Text("Model", "模型"), Text("Stations", "工位")
_CAREFUL = Text("How", "方式")
_WAYS = {
    "shadow": Text("Beside the old one first, then one station, then all", "先并行，再试点，后全部"),
    "canary": Text("At one station first, then all", "先试点，后全部"),
    "all": Text("At all at once", "直接全部"),
}
_PARTS = Text("Judgements per stage, at least", "每阶段至少判定次数")
_AUTO, _AUTOMATIC, _BY_HAND = (
    Text("Next stage", "进入下一阶段"),
    Text("By itself when the evidence is in", "依据证据自动进入"),
    Text("When somebody says so", "由人工确认"),
)
_ALL_STATIONS = Text("All stations", "全部工位")
_START = Text("Begin", "开始")
_NOBODY = Text("No station for this kind of model has said what it runs.", "没有适用于该类模型的工位报告所用模型。")
_DOWNLOAD = Text("Download", "下载")
_PART_CHOICES = ("20", "50", "200", "1000")


async def build(visit: Visit) -> None:
    """Build the page."""
    registry, scope = visit.domains.registry, visit.scope
    stations, versions = await registry.stations(scope), await registry.versions(scope)
    names = {str(each.id): each.label for each in await visit.domains.fleet.equipment_list(scope)}
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        place = box("stack wide")
        await _Rollouts(visit, place, names).show()
        if versions and stations and visit.may(Scope.ENGINEER):
            _form(visit, versions, stations, names)
        Words(visit.say(_STATIONS), tag="h2")
        _show_stations(visit, stations, names)
        Words(visit.say(_VERSIONS), tag="h2")
        _show_versions(visit, versions)


class _Rollouts:
    """The roll-outs, looked at anew while one runs."""

    def __init__(self, visit: Visit, place: ui.element, names: Mapping[str, str]) -> None:
        self._visit, self._place, self._names = visit, place, names
        self._timer = ui.timer(3.0, self.show, active=False, immediate=False)

    async def show(self) -> None:
        """Draw them."""
        found = await self._visit.domains.registry.rollouts.all(self._visit.scope)
        running = [each for each in found if each.ended_at is None]
        self._timer.active = bool(running)
        self._place.clear()
        with self._place:
            if found:
                Words(self._visit.say(_ROLLOUTS), tag="h2")
            for each in [*running, *[one for one in found if one.ended_at is not None][:5]]:
                RolloutCard(self._visit, each, self._names, self.show)


def _show_stations(visit: Visit, stations: Sequence[StationModel], names: Mapping[str, str]) -> None:
    if not stations:
        Words(visit.say(_NO_STATION), "card muted", tag="p")
    with box("tiles"):
        for each in stations:
            with box("card tile", "a", href=f"/equipment/{each.equipment_id}"):
                with box():
                    Words(names.get(str(each.equipment_id), ""), "tile-name", tag="div")
                    Words(each.running_name or visit.say(_FOREIGN), "num", tag="div")
                with box("line"):
                    MarkView(_OUTCOMES.get(each.outcome, _OUTCOMES[""]), visit.language)
                    if not each.settled:
                        Words(visit.say(_WAITS), "muted small")
                why = Text(each.reason_en, each.reason_zh).to(visit.language)
                if why and each.outcome in ("failed", "returned"):
                    Words(why, "small", tag="div")


def _show_versions(visit: Visit, versions: Sequence[ModelVersion]) -> None:
    if not versions:
        Words(visit.say(_NO_MODEL), "card muted", tag="p")
    for each in versions[:50]:
        at = moment(each.added_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
        with box("card line spread"):
            with box():
                Words(f"{each.name} {each.version}", "strong", tag="div")
                Words(f"{each.added_by.removeprefix('user:')} · {at}", "muted small", tag="div")
            with box("button quiet", "a", href=f"/api/v1/models/{each.id}/bundle"):
                Words(visit.say(_DOWNLOAD))


def _form(
    visit: Visit, versions: Sequence[ModelVersion], stations: Sequence[StationModel], names: Mapping[str, str]
) -> None:
    say = visit.say
    wanted = visit.request.query_params.get("version", "")
    tasks = {str(each.id): each.task for each in versions if each.task in {one.task for one in stations}}
    models = {str(each.id): f"{each.name} {each.version}" for each in versions if str(each.id) in tasks}

    def choice_of_places() -> Choice:
        places = ready()
        # A model of health is of one machine: a watch over another one would refuse it.
        first = "" if tasks.get(model.value) == "inspect" else next(iter(places), "")
        return Choice(say(_WHERE), {"": say(_ALL_STATIONS)} | places, first)

    def ready() -> dict[str, str]:
        """The stations that run models of the chosen one's kind."""
        task = tasks.get(model.value)
        places = [str(each.equipment_id) for each in stations if each.running and each.task == task]
        return {place: names.get(place, "") for place in places}

    with box("card stack wide"):
        Words(say(_BEGIN), tag="h2")
        with box("form-row"):
            model = Choice(
                say(_MODEL), models, wanted if wanted in models else next(iter(models), ""), lambda _: show_where()
            )
            where_place = box()
            with where_place:
                where = choice_of_places()
            way = Choice(say(_CAREFUL), {name: say(words) for name, words in _WAYS.items()}, "shadow")
            parts = Choice(say(_PARTS), {count: count for count in _PART_CHOICES}, "50")
            auto = Choice(say(_AUTO), {"1": say(_AUTOMATIC), "": say(_BY_HAND)}, "1")

        async def show_where() -> None:
            nonlocal where
            where_place.clear()
            with where_place:
                where = choice_of_places()

        async def begin() -> None:
            async def act(principal: Principal) -> None:
                chosen = [where.value] if where.value else list(ready())
                if not chosen or not model.value:
                    raise Invalid(_NOBODY)
                plan = {"shadow": way.value == "shadow", "min_parts": int(parts.value), "automatic": bool(auto.value)}
                canary = [] if way.value == "all" or len(chosen) == 1 else chosen[:1]
                request = RolloutRequest(
                    version_id=UUID(model.value),
                    stations=[UUID(each) for each in chosen],
                    canary=[UUID(each) for each in canary],
                    plan=Plan.model_validate(plan),
                )
                await visit.domains.registry.rollouts.begin(principal, request)
                ui.navigate.to("/models")

            await attempt(visit, answer, Scope.ENGINEER, act)

        with box("line"):
            button(say(_START), begin)
        answer = box("stack")
