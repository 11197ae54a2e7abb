"""One inspected part: its picture with the heat map over it, the score against its limits, and the operator's word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.core.principal import Scope
from cloud.quality.schemas import Inspection, Judgement
from cloud.web.defect_field import name_another
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.gallery import NO_PICTURE, model_says, score_scale, second_opinion
from cloud.web.language import moment, number
from cloud.web.layout import frame, page_head
from cloud.web.pages import inspections
from cloud.web.plate import show_plate
from cloud.web.visit import Visit
from cloud.web.words import JUDGEMENTS, VERDICTS
from protocols.text import Text

_SCORE = Text("How unusual is this part?", "该工件有多异常？")
_EXPLAIN = {
    "pass": Text(
        "The score is below the review limit: the part looks like the good ones the model was fitted on.",
        "分值低于复核限：工件与建模所用良品一致。",
    ),
    "review": Text(
        "The score is between the limits: the model is not sure. Have a person look at the part.",
        "分值介于两条界限之间：模型无法确定，请人工复核。",
    ),
    "reject": Text(
        "The score is above the reject limit: the part differs from the good ones where the heat map glows.",
        "分值高于拒收限：热力图高亮处与良品明显不同。",
    ),
}
_OVERSIZE = Text(
    "The image is too large for the cloud and is kept at the inspection station only.",
    "图片过大，未上传云端，仅保留在检测工位。",
)
_SERIAL = Text("Serial number", "序列号")
_STATION, _TIME, _PART = Text("Station", "工位"), Text("Inspected", "检测时间"), Text("Part", "工件")
_MODEL, _LATENCY = Text("Model", "模型"), Text("Time to verdict", "判定耗时")
_REVIEW_LIMIT, _REJECT_LIMIT = Text("Review limit", "复核限"), Text("Reject limit", "拒收限")
_FACTS = Text("Details", "详情")
_WORD = Text("The operator's word", "人工判定")
_ASKED = Text("What is this part really?", "该工件实际是否合格？")
_GOOD, _DEFECT = Text("Good", "良品"), Text("Defect", "缺陷品")
_SAID = Text("{who}, {when}", "{who}，{when}")
_KEPT = Text(
    "The word is kept with the picture and used when the model is fitted again.",
    "判定结果与图片一并保存，供模型下次训练使用。",
)
_WHAT = Text("What is wrong with it?", "是什么缺陷？")
_ONLY_ADMIN = Text("Only an operator can judge parts.", "只有操作员及以上角色可以判定。")


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        identity = UUID(visit.request.path_params["inspection_id"])
    except ValueError as error:
        raise NotFound from error
    item = await visit.domains.quality.inspection(visit.scope, identity)
    equipment = await visit.domains.fleet.equipment(visit.scope, item.equipment_id)
    with frame(visit, item.part):
        with page_head(item.part, back=("/inspections", visit.say(inspections.TITLE))):
            MarkView(VERDICTS[item.verdict], visit.language).mark("verdict")
        with box("inspection"):
            with box("card"):
                _plate(visit, item)
            with box("stack wide"):
                with box("card"):
                    Words(visit.say(_SCORE), tag="h2")
                    score_scale(visit, item)
                    Words(visit.say(_EXPLAIN[item.verdict]), "muted", tag="p")
                    model_says(visit, defect=item.model_defect, chance=item.model_chance, aligned=item.aligned)
                    second_opinion(visit, item)
                await _judgement(visit, item)
                with box("card"):
                    Words(visit.say(_FACTS), tag="h2")
                    _facts(visit, item, equipment.label)


def _plate(visit: Visit, item: Inspection) -> None:
    if not item.picture:
        with box("no-picture"):
            Words(visit.say(_OVERSIZE if "picture" in item.oversize else NO_PICTURE))
        return
    address = f"/api/v1/inspections/{item.id}"
    show_plate(visit, f"{address}/picture", f"{address}/heatmap" if item.heatmap else "", item.part)


async def _judgement(visit: Visit, item: Inspection) -> None:
    may = await visit.may_at(Scope.OPERATE, item.equipment_id)
    names = await visit.domains.quality.defect_names(visit.scope) if may else []
    with box("card"):
        Words(visit.say(_WORD), tag="h2")
        said = box("stack")
        _show_judgement(visit, said, item, names, may=may)


def _show_judgement(visit: Visit, said: ui.element, item: Inspection, names: Sequence[str], *, may: bool) -> None:
    async def judge(judgement: Judgement, defect: str = "") -> None:
        if await visit.may_still(Scope.OPERATE):
            quality = visit.domains.quality
            judged = await quality.judge(visit.acting(Scope.OPERATE), item.id, judgement, defect)
            _show_judgement(visit, said, judged, await quality.defect_names(visit.scope), may=may)

    said.clear()
    with said:
        if item.judgement and item.judged_at and item.judged_by:
            with box("line"):
                MarkView(JUDGEMENTS[item.judgement], visit.language)
                if item.defect:
                    Words(item.defect, "defect-name")
                when = moment(item.judged_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
                Words(visit.say(_SAID, who=item.judged_by, when=when), "muted small")
        else:
            Words(visit.say(_ASKED), tag="div")
        if may:
            with box("line"):
                _judge_button(visit, _GOOD, "good", lambda: judge("good"))
                _judge_button(visit, _DEFECT, "bad", lambda: judge("defect"))
            if item.judgement == "defect":
                if item.model_defect and item.model_defect not in names:
                    names = [item.model_defect, *names]
                _name_defect(visit, item, names, lambda defect: judge("defect", defect))
            Words(visit.say(_KEPT), "muted small", tag="p")
        else:
            Words(visit.say(_ONLY_ADMIN), "muted small", tag="p")


def _name_defect(visit: Visit, item: Inspection, names: Sequence[str], name: Callable[[str], Awaitable[None]]) -> None:
    """Offer the defects named so far, and a field for another."""
    Words(visit.say(_WHAT), tag="div")
    if names:
        with box("choices"):
            for known in names:
                with box("here" if known == item.defect else "", "button", type="button") as button:
                    Words(known)
                button.on("click", lambda _, known=known: name(known))
    name_another(visit, name)


def _judge_button(visit: Visit, name: Text, tone: str, act: Callable[[], object]) -> None:
    with box("button quiet", "button", type="button").on("click", lambda _: act()):
        icon(tone)
        Words(visit.say(name))


def _facts(visit: Visit, item: Inspection, station: str) -> None:
    rows = (
        (_STATION, station, f"/equipment/{item.equipment_id}"),
        (_TIME, moment(item.time, visit.zone, visit.language, now=datetime.now(UTC)), ""),
        (_PART, item.part, ""),
        *(((inspections.LOT, item.lot, f"/inspections?{urlencode({'lot': item.lot})}"),) if item.lot else ()),
        *(((_SERIAL, item.serial, ""),) if item.serial else ()),
        (_MODEL, f"{item.model} {item.model_version}", ""),
        (_LATENCY, f"{number(item.latency_us / 1000)} ms", ""),
        (_REVIEW_LIMIT, number(item.review_limit), ""),
        (_REJECT_LIMIT, number(item.reject_limit), ""),
    )
    with box("facts", "dl"):
        for name, value, target in rows:
            Words(visit.say(name), tag="dt")
            with box("num", "dd"):
                if target:
                    with box("link", "a", href=target):
                        Words(value)
                else:
                    Words(value)
