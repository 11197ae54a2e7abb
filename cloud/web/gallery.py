"""Inspections as pictures in a grid, newest first; and one inspection's score as a picture people understand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from cloud.quality.schemas import Inspection
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import moment, number
from cloud.web.visit import Visit
from cloud.web.words import VERDICTS
from protocols.text import Text

REVIEW_AT, REJECT_AT = 45.0, 68.0
"""Where the limits stand on the scale, in per cent of its width."""

NO_PICTURE = Text("no picture", "无图片")
_SCORE = Text("score {score}", "分值 {score}")
_TAKEN_FOR = Text("The model takes it for", "模型认为缺陷是")
_CHANCE = Text("{percent} % sure", "把握 {percent}%")
_NOT_ALIGNED = Text(
    "The picture cannot be laid over the reference, so nothing could be compared: look at the part, then at how it lies and at the camera.",
    "图片无法与标准件对齐，未能比对：请检查工件，再检查其摆放与相机。",
)
_SECOND = Text("Another model says:", "另一模型判定：")


class Gallery:
    """A grid of inspections; `refresh` puts new ones in front and lets the oldest go."""

    def __init__(self, visit: Visit, items: Sequence[Inspection], *, short: bool = False) -> None:
        self._visit = visit
        self._grid = box("gallery short" if short else "gallery")
        self._shown: Mapping[UUID, Inspection] = {}
        self.refresh(items)

    def refresh(self, items: Sequence[Inspection]) -> bool:
        """Show `items`, newest first; returns whether that changed anything."""
        if list(self._shown) == [item.id for item in items]:
            return False
        self._shown = {item.id: item for item in items}
        self._grid.clear()
        with self._grid:
            for item in items:
                _shot(self._visit, item)
        return True


def _shot(visit: Visit, item: Inspection) -> None:
    mark = VERDICTS[item.verdict]
    with box("shot", "a", href=f"/inspections/{item.id}"):
        if item.picture:
            box("", "img", src=f"/api/v1/inspections/{item.id}/picture", alt=item.part, loading="lazy")
        else:
            with box("no-picture"):
                Words(visit.say(NO_PICTURE))
        with box("shot-text"):
            with box("line spread"):
                MarkView(mark, visit.language)
                Words(number(item.score), "num muted", tag="span").props["title"] = visit.say(_SCORE).format(
                    score=number(item.score)
                )
            Words(item.part, "num", tag="div")
            if item.defect or item.model_defect:
                Words(item.defect or item.model_defect or "", "defect-name", tag="div")
            Words(moment(item.time, visit.zone, visit.language, now=datetime.now(UTC)), "muted num", tag="div")


def place_on_scale(item: Inspection) -> float:
    """Return where the score's needle stands, in per cent of the scale's width: within the zone of its verdict.

    Every zone is linear within itself and has room enough for its name, however far from the limits a score is.
    """
    score, review, reject = item.score, item.review_limit, item.reject_limit
    if score < review:
        start, end, low, high = 0.0, REVIEW_AT, min(0.0, score, 2 * review), review
    elif score < reject:
        start, end, low, high = REVIEW_AT, REJECT_AT, review, reject
    else:
        start, end, low, high = REJECT_AT, 100.0, reject, max(score * 1.1, reject + 2 * (reject - review))
    share = (score - low) / (high - low) if high > low else 0.5
    return round(min(max(start + share * (end - start), 3.0), 97.0), 2)


def second_opinion(visit: Visit, item: Inspection) -> None:
    """Say what another model says of the part, if one does."""
    if item.second:
        with box("line"):
            Words(visit.say(_SECOND), "muted small")
            MarkView(VERDICTS[item.second.verdict], visit.language)
            Words(f"{item.second.model} {item.second.model_version}", "muted small num")


def model_says(visit: Visit, *, defect: str | None, chance: float | None, aligned: bool) -> None:
    """Say what the model takes a part's defect for, where it is sure of one, or that there was nothing to compare."""
    if not aligned:
        Words(visit.say(_NOT_ALIGNED), "notice warn small", tag="p")
    if defect:
        with box("line"):
            Words(visit.say(_TAKEN_FOR), "muted small")
            Words(defect, "defect-name")
            Words(visit.say(_CHANCE, percent=round(100 * (chance or 0))), "muted small num")


def score_scale(visit: Visit, item: Inspection) -> None:
    """Draw the score against the limits it was judged by: three zones, a needle, the limits written under them."""
    zones = (("pass", 0.0, REVIEW_AT), ("review", REVIEW_AT, REJECT_AT), ("reject", REJECT_AT, 100.0))
    with box("scale"):
        with box("scale-bar"):
            for verdict, start, end in zones:
                box(verdict).style(f"width: {end - start}%")
        for verdict, start, end in zones:
            Words(VERDICTS[verdict].text.to(visit.language), "zone", tag="div").style(
                f"left: {start}%; width: {end - start}%"
            )
        Words(number(item.score), "needle", tag="div").style(f"left: {place_on_scale(item)}%")
        for limit, position in ((item.review_limit, REVIEW_AT), (item.reject_limit, REJECT_AT)):
            Words(number(limit), "limit num", tag="div").style(f"left: {position}%")
