"""A picture of a part with its heat map over it, and the slider that says how much of it shows."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

Region = Sequence[Sequence[tuple[float, float]]]
"""Polygons in shares of a picture's width and height."""

_HEAT = Text("Heat map", "热力图")
_USUAL, _UNUSUAL = Text("usual", "正常"), Text("unusual", "异常")

_HEAT_FILTER = """
<svg width="0" height="0" aria-hidden="true" style="position:absolute"><filter id="heat" color-interpolation-filters="sRGB">
<feColorMatrix values="1 0 0 0 0  1 0 0 0 0  1 0 0 0 0  1.6 0 0 0 -0.12"/>
<feComponentTransfer><feFuncR type="table" tableValues="0.16 0.64 0.93 0.99"/>
<feFuncG type="table" tableValues="0.04 0.15 0.42 0.93"/><feFuncB type="table" tableValues="0.37 0.42 0.14 0.45"/></feComponentTransfer>
</filter></svg>
"""
"""Colours the grey heat map from transparent over violet and orange to yellow, all in the browser."""


def outline(region: Region) -> str:
    """Return a drawing to be laid over a picture: the borders of `region`, all else darkened."""
    shapes = "".join(f'<polygon points="{" ".join(f"{x:.4f},{y:.4f}" for x, y in polygon)}"/>' for polygon in region)
    return (
        '<svg class="outline" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true"><mask id="outside">'
        f'<rect width="1" height="1" fill="#fff"/><g fill="#000">{shapes}</g></mask>'
        f'<rect width="1" height="1" fill-opacity=".55" mask="url(#outside)"/><g class="border">{shapes}</g></svg>'
    )


def show_plate(visit: Visit, picture: str, heatmap: str, name: str, region: Region = ()) -> None:
    """Show the image at the address `picture`, under the one at `heatmap` unless that is "", with the region that is looked at, if any."""
    with box("plate") as plate:
        box("", "img", src=picture, alt=name)
        if heatmap:
            ui.html(_HEAT_FILTER, sanitize=False)
            box("heat", "img", src=heatmap, alt=visit.say(_HEAT))
        if region:
            ui.html(outline(region), sanitize=False)
    if not heatmap:
        return
    with box("plate-controls"):
        with box("line", "label"):
            Words(visit.say(_HEAT))
            slider = box("", "input", type="range", min="0", max="100", value="75", aria_label=visit.say(_HEAT))
        with box("line"):
            Words(visit.say(_USUAL))
            box("ramp")
            Words(visit.say(_UNUSUAL))
    slider.on(
        "input", js_handler=f"event => getHtmlElement({plate.id}).style.setProperty('--heat', event.target.value / 100)"
    )
