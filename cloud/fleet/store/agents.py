"""Agents, what they report of themselves and of their equipment. Inside `Database.tenant` but for the look-ups that precede a tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from cloud.core.keyset import BY_ID_NEWEST, BY_NAME, BY_NUMBER_NEWEST, NEWEST, WHOLE, Window
from cloud.core.rows import Row, every, one
from protocols.uplink.messages import DeviceReport

NoSuchSite = ForeignKeyViolation
"""Raised by inserts that name a site the tenant does not have."""


async def insert_code(
    connection: AsyncConnection, code: UUID, *, site: UUID, code_hash: bytes, minutes: int, created_by: str
) -> Row:
    """Insert an enrolment code; returns its expires_at. Raises NoSuchSite."""
    row = await one(
        connection,
        """
        INSERT INTO enrolment_code (id, tenant_id, site_id, hash, created_by, expires_at)
        VALUES (%s, current_tenant(), %s, %s, %s, now() + %s * interval '1 minute') RETURNING expires_at
        """,
        [code, site, code_hash, created_by, minutes],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_codes(connection: AsyncConnection, window: Window) -> list[Row]:
    """Return the tenant's codes, newest first."""
    return await every(
        connection,
        """
        SELECT id, site_id, created_by, created_at, expires_at, used_at FROM enrolment_code
        WHERE tenant_id = current_tenant() AND id < %s::uuid ORDER BY id DESC LIMIT %s
        """,
        [*(window.after or BY_ID_NEWEST), window.limit],
    )


async def claim_code(connection: AsyncConnection, code_hash: bytes, public_key: bytes) -> Row:
    """Use up a code: outcome (claimed, used, expired, unknown), and when claimed its tenant_id and site_id."""
    row = await one(connection, "SELECT * FROM claim_enrolment_code(%s, %s)", [code_hash, public_key])
    assert row is not None  # noqa: S101 - the function always returns one row
    return row


async def upsert_agent(
    connection: AsyncConnection, agent: UUID, *, site: UUID, name: str, public_key: bytes, version: str
) -> Row:
    """Insert an agent, or let the one with this key in again; returns id, and the names of its tenant and site.

    Equipment of one that comes to another site leaves the line it stood in.
    """
    row = await one(
        connection,
        """
        WITH enrolled AS (
            INSERT INTO agent (id, tenant_id, site_id, name, public_key, agent_version)
            VALUES (%s, current_tenant(), %s, %s, %s, %s)
            ON CONFLICT (tenant_id, public_key) DO UPDATE
            SET site_id = excluded.site_id, name = excluded.name, agent_version = excluded.agent_version,
                revoked_at = NULL
            RETURNING id, site_id
        ), moved AS (
            UPDATE equipment e SET line_id = NULL FROM enrolled, line l
            WHERE e.tenant_id = current_tenant() AND e.agent_id = enrolled.id
              AND l.tenant_id = e.tenant_id AND l.id = e.line_id AND l.site_id <> enrolled.site_id
        )
        SELECT enrolled.id, tenant.name AS tenant, site.name AS site
        FROM enrolled JOIN site ON site.id = enrolled.site_id JOIN tenant ON tenant.id = current_tenant()
        """,
        [agent, site, name, public_key, version],
    )
    assert row is not None  # noqa: S101 - the upsert gives one row and its site and tenant exist
    return row


async def find_agent(connection: AsyncConnection, agent: UUID) -> Row | None:
    """Return tenant_id, site_id, name and public_key of an agent that is not revoked, whatever the tenant."""
    return await one(connection, "SELECT * FROM find_agent(%s)", [agent])


async def open_challenge(connection: AsyncConnection, agent: UUID, nonce_hash: bytes) -> None:
    """Remember a nonce for 60 s; for an unknown agent nothing happens."""
    await connection.execute("SELECT open_challenge(%s, %s)", [agent, nonce_hash])


async def take_challenge(connection: AsyncConnection, agent: UUID, nonce_hash: bytes) -> Row | None:
    """Use up a nonce and return what `find_agent` does; None if the agent has no such nonce."""
    query = "SELECT a.* FROM take_challenge(%s, %s) AS taken, find_agent(%s) a WHERE taken"
    return await one(connection, query, [agent, nonce_hash, agent])


async def revoke_agent(connection: AsyncConnection, agent: UUID) -> str | None:
    """Revoke an agent; returns its name, or None if the tenant has none such."""
    row = await one(
        connection,
        "UPDATE agent SET revoked_at = COALESCE(revoked_at, now()) WHERE tenant_id = current_tenant() AND id = %s"
        " AND NOT desk RETURNING name",
        [agent],
    )
    return str(row["name"]) if row else None


