"""Quality: first-pass yield over time, what is wrong with the parts that fail, and how often people overrule the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.quality.schemas import Defects, Filter, FirstPass, Summary
from cloud.web.charts import GRID, INK, LINE, MUTED, TOOLTIP
from cloud.web.elements import Words, box, figure
from cloud.web.figures import midnight
from cloud.web.gallery import Gallery
from cloud.web.language import NOTHING, number
from cloud.web.layout import frame, page_head
from cloud.web.plant_view import STATION
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Quality", "质量")
DAYS = {7: Text("7 days", "近 7 天"), 30: Text("30 days", "近 30 天"), 90: Text("90 days", "近 90 天")}
SHOTS = 8

_ALL_STATIONS = Text("All stations", "全部工位")
_INSPECTED, _FPY = Text("Inspected", "检测数"), Text("First-pass yield", "一次合格率")
_REJECTED, _REVIEW = Text("Rejected", "不合格"), Text("To review", "待复核")
_OVERRULED = Text("Overruled by people", "人工改判")
_OF_TOTAL = Text("{share} % of all", "占全部 {share}%")
_PASSED = Text("{good} of {first} parts", "{first} 件中 {good} 件")
_JUDGED = Text(
    "of {count} judged: {to_good} to good, {to_defect} to defect",
    "人工判定 {count} 件：改良品 {to_good}，改缺陷 {to_defect}",
)
_OVER_TIME = Text("First-pass yield by day", "每日一次合格率")
_FPY_IS = Text(
    "Parts that were good at their first inspection, of all inspected for the first time. An operator's word counts before"
    " the model's; a part that waits for one is not counted as good.",
    "首次检测即合格的工件占首次检测工件的比例；人工判定优先于模型判定，待复核不计为合格。",
)
_PARETO = Text("What is wrong", "缺陷帕累托")
_PARETO_IS = Text(
    "Parts an operator judged defective, and rejected ones nobody has judged yet. The line is the share so far.",
    "人工判为缺陷的工件，以及尚未人工判定的不合格工件；百分比为累计占比。",
)
_UNNAMED = Text("Not named yet", "未标注缺陷类型")
_NAME_THEM = Text("Name them: open a rejected part and say what is wrong.", "打开不合格工件即可标注缺陷类型。")
_NO_DEFECTS = Text("No defective part in this time.", "该时段内没有缺陷工件。")
_NOTHING_YET = Text(
    "Nothing was inspected in this time. A station's verdicts appear here by themselves; how to set one up is in the manual.",
    "该时段内没有检测记录。检测工位的判定会自动显示在此；工位配置方法见使用手册。",
)
_LATEST, _ALL = Text("Latest rejected parts", "最新不合格工件"), Text("All rejected parts", "全部不合格工件")


async def build(visit: Visit) -> None:
    """Build the page."""
    query = visit.request.query_params
    days = next((known for known in DAYS if str(known) == query.get("days")), 30)
    listed = await visit.domains.fleet.equipment_list(visit.scope)
    stations = {str(each.id): each for each in listed if each.equipment_class == STATION}
    chosen = stations.get(query.get("station", ""))
    station = chosen.id if chosen else None
    now = datetime.now(UTC)
    start = midnight(now, visit.zone) - timedelta(days=days - 1)
    quality = visit.domains.quality
    summary = await quality.summary(visit.scope, start, now, station)
    defects = await quality.defects(visit.scope, start, now, station)
    days_of = by_day(await quality.first_pass(visit.scope, start, now, station), visit.zone, start, now)
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)), box("line"):
            if len(stations) > 1:
                names = {"": visit.say(_ALL_STATIONS), **{key: each.label for key, each in stations.items()}}
                _choices(names, str(station or ""), lambda key: _address(days, key))
            _choices(
                {str(each): visit.say(name) for each, name in DAYS.items()},
                str(days),
                lambda key: _address(int(key), str(station or "")),
            )
        if not summary.total:
            Words(visit.say(_NOTHING_YET), "card muted", tag="p")
            return
        _figures(visit, summary, defects, days_of.values())
        with box("columns"):
            with box("card filled"):
                with box():
                    Words(visit.say(_OVER_TIME), tag="h2")
                    Words(visit.say(_FPY_IS), "muted small", tag="div")
                ui.echart(yield_chart(days_of, visit.say(_FPY), visit.say(_INSPECTED))).classes("chart")
            with box("card"):
                Words(visit.say(_PARETO), tag="h2")
                _pareto(visit, defects)
        await _shots(visit, station)


class Day(NamedTuple):
    """Parts inspected for the first time on a day, and those of them that were good."""

    first: int = 0
    good: int = 0


def by_day(hours: Sequence[FirstPass], zone: ZoneInfo, start: datetime, end: datetime) -> dict[date, Day]:
    """Return the first passes of each day of [start, end) on the clock of `zone`, days without anything too."""
    begins, ends = start.astimezone(zone).date(), end.astimezone(zone).date()
    found = {begins + timedelta(days=number): Day() for number in range((ends - begins).days + 1)}
    for hour in hours:
        at = hour.hour.astimezone(zone).date()
        found[at] = Day(found[at].first + hour.first, found[at].good + hour.good)
    return found


def yield_chart(days: Mapping[date, Day], name: str, inspected: str) -> dict[str, Any]:
    """Return the ECharts options of the first-pass yield by day over how many parts it is of; a day without any is a gap."""
    shares = [round(100 * day.good / day.first, 2) if day.first else None for day in days.values()]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 30, "bottom": 8, "containLabel": True},
        "textStyle": {"fontFamily": "inherit", "color": INK},
        "tooltip": dict(TOOLTIP),
        "xAxis": {
            "type": "category",
            "data": [f"{day.month}/{day.day}" for day in days],
            "axisLabel": {"color": MUTED, "hideOverlap": True},
            "axisTick": {"show": False},
        },
        "yAxis": [
            {
                "type": "value",
                "scale": True,
                "max": 100,
                "name": "%",
                "axisLabel": {"color": MUTED},
                "splitLine": {"lineStyle": {"color": GRID}},
            },
            {"type": "value", "axisLabel": {"color": MUTED}, "splitLine": {"show": False}},
        ],
        "series": [
            {
                "name": inspected,
                "type": "bar",
                "yAxisIndex": 1,
                "data": [day.first for day in days.values()],
                "itemStyle": {"color": "#e4ddcf"},
                "barMaxWidth": 26,
            },
            {
                "name": name,
                "type": "line",
                "data": shares,
                "connectNulls": False,
                "symbolSize": 6,
                "lineStyle": {"width": 2, "color": LINE},
                "itemStyle": {"color": LINE},
                "tooltip": {":valueFormatter": "value => value == null ? '–' : value + ' %'"},
            },
        ],
    }


def _figures(visit: Visit, summary: Summary, defects: Defects, days: Collection[Day]) -> None:
    say, total = visit.say, summary.total
    first, good = sum(day.first for day in days), sum(day.good for day in days)

    def share(count: int) -> str:
        return say(_OF_TOTAL, share=f"{100 * count / total:.1f}")

    overruled = defects.to_good + defects.to_defect
    judged = say(_JUDGED, count=defects.judged, to_good=defects.to_good, to_defect=defects.to_defect)
    with box("card figures"):
        figure(say(_INSPECTED), f"{total:,}", "")
        figure(
            say(_FPY),
            f"{100 * good / first:.1f}" if first else NOTHING,
            say(_PASSED, good=f"{good:,}", first=f"{first:,}"),
            "%",
        )
        figure(say(_REJECTED), f"{summary.reject:,}", share(summary.reject))
        figure(say(_REVIEW), f"{summary.review:,}", share(summary.review))
        figure(say(_OVERRULED), f"{overruled:,}", judged if defects.judged else NOTHING)


def _pareto(visit: Visit, defects: Defects) -> None:
    say, total = visit.say, defects.total
    if not total:
        Words(say(_NO_DEFECTS), "muted", tag="p")
        return
    so_far = 0
    with box("pareto", "ol"):
        for item in defects.items:
            so_far += item.count
            with box("", "li"):
                with box("line spread"):
                    Words(item.defect or say(_UNNAMED), "" if item.defect else "muted")
                    Words(f"{item.count:,} · {number(100 * so_far / total)} %", "num muted")
                box("bar" if item.defect else "bar unnamed").style(
                    f"width: {max(100 * item.count / defects.items[0].count, 1):.1f}%"
                )
    Words(say(_PARETO_IS), "muted small", tag="p")
    if any(not item.defect for item in defects.items):
        Words(say(_NAME_THEM), "muted small", tag="p")


async def _shots(visit: Visit, station: UUID | None) -> None:
    found = await visit.domains.quality.inspections(visit.scope, Filter(station, "reject"), limit=SHOTS)
    if not found.items:
        return
    with box("card"):
        with box("card-head"):
            Words(visit.say(_LATEST), tag="h2")
            with box("link", "a", href="/inspections?verdict=reject"):
                Words(visit.say(_ALL))
        Gallery(visit, found.items)


def _choices(options: Mapping[str, str], chosen: str, address: Callable[[str], str]) -> None:
    with box("choices", "nav"):
        for key, name in options.items():
            with box("here" if key == chosen else "", "a", href=address(key)):
                Words(name)


def _address(days: int, station: str) -> str:
    query = {"days": str(days), "station": station}
    return f"/quality?{urlencode({key: value for key, value in query.items() if value})}"
