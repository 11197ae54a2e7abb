"""What a gateway was asked to look at and what it found, as a card: values, registers and frames, findings in words."""

from __future__ import annotations

from datetime import UTC, datetime

from cloud.dictionary.service import entry_of, unit_symbol
from cloud.fleet.schemas import (
    Diagnostic,
    DiagnosticAlternative,
    DiagnosticAnswer,
    DiagnosticFinding,
    DiagnosticKind,
    DiagnosticState,
    DiagnosticValue,
)
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import NOTHING, moment, number
from cloud.web.visit import Visit
from cloud.web.words import Mark, Tone, cause_mark
from protocols.text import Text

KINDS: dict[DiagnosticKind, Text] = {
    "read": Text("Read {device}", "读取 {device}"),
    "test": Text("Test {point} of {device}", "测试 {device} 的 {point}"),
    "check": Text("Check {device}", "检查 {device}"),
    "report": Text("Check report of the gateway", "网关体检报告"),
}
STATES: dict[DiagnosticState, Mark] = {
    "waiting": Mark(Text("Waiting for the gateway", "待网关获取"), "idle"),
    "taken": Mark(Text("The gateway is looking", "网关正在检查"), "idle"),
    "expired": Mark(Text("No answer in time", "未及时答复"), "off"),
    "answered": Mark(Text("Answered", "已答复"), "good"),
    "failed": Mark(Text("Failed at the machine", "设备侧失败"), "bad"),
    "refused": Mark(Text("Refused by the gateway", "网关拒绝"), "bad"),
    "unsupported": Mark(Text("Not supported by the gateway", "网关不支持"), "off"),
}
_EXPIRED = Text(
    "The gateway did not fetch it in time. Is it online? Ask again once it is.",
    "网关未及时获取。请确认网关在线后重新发起。",
)
_SAID = Text("{who}, {when}", "{who}，{when}")
_TOOK = Text("round trip {ms} ms", "往返 {ms} ms")
_POINT, _VALUE, _UNIT = Text("Point", "数据点"), Text("Value", "数值"), Text("Unit", "单位")
_QUALITY = Text("Quality", "质量")
_REGISTERS = Text("Registers (hex)", "寄存器（十六进制）")
_WIRE, _OTHERS = Text("What went over the wire", "通信报文"), Text("Other ways of reading it", "其他读法")
_SEVERITIES: dict[str, Tone] = {"ok": "good", "look": "warn", "wrong": "bad"}
_MOST_OTHERS = 8


def show_diagnostic(visit: Visit, asked: Diagnostic) -> None:
    """Add the card of one question."""
    with box("card stack"):
        with box("line spread"):
            title = visit.say(KINDS[asked.kind], device=asked.device, point=", ".join(asked.points))
            Words(title, tag="h2")
            MarkView(STATES[asked.state], visit.language)
        when = moment(asked.asked_at, visit.zone, visit.language, now=datetime.now(UTC))
        facts = [visit.say(_SAID, who=asked.asked_by.removeprefix("user:"), when=when)]
        if asked.answer is not None and asked.answer.round_trip_ms is not None:
            facts.append(visit.say(_TOOK, ms=f"{asked.answer.round_trip_ms:g}"))
        Words(" · ".join(facts), "muted small", tag="p")
        if asked.state == "expired":
            Words(visit.say(_EXPIRED), "muted", tag="p")
        if asked.answer is not None:
            _show_answer(visit, asked, asked.answer)


def _show_answer(visit: Visit, asked: Diagnostic, answer: DiagnosticAnswer) -> None:
    Words(answer.found.to(visit.language), "" if asked.state == "answered" else "notice bad", tag="p")
    if answer.values:
        _show_values(visit, answer.values)
    if answer.registers:
        with box("line"):
            Words(visit.say(_REGISTERS), "muted small")
            Words(" ".join(f"{register:04X}" for register in answer.registers), "num")
    others = [each for each in answer.alternatives if each.plausible][:_MOST_OTHERS]
    if others:
        with box("", "details"):
            Words(visit.say(_OTHERS), "link", tag="summary")
            with box("above"):
                for each in others:
                    _show_alternative(visit, each)
    if answer.exchanges:
        with box("", "details"):
            Words(visit.say(_WIRE), "link", tag="summary")
            with box("diff above", "pre"):
                for frame in answer.exchanges:
                    Words(f"{'→' if frame.sent else '←'} {frame.hex}  {frame.words.to(visit.language)}\n")
    for finding in answer.findings:
        _show_finding(visit, finding)


def _show_values(visit: Visit, values: list[DiagnosticValue]) -> None:
    with box("points still", "table"):
        with box("", "thead"), box("", "tr"):
            for name in (_POINT, _VALUE, _UNIT, _QUALITY):
                Words(visit.say(name), "value" if name == _VALUE else "", tag="th")
        with box("", "tbody"):
            for value in values:
                entry = entry_of(value.property)
                with box("", "tr"):
                    with box("name", "td"):
                        Words(visit.say(entry.name) if entry else value.name, tag="div")
                        if entry:
                            Words(value.name, "own-name", tag="div")
                    Words(_shown(visit, value), "value", tag="td")
                    Words(unit_symbol(value.unit), "unit", tag="td")
                    with box("quality", "td"):
                        MarkView(cause_mark(value.quality), visit.language, plain=True)


def _shown(visit: Visit, value: DiagnosticValue) -> str:
    if value.value is None or isinstance(value.value, str):
        return value.value or NOTHING
    entry = entry_of(value.property)
    if entry and (name := entry.values.get(int(value.value))):
        return visit.say(name)
    return number(float(value.value))


def _show_alternative(visit: Visit, other: DiagnosticAlternative) -> None:
    with box("line"):
        Words(str(other.value), "num", tag="strong")
        Words(", ".join(f"{key} = {value}" for key, value in other.fields.items()), "small")
        Words(other.why.to(visit.language), "muted small")


def _show_finding(visit: Visit, finding: DiagnosticFinding) -> None:
    with box("stack"):
        title = finding.title.to(visit.language)
        with box("line"):
            MarkView(Mark(Text(title, title), _SEVERITIES[finding.severity]), visit.language, plain=True)
            Words(finding.found.to(visit.language), "small", tag="p")
        if finding.severity != "ok" and (mend := finding.mend.to(visit.language)):
            Words(mend, "muted small", tag="p")
        for detail in finding.details:
            Words(detail.to(visit.language), "muted small", tag="p")
