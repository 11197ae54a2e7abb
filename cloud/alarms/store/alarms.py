"""Alarms, what happened to them, and what is counted of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.alarms.schemas import PRIORITIES
from cloud.core.keyset import NEWEST

Row = dict[str, Any]

_STATE = """
    CASE WHEN a.closed_at IS NOT NULL THEN 'closed' WHEN a.returned_at IS NULL AND a.acknowledged_at IS NULL THEN 'unacknowledged'
         WHEN a.returned_at IS NULL THEN 'acknowledged' WHEN a.acknowledged_at IS NULL THEN 'returned' ELSE 'latched' END
"""
_ALARM = f"""
    SELECT a.id, a.rule_id, r.name AS rule, a.priority, {_STATE} AS state, a.level, a.series_id, a.equipment_id, a.agent_id,
           a.place AS source, a.source AS source_key, a.message_en, a.message_zh, r.definition ->> 'hint_en' AS hint_en,
           r.definition ->> 'hint_zh' AS hint_zh, a.value, a.limit_value AS "limit", a.unit, a.raised_at, a.noticed_at,
           a.returned_at, a.acknowledged_at, a.acknowledged_by, a.comment, a.closed_at, a.raises, a.first_out, a.suppressed,
           (SELECT count(*) FROM alarm c WHERE c.tenant_id = a.tenant_id AND c.first_out = a.id) AS consequences,
           CASE WHEN t.shelved_until > now() THEN t.shelved_until END AS shelved_until,
           CASE WHEN t.shelved_until > now() THEN t.shelved_by ELSE '' END AS shelved_by,
           CASE WHEN t.shelved_until > now() THEN t.shelved_reason ELSE '' END AS shelved_reason
    FROM alarm a JOIN alarm_rule r ON r.tenant_id = a.tenant_id AND r.id = a.rule_id
    LEFT JOIN alarm_track t ON t.tenant_id = a.tenant_id AND t.rule_id = a.rule_id AND t.source = a.source
    WHERE a.tenant_id = current_tenant()
"""  # noqa: S608 - our own text

_AT_SITE = """
    (EXISTS (SELECT FROM agent g WHERE g.site_id = %(site)s AND (g.id = a.agent_id OR g.id = (
        SELECT e.agent_id FROM equipment e WHERE e.id = a.equipment_id))) OR a.source = 'site:' || %(site)s::uuid::text)