async def select_agents(connection: AsyncConnection, window: Window = WHOLE) -> list[Row]:
    """Return the tenant's agents, by name; desks are none that anybody looks after."""
    return await every(
        connection,
        """
        SELECT id, site_id, name, agent_version, enrolled_at, revoked_at, last_seen, health, copied_at FROM agent
        WHERE tenant_id = current_tenant() AND NOT desk AND (name, id) > (%s::text, %s::uuid)
        ORDER BY name, id LIMIT %s
        """,
        [*(window.after or BY_NAME), window.limit],
    )


async def update_health(connection: AsyncConnection, agent: UUID, version: str, health: Mapping[str, Any]) -> None:
    """Keep an agent's latest health report, and note if two boxes report as one: a start that has ended never comes back."""
    await connection.execute(
        """
        UPDATE agent SET health = %(health)s, agent_version = %(version)s, last_seen = now(),
            copied_at = CASE WHEN health->>'started' <> %(started)s AND started_before = %(started)s
                             THEN now() ELSE copied_at END,
            started_before = CASE WHEN health->>'started' <> %(started)s
                                  THEN health->>'started' ELSE started_before END
        WHERE tenant_id = current_tenant() AND id = %(agent)s
        """,
        {"health": Jsonb(health), "version": version, "started": str(health["started"]), "agent": agent},
    )


async def upsert_devices(connection: AsyncConnection, agent: UUID, devices: Collection[DeviceReport]) -> None:
    """Keep what an agent reports of its devices."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO equipment (id, tenant_id, agent_id, name, equipment_class, protocol, template, state,
                                   state_since, reason_en, reason_zh, points, unmapped)
            VALUES (%s, current_tenant(), %s, %s, %s, %s, %s, %s,
                    'epoch'::timestamptz + %s * interval '1 microsecond', %s, %s, %s, %s)
            ON CONFLICT (tenant_id, agent_id, name) DO UPDATE
            SET equipment_class = excluded.equipment_class, protocol = excluded.protocol,
                template = excluded.template, state = excluded.state, state_since = excluded.state_since,
                reason_en = excluded.reason_en, reason_zh = excluded.reason_zh, points = excluded.points,
                unmapped = excluded.unmapped
            """,
            [
                [
                    *(uuid7(), agent, device.name, device.equipment_class, device.protocol, device.template),
                    *(device.state, device.since, device.reason_en, device.reason_zh, device.points, device.unmapped),
                ]
                for device in sorted(devices, key=lambda device: device.name)
            ],
        )


async def retire_devices(connection: AsyncConnection, agent: UUID, reported: Collection[str]) -> None:
    """Mark the devices of an agent that its report no longer names; their data remain."""
    await connection.execute(
        """
        UPDATE equipment SET state = 'removed', state_since = now(), reason_en = '', reason_zh = ''
        WHERE tenant_id = current_tenant() AND agent_id = %s AND name <> ALL(%s) AND state <> 'removed'
        """,
        [agent, list(reported)],
    )


async def ensure_equipment(connection: AsyncConnection, agent: UUID, names: Collection[str]) -> dict[str, UUID]:
    """Return the ids of an agent's devices by name, making those not seen before."""
    ordered = sorted(names)
    await connection.execute(
        """
        INSERT INTO equipment (id, tenant_id, agent_id, name)
        SELECT id, current_tenant(), %s, name FROM unnest(%s::uuid[], %s::text[]) AS seen (id, name)
        WHERE NOT EXISTS (SELECT FROM equipment e
                          WHERE e.tenant_id = current_tenant() AND e.agent_id = %s AND e.name = seen.name)
        ON CONFLICT DO NOTHING
        """,
        [agent, [uuid7() for _ in ordered], ordered, agent],
    )
    rows = await every(
        connection,
        "SELECT name, id FROM equipment WHERE tenant_id = current_tenant() AND agent_id = %s AND name = ANY(%s)",
        [agent, ordered],
    )
    return {row["name"]: row["id"] for row in rows}


_VERSION = "version, origin, author, note, base, hash, created_at, outcome, reason_en, reason_zh, settled_at"


async def reported_version(connection: AsyncConnection, agent: UUID, *, lock: bool) -> str | None:
    """Return the hash of the configuration an agent last reported, "" if none, None if there is no such agent.

    `lock` keeps other changes of the agent out until the transaction ends.
    """
    if lock:
        await connection.execute("SELECT FROM agent WHERE tenant_id = current_tenant() AND id = %s FOR UPDATE", [agent])
    row = await one(
        connection,
        "SELECT coalesce(health->'config'->>'version', '') AS hash FROM agent"
        " WHERE tenant_id = current_tenant() AND id = %s",
        [agent],
    )
    return str(row["hash"]) if row else None


