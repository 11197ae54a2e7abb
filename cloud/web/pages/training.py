"""Model training: the picture sets there are, and the form for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.fleet.schemas import Equipment
from cloud.training.schemas import SetRequest
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.layout import frame, page_head
from cloud.web.machine_training_form import MachineForm
from cloud.web.visit import Visit
from models.vision.recipe import Family
from protocols.text import Text

TITLE = Text("Model training", "模型训练")
STATION = "inspection_station"

_NOTE = Text(
    "From some thirty pictures of good parts, or some hours of a machine's good running, to a model that finds what is unusual.",
    "用约三十张良品图片或设备数小时的正常运行数据，训练出能发现异常的模型。",
)
_NONE = Text(
    "There is no picture set yet. Make one for each product at each camera.",
    "尚无图片集。请为每个相机的每种产品新建一个。",
)
_COUNTS = Text("{good} good · {defect} defective · {unknown} not known", "良品 {good} · 缺陷 {defect} · 未知 {unknown}")
_HEALTH = Text("Machine health, {count} sensors", "设备健康，{count} 个传感器")
_NEW = Text("New picture set", "新建图片集")
_NAME = Text("Name of the model", "模型名称")
_RULE = Text(
    "Lower-case letters, digits and dashes, as in: bottle-cap-red.", "小写字母、数字与短横线，例如 bottle-cap-red。"
)
_STATION, _NO_STATION = Text("Inspection station", "检测工位"), Text("None yet", "暂无")
_JOINS = Text("What operators judge at the station joins the set by itself.", "操作员在该工位的判定会自动加入图片集。")
_FAMILY = Text("How it looks", "检测方式")
_FAMILIES: dict[Family, Text] = {
    "auto": Text("What finds more", "自动择优"),
    "texture": Text("Structure", "纹理"),
    "aligned": Text("Structure, laid over a reference", "对齐后看纹理"),
    "compare": Text("Difference from a reference", "与标准件比对"),
}
_KEEP, _FOREVER = (
    Text("Keep uploaded pictures for", "上传图片的保留时间"),
    Text("As long as the set", "与图片集一同保留"),
)
_DAYS = Text("{days} days", "{days} 天")
_MAKE = Text("Make it", "新建")
_KEPT_DAYS = (30, 90, 365)


async def build(visit: Visit) -> None:
    """Build the page."""
    training = visit.domains.training
    sets = await training.sets(visit.scope)
    machines = await visit.domains.fleet.equipment_list(visit.scope)
    names = {each.id: each.label for each in machines}
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if not sets:
            Words(visit.say(_NONE), "card muted", tag="p")
        with box("tiles"):
            for each in sets:
                with box("card tile", "a", href=f"/training/{each.id}"):
                    with box():
                        Words(each.name, "tile-name", tag="div")
                        Words(names.get(each.equipment_id, "") if each.equipment_id else "", "muted small", tag="div")
                    counts = visit.say(_COUNTS, good=each.good, defect=each.defect, unknown=each.unknown)
                    if each.sensors is not None:
                        counts = visit.say(_HEALTH, count=len(each.sensors))
                    Words(counts, "num small", tag="div")
        if visit.may(Scope.ENGINEER):
            _form(visit, stations_of(machines))
            await MachineForm(visit, machines).show_points()


def stations_of(machines: Sequence[Equipment]) -> dict[str, str]:
    """Return the names of the inspection stations among `machines`, by id."""
    return {str(each.id): each.label for each in machines if each.equipment_class == STATION}


def _form(visit: Visit, stations: dict[str, str]) -> None:
    say = visit.say
    with box("card stack wide"):
        Words(say(_NEW), tag="h2")
        with box("form-row"):
            name = Field(say(_NAME), maxlength="64", autocapitalize="none", spellcheck="false")
            station = Choice(say(_STATION), {"": say(_NO_STATION)} | stations, next(iter(stations), ""))
            kept = {"": say(_FOREVER)} | {str(days): say(_DAYS, days=days) for days in _KEPT_DAYS}
            keep = Choice(say(_KEEP), kept, "")
            family = Choice(say(_FAMILY), {each: say(name) for each, name in _FAMILIES.items()}, "auto")
        Words(f"{say(_RULE)} {say(_JOINS)}", "muted small", tag="p")

        async def make() -> None:
            async def act(principal: Principal) -> None:
                request = SetRequest(
                    name=name.value.strip(),
                    equipment_id=UUID(station.value) if station.value else None,
                    keep_days=int(keep.value) if keep.value else None,
                    family=cast("Family", family.value),
                )
                made = await visit.domains.training.create_set(principal, request)
                ui.navigate.to(f"/training/{made.id}")

            await attempt(visit, answer, Scope.ENGINEER, act)

        with box("line"):
            button(say(_MAKE), make)
        answer = box("stack")
