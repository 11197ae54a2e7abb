"""The wall board: a page for a screen in the workshop. It is opened by a code, turns its parts by itself, and never logs in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from nicegui import ui

from cloud.core.principal import Principal, Role, Scope
from cloud.fleet.schemas import Where
from cloud.identity.schemas import ShownBoard
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.attention import concerns
from cloud.web.board_slide import MOST, BoardSlide
from cloud.web.elements import Words, box, icon
from cloud.web.icons import LOGO
from cloud.web.language import language_of
from cloud.web.layout import prepare
from cloud.web.plant import Equipment, Plant, load_plant, take
from cloud.web.plant_view import SERVICES
from cloud.web.visit import Domains, Visit
from protocols.text import Text

BOARD_COOKIE = "sunmao_board"
TITLE = Text("Wall board", "生产看板")

_ENTER = Text("Type the code of this board", "请输入看板码")
_WHERE = Text(
    "It was shown when the board was made, on the page “Wall boards”. The screen then shows this board and nothing else.",
    "看板码在“生产看板”页面创建看板时显示。输入后，本屏幕只显示该看板，无需登录。",
)
_CODE, _SHOW = Text("Code", "看板码"), Text("Show the board", "显示看板")
_WRONG = {
    "wrong": Text("There is no board with this code; it may have been withdrawn.", "看板码有误，或该看板已被撤回。"),
    "wait": Text("Too many attempts. Wait half a minute, then try again.", "尝试次数过多，请半分钟后再试。"),
}
_EMPTY = Text("No machine stands here yet.", "此处尚无设备。")
_ALL_WELL = Text("All machines and gateways are well", "全部设备与网关正常")

_FROM_LINK = """<script>
addEventListener('load', () => {
    const code = decodeURIComponent(location.hash.slice(1));
    if (!code) return;
    history.replaceState(null, '', '/board');
    const fill = () => {
        const field = document.querySelector('input[name=code]');
        if (!field) return setTimeout(fill, 50);
        field.value = code;
        field.form.submit();
    };
    fill();
});
</script>"""
"""A link carries the code behind a #, so that it reaches neither the server's log nor the next page's referrer."""

_ANEW = """<script>
setInterval(() => fetch('/readyz').then(answer => answer.ok && location.reload()).catch(() => {}), 6 * 3600 * 1000);
</script>"""
"""A screen that runs for months loads itself anew now and then, and only while the cloud answers."""


def page_of(app: FastAPI) -> Callable[[Request], Awaitable[None]]:
    """Return the page: the board whose code this browser has, else the field to type one."""

    async def page(request: Request) -> None:
        domains = Domains.of(app)
        code = request.cookies.get(BOARD_COOKIE, "")
        shown = await domains.identity.boards.show(code) if code else None
        if shown is None:
            _ask(request)
        else:
            await _show(request, domains, code, shown)

    return page


def _ask(request: Request) -> None:
    language = language_of(request)
    prepare(TITLE.to(language), language)
    ui.add_body_html(_FROM_LINK)
    with box("board ask", "main"), box("gate-form"):
        Words(_ENTER.to(language), tag="h1")
        why = _WRONG.get(request.query_params.get("why", ""))
        if why:
            with box("notice bad", role="alert"):
                icon("bad")
                Words(why.to(language))
        with box("", "form", method="post", action="/board"):
            with box("field", "label"):
                Words(_CODE.to(language))
                box("", "input", name="code", required="", autocomplete="off", autofocus="", maxlength="64")
            with box("button", "button", type="submit"):
                Words(_SHOW.to(language))
        Words(_WHERE.to(language), "muted", tag="p")


async def _show(request: Request, domains: Domains, code: str, shown: ShownBoard) -> None:
    visit = await _visit(request, domains, shown)
    prepare(shown.board.name, visit.language)
    ui.add_body_html(_ANEW)
    plant = await load_plant(visit, Where(shown.board.site_id, shown.board.line_id))
    board = _Board(visit, shown, plant)
    await board.refresh(datetime.now(UTC))

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        if not await board.take(values):
            ui.navigate.reload()
            return
        await board.refresh(now)

    async def still() -> bool:
        now_shown = await domains.identity.boards.show(code)
        if now_shown is None:
            ui.navigate.reload()
        return now_shown is not None

    live.follow(visit, refresh, still)


