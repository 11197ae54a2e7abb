"""Process control: a point's control chart and capability, what it is to keep to, and the chart of rejected parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from nicegui import ui

from cloud.core.errors import Invalid, Problem
from cloud.core.keyset import Window
from cloud.core.principal import Principal, Scope
from cloud.spc.schemas import LARGEST_SUBGROUP, ControlChart, Counts, Line, PlanRequest, Rule, ShareChart
from cloud.telemetry.schemas import Point
from cloud.web.control_chart import control_chart
from cloud.web.elements import MarkView, Words, box, figure
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import NOTHING, moment, number
from cloud.web.layout import frame, page_head
from cloud.web.plant_view import STATION
from cloud.web.search_select import MOST_POINTS, machines_found, search_select
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("Process control", "过程控制")
SPANS = {
    "8": Text("8 hours", "近 8 小时"),
    "24": Text("24 hours", "近 24 小时"),
    "168": Text("7 days", "近 7 天"),
}
_NOTE = Text(
    "A control chart tells chance from change: limits come from the process itself, and a point beyond them has a reason.",
    "控制图区分偶然波动与真实变化：界限来自过程本身，超出界限的点必有原因。",
)
_EQUIPMENT, _POINT = Text("Equipment", "设备"), Text("Measured value", "测量值")
_NOTHING = Text("No number is collected yet that could be charted.", "尚无可绘制的数值。")
_NOTHING_OF_IT = Text("No number of this machine is collected that could be charted.", "该设备尚无可绘制的数值。")
_FEW = Text("There are too few readings in this time, or they do not vary.", "该时段内读数过少，或没有波动。")
_VALUES = Text("Means of {n} readings", "{n} 个读数的均值")
_SINGLE, _RANGES = Text("Readings", "读数"), Text("Range within", "组内极差")
_DEVIATIONS = Text("Standard deviation within", "组内标准差")
_AVERAGE = Text("Weighted average (EWMA)", "加权移动平均(EWMA)")
_MOVING = Text("Range to the reading before", "移动极差")
_LOW, _CENTRE, _HIGH = Text("Lower limit", "下控制限"), Text("Centre line", "中心线"), Text("Upper limit", "上控制限")
_STABLE = Mark(Text("In control", "受控"), "good")
_CHANGED = Text("{count} signals", "{count} 个异常信号")
_RELATED = Text(
    "Readings tell much of the next ones (autocorrelation), so these limits are too narrow: take readings further apart.",
    "相邻读数高度相关，界限偏窄：请加大读数间隔。",
)
RULES: Mapping[Rule, Text] = {
    "beyond": Text("beyond a limit", "超出控制限"),
    "two_of_three": Text("two of three beyond two thirds of the way", "三点中两点超过 2σ"),
    "four_of_five": Text("four of five beyond one third of the way", "五点中四点超过 1σ"),
    "eight": Text("eight in a row on one side", "连续八点在同一侧"),
    "trend": Text("six in a row rising or falling", "连续六点上升或下降"),
    "ewma": Text("a small lasting shift (EWMA)", "小幅持续偏移(EWMA)"),
    "cusum": Text("a lasting shift (CUSUM)", "持续偏移(CUSUM)"),
}
_ON_RANGES = Text("of the spread within", "(组内波动)")
_CAPABILITY = Text("Capability", "过程能力")
_NO_LIMITS = Text(
    "Enter the tolerance below, and here stands whether the process keeps it.", "在下方填写公差后，此处显示过程能力。"
)
_UNSTABLE = Text(
    "The process is not in control: these figures say nothing of tomorrow.", "过程未受控：以下指标不能代表今后。"
)
_FIGURES = (
    ("Cp", Text("by the spread within subgroups", "组内波动")),
    ("Cpk", Text("and where the mean lies", "并考虑均值位置")),
    ("Pp", Text("by the whole spread", "总体波动")),
    ("Ppk", Text("95 % interval {low} to {high}", "95% 区间 {low}～{high}")),
)
_OUTSIDE = Text("Outside the tolerance", "超出公差")
_EXPECTED = Text("a normal process: {share} %", "正态过程：{share}%")
_PLAN = Text("What it is to keep to", "控制计划")
_SIZE = Text("Readings per point", "每点读数个数")
_LSL, _TARGET, _USL = Text("Tolerance from", "公差下限"), Text("Target", "目标值"), Text("Tolerance to", "公差上限")
_BASE = Text("Control limits", "控制限")
_BASES = {
    "": Text("From what is shown", "由所示数据计算"),
    "freeze": Text("Freeze those shown now", "冻结当前所示"),
    "keep": Text("Keep the frozen ones", "保持已冻结"),
}
_SAVE = Text("Put into force", "生效")
_NO_NUMBER = Text("'{text}' is no number.", "“{text}”不是数字。")
_VERSION = Text("Version {version}, by {by}.", "第 {version} 版，{by}。")
_REJECTS = Text("Rejected parts, last 30 days", "不合格率，近 30 天")
_REJECTS_IS = Text(
    "A point is an hour or a day; its limits go by how many parts it had.", "每点为一小时或一天，界限随件数变化。"
)
_COUNTS: Mapping[Counts, Text] = {
    "p": Text("Share (p)", "不合格率(p)"),
    "np": Text("Number (np)", "不合格数(np)"),
    "u": Text("Rejects a part (u)", "单位缺陷数(u)"),
}


class _Offered(NamedTuple):
    """The machines, points and point the page offers; of `many` points only those of the machine of the point chosen."""

    machines: Mapping[str, str]
    many: bool
    points: Sequence[Point]
    chosen: Point | None


async def build(visit: Visit) -> None:
    """Build the page."""
    query, now = visit.request.query_params, datetime.now(UTC)
    offered = await _offered(visit, query.get("series", ""))
    hours = query.get("hours", "8") if query.get("hours", "8") in SPANS else "8"
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        chosen = offered.chosen
        if chosen or offered.many:
            _chooser(visit, offered, hours)
        if chosen is None:
            Words(visit.say(_NOTHING), "card muted", tag="p")
        else:
            await _point(visit, chosen, now - timedelta(hours=int(hours)), now)
        await _rejects(visit, now, next((each for each in _COUNTS if each == query.get("counts")), "p"))


def _address(series: int | str, hours: str) -> str:
    return "/control?" + urlencode({"series": series, "hours": hours})


def _counts_address(visit: Visit, kind: Counts) -> str:
    return "/control?" + urlencode({**visit.request.query_params, "counts": kind})


async def _offered(visit: Visit, asked: str) -> _Offered:
    """Read what is offered, and of a large plant only the machine whose point is shown; `asked` is that one's number."""
    telemetry, scope = visit.domains.telemetry, visit.scope
    number = [int(asked)] if asked.isdecimal() and len(asked) < 10 else []
    picked = await telemetry.catalogue.of(scope, number)
    points = await telemetry.points(scope, window=Window(limit=MOST_POINTS + 1))
    many = len(points) > MOST_POINTS
    chosen = next(iter(_charted([*picked, *points])), None)
    if many:
        points = await telemetry.points(scope, chosen.equipment_id) if chosen else []
    points = _charted(points)
    shown = await visit.domains.fleet.equipment_list(scope, only={each.equipment_id for each in points})
    return _Offered({str(each.id): each.path if many else each.label for each in shown}, many, points, chosen)


