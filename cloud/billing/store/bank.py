"""Lots of prepaid hours, and the rates they are bought and converted at."""

from __future__ import annotations

from uuid import UUID

from psycopg import AsyncConnection

from cloud.billing.hours import Lot
from cloud.core.rows import Row, every

_FREE = """
    FROM bank_lot l
    JOIN ledger_account h ON h.tenant_id = l.tenant_id AND h.kind = 'hours' AND h.unit = 'h:' || l.chip AND h.ref = l.id::text
    JOIN ledger_account m ON m.tenant_id = l.tenant_id AND m.kind = 'bank' AND m.unit = 'CNY' AND m.ref = l.id::text
    WHERE l.tenant_id = current_tenant()
"""


async def insert_rate(connection: AsyncConnection, row: Row) -> None:
    """Publish a rate; only the operator may."""
    await connection.execute(
        """
        INSERT INTO bank_rate (chip, rate, days, fee_ppm, back_ppm, published_by)
        VALUES (%(chip)s, %(rate)s, %(days)s, %(fee_ppm)s, %(back_ppm)s, %(by)s)
        """,
        row,
    )


async def select_rates(connection: AsyncConnection) -> list[Row]:
    """Return the rate of each chip that holds now, by chip."""
    return await every(
        connection,
        """
        SELECT DISTINCT ON (chip) chip, rate, days, fee_ppm, back_ppm, operator_id, published_at FROM bank_rate
        ORDER BY chip, id DESC
        """,
    )


async def insert_lot(connection: AsyncConnection, row: Row) -> None:
    """Store a lot; its accounts are the ledger's."""
    await connection.execute(
        """
        INSERT INTO bank_lot (id, chip, hours, money, back_ppm, operator_id, made_from, expires_at)
        VALUES (%(id)s, %(chip)s, %(hours)s, %(money)s, %(back_ppm)s, %(operator_id)s, %(made_from)s, %(expires_at)s)
        """,
        row,
    )


async def select_lots(connection: AsyncConnection) -> list[Row]:
    """Return the tenant's lots that are not empty, those that expire first first: what was bought, is held and is free of each."""
    return await every(
        connection,
        f"""
        SELECT l.id, l.chip, l.hours AS bought, l.money AS paid, l.made_at, l.expires_at, h.debits_pending AS held,
               h.credits_posted - h.debits_posted - h.debits_pending AS hours,
               m.credits_posted - m.debits_posted - m.debits_pending AS money
        {_FREE} AND h.credits_posted > h.debits_posted ORDER BY l.expires_at, l.id
        """,
    )


async def free_lots(connection: AsyncConnection, *, over: bool = False) -> list[Lot]:
    """Return the tenant's lots of which hours are free, those that may still be spent, or those whose time is `over`."""
    rows = await every(
        connection,
        f"""
        SELECT l.id, l.chip, l.expires_at, l.back_ppm, l.operator_id, h.debits_posted AS gone,
               h.credits_posted - h.debits_posted - h.debits_pending AS hours,
               m.credits_posted - m.debits_posted - m.debits_pending AS money
        {_FREE} AND h.credits_posted - h.debits_posted - h.debits_pending > 0 AND (l.expires_at <= now()) = %s
        ORDER BY l.expires_at, l.id
        """,
        [over],
    )
    return [Lot(**row) for row in rows]


async def tenants_with_lots_over(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with lots whose time is over and that are not empty; asked outside any tenant."""
    return [row["id"] for row in await every(connection, "SELECT tenants_with_lots_over() AS id")]