"""


async def select_page(
    connection: AsyncConnection,
    *,
    is_open: bool | None,
    equipment: UUID | None,
    priority: str | None,
    rule: UUID | None,
    start: datetime | None,
    end: datetime | None,
    site: UUID | None,
    line: UUID | None,
    text: str,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Row]:
    """Return at most `limit` alarms, noticed last first, that come after `before` in that order."""
    # A condition that is not asked for is not in the statement: PostgreSQL would plan for the few rows it might leave.
    wanted = {
        "a.closed_at IS NULL": is_open is True,
        "a.closed_at IS NOT NULL": is_open is False,
        "a.equipment_id = %(equipment)s": equipment,
        "a.priority = %(priority)s": priority,
        "a.rule_id = %(rule)s": rule,
        "a.noticed_at >= %(start)s": start,
        "a.noticed_at < %(end)s": end,
        _AT_SITE: site,
        "EXISTS (SELECT FROM equipment e WHERE e.id = a.equipment_id AND e.line_id = %(line)s)": line,
        "strpos(lower(concat_ws(' ', a.place, a.message_en, a.message_zh)), lower(%(text)s)) > 0": text,
    }
    noticed, identity = before or NEWEST
    return await _all(
        connection,
        _ALARM
        + "".join(f" AND {condition}" for condition, asked in wanted.items() if asked)
        + " AND (a.noticed_at, a.id) < (%(noticed)s, %(id)s) ORDER BY a.noticed_at DESC, a.id DESC LIMIT %(limit)s",
        {
            **{"equipment": equipment, "priority": priority, "rule": rule, "start": start, "end": end},
            **{"site": site, "line": line, "text": text, "noticed": noticed, "id": identity, "limit": limit},
        },
    )


async def select_alarms(connection: AsyncConnection, alarms: Collection[UUID]) -> list[Row]:
    """Return those of `alarms` that the tenant has, noticed last first."""
    return await _all(connection, _ALARM + " AND a.id = ANY(%s) ORDER BY a.noticed_at DESC, a.id DESC", [list(alarms)])


async def select_open(connection: AsyncConnection) -> list[Row]:
    """Return all open alarms, noticed last first."""
    return await _all(connection, _ALARM + " AND a.closed_at IS NULL ORDER BY a.noticed_at DESC, a.id DESC", None)


async def select_worst(connection: AsyncConnection, equipment: list[UUID] | None, limit: int) -> list[Row]:
    """Return at most `limit` open alarms that people are told, of some `equipment` or all: what nobody has seen first, then
    by priority, causes before what follows from them, then the newest.
    """
    return await _all(
        connection,
        _ALARM
        + """
            AND a.closed_at IS NULL AND NOT a.suppressed AND (t.shelved_until IS NULL OR t.shelved_until <= now())
            AND (%(equipment)s::uuid[] IS NULL OR a.equipment_id = ANY(%(equipment)s))
        ORDER BY a.acknowledged_at IS NOT NULL OR a.returned_at IS NOT NULL, array_position(%(priorities)s, a.priority),
            a.first_out IS NOT NULL, a.raised_at DESC, a.id DESC LIMIT %(limit)s
        """,
        {"equipment": equipment, "priorities": list(PRIORITIES), "limit": limit},
    )


async def select_standing(connection: AsyncConnection, hours: int, limit: int) -> list[Row]:
    """Return alarms that have been active for more than `hours`, the longest first."""
    return await _all(
        connection,
        _ALARM
        + " AND a.closed_at IS NULL AND a.returned_at IS NULL AND a.raised_at < now() - %s * interval '1 hour'"
        + " ORDER BY a.raised_at LIMIT %s",
        [hours, limit],
    )


async def select_events(connection: AsyncConnection, alarm: UUID) -> list[Row]:
    """Return what happened to an alarm, oldest first, the last 500."""
    return await _all(
        connection,
        """
        SELECT at, change, level, value, actor, comment FROM (
            SELECT * FROM alarm_event WHERE tenant_id = current_tenant() AND alarm_id = %s ORDER BY id DESC LIMIT 500
        ) e ORDER BY id
        """,
        [alarm],
    )


async def lock_open(connection: AsyncConnection, rule: UUID, source: str) -> Row | None:
    """Return the open alarm of a source under a rule; nobody changes it until the transaction ends."""
    return await _one(
        connection,
        """
        SELECT id, priority, level, returned_at, acknowledged_at, latching, raises, suppressed, first_out FROM alarm
        WHERE tenant_id = current_tenant() AND rule_id = %s AND source = %s AND closed_at IS NULL FOR UPDATE
        """,
        [rule, source],
    )


async def lock_alarm(connection: AsyncConnection, alarm: UUID) -> Row | None:
    """Return one alarm; nobody changes it until the transaction ends."""
    return await _one(
        connection,
        f"""
        SELECT a.id, a.rule_id, a.source, a.level, a.latching, a.returned_at, a.acknowledged_at, a.closed_at, {_STATE} AS state
        FROM alarm a WHERE a.tenant_id = current_tenant() AND a.id = %s FOR UPDATE
        """,  # noqa: S608 - our own text
        [alarm],
    )


async def select_first_out(
    connection: AsyncConnection, equipment: UUID, raised: datetime, seconds: float
) -> Row | None:
    """Return the active alarm of an equipment that was raised at most `seconds` before and follows from no other."""
    return await _one(
        connection,
        """
        SELECT id, priority FROM alarm
        WHERE tenant_id = current_tenant() AND equipment_id = %(equipment)s AND closed_at IS NULL AND returned_at IS NULL
            AND first_out IS NULL AND raised_at <= %(raised)s
            AND raised_at > %(raised)s - make_interval(secs => %(seconds)s)
        ORDER BY raised_at, noticed_at LIMIT 1
        """,
        {"equipment": equipment, "raised": raised, "seconds": seconds},
    )


async def insert_alarm(connection: AsyncConnection, row: Row) -> None:
    """Insert a raised alarm."""
    await connection.execute(
        """
        INSERT INTO alarm (tenant_id, id, rule_id, source, series_id, equipment_id, agent_id, priority, level, place, message_en,
                           message_zh, value, limit_value, unit, raised_at, latching, first_out, suppressed)
        VALUES (current_tenant(), %(id)s, %(rule_id)s, %(source)s, %(series_id)s, %(equipment_id)s, %(agent_id)s, %(priority)s,
                %(level)s, %(place)s, %(message_en)s, %(message_zh)s, %(value)s, %(limit_value)s, %(unit)s, %(raised_at)s,
                %(latching)s, %(first_out)s, %(suppressed)s)
        """,
        row,
    )


async def raise_again(connection: AsyncConnection, alarm: UUID, row: Row, *, again: bool) -> None:
    """Have an open alarm active at another level; nobody has acknowledged that yet. `again`: it had been back to normal."""
    await connection.execute(
        """
        UPDATE alarm SET level = %(level)s, priority = %(priority)s, value = %(value)s, limit_value = %(limit_value)s,
            message_en = %(message_en)s, message_zh = %(message_zh)s, returned_at = NULL, acknowledged_at = NULL,
            acknowledged_by = '', comment = '', escalated = 0, noticed_at = now(), raises = raises + %(more)s
        WHERE tenant_id = current_tenant() AND id = %(alarm)s
        """,
        row | {"alarm": alarm, "more": int(again)},
    )


async def notice_anew(connection: AsyncConnection, alarm: UUID) -> None:
    """Have the time until an alarm is escalated begin now, if nobody has acknowledged it."""
    await connection.execute(
        "UPDATE alarm SET noticed_at = now(), escalated = 0"
        " WHERE tenant_id = current_tenant() AND id = %s AND acknowledged_at IS NULL",
        [alarm],
    )


async def set_level(connection: AsyncConnection, alarm: UUID, level: str) -> None:
    """Note that an active alarm is less far out than before."""
    await connection.execute(
        "UPDATE alarm SET level = %s WHERE tenant_id = current_tenant() AND id = %s", [level, alarm]
    )


async def set_returned(connection: AsyncConnection, alarm: UUID, at: datetime) -> None:
    """Note that an alarm's source is back to normal; one that was acknowledged and does not latch is over."""
    await connection.execute(
        """
        UPDATE alarm SET returned_at = %(at)s,
            closed_at = CASE WHEN suppressed OR (acknowledged_at IS NOT NULL AND NOT latching) THEN now() END
        WHERE tenant_id = current_tenant() AND id = %(alarm)s
        """,
        {"at": at, "alarm": alarm},
    )