async def insert_configuration(
    connection: AsyncConnection,
    agent: UUID,
    *,
    origin: str,
    author: str,
    note: str,
    base: int | None,
    version_hash: str,
    body: str,
) -> Row:
    """Insert the next version of an agent's configuration and return it; the caller has locked the agent."""
    row = await one(
        connection,
        f"""
        INSERT INTO agent_configuration (tenant_id, agent_id, version, origin, author, note, base, hash, body)
        SELECT current_tenant(), %(agent)s, coalesce(max(version) + 1, 0), %(origin)s, %(author)s, %(note)s, %(base)s,
               %(hash)s, %(body)s
        FROM agent_configuration WHERE tenant_id = current_tenant() AND agent_id = %(agent)s
        RETURNING {_VERSION}
        """,  # noqa: S608 - our own text
        {
            **{"agent": agent, "origin": origin, "author": author, "note": note, "base": base},
            **{"hash": version_hash, "body": body},
        },
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row it inserted
    return row


async def select_configurations(connection: AsyncConnection, agent: UUID, window: Window) -> list[Row]:
    """Return the versions of an agent's configuration without their text, newest first."""
    return await every(
        connection,
        f"SELECT {_VERSION} FROM agent_configuration WHERE tenant_id = current_tenant() AND agent_id = %s"  # noqa: S608
        " AND version < %s ORDER BY version DESC LIMIT %s",
        [agent, *(window.after or BY_NUMBER_NEWEST), window.limit],
    )


async def select_configuration(connection: AsyncConnection, agent: UUID, version: int) -> Row | None:
    """Return one version with its text."""
    return await one(
        connection,
        f"SELECT {_VERSION}, body AS text FROM agent_configuration"  # noqa: S608 - our own text
        " WHERE tenant_id = current_tenant() AND agent_id = %s AND version = %s",
        [agent, version],
    )


async def find_configuration(connection: AsyncConnection, agent: UUID, version_hash: str) -> Row | None:
    """Return the newest version of this content that did not fail, else the newest that did."""
    return await one(
        connection,
        f"SELECT {_VERSION} FROM agent_configuration"  # noqa: S608 - our own text
        " WHERE tenant_id = current_tenant() AND agent_id = %s AND hash = %s"
        " ORDER BY outcome IN ('failed', 'rolled_back'), version DESC LIMIT 1",
        [agent, version_hash],
    )


async def newest_wanted(connection: AsyncConnection, agent: UUID) -> Row | None:
    """Return the newest version that came from the cloud."""
    return await one(
        connection,
        f"SELECT {_VERSION} FROM agent_configuration"  # noqa: S608 - our own text
        " WHERE tenant_id = current_tenant() AND agent_id = %s AND origin = 'cloud' ORDER BY version DESC LIMIT 1",
        [agent],
    )


async def desired_configuration(connection: AsyncConnection, agent: UUID) -> Row | None:
    """Return the newest version that came from the cloud, if its outcome is still open."""
    row = await newest_wanted(connection, agent)
    return row if row and row["outcome"] in ("", "probation") else None


async def settle_configuration(
    connection: AsyncConnection, agent: UUID, version: int, *, outcome: str, reason_en: str, reason_zh: str
) -> None:
    """Write down what became of a version that came from the cloud, once it is another than before."""
    await connection.execute(
        """
        UPDATE agent_configuration
        SET outcome = %(outcome)s, reason_en = %(en)s, reason_zh = %(zh)s, settled_at = now()
        WHERE tenant_id = current_tenant() AND agent_id = %(agent)s AND version = %(version)s AND origin = 'cloud'
          AND outcome IN ('', 'probation') AND outcome <> %(outcome)s
        """,
        {"agent": agent, "version": version, "outcome": outcome, "en": reason_en, "zh": reason_zh},
    )


async def insert_events(connection: AsyncConnection, agent: UUID, rows: Collection[Collection[Any]]) -> None:
    """Store (id, device, time, kind, text_en, text_zh) rows; an event the tenant has already is left as it is."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO agent_event (tenant_id, agent_id, id, device, ts, kind, text_en, text_zh)
            VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
            """,
            [[agent, *row] for row in rows],
        )


async def select_events(connection: AsyncConnection, before: tuple[datetime, UUID] | None, limit: int) -> list[Row]:
    """Return at most `limit` events older than `before`, newest first."""
    ts, identity = before or NEWEST
    return await every(
        connection,
        """
        SELECT id, agent_id, device, ts AS time, kind, text_en, text_zh FROM agent_event
        WHERE tenant_id = current_tenant() AND (ts, id) < (%(ts)s::timestamptz, %(id)s::uuid)
        ORDER BY ts DESC, id DESC LIMIT %(limit)s
        """,
        {"ts": ts, "id": identity, "limit": limit},
    )
