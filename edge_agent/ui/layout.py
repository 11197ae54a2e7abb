"""The frame every page stands in: header with the language switch, the four places, and their order as a way to go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import NamedTuple
from urllib.parse import quote

from nicegui import ui

from edge_agent import __version__
from edge_agent.ui.elements import Words, box, icon
from edge_agent.ui.icons import LOGO
from edge_agent.ui.visit import Visit
from protocols.text import Language, Text

_THEME = f'<link rel="stylesheet" href="/look/theme.css?v={__version__}">'
_VIEWPORT = '<meta name="format-detection" content="telephone=no">'
_LANGUAGES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}


class Place(NamedTuple):
    """One entry of the navigation."""

    path: str
    icon: str
    name: Text


MACHINES = Text("Machines", "设备")

PLACES = (
    Place("/connect", "connect", Text("Connect", "接入")),
    Place("/machines", "machines", MACHINES),
    Place("/check", "check", Text("Check", "检查")),
    Place("/report", "report", Text("Report", "报告")),
)


def prepare(title: str, language: Language) -> None:
    """Set what a page's HTML head says: title, language, theme."""
    client = ui.context.client
    page = copy(client.page)
    page.language = _LANGUAGES[language]  # type: ignore[assignment]
    client.page = page
    client.title = f"{title} · Sunmao"
    ui.add_head_html(_THEME + _VIEWPORT)


@contextmanager
def frame(visit: Visit, title: str, *, back: tuple[str, str] | None = None, note: str = "") -> Iterator[None]:
    """Lay out the page `title`; what is built inside the `with` block is its content. `back` is (address, name)."""
    prepare(title, visit.language)
    with box("top", "header"), box("top-in"):
        with box("brand", "a", href="/"):
            ui.html(LOGO, sanitize=False, tag="span")
            Words("Sunmao")
            Words("榫卯", tag="small", classes="own")
        language_switch(visit.language, visit.here)
    with box("page", "main"):
        with box("head"), box():
            if back:
                with box("crumb", "a", href=back[0]):
                    icon("back")
                    Words(back[1])
            Words(title, tag="h1")
            if note:
                Words(note, "muted", tag="p")
        yield
    with box("places", "nav"):
        path = visit.request.url.path
        for number, place in enumerate(PLACES, 1):
            here = path.startswith(place.path.removesuffix("s"))
            current = {"aria_current": "page"} if here else {}
            with box("here" if here else "", "a", href=place.path, **current):
                icon(place.icon)
                Words(f"{number} {visit.say(place.name)}")


def language_switch(language: Language, here: str) -> None:
    """Add the switch. It names each language in that language and keeps the reader on the page."""
    with box("languages"):
        for tag, name in (("en", "EN"), ("zh", "中文")):
            target = f"/language/{tag}?next={quote(here, safe='')}"
            with box("here" if tag == language else "", "a", href=target, hreflang=tag, lang=tag):
                Words(name)
