"""Wall boards: which there are, making one with its code, and withdrawing one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from nicegui import events, ui

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.identity.schemas import Board, BoardRequest
from cloud.web.elements import Words, box, icon
from cloud.web.enrolment import qr_code
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.visit import Visit
from protocols.text import Language, Text

TITLE = Text("Wall boards", "生产看板")

_NOTE = Text(
    "A screen in the workshop shows a part of the plant, turns its lines by itself and needs no log-in.",
    "车间大屏自动轮播各产线，无需登录。",
)
_NONE = Text("There is no board yet. Make the first one beside.", "尚无看板，请在旁边创建第一块看板。")
_NEW, _NAME, _SHOWS = Text("New board", "新建看板"), Text("Name", "名称"), Text("Shows", "显示内容")
_LANGUAGE, _TURN = Text("Language", "语言"), Text("Seconds per line", "每条产线停留秒数")
_MAKE, _COMPANY = Text("Make the board", "创建看板"), Text("the whole company", "全企业")
_CODE_IS = Text(
    "Open {address} on the screen and type this code. It is shown only now; it opens this board until you withdraw it.",
    "在大屏浏览器打开 {address} 并输入以下看板码。看板码仅显示这一次，撤回前一直有效。",
)
_LINK = Text("Or open this link on it:", "或直接打开链接：")
_SEEN, _NEVER = Text("on a screen at {time}", "{time} 有屏幕显示"), Text("not shown yet", "尚未显示")
_MADE = Text("made by {who}", "由 {who} 创建")
_WITHDRAW = Text("Withdraw", "撤回")
_REALLY = Text("Its screens go dark within seconds. Withdraw it?", "撤回后相关屏幕将在数秒内停止显示，确定撤回？")
_YES, _NO = Text("Withdraw it", "确定撤回"), Text("Keep it", "取消")
_NAMELESS = Text("Give the board a name first.", "请先填写看板名称。")
_TURNS = (10, 15, 30, 60)
_LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}


async def build(visit: Visit) -> None:
    """Build the page."""
    places = await _places(visit)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        with box("columns"):
            listed = box("stack wide")
            with box("card stack"):
                page = _Boards(visit, listed, places)
    await page.list()


async def _places(visit: Visit) -> dict[str, tuple[str, UUID | None, UUID | None]]:
    """Return what a board may show, by a key for the form: its name, and the site or the line."""
    found: dict[str, tuple[str, UUID | None, UUID | None]] = {"": (visit.say(_COMPANY), None, None)}
    lines = (await visit.domains.identity.plant.lines(visit.scope)).items
    for site in await visit.domains.identity.sites(visit.scope):
        found[str(site.id)] = (site.name, site.id, None)
        for line in lines:
            if line.site_id == site.id:
                found[str(line.id)] = (f"{site.name} › {line.name}", None, line.id)
    return found


class _Boards:
    def __init__(
        self, visit: Visit, listed: ui.element, places: dict[str, tuple[str, UUID | None, UUID | None]]
    ) -> None:
        self._visit = visit
        self._listed = listed
        self._places = places
        self._typed = {"name": "", "place": "", "language": visit.language, "turn": "15"}
        say = visit.say
        Words(say(_NEW), tag="h2")
        with box("field", "label"):
            Words(say(_NAME))
            self._field(box("", "input", maxlength="120"), "name")
        self._choose(_SHOWS, "place", {key: name for key, (name, _, _) in places.items()})
        self._choose(_LANGUAGE, "language", {language: _LANGUAGES[language] for language in get_args(Language)})
        self._choose(_TURN, "turn", {str(seconds): str(seconds) for seconds in _TURNS})
        with box("button", "button", type="button").on("click", self._make):
            Words(say(_MAKE))
        self._answer = box("stack")

    def _choose(self, name: Text, key: str, options: dict[str, str]) -> None:
        with box("field", "label"):
            Words(self._visit.say(name))
            with box("", "select") as select:
                for value, shown in options.items():
                    chosen = {"selected": ""} if value == self._typed[key] else {}
                    with box("", "option", value=value, **chosen):
                        Words(shown)
            self._field(select, key)

    def _field(self, element: ui.element, key: str) -> None:
        def typed(event: events.GenericEventArguments) -> None:
            self._typed[key] = str(event.args or "")

        element.on("input", typed, js_handler="event => emit(event.target.value)")

    async def _make(self) -> None:
        visit, say = self._visit, self._visit.say
        if not await visit.may_still(Scope.ENGINEER):
            return
        self._answer.clear()
        name = self._typed["name"].strip()
        _, site, line = self._places.get(self._typed["place"], ("", None, None))
        with self._answer:
            if not name:
                Words(say(_NAMELESS), "is-bad", tag="p")
                return
            wanted = BoardRequest(
                name=name[:120],
                site_id=site,
                line_id=line,
                language="en" if self._typed["language"] == "en" else "zh",
                turn_s=next((seconds for seconds in _TURNS if str(seconds) == self._typed["turn"]), 15),
            )
            try:
                made = await visit.domains.identity.boards.create(visit.acting(Scope.ENGINEER), wanted)
            except Problem as refused:
                Words(say(refused.detail), "is-bad", tag="p")
                return
            address = f"{str(visit.request.base_url).rstrip('/')}/board"
            Words(say(_CODE_IS, address=address), tag="p")
            Words(made.code, "code", tag="div").mark("board-code")
            Words(say(_LINK), "muted small", tag="div")
            with box("command", "a", href=f"{address}#{made.code}", target="_blank"):
                Words(f"{address}#{made.code}")
            ui.html(qr_code(f"{address}#{made.code}"), sanitize=False).classes("qr")
        await self.list()

    async def list(self) -> None:
        """Show the boards there are."""
        visit = self._visit
        boards = await visit.domains.identity.boards.boards(visit.scope)
        self._listed.clear()
        with self._listed:
            if not boards:
                Words(visit.say(_NONE), "card muted", tag="p")
            for board in boards:
                self._show(board)

    def _show(self, board: Board) -> None:
        visit, say = self._visit, self._visit.say
        shows, _, _ = self._places.get(str(board.line_id or board.site_id or ""), ("–", None, None))
        now = datetime.now(UTC)
        with box("card stack"):
            with box("line"):
                icon("board")
                Words(board.name, "tile-name", tag="div")
            Words(f"{shows} · {_LANGUAGES[board.language]} · {board.turn_s} s", tag="div")
            seen = say(_NEVER)
            if board.shown_at:
                seen = say(_SEEN, time=moment(board.shown_at, visit.zone, visit.language, now=now, seconds=False))
            Words(f"{seen} · {say(_MADE, who=board.created_by.removeprefix('user:'))}", "muted small", tag="div")
            acts = box("stack")
            self._offer(acts, board)

    def _offer(self, acts: ui.element, board: Board) -> None:
        acts.clear()
        with acts, box("link bad", "button", type="button").on("click", lambda: self._ask(acts, board)):
            Words(self._visit.say(_WITHDRAW))

    def _ask(self, acts: ui.element, board: Board) -> None:
        visit, say = self._visit, self._visit.say

        async def withdraw() -> None:
            if not await visit.may_still(Scope.ENGINEER):
                return
            try:
                await visit.domains.identity.boards.withdraw(visit.acting(Scope.ENGINEER), board.id)
            except Problem as refused:
                acts.clear()
                with acts:
                    Words(say(refused.detail), "is-bad", tag="p")
                return
            await self.list()

        acts.clear()
        with acts:
            Words(say(_REALLY), tag="p")
            with box("line"):
                with box("button bad", "button", type="button").on("click", withdraw):
                    Words(say(_YES))
                with box("button quiet", "button", type="button").on("click", lambda: self._offer(acts, board)):
                    Words(say(_NO))
