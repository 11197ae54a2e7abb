"""The building blocks of the pages: boxes, words, icons, marks, buttons - plain HTML with classes of theme.css."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from edge_agent.ui.icons import svg
from edge_agent.ui.words import Tone
from protocols.errors import SunmaoError
from protocols.text import Language


def box(classes: str = "", tag: str = "div", **attributes: str) -> ui.element:
    """Return an element to be filled in a `with` block. `attributes` are HTML attributes, values taken literally."""
    element = ui.element(tag).classes(classes)
    for name, value in attributes.items():
        element.props[name.strip("_").replace("_", "-")] = value
    return element


class Words(TextElement):
    """Text in an HTML tag of its own. It is shown literally, whatever it contains."""

    def __init__(self, text: str, classes: str = "", tag: str = "span") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)

    def show(self, text: str) -> None:
        """Show `text` instead; nothing is sent if it is the same."""
        if text != self.text:
            self.text = text


def icon(name: str) -> ui.html:
    """Add one of the pages' own icons."""
    return ui.html(svg(name), sanitize=False, tag="span")


class MarkView(ui.element):
    """A state in words, icon and colour."""

    def __init__(self, text: str, tone: Tone) -> None:
        super().__init__("span")
        with self:
            self._icon = icon(tone)
            self._words = Words(text)
        self._tone = tone
        self.classes(f"mark {tone}")

    def show(self, text: str, tone: Tone) -> None:
        """Show another state instead."""
        self._words.show(text)
        if tone != self._tone:
            self._tone = tone
            self.classes(replace=f"mark {tone}")
            self._icon.set_content(svg(tone))


def button(label: str, act: Callable[[], Any], classes: str = "button", *, sign: str = "") -> ui.element:
    """Add a button that calls `act`; it is inert while `act` is being awaited, so that a second tap does nothing."""
    element = box(classes, "button", type="button")
    busy = False

    async def pressed() -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            result = act()
            if isinstance(result, Awaitable):
                await result
        finally:
            busy = False

    element.on("click", pressed)
    with element:
        if sign:
            icon(sign)
        Words(label)
    return element


def link_button(label: str, address: str, classes: str = "button", *, sign: str = "") -> ui.element:
    """Add a link that looks like a button."""
    with box(classes, "a", href=address) as element:
        if sign:
            icon(sign)
        Words(label)
    return element


def notice(text: str, tone: Tone, *, mend: str = "") -> ui.element:
    """Add a sentence that must be seen, and under it what to do."""
    with box(f"notice {tone}", role="alert") as element:
        icon(tone)
        with box("stack tight"):
            Words(text, tag="div")
            if mend:
                Words(mend, "mend", tag="div")
    return element


def failure(error: SunmaoError, language: Language) -> ui.element:
    """Add what went wrong and how to mend it."""
    return notice(error.what.to(language), "bad", mend=error.mend.to(language) if error.mend else "")


class Field:
    """A labelled field of one line; `value` is what stands in it now."""

    def __init__(self, label: str, value: str = "", *, hint: str = "", **attributes: str) -> None:
        self.value = value
        with box("field", "label"):
            Words(label)
            attributes = {
                "type": "text",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            } | attributes
            self.element = box("", "input", **attributes)
            self.element.props["^value"] = value  # the attribute, which leaves alone what is being typed
            if hint:
                Words(hint, "muted small")
        self.element.on("input", self._typed, js_handler="(event) => emit(event.target.value)")

    def put(self, value: str) -> None:
        """Write `value` into the field."""
        self.value = value
        ui.run_javascript(f"getHtmlElement({self.element.id}).value = {json.dumps(value)}")

    def _typed(self, event: GenericEventArguments) -> None:
        self.value = str(event.args)


def progress_bar() -> ui.element:
    """Add a bar; `show_progress` moves it."""
    bar = box("bar", role="progressbar")
    with bar:
        box("bar-in")
    return bar


def show_progress(bar: ui.element, share: float) -> None:
    """Fill `bar` to `share`, 0..1."""
    percent = f"{100 * min(max(share, 0.0), 1.0):.0f}%"
    (inner,) = bar.default_slot.children
    inner.style(replace=f"width:{percent}")
