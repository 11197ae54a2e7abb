"""Lists that grow with time: a page begins in an index where its key stands, so the millionth costs what the first does.

The plans looked at are those PostgreSQL keeps for a statement that is asked often: made without knowing its values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import AsyncConnection, AsyncCursor
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

from cloud.alarms.store import alarms
from cloud.compute.store.jobs import select_jobs
from cloud.core.db import enter
from cloud.core.keyset import BY_EQUIPMENT, BY_ID_NEWEST, BY_NAME, Key, Window
from cloud.energy.store import meters
from cloud.fleet.store import agents, diagnostics
from cloud.fleet.store import equipment as equipment_rows
from cloud.identity.store import audit_log, people
from cloud.notify import store as notify
from cloud.quality import store as quality
from cloud.quality.schemas import Filter
from cloud.telemetry.store import query as telemetry
from tests.cloud.conftest import Cluster, Company
from tests.doubles.agent import POWER, frame, readings

ROWS, FEW = 20_000, 3_000
AT = datetime(2026, 3, 1, tzinfo=UTC)
FILL = """
    INSERT INTO agent_event SELECT %(tenant)s, gen_random_uuid(), %(agent)s, 'd', %(at)s + n * interval '1 s', 'k', 'e', 'z'
    FROM generate_series(1, %(rows)s) n;
    INSERT INTO inspection (tenant_id, id, equipment_id, agent_id, ts, part, verdict, score, review_limit, reject_limit, model,
                            model_version, latency_us)
    SELECT %(tenant)s, gen_random_uuid(), %(equipment)s, %(agent)s, %(at)s + n * interval '1 s', 'p', 'pass', 0, 1, 2, 'm', '1', 1
    FROM generate_series(1, %(rows)s) n;
    INSERT INTO audit (tenant_id, seq, at, actor, act, subject, address, detail, hash)
    SELECT %(tenant)s, 1000 + n, %(at)s, 'a', 'b.c', 's', '', '{}', '\\x00' FROM generate_series(1, %(rows)s) n;
    INSERT INTO diagnostic (tenant_id, id, agent_id, kind, device, points, asked_by, expires_at)
    SELECT %(tenant)s, gen_random_uuid(), %(agent)s, 'report', '', '{}', 'a', now() FROM generate_series(1, %(rows)s) n;
    INSERT INTO notify_channel (tenant_id, id, kind, name, language, created_by)
    SELECT %(tenant)s, %(channel)s, 'webhook', 'c', 'en', 't';
    INSERT INTO notify_outbox (tenant_id, channel_id, key, notice, state)
    SELECT %(tenant)s, %(channel)s, n::text, '{}', 'sent' FROM generate_series(1, %(rows)s) n;
    INSERT INTO alarm_rule (tenant_id, id, name, enabled, definition, changed_by)
    SELECT %(tenant)s, %(channel)s, 'r', false, '{}', 't';
    INSERT INTO alarm (tenant_id, id, rule_id, source, equipment_id, priority, level, place, message_en, message_zh, unit,
                       raised_at, noticed_at, latching, closed_at)
    SELECT %(tenant)s, gen_random_uuid(), %(channel)s, n::text, %(equipment)s, 'low', 'on', 'p', 'e', 'z', '',
           %(at)s, %(at)s + n * interval '1 s', false, %(at)s FROM generate_series(1, %(rows)s) n;
    INSERT INTO telemetry SELECT %(series)s, %(at)s + n * interval '1 s', n, 0 FROM generate_series(1, %(rows)s) n;
    INSERT INTO equipment (id, tenant_id, agent_id, name)
    SELECT gen_random_uuid(), %(tenant)s, %(agent)s, 'm' || n FROM generate_series(1, %(few)s) n;
    INSERT INTO series (tenant_id, equipment_id, name, property, unit, is_current)
    SELECT %(tenant)s, id, 'p', '', '', true FROM equipment WHERE name LIKE 'm%%';
    INSERT INTO agent (id, tenant_id, site_id, name, public_key, agent_version)
    SELECT gen_random_uuid(), %(tenant)s, site_id, 'a' || n, lpad(n::text, 32, '0')::bytea, '1' FROM agent, generate_series(1, %(few)s) n
    WHERE id = %(agent)s;
    INSERT INTO enrolment_code (id, tenant_id, site_id, hash, created_by, expires_at)
    SELECT gen_random_uuid(), %(tenant)s, site_id, n::text::bytea, 't', now() FROM agent, generate_series(1, %(few)s) n
    WHERE agent.id = %(agent)s;
    INSERT INTO user_account (id, tenant_id, email, password_hash, role)
    SELECT gen_random_uuid(), %(tenant)s, n || '@example.com', '', 'viewer' FROM generate_series(1, %(few)s) n;
    INSERT INTO energy_meter (tenant_id, site_id, name, carrier, basis, confirmed)
    SELECT %(tenant)s, site_id, n::text, 'water', 'virtual', true FROM agent, generate_series(1, %(few)s) n WHERE id = %(agent)s;
    INSERT INTO compute_offer (id, tenant_id, provider, code, terms, opened_by, token_hash)
    SELECT %(channel)s, %(tenant)s, 'p', 'c', '{}', 't', '\\x00';
    INSERT INTO compute_job (id, customer_id, provider_id, customer, name, kind, subject, task, orders, digest, decision, offer_id,
                             terms, not_before, deadline, held, cap, submitted_by, state)
    SELECT gen_random_uuid(), %(tenant)s, %(tenant)s, 'c', 'n', 'fit', '{}', '{}', '{}', '', '[]', %(channel)s, '{}', %(at)s, %(at)s,
           '{}', 0, 't', 'done' FROM generate_series(1, %(rows)s) n;
    ANALYZE
