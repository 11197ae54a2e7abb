"""The frame every page stands in: header, navigation, language switch - and the way one page build is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from importlib.metadata import version
from typing import NamedTuple
from urllib.parse import quote

from nicegui import ui

from cloud.web.elements import Words, box, icon
from cloud.web.icons import LOGO
from cloud.web.visit import Visit
from protocols.text import Language, Text

_THEME = f'<link rel="stylesheet" href="/look/theme.css?v={version("sunmao-iiot")}">'
"""The look. The version makes a browser that has cached an older one fetch it anew."""

QUASAR_LANGUAGES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}


class Place(NamedTuple):
    """One entry of the navigation."""

    path: str
    icon: str
    name: Text


PLACES = (
    Place("/", "overview", Text("Overview", "总览")),
    Place("/inspections", "inspection", Text("Inspections", "质检")),
    Place("/gateways", "gateway", Text("Gateways", "网关")),
)


def prepare(title: str, language: Language) -> None:
    """Set what a page's HTML head says: title, language, theme."""
    client = ui.context.client
    page = copy(client.page)
    page.language = QUASAR_LANGUAGES[language]  # type: ignore[assignment]
    client.page = page
    client.title = f"{title} · Sunmao"
    ui.add_head_html(_THEME)


@contextmanager
def frame(visit: Visit, title: str) -> Iterator[None]:
    """Lay out the page `title`; what is built inside the `with` block is its content."""
    prepare(title, visit.language)
    with box("top", "header"), box("top-in"):
        with box("brand", "a", href="/"):
            ui.html(LOGO, sanitize=False, tag="span")
            Words("Sunmao")
            Words("榫卯", tag="small", classes="own")
        with box("nav", "nav"):
            _links(visit)
        with box("account"):
            language_switch(visit.language, visit.here)
            Words(visit.principal.email, "who")
            with (
                box("", "form", method="post", action="/logout"),
                box("", "button", type="submit", aria_label=visit.say(_LOG_OUT)),
            ):
                icon("leave")
                Words(visit.say(_LOG_OUT), "who")
    with box("page", "main"):
        yield
    with box("foot-nav", "nav"):
        _links(visit)


_LOG_OUT = Text("Log out", "退出登录")


def _links(visit: Visit) -> None:
    path = visit.request.url.path
    for place in PLACES:
        here = path == place.path or (place.path != "/" and path.startswith(place.path))
        here = here or (place.path == "/" and path.startswith("/equipment"))
        current = {"aria_current": "page"} if here else {}
        with box("here" if here else "", "a", href=place.path, **current):
            icon(place.icon)
            Words(visit.say(place.name))


def language_switch(language: Language, here: str) -> None:
    """Add the switch. It names each language in that language and keeps the reader on the page."""
    with box("languages"):
        for tag, name in (("en", "EN"), ("zh", "中文")):
            target = f"/language/{tag}?next={quote(here, safe='')}"
            with box("here" if tag == language else "", "a", href=target, hreflang=tag, lang=tag):
                Words(name)


def page_head(title: str, *, back: tuple[str, str] | None = None, note: str = "") -> ui.element:
    """Add a page's heading, with a way back to `(address, name)`; what belongs beside it goes into the result."""
    head = box("head")
    with head, box():
        if back:
            with box("crumb", "a", href=back[0]):
                icon("back")
                Words(back[1])
        Words(title, tag="h1")
        if note:
            Words(note, "muted", tag="p")
    return head


def show_message(title: str, text: str, action: tuple[str, str] | None = None) -> None:
    """Fill the page with one message and the next step, `(address, name)`."""
    with box("message card"):
        Words(title, tag="h1")
        Words(text, "muted", tag="p")
        if action:
            with box("button", "a", href=action[0]):
                Words(action[1])
