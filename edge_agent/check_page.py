"""The findings of a check as one page of HTML that needs nothing else: to send to the office, to print, to keep."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge_agent import __version__
from edge_agent.finding import Finding, Severity
from protocols.text import Language, Text

_STYLE = (
    'body{font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;max-width:860px;'
    "margin:24px auto;padding:0 16px;color:#1f2a2c}h1{font-size:22px;margin:0}p{color:#55615f}"
    "table{border-collapse:collapse;width:100%}td{padding:8px 10px 8px 0;border-bottom:1px solid #ddd;vertical-align:top;"
    "overflow-wrap:anywhere}td:nth-child(2){font-weight:600;white-space:nowrap}.ok{color:#17694c}.look{color:#8a5a00}"
    ".wrong{color:#ab2419}.state{white-space:nowrap;font-weight:600}.step{color:#55615f}ul{margin:4px 0;padding-left:18px}"
    "@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}"
)
_STATES: dict[Severity, Text] = {
    "ok": Text("✓ in order", "✓ 正常"),
    "look": Text("! look", "! 请留意"),
    "wrong": Text("✗ wrong", "✗ 异常"),
}
_ORDER: dict[Severity, int] = {"wrong": 0, "look": 1, "ok": 2}


def check_page(agent: str, findings: Sequence[Finding], made: str, language: Language) -> str:
    """Return the page.

    Args:
        agent: its name.
        findings: what was found; what is wrong comes first.
        made: date and time, as shown.
        language: of the page.
    """
    count = {state: sum(1 for finding in findings if finding.severity == state) for state in _STATES}
    title = escape(Text(f"Check of {agent}", f"{agent} 检查报告").to(language))
    summary = ", ".join(f"{count[state]} {_STATES[state].to(language)}" for state in _ORDER)
    rows = "".join(_row(each, language) for each in sorted(findings, key=lambda each: _ORDER[each.severity]))
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{escape(made)} · Sunmao {escape(__version__)} · {escape(summary)}</p><table>{rows}</table></body></html>\n"
    )


def _row(finding: Finding, language: Language) -> str:
    details = "".join(f"<li>{escape(detail.to(language))}</li>" for detail in finding.details)
    step = finding.mend.to(language) if finding.severity != "ok" else ""
    return (
        f'<tr><td class="state {finding.severity}">{_STATES[finding.severity].to(language)}</td>'
        f"<td>{escape(finding.title.to(language))}</td><td>{escape(finding.found.to(language))}"
        + (f'<div class="step">→ {escape(step)}</div>' if step else "")
        + (f"<ul>{details}</ul>" if details else "")
        + "</td></tr>"
    )