def _charted(points: Sequence[Point]) -> list[Point]:
    """Return those of `points` that are no coded values."""
    return [each for each in points if not each.values]


def _chooser(visit: Visit, offered: _Offered, hours: str) -> None:
    say, chosen = visit.say, offered.chosen
    here = str(chosen.equipment_id) if chosen else None
    names = {str(each.series_id): _name(visit, each) for each in offered.points if str(each.equipment_id) == here}

    async def machine(value: str) -> None:
        of_it = _charted(await visit.domains.telemetry.points(visit.scope, UUID(value)))
        if of_it:
            ui.navigate.to(_address(of_it[0].series_id, hours))
        else:
            answer.clear()
            with answer:
                Words(say(_NOTHING_OF_IT), "notice warn small", tag="p")

    async def found(typed: str) -> Mapping[str, str]:
        return await machines_found(visit, typed)

    async def picked() -> None:
        if field.value and field.value != here:
            await machine(field.value)

    async def point(value: str) -> None:
        ui.navigate.to(_address(value, hours))

    with box("card stack wide"):
        with box("line spread"):
            with box("form-row"):
                if offered.many:
                    field = search_select(visit, say(_EQUIPMENT), offered.machines, here, found)
                    field.props("outlined").classes("field-in").on_value_change(picked)
                else:
                    Choice(say(_EQUIPMENT), offered.machines, here or "", machine)
                if chosen:
                    Choice(say(_POINT), names, str(chosen.series_id), point)
            if chosen:
                with box("choices", "nav"):
                    for value, words in SPANS.items():
                        with box("here" if value == hours else "", "a", href=_address(chosen.series_id, value)):
                            Words(say(words))
        answer = box("stack")


