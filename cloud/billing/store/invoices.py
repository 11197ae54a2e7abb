"""Invoices: issued by one function of the database, which numbers them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg import AsyncConnection

from cloud.core.rows import Row, every, one

_INVOICE = """
    id, supplier_id, customer_id, supplier, customer, supplier_code, customer_code, year, number, month, amount, rows, issued_by,
    issued_at
"""


async def issue(
    connection: AsyncConnection, month: str, span: tuple[datetime, datetime], year: int, actor: str
) -> list[Row]:
    """Issue invoices for what the tenant has charged in `span` and not invoiced yet, and return them by number."""
    made = await every(connection, "SELECT issue_invoices(%s, %s, %s, %s, %s) AS id", [month, *span, year, actor])
    return await every(
        connection,
        f"SELECT {_INVOICE} FROM invoice WHERE id = ANY(%s) ORDER BY number",  # noqa: S608 - our own text
        [[row["id"] for row in made]],
    )


async def select(connection: AsyncConnection, side: str, limit: int) -> list[Row]:
    """Return the invoices the tenant has got ("customer") or issued ("provider"), newest first."""
    return await every(
        connection,
        f"""
        SELECT {_INVOICE} FROM invoice
        WHERE current_tenant() = CASE %s WHEN 'customer' THEN customer_id ELSE supplier_id END
        ORDER BY issued_at DESC, number DESC LIMIT %s
        """,  # noqa: S608 - our own text
        [side, limit],
    )


async def select_one(connection: AsyncConnection, identity: UUID) -> Row | None:
    """Return an invoice of the tenant's."""
    return await one(
        connection,
        f"SELECT {_INVOICE} FROM invoice WHERE id = %s",  # noqa: S608 - our own text
        [identity],
    )
