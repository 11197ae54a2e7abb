"""Rules, the cursor of the evaluation, and where sources stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.core.keyset import WHOLE, Window

Row = dict[str, Any]
NameTaken = UniqueViolation
"""Raised for a second rule of one name."""

_RULE = """
    SELECT r.id, r.name, r.enabled, r.definition, r.origin, r.version, r.changed_by, r.changed_at,
           (SELECT count(*) FROM alarm a WHERE a.tenant_id = r.tenant_id AND a.rule_id = r.id AND a.closed_at IS NULL
                AND a.returned_at IS NULL) AS active
    FROM alarm_rule r WHERE r.tenant_id = current_tenant() AND r.removed_at IS NULL
"""


async def select_rules(connection: AsyncConnection, rule: UUID | None = None, window: Window = WHOLE) -> list[Row]:
    """Return the tenant's rules by name, or the one named."""
    (after,) = window.after or ("",)
    return await _all(
        connection,
        _RULE
        + " AND (%(id)s::uuid IS NULL OR r.id = %(id)s) AND r.name > %(after)s::text ORDER BY r.name LIMIT %(limit)s",
        {"id": rule, "after": after, "limit": window.limit},
    )


async def insert_rules(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Insert rules; raises NameTaken."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO alarm_rule (tenant_id, id, name, enabled, definition, origin, changed_by)
            VALUES (current_tenant(), %(id)s, %(name)s, %(enabled)s, %(definition)s, %(origin)s, %(changed_by)s)
            """,
            [row | {"definition": Jsonb(row["definition"])} for row in rows],
        )
    await _rules_changed(connection)


async def update_rule(connection: AsyncConnection, row: Row) -> bool:
    """Put a new version in place of a rule; False if there is none. Raises NameTaken."""
    cursor = await connection.execute(
        """
        UPDATE alarm_rule SET name = %(name)s, enabled = %(enabled)s, definition = %(definition)s, version = version + 1,
            changed_by = %(changed_by)s, changed_at = now()
        WHERE tenant_id = current_tenant() AND id = %(id)s AND removed_at IS NULL
        """,
        row | {"definition": Jsonb(row["definition"])},
    )
    await _rules_changed(connection)
    return cursor.rowcount == 1


async def remove_rule(connection: AsyncConnection, rule: UUID, by: str) -> str | None:
    """Take a rule out; its alarms stay as history. Returns its name, None if there is none."""
    row = await _one(
        connection,
        "UPDATE alarm_rule SET removed_at = now(), enabled = false, changed_by = %s, changed_at = now()"
        " WHERE tenant_id = current_tenant() AND id = %s AND removed_at IS NULL RETURNING name",
        [by, rule],
    )
    await _rules_changed(connection)
    return str(row["name"]) if row else None


async def _rules_changed(connection: AsyncConnection) -> None:
    """Tell the evaluation that the rules are others; the tenant's first rule makes its cursor."""
    await connection.execute(
        """
        INSERT INTO alarm_cursor AS c (tenant_id, rules) VALUES (current_tenant(), 1)
        ON CONFLICT (tenant_id) DO UPDATE SET rules = c.rules + 1
        """
    )


async def tenants_with_rules(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants that ever had a rule. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_with_alarm_rules()")).fetchall()]


async def take_cursor(connection: AsyncConnection, owner: UUID, lease_s: float) -> Row | None:
    """Lock the tenant's cursor and take the lease of it; None while another process has either."""
    return await _one(
        connection,
        """
        UPDATE alarm_cursor c SET owner = %(owner)s, owned_until = now() + make_interval(secs => %(lease)s)
        WHERE c.tenant_id IN (
            SELECT tenant_id FROM alarm_cursor WHERE tenant_id = current_tenant()
                AND (owner = %(owner)s OR owned_until < now()) FOR UPDATE SKIP LOCKED)
        RETURNING c.rules, c.position, c.version, c.evaluated_at, now() AS now
        """,
        {"owner": owner, "lease": lease_s},
    )


async def select_rules_version(connection: AsyncConnection) -> int:
    """Return how often the tenant's rules have changed."""
    row = await _one(connection, "SELECT rules FROM alarm_cursor WHERE tenant_id = current_tenant()", None)
    return int(row["rules"]) if row else 0


async def select_seen(connection: AsyncConnection) -> dict[int, datetime]:
    """Return up to which source time each series was evaluated when that was last written down."""
    row = await _one(connection, "SELECT series, seen FROM alarm_cursor WHERE tenant_id = current_tenant()", None)
    return dict(zip(row["series"], row["seen"], strict=True)) if row else {}


async def advance_cursor(
    connection: AsyncConnection, position: int, seen: tuple[Sequence[int], Sequence[datetime]] | None
) -> int:
    """Note how far the evaluation has come and, now and then, up to which time by series; returns the new version."""
    series, times = seen or (None, None)
    row = await _one(
        connection,
        """
        UPDATE alarm_cursor SET position = %(position)s, version = version + 1, evaluated_at = now(),
            series = COALESCE(%(series)s::int[], series), seen = COALESCE(%(times)s::timestamptz[], seen)
        WHERE tenant_id = current_tenant() RETURNING version
        """,
        {"position": position, "series": series and list(series), "times": times and list(times)},
    )
    return int(row["version"]) if row else 0


async def select_tracks(connection: AsyncConnection) -> list[Row]:
    """Return where the sources of the tenant's rules stand that ever left normal."""
    return await _all(
        connection,
        """
        SELECT rule_id, source, level, wanted, since, seen, value FROM alarm_track WHERE tenant_id = current_tenant()
        """,
        None,
    )


async def put_tracks(connection: AsyncConnection, rows: Collection[Row]) -> None:
    """Write down where sources stand."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO alarm_track (tenant_id, rule_id, source, level, wanted, since, seen, value)
            VALUES (current_tenant(), %(rule_id)s, %(source)s, %(level)s, %(wanted)s, %(since)s, %(seen)s, %(value)s)
            ON CONFLICT (tenant_id, rule_id, source) DO UPDATE
            SET level = excluded.level, wanted = excluded.wanted, since = excluded.since, seen = excluded.seen,
                value = excluded.value
            """,
            list(rows),
        )


async def shelve(
    connection: AsyncConnection, rule: UUID, source: str, *, minutes: int | None, by: str, reason: str
) -> None:
    """Put a source aside under a rule for some minutes, or with None back."""
    await connection.execute(
        """
        UPDATE alarm_track
        SET shelved_until = now() + make_interval(mins => %(minutes)s), shelved_by = %(by)s, shelved_reason = %(reason)s
        WHERE tenant_id = current_tenant() AND rule_id = %(rule)s AND source = %(source)s
        """,
        {"rule": rule, "source": source, "minutes": minutes, "by": by, "reason": reason},
    )


async def end_shelves(connection: AsyncConnection) -> list[Row]:
    """Take back what was put aside until now; returns rule_id and source of each."""
    return await _all(
        connection,
        """
        UPDATE alarm_track SET shelved_until = NULL
        WHERE tenant_id = current_tenant() AND shelved_until <= now() RETURNING rule_id, source
        """,
        None,
    )


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
