"""The SQL of computing. Statements run inside the transaction of the customer or of the provider of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from cloud.core.rows import Row, every, one

_OFFER = """
    o.id, o.tenant_id, o.provider, o.code, o.terms, o.version, o.paused, o.opened_at, o.closed_at, o.provider_name, o.speed, o.refused, o.no_walls,
    o.run_s, o.lost_s, o.jobs, o.breaks, o.worker_key, o.tenant_id = current_tenant() AS own,
    o.seen_at > now() - make_interval(secs => %(alive)s) AS alive
"""
JOB = """
    id, customer_id, provider_id, customer, customer_id = current_tenant() AS own, name, kind, subject, task, orders, digest,
    decision, offer_id, terms, not_before, placed_at, deadline, state, cancel, held, cap, cost, subsidy, prepaid, stage, done, total, attempts,
    broken_at, result, reason_en, reason_zh, submitted_by, submitted_at, started_at, ended_at, receipt IS NOT NULL AS has_receipt,
    stop_idle_s, offline_s
"""
_ATTEMPT = """
    a.job_id, a.number, a.customer_id, a.provider_id, a.offer_id, a.terms, a.worker_key, a.state, a.started_at, a.leased_until, a.beats,
    a.head, a.used_ms, a.cpu_ms, a.checkpoint_ms, a.checkpoint, a.chip, a.billable_ms, a.lost_ms, a.ended_at, a.last
"""


async def select_offers(
    connection: AsyncConnection, alive_s: float, *, identity: UUID | None = None, own: bool = False
) -> list[Row]:
    """Return the open offers of all providers by code, one of them, or all of one's own."""
    return await every(
        connection,
        f"""
        SELECT {_OFFER}, EXISTS (SELECT FROM busy_offers() b WHERE b = o.id) AS busy FROM compute_offer o
        WHERE (%(id)s::uuid IS NULL OR o.id = %(id)s)
          AND CASE WHEN %(own)s THEN o.tenant_id = current_tenant() ELSE o.closed_at IS NULL END
        ORDER BY o.code
        """,  # noqa: S608 - our own text
        {"id": identity, "own": own, "alive": alive_s},
    )


async def insert_offer(connection: AsyncConnection, row: Row) -> None:
    """Store an offer."""
    await connection.execute(
        """
        INSERT INTO compute_offer (id, tenant_id, provider, code, terms, opened_by, token_hash)
        VALUES (%(id)s, current_tenant(), %(provider)s, %(code)s, %(terms)s, %(opened_by)s, %(token_hash)s)
        """,
        row | {"terms": Jsonb(row["terms"])},
    )


async def close_offer(connection: AsyncConnection, identity: UUID) -> bool:
    """Close one of the tenant's offers; False if there is none open."""
    cursor = await connection.execute(
        "UPDATE compute_offer SET closed_at = now() WHERE tenant_id = current_tenant() AND id = %s AND closed_at IS NULL",
        [identity],
    )
    return cursor.rowcount == 1


async def welcome_worker(connection: AsyncConnection, identity: UUID, row: Row) -> None:
    """Write down who works for an offer and what its probe has found."""
    await connection.execute(
        """
        UPDATE compute_offer SET worker_key = %(public_key)s, provider_name = %(provider)s, speed = %(speed)s,
            refused = %(refused)s, no_walls = %(no_walls)s, probed_at = now(), seen_at = now() WHERE tenant_id = current_tenant() AND id = %(id)s
        """,
        row | {"id": identity, "refused": Jsonb(row["refused"])},
    )


async def see_worker(connection: AsyncConnection, identity: UUID) -> None:
    """Write down that an offer's worker lives."""
    await connection.execute(
        "UPDATE compute_offer SET seen_at = now() WHERE tenant_id = current_tenant() AND id = %s", [identity]
    )