def _name(visit: Visit, point: Point) -> str:
    return Text(point.name_en, point.name_zh).to(visit.language)


async def _point(visit: Visit, point: Point, start: datetime, end: datetime) -> None:
    try:
        chart = await visit.domains.spc.chart(visit.scope, point.series_id, start, end)
    except Problem as problem:
        Words(problem.detail.to(visit.language), "card notice warn", tag="p")
        return
    say, size = visit.say, chart.plan.subgroup
    with box("card stack wide"):
        with box("line spread"):
            unit = f" · {point.unit_symbol}" if point.unit_symbol else ""
            Words(_name(visit, point) + unit, tag="h2")
            if chart.value_line:
                count = len(chart.signals)
                changed = Mark(Text(_CHANGED.en.format(count=count), _CHANGED.zh.format(count=count)), "bad")
                MarkView(_STABLE if chart.stable else changed, visit.language)
        if chart.value_line is None or chart.range_line is None:
            Words(say(_FEW), "muted", tag="p")
        else:
            limits = [say(_LOW), say(_CENTRE), say(_HIGH)]
            first = say(_SINGLE) if size == 1 else say(_VALUES, n=size)
            second = say(_MOVING if size == 1 else _DEVIATIONS if chart.spread == "deviation" else _RANGES)
            centre = chart.value_line.centre
            for name, values, lines, of in (
                (first, chart.values, _lines(chart.value_line), {"values", "cusum"}),
                (second, chart.ranges, _lines(chart.range_line), {"ranges"}),
                (
                    say(_AVERAGE),
                    chart.ewma,
                    (
                        [centre - away for away in chart.ewma_away],
                        [centre],
                        [centre + away for away in chart.ewma_away],
                    ),
                    {"ewma"},
                ),
            ):
                Words(name, "muted small", tag="div")
                marked = {one.index for one in chart.signals if one.chart in of}
                options = control_chart(
                    chart.times, values, lines, marked, zone=visit.zone, names=(name, limits[0], limits[1], limits[2])
                )
                ui.echart(options).classes("chart" if "values" in of else "chart low")
            _signals(visit, chart)
            if chart.related:
                Words(say(_RELATED), "notice warn small", tag="p")
    _capability(visit, chart)
    if visit.may(Scope.ENGINEER):
        _plan(visit, chart)


def _lines(line: Line) -> tuple[list[float], list[float], list[float]]:
    return [line.lower], [line.centre], [line.upper]


def _signals(visit: Visit, chart: ControlChart) -> None:
    now = datetime.now(UTC)
    with box("signals", "ul"):
        for one in chart.signals[-8:]:
            at = moment(chart.times[one.index], visit.zone, visit.language, now=now)
            where = f" {visit.say(_ON_RANGES)}" if one.chart == "ranges" else ""
            Words(f"{at} · {visit.say(RULES[one.rule])}{where}", "num small", tag="li")


