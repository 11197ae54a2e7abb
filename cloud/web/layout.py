"""The frame every page stands in: the places to go to, the reader's account, the language switch.

There is one list of places. On a wide screen it stands at the side; on a narrow one it is a sheet behind "More", and the
places at hand are at the bottom of the screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from importlib.metadata import version
from urllib.parse import quote

from nicegui import ui

from cloud.web.alarm_feed import Badge
from cloud.web.elements import Words, box, icon
from cloud.web.icons import LOGO
from cloud.web.places import ALARMS, Place, at_hand, grouped, open_to, place_of
from cloud.web.visit import Visit
from protocols.text import Language, Text

SHEETS = (
    "theme",
    "frame",
    "plant",
    "trends",
    "board",
    "company",
    "energy",
    "production",
    "alarms",
    "report",
    "training",
    "handout",
)
"""The style sheets, in order. Their version makes a browser that has cached older ones fetch them anew."""

CONNECTED = """<script>
const asking = setInterval(() => {
    if (!window.did_handshake) return;
    clearInterval(asking);
    setTimeout(() => document.documentElement.classList.add("connected"), 20);
}, 10);
</script>"""
"""Says when a page is one that answers. NiceGUI holds back each event before that with a timer of its own, so that a click
could overtake what was typed before it: no button takes one until then."""

QUASAR_LANGUAGES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}


_MORE = Text("More", "更多")
_LOG_OUT = Text("Log out", "退出登录")
_PLACES = Text("Places", "导航")


def prepare(title: str, language: Language) -> None:
    """Set what a page's HTML head says: title, language, theme."""
    client = ui.context.client
    page = copy(client.page)
    page.language = QUASAR_LANGUAGES[language]  # type: ignore[assignment]
    client.page = page
    client.title = f"{title} · Sunmao"
    ui.add_head_html(CONNECTED)
    for sheet in SHEETS:
        ui.add_head_html(f'<link rel="stylesheet" href="/look/{sheet}.css?v={version("sunmao-iiot")}">')


@contextmanager
def frame(visit: Visit, title: str) -> Iterator[None]:
    """Lay out the page `title`; what is built inside the `with` block is its content."""
    prepare(title, visit.language)
    places = open_to(visit.principal.scopes)
    current = place_of(visit.request.url.path)
    badge = Badge(visit)
    with box("frame"):
        with box("side", "aside", popover="auto") as side:
            _brand()
            with box("places", "nav", aria_label=visit.say(_PLACES)):
                for group, members in grouped(places):
                    Words(visit.say(group), "group", tag="div")
                    for place in members:
                        _link(visit, place, current, badge)
            _account(visit)
        with box("beside"):
            with box("top", "header"):
                _brand()
            with box("page", "main"):
                yield
        with box("foot-nav", "nav", aria_label=visit.say(_PLACES)):
            near = at_hand(places)
            for place in near:
                _link(visit, place, current, badge)
            with box("" if current in near else "here", "button", type="button", popovertarget=side.html_id):
                icon("more")
                Words(visit.say(_MORE))
    badge.keep()


def _brand() -> None:
    with box("brand", "a", href="/"):
        ui.html(LOGO, sanitize=False, tag="span")
        Words("Sunmao")
        Words("榫卯", tag="small", classes="own")


def _account(visit: Visit) -> None:
    with box("account"):
        Words(visit.principal.email, "who").props["title"] = visit.principal.email
        with box("line spread"):
            language_switch(visit.language, visit.here)
            with box("", "form", method="post", action="/logout"), box("", "button", type="submit"):
                icon("leave")
                Words(visit.say(_LOG_OUT))


def _link(visit: Visit, place: Place, current: Place | None, badge: Badge) -> None:
    marked = {"aria_current": "page"} if place == current else {}
    with box("here" if place == current else "", "a", href=place.path, **marked):
        icon(place.icon)
        Words(visit.say(place.name))
        if place.path == ALARMS:
            badge.show()


def language_switch(language: Language, here: str) -> None:
    """Add the switch. It names each language in that language and keeps the reader on the page."""
    with box("languages"):
        for tag, name in (("en", "EN"), ("zh", "中文")):
            target = f"/language/{tag}?next={quote(here, safe='')}"
            with box("here" if tag == language else "", "a", href=target, hreflang=tag, lang=tag):
                Words(name)


def page_head(
    title: str, *, back: tuple[str, str] | None = None, crumbs: Sequence[tuple[str, str]] = (), note: str = ""
) -> ui.element:
    """Add a page's heading; what belongs beside it goes into the result.

    `back` is one way back, `(address, name)`; `crumbs` are the places above this one, from the top.
    """
    head = box("head")
    with head, box():
        if back:
            with box("crumb", "a", href=back[0]):
                icon("back")
                Words(back[1])
        if crumbs:
            with box("crumbs", "nav"):
                for address, name in crumbs:
                    with box("crumb", "a", href=address):
                        Words(name)
                        icon("next")
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
