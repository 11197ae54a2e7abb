"""Invoices by a supplier for a month: issued once for each row, numbered without a gap, printed as the reports are.

What is corrected later is on a later invoice. Rows that prepaid hours have paid are shown and come to nothing.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.billing import store
from cloud.billing.money import CHINA, YUAN
from cloud.billing.periods import month_of
from cloud.billing.schemas import Invoice
from cloud.billing.store import invoices
from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from cloud.reports.schemas import Column, Document, Figure, ReportFile, Section, Table
from cloud.reports.service import printed
from protocols.text import Language, Text

_MOST = 500
_ZONE = ZoneInfo("Asia/Shanghai")
_TITLE = Text("Invoice {number}", "结算单 {number}")
_PARTIES, _ROWS = Text("Parties", "双方"), Text("What is charged", "计费明细")
_ROLE, _NAME, _CODE = Text("", ""), Text("Company", "企业"), Text("Unified social credit code", "统一社会信用代码")
_FROM, _TO = Text("Supplier", "提供方"), Text("Customer", "客户")
_WHEN, _WHAT, _HOURS, _SUM = Text("From", "开始"), Text("What", "项目"), Text("Hours", "小时"), Text("Amount", "金额")
_DUE = Text("To pay", "应付")
_NOTE = Text(
    "Amounts are in yuan, before tax. Rows paid by prepaid hours come to nothing here. This is no tax invoice (fapiao).",
    "金额单位为元，未含税。由预购机时支付的项目金额为零。本结算单不是税务发票。",
)
_KINDS = {
    "Usage": Text("use", "使用"),
    "Credit": Text("voucher", "抵扣"),
    "Adjustment": Text("adjustment", "调整"),
    "Purchase": Text("prepaid hours", "预购机时"),
}
_CORRECTION = Text("correction", "更正")


class Invoices:
    """Issues and prints invoices."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def issue(self, principal: Principal, month: str) -> list[Invoice]:
        """Issue an invoice to every customer for what was charged in a month and is on none yet; raises Invalid for no month.

        Asked again it issues nothing more.
        """
        span = month_of(month)
        async with self._db.tenant(principal.scope) as connection:
            year = datetime.now(CHINA).year
            rows = await invoices.issue(connection, month, span, year, principal.actor)
            made = [_invoice(row) for row in rows]
            after = {"month": month, "numbers": [each.number for each in made]}
            await audit.record(connection, principal.actor, "invoice.issue", month, after=after)
        return made

    async def invoices(self, scope: TenantScope, side: str) -> list[Invoice]:
        """Return the invoices the company has got, or issued as "provider", newest first."""
        async with self._db.tenant(scope) as connection:
            return [_invoice(row) for row in await invoices.select(connection, side, _MOST)]

    async def printed(self, scope: TenantScope, identity: UUID, language: Language) -> ReportFile:
        """Return an invoice as a PDF, to its supplier or its customer; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            row = await invoices.select_one(connection, identity)
            if row is None:
                raise NotFound
            rows = await store.select_charges(connection, invoice=identity)
        return printed(_document(row, rows), "pdf", language)


def number_of(row: Row) -> str:
    """Return the number of an invoice as people write it: year and place in it."""
    return f"{row['year']}-{row['number']:05}"


def _document(row: Row, rows: list[Row]) -> Document:
    number = number_of(row)
    lines = []
    for each in rows:
        kind = _KINDS[each["category"]]
        kind = Text(f"{_CORRECTION.en}, {kind.en}", f"{_CORRECTION.zh}，{kind.zh}") if each["correction"] else kind
        what = Text(f"{each['description']} ({kind.en})", f"{each['description']}({kind.zh})")
        lines.append([each["start_at"], what, each["quantity_ms"] / 3_600_000, each["billed"] / YUAN])
    parties = [[_FROM, row["supplier"], row["supplier_code"]], [_TO, row["customer"], row["customer_code"]]]
    return Document(
        title=Text(_TITLE.en.format(number=number), _TITLE.zh.format(number=number)),
        company=row["supplier"],
        place=row["customer"],
        period=Text(row["month"], row["month"]),
        made=row["issued_at"],
        zone=_ZONE,
        sections=[
            Section(
                _PARTIES,
                figures=[Figure(_DUE, row["amount"] / YUAN, "CNY", 6)],
                table=Table([Column(_ROLE), Column(_NAME), Column(_CODE)], parties),
            ),
            Section(
                _ROWS,
                table=Table([Column(_WHEN), Column(_WHAT), Column(_HOURS, "h", 4), Column(_SUM, "CNY", 6)], lines),
                note=_NOTE,
            ),
        ],
    )


def _invoice(row: Row) -> Invoice:
    return Invoice(
        **{name: row[name] for name in ("id", "supplier", "customer", "month", "rows", "issued_at")},
        number=number_of(row),
        amount=row["amount"] / YUAN,
    )
