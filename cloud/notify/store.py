"""The SQL of the notify domain. Every statement but one runs inside a tenant's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.core.keyset import LAST_NUMBER
from cloud.notify.schemas import Kind, State

Row = dict[str, Any]
NameTaken = UniqueViolation
"""Raised for a second channel of one name."""

_CHANNEL = """
    SELECT c.id, c.kind, c.name, c.language, c.recipients, c.host, c.sealed, c.enabled, c.created_by, c.created_at, c.failures,
           (SELECT count(*) FROM notify_outbox o WHERE o.tenant_id = c.tenant_id AND o.channel_id = c.id
                AND o.state = 'waiting') AS waiting,
           last.settled_at AS last_sent_at, COALESCE(why.reason_en, '') AS reason_en, COALESCE(why.reason_zh, '') AS reason_zh
    FROM notify_channel c
    LEFT JOIN LATERAL (SELECT o.settled_at FROM notify_outbox o WHERE o.tenant_id = c.tenant_id AND o.channel_id = c.id
                       AND o.state = 'sent' ORDER BY o.id DESC LIMIT 1) last ON true
    LEFT JOIN LATERAL (SELECT o.reason_en, o.reason_zh FROM notify_outbox o WHERE o.tenant_id = c.tenant_id
                       AND o.channel_id = c.id AND o.attempts > 0 ORDER BY o.id DESC LIMIT 1) why ON true
    WHERE c.tenant_id = current_tenant() AND c.removed_at IS NULL
"""


_TOLD = """
    concat_ws(' ', o.notice ->> 'title_en', o.notice ->> 'title_zh', o.notice ->> 'body_en', o.notice ->> 'body_zh',
              o.reason_en, o.reason_zh)
"""


_DELIVERY = """
    SELECT o.id, o.channel_id, c.name AS channel, o.notice, o.created_at, o.delivery, o.attempts, o.state, o.reason_en,
           o.reason_zh, o.settled_at
    FROM notify_outbox o JOIN notify_channel c ON c.tenant_id = o.tenant_id AND c.id = o.channel_id
    WHERE o.tenant_id = current_tenant() AND o.id < %(before)s::bigint
"""


async def select_channels(connection: AsyncConnection, channel: UUID | None = None) -> list[Row]:
    """Return the tenant's channels by name, or the one named."""
    return await _all(
        connection,
        _CHANNEL + " AND (%(id)s::uuid IS NULL OR c.id = %(id)s) ORDER BY c.name",
        {"id": channel},
    )


async def insert_channel(connection: AsyncConnection, row: Row) -> None:
    """Insert a channel; raises NameTaken."""
    await connection.execute(
        """
        INSERT INTO notify_channel (tenant_id, id, kind, name, language, recipients, host, sealed, enabled, created_by)
        VALUES (current_tenant(), %(id)s, %(kind)s, %(name)s, %(language)s, %(recipients)s, %(host)s, %(sealed)s, %(enabled)s,
                %(created_by)s)
        """,
        row,
    )