async def set_acknowledged(connection: AsyncConnection, alarm: UUID, by: str, comment: str) -> None:
    """Note who has seen an alarm; one whose source is back to normal is over."""
    await connection.execute(
        """
        UPDATE alarm SET acknowledged_at = now(), acknowledged_by = %(by)s, comment = %(comment)s,
            closed_at = CASE WHEN returned_at IS NOT NULL THEN now() END
        WHERE tenant_id = current_tenant() AND id = %(alarm)s
        """,
        {"alarm": alarm, "by": by, "comment": comment},
    )


async def close_of_rule(connection: AsyncConnection, rule: UUID) -> list[UUID]:
    """Close the open alarms of a rule that is off or gone; returns them."""
    rows = await _all(
        connection,
        """
        UPDATE alarm SET closed_at = now(), returned_at = COALESCE(returned_at, now())
        WHERE tenant_id = current_tenant() AND rule_id = %s AND closed_at IS NULL RETURNING id
        """,
        [rule],
    )
    await connection.execute("DELETE FROM alarm_track WHERE tenant_id = current_tenant() AND rule_id = %s", [rule])
    return [row["id"] for row in rows]


async def close_of_source(connection: AsyncConnection, rule: UUID, source: str) -> list[UUID]:
    """Close the open alarm of a source a rule does not watch any more; returns it."""
    rows = await _all(
        connection,
        """
        UPDATE alarm SET closed_at = now(), returned_at = COALESCE(returned_at, now())
        WHERE tenant_id = current_tenant() AND rule_id = %s AND source = %s AND closed_at IS NULL RETURNING id
        """,
        [rule, source],
    )
    await connection.execute(
        "DELETE FROM alarm_track WHERE tenant_id = current_tenant() AND rule_id = %s AND source = %s", [rule, source]
    )
    return [row["id"] for row in rows]


