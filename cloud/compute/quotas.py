"""How many jobs a company may have that wait or run, and how much may be reserved for them; the market's operator says."""

from __future__ import annotations

from cloud.billing.service import YUAN
from cloud.compute.schemas import Quota, QuotaInUse, QuotaSet
from cloud.compute.store import monitoring
from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.rows import Row
from protocols.text import Text

MOST_OPEN = 50
"""Jobs of a company, unless the operator has said otherwise."""
_NOBODY = Text("No company here has this credit code.", "没有企业使用该统一社会信用代码。")


class Quotas:
    """Quotas as companies see them and the operator sets them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def quota(self, scope: TenantScope) -> Quota:
        """Return what the company has open, and may have."""
        async with self._db.tenant(scope) as connection:
            return await _quota(connection)

    async def quotas(self, scope: TenantScope) -> list[QuotaInUse]:
        """Return what companies have open and may have, to the operator of the market; raises NotFound to others."""
        async with self._db.tenant(scope) as connection:
            if not await monitoring.operates(connection):
                raise NotFound
            rows = await monitoring.select_quotas(connection)
        return [QuotaInUse(**_told(row), company=row["company"], credit_code=row["credit_code"]) for row in rows]

    async def set_quota(self, principal: Principal, body: QuotaSet) -> None:
        """Say what a company may have open, as the operator; raises NotFound to others, Invalid for an unknown company."""
        async with self._db.tenant(principal.scope) as connection:
            if not await monitoring.operates(connection):
                raise NotFound
            budget = int(body.open_budget * YUAN) if body.open_budget else None
            row = {"open_jobs": body.open_jobs, "open_budget": budget, "by": principal.actor}
            if await monitoring.put_quota(connection, body.credit_code, row) is None:
                raise Invalid(_NOBODY)
            after = body.model_dump(mode="json")
            await audit.record(connection, principal.actor, "compute.quota", body.credit_code, after=after)


async def refuse_beyond_quota(connection: AsyncConnection, more: int) -> None:
    """Raise Conflict if one more job, with `more` micro-yuan reserved, is more than the company may have open."""
    await monitoring.lock_open(connection)
    found = await _quota(connection)
    if found.jobs >= found.open_jobs:
        raise Conflict(
            Text(
                f"Your company may have {found.open_jobs} jobs that wait or run; wait for one, or ask the market's operator.",
                f"本企业最多同时有 {found.open_jobs} 个未完成的作业，请稍候或联系市场运营方。",
            )
        )
    if found.open_budget is not None and found.reserved + more / YUAN > found.open_budget:
        raise Conflict(
            Text(
                f"Your company may have {found.open_budget:,.2f} yuan reserved for open jobs, {found.reserved:,.2f} are already;"
                " wait for a job to end, or ask the market's operator.",
                f"本企业未完成作业的预留上限为 {found.open_budget:,.2f} 元，已预留 {found.reserved:,.2f} 元；"
                "请等待作业结束或联系市场运营方。",
            )
        )


async def _quota(connection: AsyncConnection) -> Quota:
    row = await monitoring.select_quota(connection) or {"open_jobs": None, "open_budget": None}
    jobs, reserved = await monitoring.select_open(connection)
    return Quota(**_told(row | {"jobs": jobs, "reserved": reserved}))


def _told(row: Row) -> Row:
    return {
        "open_jobs": MOST_OPEN if row["open_jobs"] is None else row["open_jobs"],
        "open_budget": None if row["open_budget"] is None else row["open_budget"] / YUAN,
        "jobs": row["jobs"],
        "reserved": row["reserved"] / YUAN,
    }
