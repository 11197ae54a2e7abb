"""Invoices on the wallet's and the provider's page: those got, or those issued and the button that issues what is due."""

from __future__ import annotations

from nicegui import ui

from cloud.billing.schemas import Invoice
from cloud.core.principal import Principal, Scope
from cloud.web.compute_words import small_yuan
from cloud.web.elements import Words, box
from cloud.web.forms import attempt, button
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE, _NONE = Text("Invoices", "结算单"), Text("There is no invoice yet.", "尚无结算单。")
_LINE = Text("{number} · {month} · {company}", "{number} · {month} · {company}")
_PDF = Text("As PDF", "下载 PDF")
_ISSUE = Text("Issue invoices for {month}", "开具 {month} 结算单")
_SHOWN = 30


class InvoiceCard:
    """A list of invoices as `side` sees them, "customer" or "provider"; the provider of `month` may issue more."""

    def __init__(self, visit: Visit, invoices: list[Invoice], side: str, month: str) -> None:
        self._visit, self._month, say = visit, month, visit.say
        with box("card stack wide"):
            with box("line spread"):
                Words(say(_TITLE), tag="h2")
                if side == "provider" and visit.may(Scope.ADMIN):
                    button(say(_ISSUE, month=month), self._issue, "button quiet")
            self._answer = box("stack")
            if not invoices:
                Words(say(_NONE), "muted", tag="p")
            for one in invoices[:_SHOWN]:
                company = one.customer if side == "provider" else one.supplier
                with box("line spread lot"):
                    Words(say(_LINE, number=one.number, month=one.month, company=company))
                    with box("line"):
                        Words(small_yuan(one.amount), "num")
                        href = f"/api/v1/billing/invoices/{one.id}/pdf?language={visit.language}"
                        with box("button quiet small", "a", href=href):
                            Words(say(_PDF))

    async def _issue(self) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.billing.invoices.issue(principal, self._month)
            ui.navigate.to(f"/provider?month={self._month}")

        await attempt(self._visit, self._answer, Scope.ADMIN, act)
