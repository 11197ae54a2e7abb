"""What a grant shows, in words: for who is asked, for who asks, and for who looks it up later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cloud.dictionary.service import entry_of, unit_symbol
from cloud.sharing.schemas import Grant, ShareRequest
from cloud.sharing.service import KPI, Ask, Compare, Granularity, Item, Terms, TraceDepth, name_of
from cloud.web.language import number
from cloud.web.words import Mark
from protocols.dictionary.entries import equipment_classes
from protocols.text import Language, Text

GRANULARITIES: Mapping[Granularity, Text] = {
    "raw": Text("every reading", "每个原始读数"),
    "minute": Text("one figure a minute", "每分钟一个数值"),
    "hour": Text("one figure an hour", "每小时一个数值"),
    "day": Text("one figure a day", "每天一个数值"),
    "shift": Text("one figure a shift", "每班一个数值"),
    "pass_fail": Text("only whether within limits, hour by hour", "仅显示每小时是否在限值内"),
}
TRACE = Text("Events of lots and serial numbers", "批次与序列号事件")
TRACES: Mapping[TraceDepth | None, Text] = {
    None: Text("not shown", "不共享"),
    "products": Text("what came of what, and when", "来源与去向及时间"),
    "full": Text("what came of what, when, where and at which step", "来源与去向、时间、地点及工序"),
}
MATURITY = Text("Level of digital maturity", "数字化水平等级")
MATURITIES: Mapping[bool, Text] = {
    False: Text("not shown", "不共享"),
    True: Text("the level alone, without answers or evidence", "仅等级，不含答卷与佐证"),
}
COMPARE = Text("Comparison with others", "与其他企业比较")
COMPARES: Mapping[Compare | None, Text] = {
    None: Text("without the name, among five or more", "匿名，五家及以上"),
    "named": Text("by name", "实名"),
}
_SHIFT_BY_SHIFT = Text("only whether within limits, shift by shift", "仅显示每班是否在限值内")
_LIMITS = Text("{low} to {high}", "{low}～{high}")
_LIVE, _ENDED, _OVER = (
    Mark(Text("In force", "生效中"), "good"),
    Mark(Text("Ended", "已终止"), "off"),
    Mark(Text("Expired", "已到期"), "idle"),
)
_ANSWERS = {
    None: Mark(Text("Waiting for an answer", "待答复"), "warn"),
    "accepted": Mark(Text("Accepted", "已同意"), "good"),
    "declined": Mark(Text("Declined", "已拒绝"), "bad"),
    "withdrawn": Mark(Text("Withdrawn", "已撤回"), "off"),
}


def how(item: Item, language: Language) -> str:
    """Return how finely an item is shown, with its limits where it has any."""
    words = GRANULARITIES[item.granularity]
    if item.granularity == "pass_fail" and item.entry.startswith(KPI):
        words = _SHIFT_BY_SHIFT
    limits = ""
    if item.granularity == "pass_fail":
        found = None if item.entry.startswith(KPI) else entry_of(item.entry)
        unit = f" {unit_symbol(found.unit)}" if found else ""
        limits = " (" + _LIMITS.to(language).format(low=number(item.low), high=number(item.high)) + unit.rstrip() + ")"
    return words.to(language) + limits


def named(item: Item, language: Language) -> str:
    """Return what an item is called, with the kinds of machines it is of where it is not of all."""
    kinds = [equipment_classes()[code].to(language) for code in item.classes if code in equipment_classes()]
    joined = ("、" if language == "zh" else ", ").join(kinds)
    return name_of(item.entry).to(language) + (f" ({joined})" if kinds else "")


def what(item: Item, language: Language) -> str:
    """Return what an item shows, of which kinds of machines, and how finely."""
    return _labelled(named(item, language), how(item, language), language)


def all_of(terms: Ask | Terms, language: Language) -> list[str]:
    """Return what terms show, a line for each thing, values first."""
    traced = [_labelled(TRACE.to(language), TRACES[terms.trace].to(language), language)] if terms.trace else []
    level = [_labelled(MATURITY.to(language), MATURITIES[True].to(language), language)] if terms.maturity else []
    by_name = [_labelled(COMPARE.to(language), COMPARES["named"].to(language), language)] if terms.compare else []
    return [*(what(item, language) for item in terms.items), *traced, *level, *by_name]


def _labelled(name: str, shown: str, language: Language) -> str:
    return f"{name}{'：' if language == 'zh' else ': '}{shown}"


def state_of(grant: Grant) -> Mark:
    """Return whether a grant shows anything now."""
    if grant.ended_at:
        return _ENDED
    return _OVER if grant.terms.until <= datetime.now(UTC) else _LIVE


def answer_of(request: ShareRequest) -> Mark:
    """Return what became of a request."""
    return _ANSWERS[request.answer]