def _capability(visit: Visit, chart: ControlChart) -> None:
    say, found = visit.say, chart.capability
    with box("card stack wide"):
        Words(say(_CAPABILITY), tag="h2")
        if found is None:
            Words(say(_NO_LIMITS), "muted", tag="p")
            return
        if not chart.stable:
            Words(say(_UNSTABLE), "notice warn small", tag="p")
        with box("figures"):
            for (name, note), value in zip(_FIGURES, (found.cp, found.cpk, found.pp, found.ppk), strict=True):
                shown = say(note, low=number(found.low), high=number(found.high)) if name == "Ppk" else say(note)
                figure(name, NOTHING if value is None else f"{value:.2f}", shown)
            share = say(_EXPECTED, share=f"{100 * found.expected:.2f}" if found.expected >= 1e-4 else "< 0.01")
            figure(say(_OUTSIDE), f"{100 * found.outside:.2f} %", share)


def _plan(visit: Visit, chart: ControlChart) -> None:
    say, plan = visit.say, chart.plan
    with box("card stack wide"):
        Words(say(_PLAN), tag="h2")
        if plan.version:
            Words(say(_VERSION, version=plan.version, by=plan.created_by.removeprefix("user:")), "muted small", tag="p")
        with box("form-row"):
            size = Choice(say(_SIZE), {str(n): str(n) for n in range(1, LARGEST_SUBGROUP + 1)}, str(plan.subgroup))
            fields = [
                Field(say(label), "" if value is None else f"{value:g}", inputmode="decimal")
                for label, value in ((_LSL, plan.lower_limit), (_TARGET, plan.target), (_USL, plan.upper_limit))
            ]
            frozen = plan.baseline_start is not None
            ways = {way: say(words) for way, words in _BASES.items() if way != "keep" or frozen}
            base = Choice(say(_BASE), ways, "keep" if frozen else "")

        async def save() -> None:
            async def act(principal: Principal) -> None:
                lower, target, upper = (_number(field.value) for field in fields)
                spans = {
                    "": (None, None),
                    "freeze": (chart.start, chart.end),
                    "keep": (plan.baseline_start, plan.baseline_end),
                }
                begin, end = spans[base.value]
                request = PlanRequest(
                    subgroup=int(size.value),
                    lower_limit=lower,
                    target=target,
                    upper_limit=upper,
                    baseline_start=begin,
                    baseline_end=end,
                )
                await visit.domains.spc.set_plan(principal, chart.series_id, request)
                ui.navigate.reload()

            await attempt(visit, answer, Scope.ENGINEER, act)

        with box("line"):
            button(say(_SAVE), save)
        answer = box("stack")


def _number(text: str) -> float | None:
    """Return what stands in a field; raises Invalid for what is no number."""
    if not text.strip():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise Invalid(Text(_NO_NUMBER.en.format(text=text[:40]), _NO_NUMBER.zh.format(text=text[:40]))) from error


async def _rejects(visit: Visit, now: datetime, kind: Counts) -> None:
    """Show the chart of counts, where there are inspection stations."""
    if not any(STATION in place.classes for place in await visit.domains.fleet.places(visit.scope)):
        return
    chart: ShareChart = await visit.domains.spc.shares(visit.scope, None, now - timedelta(days=30), now, kind=kind)
    if chart.centre is None or len(chart.times) < 2:
        return
    say = visit.say
    with box("card stack wide"):
        with box("line spread"):
            Words(say(_REJECTS), tag="h2")
            with box("choices", "nav"):
                for each, words in _COUNTS.items():
                    with box("here" if each == kind else "", "a", href=_counts_address(visit, each)):
                        Words(say(words))
        Words(say(_REJECTS_IS), "muted small", tag="p")
        options = control_chart(
            chart.times,
            chart.shares,
            (chart.lower, chart.centres, chart.upper),
            {one.index for one in chart.signals},
            zone=visit.zone,
            names=(say(_COUNTS[kind]), say(_LOW), say(_CENTRE), say(_HIGH)),
        )
        ui.echart(options).classes("chart")
