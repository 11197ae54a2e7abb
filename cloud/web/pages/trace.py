"""Traceability: a thing, what it was made of, what was made of it, and a file of events to take in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.telemetry.service import csv_table
from cloud.traceability.schemas import Captured, Trace
from cloud.traceability.service import EventQuery
from cloud.web.chain_view import ChainView
from cloud.web.charts import INK, LINE
from cloud.web.elements import Words, box
from cloud.web.file_choice import FileChoice
from cloud.web.forms import Field, button, done
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.recall_cards import show_recalls
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Traceability", "追溯")

_NOTE = Text(
    "From a lot or a serial number up to what it was made of and down to what was made of it. Events are those of EPCIS 2.0.",
    "由批次或序列号向上追到其来源，向下追到其去向。事件采用 EPCIS 2.0。",
)
_THING, _FIND = Text("Lot, serial number or other identifier", "批次、序列号或其他标识"), Text("Trace", "追溯")
_UP, _DOWN = Text("Made of", "来源"), Text("Made of it", "去向")
_BEGAN, _FINISHED = (
    Text("It all began with {count}", "起点 {count} 个"),
    Text("{count} finished goods", "成品 {count} 个"),
)
_NOTHING_UP = Text("Nothing is known that it was made of.", "没有来源记录。")
_NOTHING_DOWN = Text("Nothing is known that was made of it.", "没有去向记录。")
_MORE = Text("There is more than is shown.", "未全部显示。")
_RECALL = Text("Affected, as a spreadsheet", "导出受影响清单")
_IDENTIFIER, _STEPS = Text("Identifier", "标识"), Text("Steps away", "步数")
_INSPECTIONS = Text("Inspections", "检测记录")
_LATELY, _NONE = Text("Latest events", "最近事件"), Text("No events yet.", "尚无事件。")
_TAKE_IN = Text("Take in events", "导入事件")
_FILE = Text(
    "An EPCIS 2.0 document (JSON). It is taken wholly or not at all.", "EPCIS 2.0 文档(JSON)。全部有效才会导入。"
)
_CAPTURED = Text("{stored} events stored, {known} were there already.", "已导入 {stored} 个事件，{known} 个已存在。")
KINDS = {
    "ObjectEvent": Text("observed", "记录"),
    "AggregationEvent": Text("packed", "聚合"),
    "AssociationEvent": Text("put together", "装配"),
    "TransactionEvent": Text("business transaction", "业务交易"),
    "TransformationEvent": Text("made", "加工"),
}
_ERRONEOUS = Text("declared erroneous", "已声明有误")
_SHOWN = 200


async def build(visit: Visit) -> None:
    """Build the page, of the thing in its address if there is one."""
    asked = visit.request.query_params.get("thing", "")[:300]
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        with box("card stack wide"):
            field = Field(visit.say(_THING), asked, maxlength="300")

            async def find() -> None:
                ui.navigate.to(f"/trace?{urlencode({'thing': field.value.strip()})}")

            with box("line"):
                button(visit.say(_FIND), find)
        if asked:
            await _both(visit, asked)
            ChainView(visit, asked)
        await show_recalls(visit)
        await _latest(visit)
        if visit.may(Scope.OPERATE):
            _take_in(visit)


async def _both(visit: Visit, thing: str) -> None:
    try:
        up = await visit.domains.traceability.trace(visit.scope, thing, up=True)
        down = await visit.domains.traceability.trace(visit.scope, thing, up=False)
    except Problem as problem:
        Words(visit.say(problem.detail), "notice warn", tag="p").props["role"] = "alert"
        return
    if up.steps or down.steps:
        ui.echart(_graph(up, down)).classes("chart tall")
    serial = thing.rstrip("/").replace(":", "/").rsplit("/", 1)[-1].rsplit(".", 1)[-1]
    with box("line"), box("button quiet", "a", href=f"/inspections?{urlencode({'part': serial})}"):
        Words(f"{visit.say(_INSPECTIONS)}: {serial}")
    with box("columns"):
        _side(visit, up, _UP, _BEGAN, _NOTHING_UP)
        _side(visit, down, _DOWN, _FINISHED, _NOTHING_DOWN)


def _side(visit: Visit, trace: Trace, title: Text, ends: Text, none: Text) -> None:
    with box("card stack wide trace"):
        Words(visit.say(title), tag="h2")
        if not trace.things:
            Words(visit.say(none), "muted", tag="p")
            return
        Words(visit.say(ends, count=len(trace.ends)), "strong", tag="p")
        depths = _depths(trace)
        for thing in trace.things[:_SHOWN]:
            with box("lot line spread"):
                with box("", "a", href=f"/trace?{urlencode({'thing': thing})}"):
                    Words(thing, "break")
                Words(str(depths[thing]), "muted small num")
        if not trace.complete or len(trace.things) > _SHOWN:
            Words(visit.say(_MORE), "muted small", tag="p")
        if title is _DOWN:
            heading = [visit.say(_IDENTIFIER), visit.say(_STEPS)]
            content = csv_table([heading, *([thing, depths[thing]] for thing in trace.things)])

            async def save() -> None:
                ui.download.content(content, "affected.csv")

            with box("line"):
                button(visit.say(_RECALL), save, "button quiet")


def _depths(trace: Trace) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in trace.steps:
        for thing in (step.used, step.made):
            if thing != trace.thing:
                found.setdefault(thing, step.depth)
    return found


def _graph(up: Trace, down: Trace) -> dict[str, Any]:
    """Return ECharts options: from the left, where it all began, to the right, the finished goods; at most 60 things."""
    places: dict[str, int] = {up.thing: 0}
    for trace, sign in ((up, -1), (down, 1)):
        for thing, depth in list(_depths(trace).items())[:30]:
            places.setdefault(thing, sign * depth)
    rows: dict[int, int] = {}
    nodes = []
    for thing, column in places.items():
        rows[column] = rows.get(column, 0) + 1
        label = thing.rsplit("/", 1)[-1].rsplit(":", 1)[-1][-24:]
        own = thing == up.thing
        nodes.append(
            {
                "name": thing,
                "x": column * 220,
                "y": rows[column] * 46 - (23 if column % 2 else 0),
                "symbolSize": 16 if own else 11,
                "itemStyle": {"color": INK if own else LINE},
                "label": {"show": True, "position": "bottom", "fontSize": 11, "formatter": label},
            }
        )
    links = {(step.used, step.made) for step in (*up.steps, *down.steps)}
    drawn = [{"source": used, "target": made} for used, made in sorted(links) if used in places and made in places]
    series = {
        "type": "graph",
        "layout": "none",
        "roam": True,
        "data": nodes,
        "links": drawn,
        "edgeSymbol": ["none", "arrow"],
        "edgeSymbolSize": 7,
        "lineStyle": {"color": "#a99f8c", "curveness": 0.08},
    }
    return {"animation": False, "tooltip": {"confine": True}, "series": [series]}


async def _latest(visit: Visit) -> None:
    page = await visit.domains.traceability.events(visit.scope, EventQuery(limit=10))
    with box("card stack wide"):
        Words(visit.say(_LATELY), tag="h2")
        if not page.events:
            Words(visit.say(_NONE), "muted", tag="p")
        for event in page.events:
            time = datetime.fromisoformat(str(event["eventTime"]).replace("Z", "+00:00"))
            at = moment(time, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
            named = next((str(event[key]) for key in ("parentID", "transformationID") if event.get(key)), "")
            for key in ("outputEPCList", "epcList", "childEPCs", "inputEPCList"):
                listed = event.get(key)
                if not named and isinstance(listed, list) and listed:
                    named = str(listed[0])
            with box("lot line spread"):
                with box():
                    if named:
                        with box("", "a", href=f"/trace?{urlencode({'thing': named})}"):
                            Words(named, "break")
                    kind = visit.say(KINDS[str(event["type"])])
                    if event.get("errorDeclaration"):
                        kind += f" - {visit.say(_ERRONEOUS)}"
                    Words(kind, "muted small", tag="div")
                Words(at, "muted small num")


def _take_in(visit: Visit) -> None:
    say = visit.say
    with box("card stack wide"):
        Words(say(_TAKE_IN), tag="h2")
        Words(say(_FILE), "muted small", tag="p")
        with box("line"):
            choice = FileChoice(visit, "/api/v1/trace/capture", ".json,.jsonld", "application/json")
        answer = box("stack")

    async def taken(text: str) -> None:
        found = Captured.model_validate_json(text)
        done(answer, say(_CAPTURED, stored=found.stored, known=found.known))

    choice.answers_in(answer, taken)
