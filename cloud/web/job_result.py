"""What came out of a job, in words: verdicts counted, figures of a model, scores written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloud.compute.schemas import Job
from cloud.web.words import VERDICTS
from protocols.text import Language, Text

_AUROC = Text("Ranking (AUROC) {auroc}; by brightness alone {trivial}", "排序能力(AUROC){auroc}；仅凭亮度 {trivial}")
_SHARES = {
    "recall_review": Text("Defects that go to review at least", "缺陷至少进入复判"),
    "recall_reject": Text("Defects that are rejected", "缺陷直接拒收"),
    "false_review": Text("Good pictures that go to review", "良品误入复判"),
    "false_reject": Text("Good pictures that are rejected", "良品误拒"),
}
_SHARE = Text(
    "{what}: {value} % of {pictures} (95 % within {low} to {high} %)",
    "{what}：{pictures} 张中 {value} %(95 % 区间 {low}–{high} %)",
)
_FILLED = Text(
    "{judged} of {steps} rows judged, {written} readings written",
    "共 {steps} 行，判定 {judged} 行，写入读数 {written} 个",
)


def told_of(job: Job, language: Language) -> Iterator[str]:
    """Yield what came out of a job that is done."""
    result = job.result or {}
    if figures := result.get("evaluated"):
        yield from _figures(figures, language)
    counts = result.get("inspected", {})
    if filled := result.get("backfilled"):
        yield _FILLED.to(language).format(**{name: filled[name] for name in ("judged", "steps", "written")})
        counts = filled["verdicts"]
    told = (f"{mark.text.to(language)}: {counts[name]}" for name, mark in VERDICTS.items() if name in counts)
    if line := " · ".join(told):
        yield line


def _figures(figures: dict[str, Any], language: Language) -> Iterator[str]:
    yield _AUROC.to(language).format(auroc=f"{figures['auroc']:.3f}", trivial=f"{figures['trivial_auroc']:.3f}")
    for name, what in _SHARES.items():
        share = figures[name]
        parts = {side: f"{100 * share[side]:.1f}" for side in ("value", "low", "high")}
        yield _SHARE.to(language).format(what=what.to(language), pictures=share["pictures"], **parts)
