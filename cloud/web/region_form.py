"""Where a set's models look: drawn on a good picture with mouse or finger, and kept with the set."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.training.schemas import PictureSet, SetChange
from cloud.web.elements import Words, box
from cloud.web.forms import attempt, button
from cloud.web.plate import outline
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Where to look", "检测区域")
_WHY = Text(
    "What lies outside is neither learnt nor judged: a fixture, a conveyor, a printed date. Without a region a model looks everywhere.",
    "区域之外既不学习也不判定，例如夹具、输送带或喷印日期。不画区域则检测整幅图片。",
)
_HOW = {
    "rectangle": Text("Drag from one corner to the opposite one.", "从一角拖动到对角。"),
    "polygon": Text(
        "Tap corner after corner; tap the first one again to close.", "依次点击各个角点，再次点击第一个角点即闭合。"
    ),
}
_SHAPES = {"rectangle": Text("Rectangle", "矩形"), "polygon": Text("Polygon", "多边形")}
_UNDO, _EVERYWHERE = Text("Undo", "撤销"), Text("Look everywhere", "检测整幅")
_SAVE = Text("Save the region", "保存区域")
_UNSAVED = Text("Not saved yet.", "尚未保存。")
_SAVED = Text("The next training looks there.", "下次训练将按此区域检测。")
_DRAW = Text("Draw where to look", "绘制检测区域")

_LEAST = 0.02
"""Shares of a picture's side: a smaller rectangle is a slip, and so near the first corner a polygon is closed."""
_MOST_CORNERS, _MOST_SHAPES = 64, 20

_PLACE = "const r = event.currentTarget.getBoundingClientRect();" + "".join(
    f" const {axis} = Math.min(Math.max((event.client{axis.upper()} - r.{edge}) / r.{side}, 0), 1);"
    for axis, edge, side in (("x", "left", "width"), ("y", "top", "height"))
)
_DOWN = f"""event => {{ {_PLACE}
    event.currentTarget.setPointerCapture(event.pointerId);
    event.currentTarget.begun = [x, y];
}}"""
_MOVE = f"""event => {{ {_PLACE}
    const begun = event.currentTarget.begun, band = event.currentTarget.querySelector('.band');
    if (!begun) return;
    Object.assign(band.style, {{left: 100 * Math.min(x, begun[0]) + '%', top: 100 * Math.min(y, begun[1]) + '%',
        width: 100 * Math.abs(x - begun[0]) + '%', height: 100 * Math.abs(y - begun[1]) + '%'}});
}}"""
_UP = f"""event => {{ {_PLACE}
    const begun = event.currentTarget.begun;
    event.currentTarget.begun = null;
    event.currentTarget.querySelector('.band').style.width = 0;
    if (begun) emit([...begun, x, y]);
}}"""

Point = tuple[float, float]


class RegionForm:
    """The card on a set's page."""

    def __init__(self, visit: Visit, found: PictureSet) -> None:
        self._visit, self._id = visit, found.id
        self._saved = found.region
        self._region = list(found.region)
        self._corners: list[Point] = []
        self._shape, self._picture = "rectangle", ""
        self._card = box("card stack wide")

    def show(self, picture: str) -> None:
        """Show the region over the good picture at this address; nothing without one."""
        self._card.set_visibility(bool(picture))
        if picture == self._picture:
            return
        self._picture = picture
        say, may = self._visit.say, self._visit.may(Scope.ENGINEER)
        self._card.clear()
        with self._card:
            Words(say(_TITLE), tag="h2")
            Words(say(_WHY), "muted small", tag="p")
            self._chosen = box("stack")
            with box("plate drawing" if may else "plate", aria_label=say(_DRAW), role="img") as plate:
                box("", "img", src=picture, alt="", draggable="false")
                self._laid_over = box()
                self._band = box("band")
            if may:
                plate.on("pointerdown", js_handler=_DOWN)
                plate.on("pointermove", js_handler=_MOVE)
                plate.on("pointerup", self._drawn, js_handler=_UP)
                with box("line"):
                    button(say(_SAVE), self._save)
                    button(say(_UNDO), self._undo, "button quiet")
                    button(say(_EVERYWHERE), self._clear, "button quiet")
                    self._unsaved = Words(say(_UNSAVED), "muted small")
                self._show_shapes()
            self._answer = box("stack")
        self._draw()

    def _show_shapes(self) -> None:
        """Show which shape is drawn, and how."""
        say = self._visit.say
        self._band.set_visibility(self._shape == "rectangle")
        self._chosen.clear()
        with self._chosen:
            with box(), box("choices"):
                for shape, words in _SHAPES.items():
                    with box("here" if shape == self._shape else "", "button", type="button") as choice:
                        Words(say(words))
                    choice.on("click", lambda _, shape=shape: self._choose(shape))
            Words(say(_HOW[self._shape]), "small", tag="p")

    def _draw(self) -> None:
        """Show what is drawn, over the picture."""
        self._laid_over.clear()
        with self._laid_over:
            if self._region:
                ui.html(outline(self._region), sanitize=False)
            for x, y in self._corners:
                box("corner", style=f"left: {100 * x:.2f}%; top: {100 * y:.2f}%")
        if self._visit.may(Scope.ENGINEER):
            self._unsaved.set_visibility(bool(self._corners) or self._region != self._saved)

    def _choose(self, shape: str) -> None:
        self._shape, self._corners = shape, []
        self._show_shapes()
        self._draw()

    def _drawn(self, event: Any) -> None:
        left, top, x, y = (round(float(share), 4) for share in event.args)
        if len(self._region) >= _MOST_SHAPES:
            return
        if self._shape == "rectangle":
            if min(abs(x - left), abs(y - top)) >= _LEAST:
                self._region.append([(left, top), (x, top), (x, y), (left, y)])
        elif len(self._corners) > 2 and self._is_first(x, y):
            self._region.append(self._corners)
            self._corners = []
        elif len(self._corners) < _MOST_CORNERS:
            self._corners.append((x, y))
        self._draw()

    def _is_first(self, x: float, y: float) -> bool:
        first = self._corners[0]
        return max(abs(x - first[0]), abs(y - first[1])) <= 2 * _LEAST

    async def _undo(self) -> None:
        if self._corners:
            self._corners.pop()
        elif self._region:
            self._region.pop()
        self._draw()

    async def _clear(self) -> None:
        self._region, self._corners = [], []
        self._draw()

    async def _save(self) -> None:
        if len(self._corners) > 2:
            self._region.append(self._corners)
        self._corners = []

        async def act(principal: Principal) -> None:
            change = SetChange.model_validate({"region": self._region})
            self._saved = (await self._visit.domains.training.change_set(principal, self._id, change)).region

        if await attempt(self._visit, self._answer, Scope.ENGINEER, act):
            self._region = list(self._saved)
            self._draw()
            with self._answer:
                Words(self._visit.say(_SAVED), "notice good", tag="p").props["role"] = "status"