async def _visit(request: Request, domains: Domains, shown: ShownBoard) -> Visit:
    """Return the visit of a screen: it may read and is nobody."""
    sites = await domains.identity.sites(shown.scope)
    zones = {site.id: site.time_zone for site in sites}
    zone = zones.get(shown.board.site_id or (sites[0].id if sites else shown.board.id), "UTC")
    nobody = Principal(
        scope=shown.scope,
        user_id=shown.board.id,
        token_id=shown.board.id,
        email="",
        role=Role.VIEWER,
        language=shown.board.language,
        scopes=frozenset([Scope.READ]),
    )
    return Visit(request, domains, nobody, shown.board.language, shown.tenant, ZoneInfo(zone))


@dataclass
class _Part:
    title: str
    where: str
    machines: list[Equipment]


class _Board:
    def __init__(self, visit: Visit, shown: ShownBoard, plant: Plant) -> None:
        self._visit = visit
        self._shown = shown
        self._plant = dict(plant)
        self._now = -1
        self._concerns: tuple[str, ...] | None = None
        with box("board", "main", data_board=""):
            with box("board-top"):
                with box("brand"):
                    ui.html(LOGO, sanitize=False, tag="span")
                    Words(shown.tenant)
                Words(shown.board.name, "board-name")
                self._clock = Words("", "board-clock")
            parts = _parts(visit, plant.values())
            if not parts:
                Words(visit.say(_EMPTY), "slide-title", tag="h1")
            self._slides = [BoardSlide(visit, part.title, part.where, part.machines) for part in parts]
            with box("board-foot"):
                self._ticker = box("board-ticker")
                with box("board-dots"):
                    self._dots = [box("dot") for _ in self._slides] if len(self._slides) > 1 else []

    async def take(self, values: Collection[Latest]) -> bool:
        """Take newer values; False where the plant is another than was drawn."""
        visit = self._visit
        for known in await visit.domains.fleet.equipment_list(visit.scope, only=list(self._plant)):
            drawn = self._plant[known.id].known
            if (drawn.label, drawn.line_id) != (known.label, known.line_id):
                return False
            self._plant[known.id].known = known
        return take(self._plant, [value for value in values if value.equipment_id in self._plant])

    async def refresh(self, now: datetime) -> None:
        """Show the part whose turn it is."""
        self._clock.show(f"{now.astimezone(self._visit.zone):%H:%M}")
        if self._slides:
            turn = int(now.timestamp() // self._shown.board.turn_s) % len(self._slides)
            await self._slides[turn].refresh(now)
            if turn != self._now:
                self._now = turn
                for number, slide in enumerate(self._slides):
                    slide.ground.classes(remove="now", add="now" if number == turn else "")
                for number, dot in enumerate(self._dots):
                    dot.classes(remove="now", add="now" if number == turn else "")
        await self._warn(now)

    async def _warn(self, now: datetime) -> None:
        visit = self._visit
        serving = {each.known.agent_id for each in self._plant.values()}
        agents = [agent for agent in await visit.domains.fleet.agents(visit.scope) if agent.id in serving]
        found = concerns(self._plant.values(), agents, now)[:3]
        said = tuple(f"{each.name} · {visit.say(each.trouble.what)}" for each in found)
        if said == self._concerns:
            return
        self._concerns = said
        self._ticker.clear()
        with self._ticker:
            if not said:
                with box("line good"):
                    icon("good")
                    Words(visit.say(_ALL_WELL))
            for concern, words in zip(found, said, strict=True):
                with box(f"line {concern.trouble.tone}"):
                    icon(concern.trouble.tone)
                    Words(words)


def _parts(visit: Visit, machines: Collection[Equipment]) -> list[_Part]:
    """Return what is shown in turn: each line, and what serves a whole site."""
    ordered = sorted(machines, key=lambda each: (each.where[0], not each.where[1], each.where[1], each.place))
    parts = []
    for (site, line), members in groupby(ordered, key=lambda each: each.where):
        every = list(members)
        for first in range(0, len(every), MOST):
            title = line or (visit.say(SERVICES) if len({each.where for each in machines}) > 1 else site)
            parts.append(_Part(title, site if title != site else "", every[first : first + MOST]))
    return parts
