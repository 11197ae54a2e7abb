"""The funnel of a programme in words, and what is missing at a supplier."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cloud.sharing.service import name_of
from cloud.suppliers.schemas import ItemConformance, Programme, Stage
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

_NEXT: Mapping[Stage, Text] = {
    "invited": Text("has not opened the invitation", "尚未打开邀请"),
    "opened": Text("has not registered", "尚未注册"),
    "registered": Text("has not answered", "尚未答复"),
    "agreed": Text("no machine reports yet", "尚无设备上报"),
}
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
    return [words for item in items if (words := _lacks(item, stage, programme, language))]


def _lacks(item: ItemConformance, stage: Stage, programme: Programme, language: Language) -> str:
    entry = name_of(item.entry).to(language)
    if not item.granted:
        return _NOT_GRANTED.to(language).format(entry=entry)
    if not item.machines:
        return _NOWHERE.to(language).format(entry=entry)
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
