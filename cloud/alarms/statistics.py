"""How the alarm system fares: the figures by which IEC 62682 and EEMUA 191 judge one."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloud.alarms.schemas import PRIORITIES, Alarm, BadActor, HourCount, Statistics
from cloud.alarms.store import alarms, statistics
from cloud.core.db import AsyncConnection
from cloud.core.errors import Invalid
from protocols.text import Text

FLOOD = 10
"""More alarms than this in ten minutes are more than a person can follow (EEMUA 191, ISA-18.2: the begin of a flood)."""

STANDING_H = 24
_LISTED = 50
_LONGEST = timedelta(days=366)


async def gather(connection: AsyncConnection, start: datetime, end: datetime) -> Statistics:
    """Return the figures of [start, end); raises Invalid for a span that is empty or above a year."""
    if not timedelta(0) < end - start <= _LONGEST:
        raise Invalid(Text("The span must be above nothing and at most a year.", "时间范围须大于零且不超过一年。"))
    hours = await statistics.by_hour(connection, start, end)
    tens = await statistics.by_ten_minutes(connection, start, end)
    raised = sum(row["n"] for row in hours)

    def actors(rows: list[statistics.Row]) -> list[BadActor]:
        return [BadActor(**row, share=row["raised"] / max(raised, 1)) for row in rows]

    return Statistics(
        start=start,
        end=end,
        raised=raised,
        per_hour=raised / ((end - start) / timedelta(hours=1)),
        peak_ten_minutes=max(tens, default=0),
        flood_share=sum(n > FLOOD for n in tens) / max((end - start) / timedelta(minutes=10), 1),
        by_priority={one: sum(row["n"] for row in hours if row["priority"] == one) for one in PRIORITIES},
        hours=[
            HourCount(hour=hour, raised=sum(row["n"] for row in hours if row["hour"] == hour))
            for hour in sorted({row["hour"] for row in hours})
        ],
        bad_actors=actors(await statistics.bad_actors(connection, start, end)),
        standing=[Alarm(**row) for row in await alarms.select_standing(connection, STANDING_H, _LISTED)],
        chattering=actors(await statistics.chattering(connection, start, end)),
        acknowledged_after_s=await statistics.acknowledged_after_s(connection, start, end),
    )