async def update_channel(connection: AsyncConnection, row: Row) -> None:
    """Change a channel and let it try at once; raises NameTaken."""
    await connection.execute(
        """
        UPDATE notify_channel SET name = %(name)s, language = %(language)s, recipients = %(recipients)s, host = %(host)s,
            sealed = %(sealed)s, enabled = %(enabled)s, failures = 0, next_at = '-infinity'
        WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        row,
    )


async def remove_channel(connection: AsyncConnection, channel: UUID) -> str | None:
    """Take a channel out and forget its secret; what waits on it is dropped. Returns its name, None if there is none."""
    row = await _one(
        connection,
        "UPDATE notify_channel SET removed_at = now(), sealed = NULL"
        " WHERE tenant_id = current_tenant() AND id = %s AND removed_at IS NULL RETURNING name",
        [channel],
    )
    if row:
        await connection.execute(
            "DELETE FROM notify_outbox WHERE tenant_id = current_tenant() AND channel_id = %s AND state = 'waiting'",
            [channel],
        )
    return str(row["name"]) if row else None


async def insert_notice(
    connection: AsyncConnection, channels: Sequence[UUID] | None, key: str, notice: Row, attachment: bytes | None
) -> None:
    """Put a notice into the outbox of those of `channels`, or of all, that there are and that are on; once per channel and `key`."""
    await connection.execute(
        """
        INSERT INTO notify_outbox (tenant_id, channel_id, key, notice, attachment)
        SELECT c.tenant_id, c.id, %s, %s, CASE WHEN c.kind = 'email' THEN %s::bytea END FROM notify_channel c
        WHERE c.tenant_id = current_tenant() AND (%s::uuid[] IS NULL OR c.id = ANY(%s)) AND c.removed_at IS NULL AND c.enabled
        ON CONFLICT (tenant_id, channel_id, key) DO NOTHING
        """,
        [key, Jsonb(notice), attachment, *[None if channels is None else list(channels)] * 2],
    )


async def tenants_with_notices(connection: AsyncConnection) -> list[UUID]:
    """Return the tenants with something to send. Runs outside any tenant."""
    return [row[0] for row in await (await connection.execute("SELECT tenants_with_notices()")).fetchall()]


async def claim_channel(
    connection: AsyncConnection, per_minute: Mapping[Kind, int], lease_s: float, only: UUID | None
) -> Row | None:
    """Take the lease of a channel that has something to send and may send now, and count the attempt; None if there is none."""
    return await _one(
        connection,
        """
        UPDATE notify_channel c
        SET leased_until = now() + make_interval(secs => %(lease)s),
            recent = ARRAY(SELECT r FROM unnest(c.recent) r WHERE r > now() - interval '1 minute') || now()
        WHERE c.tenant_id = current_tenant() AND c.id = (
            SELECT o.id FROM notify_channel o
            WHERE o.tenant_id = current_tenant() AND o.removed_at IS NULL AND o.enabled AND o.leased_until < now()
                AND o.next_at <= now() AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
                AND (SELECT count(*) FROM unnest(o.recent) r WHERE r > now() - interval '1 minute')
                    < (%(rates)s::jsonb ->> o.kind)::int
                AND EXISTS (SELECT FROM notify_outbox n WHERE n.tenant_id = o.tenant_id AND n.channel_id = o.id
                            AND n.state = 'waiting')
            ORDER BY o.leased_until LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING c.id, c.kind, c.name, c.language, c.recipients, c.host, c.sealed, c.failures
        """,
        {"lease": lease_s, "only": only, "rates": Jsonb(dict(per_minute))},
    )


async def form_delivery(connection: AsyncConnection, channel: UUID, fresh: UUID, most: int) -> list[Row]:
    """Return the notices of the channel's next message, oldest first: the one begun before, else up to `most` under `fresh`.

    A notice with an attachment goes alone. The attempt is counted.
    """
    return await _all(
        connection,
        """
        WITH begun AS (
            SELECT delivery FROM notify_outbox WHERE tenant_id = current_tenant() AND channel_id = %(channel)s
                AND state = 'waiting' AND delivery IS NOT NULL ORDER BY id LIMIT 1
        ), numbered AS (
            SELECT id, attachment IS NOT NULL AS alone,
                   bool_or(attachment IS NOT NULL) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS after_alone,
                   row_number() OVER (ORDER BY id) AS place
            FROM notify_outbox
            WHERE tenant_id = current_tenant() AND channel_id = %(channel)s AND state = 'waiting' AND delivery IS NULL
            ORDER BY id LIMIT %(most)s
        ), chosen AS (
            SELECT o.id FROM notify_outbox o, begun WHERE o.tenant_id = current_tenant() AND o.channel_id = %(channel)s
                AND o.state = 'waiting' AND o.delivery = begun.delivery
            UNION ALL
            SELECT id FROM numbered WHERE NOT EXISTS (SELECT FROM begun) AND (place = 1 OR NOT after_alone)
        ), taken AS (
            UPDATE notify_outbox o SET delivery = COALESCE(o.delivery, %(fresh)s), attempts = o.attempts + 1
            FROM chosen WHERE o.tenant_id = current_tenant() AND o.id = chosen.id
            RETURNING o.id, o.notice, o.attachment, o.delivery, o.attempts
        )
        SELECT * FROM taken ORDER BY id
        """,
        {"channel": channel, "fresh": fresh, "most": most},
    )


async def settle(
    connection: AsyncConnection,
    channel: UUID,
    delivery: UUID,
    *,
    state: str,
    reason: tuple[str, str],
    wait_s: float | None,
) -> None:
    """Write down what became of a message and give the lease back; `wait_s` is None where it was taken."""
    await connection.execute(
        """
        UPDATE notify_outbox SET state = %(state)s, reason_en = %(en)s, reason_zh = %(zh)s,
            settled_at = CASE WHEN %(state)s <> 'waiting' THEN now() END,
            attachment = CASE WHEN %(state)s = 'sent' THEN NULL ELSE attachment END
        WHERE tenant_id = current_tenant() AND channel_id = %(channel)s AND delivery = %(delivery)s AND state = 'waiting'
        """,
        {"channel": channel, "delivery": delivery, "state": state, "en": reason[0], "zh": reason[1]},
    )
    await connection.execute(
        """
        UPDATE notify_channel SET leased_until = '-infinity',
            failures = CASE WHEN %(wait)s::float8 IS NULL THEN 0 ELSE failures + 1 END,
            next_at = CASE WHEN %(wait)s::float8 IS NULL THEN '-infinity' ELSE now() + make_interval(secs => %(wait)s) END
        WHERE tenant_id = current_tenant() AND id = %(channel)s
        """,
        {"channel": channel, "wait": wait_s},
    )


async def select_deliveries(
    connection: AsyncConnection,
    channel: UUID | None,
    before: int | None,
    limit: int,
    *,
    state: State | None = None,
    text: str = "",
) -> list[Row]:
    """Return at most `limit` notices, newest first, that come after `before` in that order.

    Of one channel or of all, in one state or in any, with `text` in what was told or in why it was not.
    """
    # A condition that is not asked for is not in the statement: PostgreSQL would plan for the few rows it might leave.
    wanted = {
        "o.channel_id = %(channel)s": channel,
        "o.state = %(state)s": state,
        f"strpos(lower({_TOLD}), lower(%(text)s)) > 0": text,
    }
    return await _all(
        connection,
        _DELIVERY
        + "".join(f" AND {condition}" for condition, asked in wanted.items() if asked)
        + " ORDER BY o.id DESC LIMIT %(limit)s",
        {
            "channel": channel,
            "state": state,
            "text": text,
            "before": LAST_NUMBER if before is None else before,
            "limit": limit,
        },
    )


async def revive(connection: AsyncConnection, notice: int) -> UUID | None:
    """Have a notice that was given up sent after all; returns its channel, None if there is no such notice."""
    row = await _one(
        connection,
        """
        UPDATE notify_outbox o SET state = 'waiting', attempts = 0, settled_at = NULL, delivery = NULL
        FROM notify_channel c WHERE o.tenant_id = current_tenant() AND o.id = %s AND o.state = 'dead'
            AND c.tenant_id = o.tenant_id AND c.id = o.channel_id AND c.removed_at IS NULL
        RETURNING o.channel_id
        """,
        [notice],
    )
    if row is None:
        return None
    await connection.execute(
        "UPDATE notify_channel SET next_at = '-infinity' WHERE tenant_id = current_tenant() AND id = %s",
        [row["channel_id"]],
    )
    return UUID(str(row["channel_id"]))


async def forget_settled(connection: AsyncConnection, days: int) -> None:
    """Drop notices that were settled `days` ago."""
    await connection.execute(
        "DELETE FROM notify_outbox WHERE tenant_id = current_tenant() AND settled_at < now() - %s * interval '1 day'",
        [days],
    )


async def _one(connection: AsyncConnection, query: Any, values: Any) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _all(connection: AsyncConnection, query: Any, values: Any) -> list[Row]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
