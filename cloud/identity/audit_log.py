"""The audit log for those who administrate the company: look through it, prove it whole, take it along."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC

from cloud.core import audit_chain
from cloud.core.audit import canonical
from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.identity.schemas import AuditEntry, AuditFilter, AuditPage, AuditVerdict
from cloud.identity.store import audit_log as store
from protocols.text import Language, Text

_PAGE = 100
_EXPORTED_AT_ONCE = 2000
_HEADINGS = (
    Text("Number", "序号"),
    Text("Time (UTC)", "时间(UTC)"),
    Text("Who", "操作者"),
    Text("Act", "操作"),
    Text("What", "对象"),
    Text("Address", "网络地址"),
    Text("Details", "详情"),
    Text("SHA-256", "SHA-256"),
)
_EVERYTHING = AuditFilter(act="", actor="", start=None, end=None)


class AuditLog:
    """A company's audit log."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(
        self, scope: TenantScope, wanted: AuditFilter = _EVERYTHING, before: int | None = None, limit: int = _PAGE
    ) -> AuditPage:
        """Return the next entries older than `before`, newest first."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_entries(connection, before=before, limit=limit, **wanted.model_dump())
        items = [AuditEntry(**row) for row in rows]
        return AuditPage(items=items, next=items[-1].id if len(items) == limit else None)

    async def verify(self, scope: TenantScope) -> AuditVerdict:
        """Follow the whole chain and say where it breaks, if it does; see `cloud.core.audit_chain`."""
        async with self._db.snapshot(scope) as connection:
            verdict = await audit_chain.verify(connection)
        return AuditVerdict(
            entries=verdict.count,
            whole=verdict.fault is None,
            entry=verdict.row,
            fault_en=verdict.fault.en if verdict.fault else None,
            fault_zh=verdict.fault.zh if verdict.fault else None,
        )

    async def csv(self, scope: TenantScope, wanted: AuditFilter, language: Language) -> AsyncIterator[bytes]:
        """Yield the entries as CSV for a spreadsheet, newest first; memory is that of a page, whatever there is.

        A cell that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        yield b"\xef\xbb\xbf" + _lines([[heading.to(language) for heading in _HEADINGS]])
        before: int | None = None
        while True:
            page = await self.page(scope, wanted, before, _EXPORTED_AT_ONCE)
            yield _lines(
                [
                    [
                        *(str(entry.id), entry.at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]),
                        *(entry.actor, entry.act, entry.subject, entry.address, canonical(entry.detail), entry.hash),
                    ]
                    for entry in page.items
                ]
            )
            before = page.next
            if before is None:
                return


def _lines(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(
        [[f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in row] for row in rows]
    )
    return text.getvalue().encode()
