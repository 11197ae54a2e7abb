"""Data sharing: what others ask to see, what they may see, what one may see of others, and asking for more."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.core.principal import Principal, Scope
from cloud.sharing.schemas import Grant, ShareRequest
from cloud.web.elements import MarkView, Words, box
from cloud.web.forms import attempt, button
from cloud.web.layout import frame, page_head
from cloud.web.share_request_form import AskForm, RequestCard, reload
from cloud.web.share_words import all_of, answer_of, state_of
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Data sharing", "数据共享")

_NOTE = Text(
    "Who may see what of your machines, for what purpose and how long. Either side ends it at once; every read is on record.",
    "谁能看到贵公司设备的哪些数据、用于何种目的、有效多久。任何一方可随时终止，每次读取都有据可查。",
)
_ASKED_OF_US = Text("Waiting for your answer", "待您答复")
_WE_SHOW, _WE_SEE = Text("What you show", "我方共享的数据"), Text("What you may see", "我方可查看的数据")
_ASKED_BY_US = Text("What you asked for", "我方提出的申请")
_SHOW_NOTHING = Text("Nobody sees anything of your company.", "目前没有任何企业能看到贵公司的数据。")
_SEE_NOTHING = Text("No company shows you data yet.", "目前没有企业向贵公司共享数据。")
_COUNT = Text("{items} entries · {receipts} receipts", "{items} 个数据项 · {receipts} 条凭据")
_WITHDRAW = Text("Withdraw", "撤回")


async def build(visit: Visit) -> None:
    """Build the page."""
    sharing = visit.domains.sharing
    requests, grants = await sharing.requests(visit.scope), await sharing.grants(visit.scope)
    machines = await visit.domains.fleet.equipment_list(visit.scope)
    waiting = [one for one in requests if one.side == "supplier" and one.answer is None]
    asked = [one for one in requests if one.side == "leader" and one.answer != "accepted"]
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if waiting:
            Words(visit.say(_ASKED_OF_US), tag="h2")
            for request in waiting:
                RequestCard(visit, request, machines, reload)
        _grants(visit, _WE_SHOW, _SHOW_NOTHING, [one for one in grants if one.side == "supplier"])
        _grants(visit, _WE_SEE, _SEE_NOTHING, [one for one in grants if one.side == "leader"])
        if asked:
            Words(visit.say(_ASKED_BY_US), tag="h2")
            for request in asked[:50]:
                _asked(visit, request)
        if visit.may(Scope.ADMIN):
            AskForm(visit, reload)


def _grants(visit: Visit, title: Text, none: Text, grants: Sequence[Grant]) -> None:
    Words(visit.say(title), tag="h2")
    if not grants:
        Words(visit.say(none), "card muted", tag="p")
    with box("tiles"):
        for grant in grants:
            with box("card tile", "a", href=f"/shares/{grant.id}"):
                with box():
                    Words(grant.leader if grant.side == "supplier" else grant.supplier, "tile-name", tag="div")
                    Words(grant.purpose, "small", tag="div")
                with box("line"):
                    MarkView(state_of(grant), visit.language)
                    count = visit.say(
                        _COUNT,
                        items=len(grant.terms.items) + bool(grant.terms.trace) + grant.terms.maturity,
                        receipts=grant.receipts,
                    )
                    Words(count, "muted small")


def _asked(visit: Visit, request: ShareRequest) -> None:
    with box("card stack wide"):
        with box("line spread"):
            with box():
                Words(request.supplier, "strong", tag="div")
                Words(f"{request.credit_code} · {request.purpose}", "muted small", tag="div")
            MarkView(answer_of(request), visit.language)
        for line in all_of(request.terms, visit.language):
            Words(line, "small", tag="div")
        if request.answer is None and visit.may(Scope.ADMIN):
            answer = box("stack")

            async def withdraw() -> None:
                async def act(principal: Principal) -> None:
                    await visit.domains.sharing.refuse(principal, request.id)

                if await attempt(visit, answer, Scope.ADMIN, act):
                    reload()

            with box("line"):
                button(visit.say(_WITHDRAW), withdraw, "button quiet")
