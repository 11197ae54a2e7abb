"""The report a technician sends to the office: one page of HTML that needs nothing else, to read, print or keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple

from edge_agent import __version__
from edge_agent.check import Finding
from edge_agent.config import Config, DeviceConfig, version_of
from edge_agent.health import Status
from edge_agent.identity import Identity
from edge_agent.ui.words import DEVICE_STATES, entry_name, unit_symbol
from protocols.dictionary.entries import load_dictionary
from protocols.text import Language, Text

_STYLE = """
body{font:14px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;color:#1f2a2c;margin:0 auto;padding:20px 16px;max-width:820px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:24px 0 6px;border-bottom:2px solid #92561f;padding-bottom:3px}
p{margin:2px 0;color:#55615f}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:5px 8px 5px 0;border-bottom:1px solid #e1dcd1;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;color:#55615f}.ok{color:#17694c;font-weight:600}.look{color:#855600;font-weight:600}.bad{color:#ab2419;font-weight:600}.ok,.look,.bad,.facts td:first-child{white-space:nowrap}.own{color:#55615f}
@media print{body{padding:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
"""

_TITLE = Text("Set-up report", "安装调试报告")
_BOX, _CLOUD, _SITE = Text("Box", "本机"), Text("Cloud", "云端"), Text("Company / site", "企业 / 站点")
_NOT_CONNECTED = Text("not connected yet", "尚未接入")
_AGENT, _VERSION, _CONFIG, _MADE = (
    Text("Agent", "代理"),
    Text("Version", "版本"),
    Text("Configuration", "配置"),
    Text("Made", "生成时间"),
)
_RUNS, _RUNS_NOT = Text("running", "运行中"), Text("not running", "未运行")
_CHECK = Text("Check", "检查")
_MARKS = {
    "ok": (Text("✓ in order", "✓ 正常"), "ok"),
    "look": (Text("! to look at", "! 请查看"), "look"),
    "wrong": (Text("✗ not in order", "✗ 异常"), "bad"),
}
_UNCHECKED = Text("Nothing has been checked since the pages were started.", "页面启动后尚未做过检查。")
_WHAT, _STATE, _FOUND = Text("what", "项目"), Text("state", "状态"), Text("found", "结果")
_POINT, _MEANS, _UNIT, _ADDRESS = (
    Text("point", "点"),
    Text("entry", "字典条目"),
    Text("unit", "单位"),
    Text("address", "地址"),
)
_UNMAPPED = Text("Points without an entry", "没有字典条目的点")
_UNMAPPED_WHY = Text(
    "They are collected under their own names and are on no dashboard.", "按自身名称采集，不会出现在看板中。"
)
_COUNT = Text("{points} points, {mapped} with an entry", "{points} 个点，{mapped} 个有条目")
_NO_DEVICES = Text("No machine is set up.", "尚未配置设备。")


class Facts(NamedTuple):
    """What a report is made of. `checked`: when the findings were made, None if nothing was checked."""

    config: Config
    config_text: str
    identity: Identity | None
    status: Status | None
    findings: Sequence[Finding]
    checked: datetime | None
    now: datetime


def report_html(facts: Facts, language: Language) -> str:
    """Return the whole page."""
    body = "".join(
        (_head(facts, language), _findings(facts, language), _devices(facts, language), _unmapped(facts, language))
    )
    title = escape(f"{_TITLE.to(language)} {facts.config.agent.name}")
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _head(facts: Facts, language: Language) -> str:
    say = _say(language)
    identity, status = facts.identity, facts.status
    rows = [
        (say(_BOX), facts.config.agent.name),
        (say(_SITE), f"{identity.tenant} / {identity.site}" if identity else say(_NOT_CONNECTED)),
        (say(_CLOUD), identity.url if identity else say(_NOT_CONNECTED)),
        (say(_AGENT), say(_RUNS) if status else say(_RUNS_NOT)),
        (say(_VERSION), __version__),
        (say(_CONFIG), version_of(facts.config_text)),
        (say(_MADE), f"{facts.now:%Y-%m-%d %H:%M:%S %z}"),
    ]
    return f"<h1>{escape(say(_TITLE))}</h1>" + _table((), rows, kind="facts")


def _findings(facts: Facts, language: Language) -> str:
    say = _say(language)
    when = f" · {facts.checked:%Y-%m-%d %H:%M}" if facts.checked else ""
    head = f"<h2>{escape(say(_CHECK))}{when}</h2>"
    if not facts.findings:
        return f"{head}<p>{escape(say(_UNCHECKED))}</p>"
    rows = []
    for finding in facts.findings:
        mark, tone = _MARKS[finding.severity]
        mend = "" if finding.severity == "ok" or not finding.mend.en else f" → {say(finding.mend)}"
        rows.append(
            (
                escape(say(finding.title)),
                f'<span class="{tone}">{escape(say(mark))}</span>',
                escape(say(finding.found) + mend),
            )
        )
    return head + _table((say(_WHAT), say(_STATE), say(_FOUND)), rows, raw=True)


def _devices(facts: Facts, language: Language) -> str:
    say = _say(language)
    states = {device.name: device.state for device in facts.status.health.devices} if facts.status else {}
    parts = []
    for device in facts.config.devices:
        state = DEVICE_STATES.get(states.get(device.name, ""))
        mapped = sum(point.property is not None for point in device.points)
        about = [
            device.template or device.protocol,
            where(device),
            _COUNT.to(language).format(points=len(device.points), mapped=mapped),
            *([say(state[0])] if state else []),
        ]
        rows = [
            (
                point.name,
                entry_name(point.property, language),
                unit_symbol(point.unit or load_dictionary()[point.property].unit),
                _place(point.model_dump(mode="json", exclude_none=True)),
            )
            for point in device.points
            if point.property is not None
        ]
        parts.append(f"<h2>{escape(device.name)}</h2><p>{escape(' · '.join(about))}</p>")
        if rows:
            parts.append(_table((say(_POINT), say(_MEANS), say(_UNIT), say(_ADDRESS)), rows))
    return "".join(parts) or f"<h2>{escape(say(_NO_DEVICES))}</h2>"


def _unmapped(facts: Facts, language: Language) -> str:
    say = _say(language)
    rows = [
        (device.name, point.name, unit_symbol(point.unit), _place(point.model_dump(mode="json", exclude_none=True)))
        for device in facts.config.devices
        for point in device.points
        if point.property is None
    ]
    if not rows:
        return ""
    heads = (say(_BOX), say(_POINT), say(_UNIT), say(_ADDRESS))
    return f"<h2>{escape(say(_UNMAPPED))}</h2><p>{escape(say(_UNMAPPED_WHY))}</p>" + _table(
        (say(_WHAT), *heads[1:]), rows
    )


def where(device: DeviceConfig) -> str:
    """Return where a device answers, as a person writes it; never its user or password."""
    known = device.connection.model_dump(
        mode="json", include={"host", "port", "serial", "unit_id", "endpoint", "broker"}
    )
    if known.get("endpoint"):
        return str(known["endpoint"])
    place = known.get("serial") or f"{known.get('host', '')}:{known.get('port', '')}"
    return f"{place} / {known['unit_id']}" if "unit_id" in known else str(place)


def _place(fields: dict[str, object]) -> str:
    if "address" in fields:
        kind = f" {fields['type']} {fields['order']}" if "type" in fields else ""
        return f"{fields.get('table', '')}:{fields['address']}{kind}"
    return str(fields.get("node") or fields.get("path") or fields.get("topic") or "")


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], *, raw: bool = False, kind: str = "") -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td>{cell if raw else escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table class='{kind}'>{f'<tr>{head}</tr>' if head else ''}{lines}</table>"


def _say(language: Language):  # type: ignore[no-untyped-def]
    return lambda text: text.to(language)
