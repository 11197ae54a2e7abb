"""The few building blocks all pages are made of: boxes, words, icons, marks - plain HTML with classes of theme.css."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from cloud.web.icons import svg
from cloud.web.words import Mark
from protocols.text import Language

_KEEPS_TYPED = "event => { element.props.value = event.target.value }"
"""Whenever anything on a page changes, Vue sets a field's value anew: to what was typed, not to what stood there first."""


def box(classes: str = "", tag: str = "div", **attributes: str) -> ui.element:
    """Return an element to be filled in a `with` block. `attributes` are HTML attributes, values taken literally."""
    element = ui.element(tag).classes(classes)
    for name, value in attributes.items():
        element.props[name.strip("_").replace("_", "-")] = value
    if tag in {"input", "textarea"} and "value" in attributes:
        element.on("input", js_handler=_KEEPS_TYPED)
    return element


def figure(name: str, value: str, note: str, unit: str = "") -> None:
    """Add one large figure with its name and what stands behind it; they stand in a row in a box "figures"."""
    with box("figure"):
        Words(name, "label", tag="div")
        with box("big"):
            Words(value)
            if unit:
                Words(unit, "unit")
        Words(note, "note", tag="div")


def chooser(markup: str, classes: str = "", **attributes: str) -> ui.html:
    """Add a list to choose from, with options as `option_markup` writes them."""
    element = ui.html(markup, sanitize=False, tag="select").classes(classes)
    for name, value in attributes.items():
        element.props[name.replace("_", "-")] = value
    return element


def option_markup(names: Mapping[str, str], value: str) -> str:
    """Return options by their values as markup: as elements of the page, those of 2,000 machines take seconds."""
    return "".join(
        f'<option value="{escape(one)}"{" selected" if one == value else ""}>{escape(name)}</option>'
        for one, name in names.items()
    )


class Words(TextElement):
    """Text in an HTML tag of its own. It is shown literally, whatever it contains."""

    def __init__(self, text: str, classes: str = "", tag: str = "span") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)

    def show(self, text: str) -> bool:
        """Show `text` instead; returns whether that changed anything. Nothing is sent if not."""
        if text == self.text:
            return False
        self.text = text
        return True


def icon(name: str) -> ui.html:
    """Add one of the page's own icons."""
    return ui.html(svg(name), sanitize=False, tag="span")


class MarkView(ui.element):
    """A state in words, icon and colour; `plain` is without the coloured ground."""

    def __init__(self, mark: Mark, language: Language, *, plain: bool = False) -> None:
        super().__init__("span")
        self._language = language
        self._shape = "mark plain" if plain else "mark"
        with self:
            self._icon = icon(mark.tone)
            self._words = Words(mark.text.to(language))
        self._mark = mark
        self.classes(f"{self._shape} {mark.tone}")

    def show(self, mark: Mark) -> None:
        """Show `mark` instead."""
        if mark == self._mark:
            return
        if mark.tone != self._mark.tone:
            self.classes(replace=f"{self._shape} {mark.tone}")
            self._icon.set_content(svg(mark.tone))
        self._words.show(mark.text.to(self._language))
        self._mark = mark