async def silent_agents(connection: AsyncConnection) -> list[UUID]:
    """Return the agents that have an active alarm of their own."""
    rows = await _all(
        connection,
        "SELECT DISTINCT agent_id FROM alarm WHERE tenant_id = current_tenant() AND closed_at IS NULL"
        " AND returned_at IS NULL AND agent_id IS NOT NULL",
        None,
    )
    return [row["agent_id"] for row in rows]


async def select_to_escalate(connection: AsyncConnection, rules: Sequence[UUID]) -> list[Row]:
    """Return active alarms of `rules` that nobody has acknowledged, and that are told at all."""
    return await _all(
        connection,
        _ALARM.replace("a.suppressed,", "a.suppressed, a.escalated,", 1)
        + """
            AND a.closed_at IS NULL AND a.returned_at IS NULL AND a.acknowledged_at IS NULL AND NOT a.suppressed
            AND a.first_out IS NULL AND a.rule_id = ANY(%s) AND COALESCE(t.shelved_until, '-infinity') <= now()
        """,
        [list(rules)],
    )


async def set_escalated(connection: AsyncConnection, alarm: UUID, steps: int) -> None:
    """Note how many steps of its escalation an alarm has gone."""
    await connection.execute(
        "UPDATE alarm SET escalated = %s WHERE tenant_id = current_tenant() AND id = %s", [steps, alarm]
    )


async def insert_event(
    connection: AsyncConnection,
    alarm: UUID,
    change: str,
    level: str,
    *,
    at: datetime | None = None,
    value: float | None = None,
    actor: str = "",
    comment: str = "",
) -> None:
    """Append to what happened to an alarm; `at` is now unless told."""
    await connection.execute(
        """
        INSERT INTO alarm_event (tenant_id, alarm_id, at, change, level, value, actor, comment)
        VALUES (current_tenant(), %s, COALESCE(%s, now()), %s, %s, %s, %s, %s)
        """,
        [alarm, at, change, level, value, actor, comment],
    )


async def select_counts(connection: AsyncConnection) -> list[Row]:
    """Return open alarms counted by priority, whether unacknowledged, shelved, suppressed."""
    return await _all(
        connection,
        """
        SELECT a.priority, a.acknowledged_at IS NULL AS unacknowledged, a.suppressed,
               COALESCE(t.shelved_until > now(), false) AS shelved, count(*)::int AS n
        FROM alarm a
        LEFT JOIN alarm_track t ON t.tenant_id = a.tenant_id AND t.rule_id = a.rule_id AND t.source = a.source
        WHERE a.tenant_id = current_tenant() AND a.closed_at IS NULL GROUP BY 1, 2, 3, 4
        """,
        None,
    )


async def select_position(connection: AsyncConnection) -> int:
    """Return where the stream of changes stands: all transactions below this are visible."""
    row = await _one(connection, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS position", None)
    return int(row["position"]) if row else 0


async def select_changed(connection: AsyncConnection, position: int) -> tuple[int, list[UUID]] | None:
    """Return the new position and the alarms that changed since `position`; None if that is of another database."""
    row = await _one(
        connection,
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS position,
               %(position)s <= pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS known,
               ARRAY(SELECT DISTINCT alarm_id FROM alarm_event
                     WHERE tenant_id = current_tenant() AND xid >= %(position)s::text::xid8 LIMIT 10000) AS alarms
        """,
        {"position": position},
    )
    return (int(row["position"]), list(row["alarms"])) if row and row["known"] else None


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
