"""The funnel of a programme in words, and what is missing at a supplier."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cloud.sharing.service import name_of
from cloud.suppliers.schemas import Cadence, ItemConformance, Programme, Stage
from cloud.web.language import duration
from cloud.web.words import Mark
from protocols.text import Language, Text

STAGES: Mapping[Stage, Mark] = {
    "invited": Mark(Text("Invited", "已邀请"), "idle"),
    "opened": Mark(Text("Opened", "已打开"), "idle"),
    "registered": Mark(Text("Registered", "已注册"), "idle"),
    "agreed": Mark(Text("Agreed", "已同意"), "warn"),
    "device": Mark(Text("First machine", "首台设备接入"), "warn"),
    "conformant": Mark(Text("Data conforms", "数据合规"), "good"),
    "live": Mark(Text("Live", "正常共享"), "good"),
    "declined": Mark(Text("Declined", "已拒绝"), "bad"),
    "ended": Mark(Text("Ended", "已终止"), "off"),
}
WAY: tuple[Stage, ...] = ("invited", "opened", "registered", "agreed", "device", "conformant", "live")
"""The stages in their order, without the ways out."""

CADENCES: Mapping[Cadence, Text] = {
    "continuous": Text("as they arise", "实时"),
    "hour": Text("every hour", "每小时"),
    "day": Text("every day", "每天"),
    "week": Text("every week", "每周"),
    "month": Text("every month", "每月"),
}

_NEXT: Mapping[Stage, Text] = {
    "invited": Text("has not opened the invitation", "尚未打开邀请"),
    "opened": Text("has not registered", "尚未注册"),
    "registered": Text("has not answered", "尚未答复"),
    "agreed": Text("no machine reports yet", "尚无设备上报"),
}
_LACKS = Text("{machine} lacks {entries}", "{machine} 缺少：{entries}")
_FEW = Text(
    "{entry}: {count} figures are left out, with fewer than three readings behind them",
    "{entry}：{count} 个数值因读数少于三个而未显示",
)
_NOT_GRANTED = Text("{entry}: not shown, or more coarsely than asked", "{entry}：未共享，或粒度比申请的更粗")
_NOWHERE = Text("{entry}: no machine has it", "{entry}：没有设备提供")
_OUTSIDE = Text("{entry}: {count} values beyond what is plausible", "{entry}：{count} 个数值超出合理范围")
_GAPS = Text(
    "{entry}: {share} % of readings are good, {wanted} % are wanted", "{entry}：有效读数 {share}%，要求 {wanted}%"
)
_OLD = Text("{entry}: the newest value is {age} old", "{entry}：最新数据距今 {age}")


def lacking(stage: Stage, items: list[ItemConformance], programme: Programme, language: Language) -> list[str]:
    """Return what keeps a supplier from the next stage, in words."""
    if stage in _NEXT:
        return [_NEXT[stage].to(language)]
    if stage in ("declined", "ended", "live"):
        return []
    said = [words for item in items if item.applies and (words := _lacks(item, stage, programme, language))]
    return said + (_by_machine(items, programme, language) if stage == "device" else [])


def _by_machine(items: list[ItemConformance], programme: Programme, language: Language) -> list[str]:
    """Return what single machines lack of the entries that are asked for by class, a line for each machine."""
    lacks: dict[str, list[str]] = {}
    for item in items:
        asked = programme.terms.item(item.entry)
        if asked and asked.classes and item.machines:
            for machine in item.missing:
                lacks.setdefault(machine, []).append(name_of(item.entry).to(language))
    comma = "、" if language == "zh" else ", "
    return [
        _LACKS.to(language).format(machine=machine, entries=comma.join(entries)) for machine, entries in lacks.items()
    ]


def _lacks(item: ItemConformance, stage: Stage, programme: Programme, language: Language) -> str:
    entry = name_of(item.entry).to(language)
    if not item.granted:
        return _NOT_GRANTED.to(language).format(entry=entry)
    if not item.machines:
        return (_FEW if item.few else _NOWHERE).to(language).format(entry=entry, count=item.few)
    if item.outside:
        return _OUTSIDE.to(language).format(entry=entry, count=item.outside)
    if stage == "device":
        return ""
    if (item.completeness or 0) < programme.completeness:
        share, wanted = f"{100 * (item.completeness or 0):.0f}", f"{100 * programme.completeness:.0f}"
        return _GAPS.to(language).format(entry=entry, share=share, wanted=wanted)
    assert item.newest is not None  # noqa: S101 - a machine has it
    age = duration((datetime.now(UTC) - item.newest).total_seconds()).to(language)
    return _OLD.to(language).format(entry=entry, age=age)
