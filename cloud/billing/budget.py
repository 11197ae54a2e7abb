"""A company's budget of a month: jobs whose worst case would exceed it are refused, and people are told when most is spent.

What counts is before vouchers: charged in the month of China, and reserved for jobs that wait or run.
"""

from __future__ import annotations

from datetime import datetime

from cloud.billing import store
from cloud.billing.money import CHINA, YUAN, this_month
from cloud.core.db import AsyncConnection
from cloud.core.errors import Invalid
from cloud.notify.schemas import Notice
from cloud.notify.service import Notify
from protocols.text import Text

WARN_AT = 0.8


async def refuse_beyond(connection: AsyncConnection, more: int) -> None:
    """Raise Invalid if `more` micro-yuan reserved would exceed the month's budget; two jobs at once are counted in turn."""
    row = await store.lock_budget(connection)
    if row is None:
        return
    spent, held = await store.spent_and_held(connection, month_begin())
    left = row["monthly"] - spent - held
    if more > left:
        raise Invalid(
            Text(
                f"The month's budget of {row['monthly'] / YUAN:,.2f} yuan has {max(left, 0) / YUAN:,.2f} left, and"
                f" {more / YUAN:,.2f} would be reserved; raise it in the wallet or lower the job's budget.",
                f"本月预算 {row['monthly'] / YUAN:,.2f} 元，剩余 {max(left, 0) / YUAN:,.2f} 元，该作业需预留"
                f" {more / YUAN:,.2f} 元；请在钱包中提高预算或降低作业上限。",
            )
        )


async def warn(connection: AsyncConnection, notify: Notify) -> None:
    """Tell people, once a month, when most of the budget is spent."""
    row, month = await store.lock_budget(connection), this_month()
    if row is None or row["warned"] == month:
        return
    spent, _ = await store.spent_and_held(connection, month_begin())
    if spent < WARN_AT * row["monthly"]:
        return
    await store.set_warned(connection, month)
    share = f"{100 * spent / row['monthly']:.0f}"
    notice = Notice(
        title_en=f"Rented computing: {share} % of the month's budget is spent",
        title_zh=f"租用算力：本月预算已使用 {share} %",
        link="/wallet",
        tone="warn",
        data={"kind": "budget.warn", "month": month},
    )
    await notify.tell(connection, None, f"budget:{month}", notice)


def month_begin() -> datetime:
    """Return when the month began, in China."""
    return datetime.now(CHINA).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
