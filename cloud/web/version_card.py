"""A fitted model as people decide on it: what it does with parts it never saw, beside the version before."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cloud.training.schemas import Comparison, Figures, Share, Version
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import NOTHING
from cloud.web.visit import Visit
from cloud.web.words import Mark
from models.card import KindCard
from models.kinds import naming
from protocols.text import Text

COMPARISONS: dict[Comparison, Mark] = {
    "first": Mark(Text("First version", "首个版本"), "idle"),
    "better": Mark(Text("Better than the one before", "优于上一版本"), "good"),
    "same": Mark(Text("Not better than the one before", "不优于上一版本"), "off"),
    "mixed": Mark(Text("Better in one, worse in another", "有升有降"), "warn"),
    "worse": Mark(Text("Worse than the one before", "不如上一版本"), "bad"),
}
_VERSION = Text("Version {number}", "版本 {number}")
_LEARNT = Text("learnt from {samples} pictures of {groups} parts", "由 {groups} 个工件的 {samples} 张图片训练")
_JUDGED_BY = Text(
    "Judged by parts it never learnt from: {good} good and {bad} defective ones. The brackets are 95 % intervals.",
    "由未参与训练的工件评估：良品 {good} 个，缺陷品 {bad} 个。括号内为 95% 置信区间。",
)
_PROVISIONAL = Text(
    "The limits are provisional: with so few parts, how often a good one is sent to review is not certain yet. More good"
    " parts make them firm.",
    "界限为暂定值：工件数量较少，良品送复核的比例尚不确定；增加良品图片后可确定。",
)
_NAMES = Text(
    "Names defects: macro-F1 {f1}, {named} % are given a name; always saying the most frequent kind would be right in {majority} %.",
    "缺陷命名：宏平均 F1 {f1}，{named}% 给出名称；若始终取最多的一类，正确率为 {majority}%。",
)
_LEARNT_ROWS = Text("learnt from {samples} rows in {groups} blocks", "由 {groups} 段共 {samples} 行训练")
_JUDGED_ROWS = Text(
    "Judged block by block by what the others taught; as an average forgets, they count as {good} readings independent of each"
    " other. The brackets are 95 % intervals.",
    "每段由其余各段训练的模型评估；按均值的遗忘速度，相当于 {good} 个相互独立的读数。括号内为 95% 置信区间。",
)
_PROVISIONAL_ROWS = Text(
    "The limits are provisional: how often healthy running is alarmed is not certain yet. A longer time makes them firm.",
    "界限为暂定值：健康运行时的误报率尚不确定；加长时段后可确定。",
)
_WATCH, _ALARM = (
    Text("Healthy readings to be watched", "健康读数被提示关注率"),
    Text("Healthy readings alarmed", "健康读数误报率"),
)
_FAULT = Text("Readings of the fault alarmed", "故障时段读数报警率")
_AUROC_FAULT = Text("Separation of the fault (AUROC, 0.5 to 1)", "故障区分度(AUROC，0.5～1)")
_JUDGED_BEFORE = Text(
    "The version before judges the same readings; of these it had learnt from {seen} itself, which flatters it.",
    "上一版本判定相同读数；其中 {seen} 个曾用于其自身训练，因此其结果偏乐观。",
)
_KIND, _PARTS, _RIGHT, _ELSE = (
    Text("Defect", "缺陷"),
    Text("Parts", "工件"),
    Text("Named rightly", "命名正确"),
    Text("Else called", "其余被称为"),
)
_NO_NAME = Text("not named {count}", "未命名 {count}")
_WAYS = {
    "compare": Text("Compares with a taught reference.", "与标准件比对。"),
    "aligned": Text("Looks at structure once a picture is laid over a taught reference.", "与标准件对齐后检测纹理。"),
}
_TILED = Text(
    "Sees a large picture in tiles of {tile} pixels, and once as a whole: {latency} ms where it was trained.",
    "大图按 {tile} 像素分块检测，并整幅检测一次；训练机器上耗时 {latency} 毫秒。",
)
_FIGURE, _THIS, _BEFORE = Text("Figure", "指标"), Text("This version", "本版本"), Text("Before", "上一版本")
_FOUND = Text("Defective parts found", "缺陷检出率")
_REVIEW = Text("Good parts sent to review", "良品误送复核率")
_REJECT = Text("Good parts rejected", "良品误判率")
_AUROC = Text("Separation (AUROC, 0.5 to 1)", "区分度(AUROC，0.5～1)")


def _ranking(figures: Figures) -> str:
    if figures.auroc is None:
        return NOTHING
    interval = figures.auroc_interval
    return f"{figures.auroc:.3f}" + (f" ({interval[0]:.2f}–{interval[1]:.2f})" if interval else "")


_ROWS: tuple[tuple[Text, Callable[[Figures], str]], ...] = (
    (_FOUND, lambda figures: _share(figures.found)),
    (_REVIEW, lambda figures: _share(figures.false_review)),
    (_REJECT, lambda figures: _share(figures.false_reject)),
    (_AUROC, _ranking),
)
_HEALTH_ROWS: tuple[tuple[Text, Callable[[Figures], str]], ...] = (
    (_WATCH, lambda figures: _share(figures.false_review)),
    (_ALARM, lambda figures: _share(figures.false_reject)),
    (_FAULT, lambda figures: _share(figures.found)),
    (_AUROC_FAULT, _ranking),
)


def show_version(visit: Visit, version: Version) -> None:
    """Draw a version: its name, the verdict on it, its figures."""
    say, fit = visit.say, version.card["fit"]
    health = version.card["task"] == "health"
    rows = _HEALTH_ROWS if health else _ROWS
    with box("line spread"):
        with box("line"):
            Words(say(_VERSION, number=version.number), "strong")
            if version.before or not health:
                MarkView(COMPARISONS[version.comparison], visit.language)
        Words(say(_LEARNT_ROWS if health else _LEARNT, samples=fit["samples"], groups=fit["groups"]), "muted small")
    with box("version-figures", "table"):
        with box("", "thead"), box("", "tr"):
            for name in (_FIGURE, _THIS, *((_BEFORE,) if version.before else ())):
                Words(say(name), tag="th")
        with box("", "tbody"):
            for name, figure in rows:
                with box("", "tr"):
                    Words(say(name), tag="td")
                    Words(figure(version.after), "num strong", tag="td")
                    if version.before:
                        Words(figure(version.before), "num muted", tag="td")
    Words(
        say(_JUDGED_ROWS if health else _JUDGED_BY, good=version.after.good_parts, bad=version.after.bad_parts),
        "muted small",
        tag="p",
    )
    if health and version.before:
        Words(say(_JUDGED_BEFORE, seen=version.before.learnt_from), "muted small", tag="p")
    if way := _WAYS.get(fit["family"]):
        Words(say(way), "muted small", tag="p")
    if tiling := version.card.get("tiling"):
        Words(say(_TILED, tile=tiling["tile"], latency=round(tiling["latency_ms"])), "muted small", tag="p")
    _show_kinds(visit, msgspec.convert(version.card.get("kinds", []), list[KindCard]))
    if version.card["review"]["provisional"]:
        Words(say(_PROVISIONAL_ROWS if health else _PROVISIONAL), "notice warn small", tag="p")


def _show_kinds(visit: Visit, kinds: list[KindCard]) -> None:
    """Draw how well defects are named, kind by kind, of parts that were not learnt from."""
    if not kinds:
        return
    say, found = visit.say, naming(kinds)
    named, majority = round(100 * found.named), round(100 * found.majority)
    Words(say(_NAMES, f1=f"{found.macro_f1:.2f}", named=named, majority=majority), "small", tag="p")
    with box("version-figures", "table"):
        with box("", "thead"), box("", "tr"):
            for name in (_KIND, _PARTS, _RIGHT, _ELSE):
                Words(say(name), tag="th")
        with box("", "tbody"):
            for number, kind in enumerate(kinds):
                called = [
                    f"{other.name} {count}"
                    for at, (other, count) in enumerate(zip(kinds, kind.said, strict=False))
                    if count and at != number
                ]
                if kind.said[-1]:
                    called.append(say(_NO_NAME, count=kind.said[-1]))
                with box("", "tr"):
                    Words(kind.name, "strong", tag="td")
                    Words(str(kind.parts), "num", tag="td")
                    Words(f"{100 * kind.found:.0f} % ({100 * kind.low:.0f}–{100 * kind.high:.0f} %)", "num", tag="td")
                    Words(", ".join(called) or NOTHING, "muted", tag="td")


def _share(share: Share | None) -> str:
    if share is None:
        return NOTHING
    return f"{share.value * 100:.1f} % ({share.low * 100:.0f}–{share.high * 100:.0f} %)"
