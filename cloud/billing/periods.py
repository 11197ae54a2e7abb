"""The months of bills, by the calendar of China."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud.billing.money import CHINA
from cloud.core.errors import Invalid
from protocols.text import Text


def month_of(month: str) -> tuple[datetime, datetime]:
    """Return begin and end of a month of China; raises Invalid for what is none."""
    try:
        start = datetime.strptime(month, "%Y-%m").replace(tzinfo=CHINA)
    except ValueError as error:
        raise Invalid(Text("Write the month as 2026-11.", "月份请写作 2026-11。")) from error
    return start, (start + timedelta(days=32)).replace(day=1)