async def count_run(connection: AsyncConnection, identity: UUID, run_s: float, lost_s: float, *, broke: bool) -> None:
    """Count an attempt that has ended into what an offer is known for."""
    await connection.execute(
        """
        UPDATE compute_offer SET run_s = run_s + %s, lost_s = lost_s + %s, jobs = jobs + %s, breaks = breaks + %s
        WHERE tenant_id = current_tenant() AND id = %s
        """,
        [run_s, lost_s, int(not broke), int(broke), identity],
    )


async def find_worker(connection: AsyncConnection, token_hash: bytes) -> Row | None:
    """Return tenant and offer of a worker's token; asked outside any tenant."""
    return await one(connection, "SELECT tenant_id, offer_id FROM find_worker(%s)", [token_hash])


async def select_company(connection: AsyncConnection) -> Row:
    """Return the tenant's name."""
    row = await one(connection, "SELECT name FROM tenant WHERE id = current_tenant()")
    assert row is not None  # noqa: S101 - the transaction is inside it
    return row


async def insert_job(connection: AsyncConnection, row: Row, files: Mapping[str, tuple[str, bytes]]) -> None:
    """Store a job with its inputs: name to digest and content."""
    documents = {name: Jsonb(row[name]) for name in ("subject", "task", "orders", "decision", "held", "terms")}
    await connection.execute(
        """
        INSERT INTO compute_job (id, customer_id, provider_id, customer, name, kind, subject, task, orders, digest, decision,
                                 offer_id, terms, not_before, deadline, held, cap, submitted_by, stop_idle_s, offline_s)
        VALUES (%(id)s, current_tenant(), %(provider_id)s, %(customer)s, %(name)s, %(kind)s, %(subject)s, %(task)s, %(orders)s,
                %(digest)s, %(decision)s, %(offer_id)s, %(terms)s, %(not_before)s, %(deadline)s, %(held)s, %(cap)s, %(submitted_by)s,
                %(stop_idle_s)s, %(offline_s)s)
        """,
        row | documents,
    )
    for name, (digest, content) in files.items():
        await put_file(connection, row["id"], "input", name, (row["provider_id"], digest, content))


async def put_file(connection: AsyncConnection, job: UUID, kind: str, name: str, file: tuple[UUID, str, bytes]) -> None:
    """Store a file of a job, over one of the same name; `file` is provider, digest and content."""
    provider, digest, content = file
    await connection.execute(
        """
        INSERT INTO compute_file (job_id, kind, name, customer_id, provider_id, digest, size, content)
        SELECT j.id, %(kind)s, %(name)s, j.customer_id, %(provider)s, %(digest)s, octet_length(%(content)s::bytea), %(content)s
        FROM compute_job j WHERE j.id = %(job)s
        ON CONFLICT (job_id, kind, name) DO UPDATE SET digest = excluded.digest, size = excluded.size,
            content = excluded.content, provider_id = excluded.provider_id
        """,
        {"job": job, "kind": kind, "name": name, "provider": provider, "digest": digest, "content": content},
    )


async def select_files(connection: AsyncConnection, job: UUID, kinds: Sequence[str]) -> list[Row]:
    """Return what files of some kinds a job has, without their content."""
    return await every(
        connection,
        "SELECT kind, name, digest, size FROM compute_file WHERE job_id = %s AND kind = ANY(%s) ORDER BY kind, name",
        [job, list(kinds)],
    )


async def select_content(connection: AsyncConnection, job: UUID, kind: str, name: str) -> bytes | None:
    """Return a file's content."""
    row = await one(
        connection, "SELECT content FROM compute_file WHERE job_id = %s AND kind = %s AND name = %s", [job, kind, name]
    )
    return row["content"] if row else None


async def delete_files(connection: AsyncConnection, job: UUID, kinds: Sequence[str]) -> None:
    """Forget files of some kinds."""
    await connection.execute("DELETE FROM compute_file WHERE job_id = %s AND kind = ANY(%s)", [job, list(kinds)])