"""


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Plans are PostgreSQL's; what TimescaleDB adds is below its chunks."""
    return embedded_cluster


class Planned(AsyncCursor[Any]):
    """Has every query planned without its values before it runs."""

    plans: list[dict[str, Any]] = []  # noqa: RUF012 - of the one test

    async def execute(self, statement: Any, params: Any = None, **how: Any) -> Any:
        query = PostgresQuery(Transformer(self.connection))
        query.convert(statement, params)  # to $1, $2 ...
        await super().execute(b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + query.query)
        row: Any = await self.fetchone()
        found = next(iter(row.values() if isinstance(row, dict) else row))
        Planned.plans.append((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])
        return await super().execute(statement, params, **how)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in parts(plan):
        yield from nodes(part)


def parts(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what feeds `plan`; what is looked up by the way, for row-level security, is not in it."""
    return [part for part in plan.get("Plans", ()) if part["Parent Relationship"] not in ("SubPlan", "InitPlan")]


def scanning(plan: dict[str, Any], table: str) -> Iterator[dict[str, Any]]:
    """Yield where `plan` reads `table`, or a week of it."""
    for node in nodes(plan):
        relation = node.get("Relation Name", "")
        if relation == table or (table == "telemetry" and relation.startswith("w2")):
            yield node


def unbounded(node: dict[str, Any], table: str) -> bool:
    """Whether `node` takes all that the big table has for it: no limit stands between."""
    below = parts(node)
    reads = not below and bool(list(scanning(node, table)))
    return node["Node Type"] != "Limit" and (reads or any(unbounded(part, table) for part in below))


def window(first: Key, is_first: bool) -> Window:
    """Return the first page's window, or one within the list."""
    return Window(first if is_first else tuple("m" if part == "" else part for part in first), 101)


async def test_a_page_begins_in_the_index_where_its_key_stands(company: Company, owner_dsn: str, app_dsn: str) -> None:
    async with company.agent() as agent:
        await agent.deliver(frame(1, readings(POWER, [1.0], int(AT.timestamp() * 1e6))))
        agent_id = UUID(agent.agent_id)
    (point,) = (await company.http.get("/api/v1/points")).json()
    equipment, series = UUID(point["equipment_id"]), point["series_id"]
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        values: dict[str, Any] = {"tenant": company.scope.tenant_id, "agent": agent_id, "equipment": equipment}
        values |= {"series": series, "rows": ROWS, "few": FEW, "at": AT, "channel": uuid4()}
        for statement in FILL.split(";"):
            owner.execute(statement, values)
    key, end = (AT, uuid4()), datetime(2027, 1, 1, tzinfo=UTC)
    no_alarms: dict[str, Any] = dict.fromkeys(("equipment", "priority", "rule", "start", "end", "site", "line"))
    no_alarms["text"] = ""
    no_jobs: dict[str, Any] = {"own": True} | dict.fromkeys(("state", "kind", "partners", "start", "end"))
    every: dict[str, Any] = {"act": "", "actor": "", "start": None, "end": None}
    async with await AsyncConnection.connect(app_dsn, cursor_factory=Planned) as connection:
        pages = (
            ("agent_event", "ts", lambda first: agents.select_events(connection, None if first else key, 100)),
            *(
                (
                    "inspection",
                    "ts",
                    lambda first, wanted=wanted: quality.select_page(
                        connection, wanted, before=None if first else key, limit=50
                    ),
                )
                for wanted in (
                    Filter(equipment_id=equipment),
                    Filter(verdict="reject", start=AT, end=end),
                    Filter(model="m"),
                    Filter(lot="l"),
                    Filter(serial="1"),
                    Filter(line_id=uuid4()),
                    Filter(site_id=uuid4(), verdict="reject"),
                )
            ),
            *(
                (
                    "alarm",
                    "noticed_at",
                    lambda first, more=more: alarms.select_page(
                        connection, is_open=False, before=None if first else key, limit=50, **no_alarms | more
                    ),
                )
                for more in ({}, {"start": AT, "end": end}, {"site": uuid4(), "text": "p"}, {"line": uuid4()})
            ),
            (
                "audit",
                "seq",
                lambda first: audit_log.select_entries(connection, before=None if first else 9, limit=50, **every),
            ),
            (
                "diagnostic",
                "id",
                lambda first: diagnostics.select_diagnostics(connection, agent_id, None if first else key[1], 50),
            ),
            *(
                (
                    "notify_outbox",
                    "id",
                    lambda first, more=more: notify.select_deliveries(
                        connection, more.get("channel"), None if first else 9, 50, state=more.get("state"), text=more.get("text", "")
                    ),
                )
                for more in ({}, {"state": "dead", "text": "x"}, {"channel": uuid4()})
            ),
            (
                "telemetry",
                "ts",
                lambda first: telemetry.select_readings(
                    connection, series, AT, end, after=None if first else AT, limit=100
                ),
            ),
            *(
                (
                    "compute_job",
                    "id",
                    lambda first, more=more: select_jobs(
                        connection, before=None if first else key[1], limit=50, **no_jobs | more
                    ),
                )
                for more in ({}, {"own": False, "kind": "fit"}, {"state": "failed", "start": AT, "end": end})
            ),
            ("agent", "name", lambda first: agents.select_agents(connection, window(BY_NAME, first))),
            ("equipment", "name", lambda first: equipment_rows.select_equipment(connection, None, window(BY_NAME, first))),
            ("enrolment_code", "id", lambda first: agents.select_codes(connection, window(BY_ID_NEWEST, first))),
            ("user_account", "email", lambda first: people.select_users(connection, window(("",), first))),
            ("energy_meter", "name", lambda first: meters.select_meters(connection, None, window(BY_NAME, first))),
            (
                "series",
                "equipment_id",
                lambda first: telemetry.select_points(connection, None, window(BY_EQUIPMENT, first)),
            ),
            ("series", "id", lambda first: telemetry.select_latest(connection, window=window((0,), first))),
        )  # fmt: skip
        async with connection.transaction():
            await enter(connection, company.scope)
            for table, column, page in pages:
                for first in (True, False):
                    Planned.plans.clear()
                    await page(first)
                    (plan,) = Planned.plans
                    scans = list(scanning(plan, table))
                    assert scans, (table, plan)
                    for scan in scans:
                        assert scan["Node Type"] in ("Index Scan", "Index Only Scan"), (table, scan)
                        assert re.search(rf"\b{column}\b[^=]*[<>]", scan["Index Cond"]), (table, scan["Index Cond"])
                    sorts = [node for node in nodes(plan) if node["Node Type"] == "Sort"]
                    assert not [node for node in sorts if unbounded(node, table)], (table, json.dumps(plan))