async def select_job(connection: AsyncConnection, identity: UUID, *, lock: bool = False) -> Row | None:
    """Return a job; with `lock` nobody else moves it until the transaction ends."""
    return await one(
        connection,
        f"SELECT {JOB} FROM compute_job WHERE id = %s {'FOR NO KEY UPDATE' if lock else ''}",  # noqa: S608
        [identity],
    )


async def select_troubled(connection: AsyncConnection, patience_s: float) -> list[UUID]:
    """Return the tenant's jobs whose lease has run out, or that nobody has fetched for `patience_s`."""
    rows = await every(
        connection,
        """
        SELECT j.id FROM compute_job j LEFT JOIN compute_attempt a ON a.job_id = j.id AND a.state = 'running'
        WHERE j.customer_id = current_tenant() AND (
            (j.state = 'running' AND coalesce(a.leased_until, '-infinity')
             - make_interval(secs => CASE WHEN j.cancel OR j.deadline < now() THEN j.offline_s ELSE 0 END) < clock_timestamp())
            OR (j.state = 'queued'
                AND greatest(j.not_before, j.placed_at) + make_interval(secs => %s) < clock_timestamp()))
        """,
        [patience_s],
    )
    return [row["id"] for row in rows]


async def customers_in_trouble(connection: AsyncConnection, patience_s: float) -> list[UUID]:
    """Return the tenants with such jobs; asked outside any tenant."""
    return [
        row["id"] for row in await every(connection, "SELECT customers_with_jobs_in_trouble(%s) AS id", [patience_s])
    ]


async def next_job(connection: AsyncConnection, offer: UUID) -> Row | None:
    """Return the job of an offer that is to begin next, locked; None while another one runs there or none is due."""
    return await one(
        connection,
        f"""
        SELECT {JOB} FROM compute_job j
        WHERE j.offer_id = %(offer)s AND j.state = 'queued' AND j.not_before <= now()
        ORDER BY j.placed_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """,  # noqa: S608 - our own text
        {"offer": offer},
    )


async def change_job(connection: AsyncConnection, identity: UUID, change: Row) -> None:
    """Change columns of a job."""
    documents = {
        name: Jsonb(value) for name, value in change.items() if name in ("held", "decision", "result", "terms")
    }
    columns = ", ".join(f"{name} = %({name})s" for name in change)
    await connection.execute(
        f"UPDATE compute_job SET {columns} WHERE id = %(job)s",  # noqa: S608 - our own names
        change | documents | {"job": identity},
    )


async def move_files(connection: AsyncConnection, job: UUID, provider: UUID) -> None:
    """Let the files of a job be seen by the provider it goes to, and no longer by the one before."""
    await connection.execute("UPDATE compute_file SET provider_id = %s WHERE job_id = %s", [provider, job])


async def begin_attempt(connection: AsyncConnection, row: Row, lease_s: float) -> None:
    """Store an attempt that begins now."""
    await connection.execute(
        """
        INSERT INTO compute_attempt (job_id, number, customer_id, provider_id, offer_id, terms, worker_key, leased_until)
        VALUES (%(job_id)s, %(number)s, %(customer_id)s, %(provider_id)s, %(offer_id)s, %(terms)s, %(worker_key)s,
                clock_timestamp() + make_interval(secs => %(lease)s))
        """,
        row | {"lease": lease_s, "terms": Jsonb(row["terms"])},
    )


async def select_attempt(
    connection: AsyncConnection, job: UUID, number: int | None = None, *, lock: bool = False
) -> Row | None:
    """Return an attempt of a job, the one that runs unless told, with how long ago it began, in ms."""
    return await one(
        connection,
        f"""
        SELECT {_ATTEMPT}, (extract(epoch FROM clock_timestamp() - a.started_at) * 1000)::bigint AS elapsed_ms
        FROM compute_attempt a
        WHERE a.job_id = %(job)s AND CASE WHEN %(number)s::int IS NULL THEN a.state = 'running' ELSE a.number = %(number)s END
        {"FOR NO KEY UPDATE" if lock else ""}
        """,  # noqa: S608 - our own text
        {"job": job, "number": number},
    )


async def select_attempts(connection: AsyncConnection, job: UUID) -> list[Row]:
    """Return a job's attempts in order, each with its offer's code and provider."""
    return await every(
        connection,
        f"""
        SELECT {_ATTEMPT}, o.code, o.provider FROM compute_attempt a JOIN offers_ever() o ON o.id = a.offer_id
        WHERE a.job_id = %s ORDER BY a.number
        """,  # noqa: S608 - our own text
        [job],
    )


async def running_at(connection: AsyncConnection, offer: UUID) -> Row | None:
    """Return job and number of the attempt that runs at an offer."""
    return await one(
        connection, "SELECT job_id, number FROM compute_attempt WHERE offer_id = %s AND state = 'running'", [offer]
    )


async def change_attempt(connection: AsyncConnection, job: UUID, number: int, change: Row) -> None:
    """Change columns of an attempt."""
    documents = {name: Jsonb(value) for name, value in change.items() if name in ("checkpoint", "last")}
    columns = ", ".join(f"{name} = %({name})s" for name in change)
    await connection.execute(
        f"UPDATE compute_attempt SET {columns} WHERE job_id = %(job)s AND number = %(n)s",  # noqa: S608 - our own names
        change | documents | {"job": job, "n": number},
    )


async def end_attempt(connection: AsyncConnection, job: UUID, number: int, change: Row) -> None:
    """Write down how an attempt ended."""
    await change_attempt(connection, job, number, change)
    await connection.execute(
        "UPDATE compute_attempt SET ended_at = clock_timestamp() WHERE job_id = %s AND number = %s", [job, number]
    )


async def add_beat(
    connection: AsyncConnection, attempt: Row, seq: int, beat: tuple[str, bytes, str], lease_s: float
) -> None:
    """Append a beat - its text, hash and signature - to an attempt's chain, and let the lease last on."""
    body, digest, signature = beat
    key = [attempt["job_id"], attempt["number"]]
    await connection.execute(
        """
        INSERT INTO compute_beat (job_id, attempt, seq, customer_id, provider_id, body, hash, signature)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [*key, seq, attempt["customer_id"], attempt["provider_id"], body, digest, signature],
    )
    await connection.execute(
        """
        UPDATE compute_attempt SET beats = %s, head = %s, leased_until = clock_timestamp() + make_interval(secs => %s)
        WHERE job_id = %s AND number = %s
        """,
        [seq, digest, lease_s, *key],
    )


async def select_beats(connection: AsyncConnection, job: UUID, number: int) -> list[Row]:
    """Return the beats of an attempt in order."""
    return await every(
        connection,
        """
        SELECT seq, at, body, encode(hash, 'hex') AS hash, signature FROM compute_beat WHERE job_id = %s AND attempt = %s
        ORDER BY seq
        """,
        [job, number],
    )


async def select_receipt(connection: AsyncConnection, job: UUID) -> Row | None:
    """Return a job's receipt and its signature."""
    return await one(connection, "SELECT receipt, signature FROM compute_job WHERE id = %s", [job])


async def pace(connection: AsyncConnection, kind: str) -> list[tuple[int, float]]:
    """Return items and reference seconds of the tenant's last jobs of a kind that were done at the first attempt."""
    rows = await every(
        connection,
        """
        SELECT coalesce((j.orders->>'steps')::int,
                   jsonb_array_length(coalesce(j.orders->'learn', j.orders->'pictures', j.orders->'good'))
                   + coalesce(jsonb_array_length(j.orders->'bad'), 0)) AS items,
               a.billable_ms / 1000.0 * o.speed AS seconds
        FROM compute_job j JOIN compute_attempt a ON a.job_id = j.id JOIN compute_offer o ON o.id = a.offer_id
        WHERE j.customer_id = current_tenant() AND j.kind = %s AND j.state = 'done' AND j.attempts = 1 AND o.speed IS NOT NULL
        ORDER BY j.id DESC LIMIT 5
        """,
        [kind],
    )
    return [(row["items"], float(row["seconds"])) for row in rows]
