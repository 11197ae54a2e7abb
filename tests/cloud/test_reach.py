"""Roles by place: who is let into line A sees and changes line A - asked of every operation there is - and nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from uuid_utils.compat import uuid7

from cloud.core.db import Database
from cloud.core.errors import Forbidden
from cloud.core.principal import Principal, Scope
from cloud.identity.service import Identity
from cloud.telemetry.store import arrays, query, rollups
from protocols.uplink.codec import columns_of, encode
from protocols.uplink.messages import Batch, Event, Frame, Inspection, PointRef
from tests.cloud.conftest import PASSWORD, SECRETS, Company
from tests.cloud.test_isolation_api import BODIES, BY_AGENTS, LAST, NUMBERS, SAME, _document, _filled, operations
from tests.doubles.agent import readings

AT = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
AT_US = int(AT.timestamp() * 1e6)
NO_ID = "01999999-0000-7000-8000-00000000ffff"


@dataclass
class Side:
    """One line, its machine and everything that belongs to it, by the names paths and queries use."""

    ids: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.ids[name]


async def _side(company: Company, letter: str) -> Side:
    http, device = company.http, f"machine-{letter}"
    line = (await http.post("/api/v1/lines", json={"site_id": str(company.site_id), "name": f"line-{letter}"})).json()
    point, inspected = PointRef(device, "P", "active_power_total", "KWT"), str(uuid7())
    rows = [*readings(point, [42.25], AT_US), *readings(PointRef(device, "T", "", ""), [f"text-{letter}"], AT_US)]
    columns, texts = columns_of(rows)
    inspection = Inspection(
        id=inspected, device=device, time=AT_US, part=f"part-{letter}", verdict="reject", score=5.5, review_limit=3.0,
        reject_limit=4.5, model="m", model_version="1", latency_us=1, picture=b"\xff\xd8\xff", heatmap=b"\x89PNG",
    )  # fmt: skip
    event = Event(str(uuid7()), device, AT_US, "device.down", f"event-{letter}", f"event-{letter}")
    batch = Batch(columns=columns, texts=texts, inspections=[inspection], events=[event])
    async with company.agent(f"gateway-{letter}") as agent:
        await agent.deliver(Frame(1, encode(batch)))
        await agent.configured(f"# configuration-{letter}\n[buffer]\nlimit_mb = 42\n")
        agent_id = agent.agent_id
    (machine,) = [each for each in (await http.get("/api/v1/equipment")).json() if each["name"] == device]
    placed = await http.patch(f"/api/v1/equipment/{machine['id']}", json={"line_id": line["id"]})
    assert placed.status_code == 200, placed.text
    (series,) = [
        each["series_id"]
        for each in (await http.get("/api/v1/points", params={"equipment_id": machine["id"]})).json()
        if each["name"] == "P"
    ]
    own = {"site_id": str(company.site_id), "line_id": line["id"]}
    holiday = {**own, "day": "2026-01-01", "name": f"holiday-{letter}"}
    holiday_made = await http.put("/api/v1/production/calendar-exceptions", json=holiday)
    meter = {"site_id": str(company.site_id), "series_id": series, "name": f"meter-{letter}", "carrier": "electricity"}
    await http.post("/api/v1/energy/meters", json={**meter, "equipment_id": machine["id"]})
    listed = (await http.get("/api/v1/energy/meters")).json()  # the cloud may have made it by itself
    (meter_id,) = [each["id"] for each in listed if each["source_equipment_id"] == machine["id"]]
    return Side(
        {
            **{"exception_id": holiday_made.json()["id"], "meter_id": meter_id, "node_id": line["id"]},
            **{"line_id": line["id"], "equipment_id": machine["id"], "agent_id": agent_id, "series_id": str(series)},
            **{"inspection_id": inspected, "site_id": str(company.site_id), "user_id": NO_ID, "token_id": NO_ID},
            **{"invitation_id": NO_ID, "place_id": line["id"], "version": "0", "before": "0", "after": "0"},
        }
    )


@dataclass
class Person:
    """Somebody of the company, signed in."""

    id: UUID
    email: str
    http: httpx.AsyncClient
    principal: Principal


@asynccontextmanager
async def person(company: Company, db: Database, role: str, grants: dict[str, str]) -> AsyncIterator[Person]:
    """A user with this role of the company and these roles by place."""
    email = f"{uuid4().hex}@example.com"
    made = await company.http.post("/api/v1/users", json={"email": email, "password": PASSWORD, "role": role})
    body = {"grants": [{"id": place, "role": granted} for place, granted in grants.items()]}
    put = await company.http.put(f"/api/v1/users/{made.json()['id']}/grants", json=body)
    assert put.status_code == 200, put.text
    identity = Identity(db, SECRETS)
    session = await identity.log_in(email, PASSWORD, "127.0.0.1")
    principal = await identity.resolve(session.token)
    assert principal is not None
    headers = {"Authorization": f"Bearer {session.token}"}
    async with httpx.AsyncClient(base_url=company.http.base_url, headers=headers, timeout=30) as http:
        yield Person(UUID(made.json()["id"]), email, http, principal)


@pytest.fixture
async def sides(company: Company) -> tuple[Side, Side]:
    return await _side(company, "a"), await _side(company, "b")


B_SECRETS = (
    "holiday-b",
    "meter-b",
    "machine-b",
    "line-b",
    "gateway-b",
    "part-b",
    "text-b",
    "event-b",
    "configuration-b",
)


async def test_who_is_let_into_one_line_finds_nothing_of_another_by_any_operation(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, b = sides
    missing = {name: "2147483647" if name in NUMBERS else NO_ID for name in a.ids} | {"site_id": a["site_id"]}
    asked = 0
    async with person(company, db, "none", {a["line_id"]: "engineer"}) as engineer:
        for method, path, operation in operations(await _document(company)):
            demanded = {scope for way in operation["security"] for scopes in way.values() for scope in scopes}
            if not demanded or path in BY_AGENTS or path.endswith("/changes") or f"{method} {path}" == LAST:
                continue
            names = re.findall(r"{(\w+)}", path) + [
                parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"
            ]
            body, answers = BODIES.get(f"{method} {path}"), []
            if path == "/api/v1/me/password":
                continue
            for ids in (b.ids, missing):
                values = defaultdict(lambda: NO_ID, {**SAME, **ids, "code": "KWH", "kind": "line", "node": "line"})
                answers.append(
                    await engineer.http.request(
                        method,
                        path.format_map(values),
                        params={name: values[name] for name in names if name in values and f"{{{name}}}" not in path},
                        json=_filled(body, values),
                    )
                )
                assert answers[-1].status_code < 500, (method, path, answers[-1].text)
                for secret in (*B_SECRETS, b["equipment_id"], b["line_id"], b["agent_id"], b["inspection_id"]):
                    assert secret not in answers[-1].text, (method, path, answers[-1].text)
            assert demanded != {"admin"} or answers[0].status_code == 403, (method, path)
            if set(names) & {
                "line_id",
                "equipment_id",
                "agent_id",
                "series_id",
                "inspection_id",
                "place_id",
                "meter_id",
            }:
                assert answers[0].status_code == answers[1].status_code, (method, path, answers[0].text)
                assert method != "GET" or _timeless(answers[0]) == _timeless(answers[1]), (method, path)
                asked += 1
        assert asked > 20
        (seen,) = (await engineer.http.get("/api/v1/equipment")).json()
        assert (seen["name"], seen["line"]) == ("machine-a", "line-a")
        counted = (await engineer.http.get("/api/v1/inspections")).json()["items"]
        assert [each["part"] for each in counted] == ["part-a"]
        events = (await engineer.http.get("/api/v1/events")).json()["items"]
        assert [each["text_en"] for each in events] == ["event-a"]
        mixed = {"series_id": [a["series_id"], b["series_id"]], "start": AT.isoformat()}
        assert (await engineer.http.get("/api/v1/export", params=mixed)).status_code == 404
        assert (await engineer.http.get("/api/v1/history", params=mixed)).status_code == 404


def _timeless(answer: httpx.Response) -> Any:
    body = answer.json()
    return (
        {key: value for key, value in body.items() if key not in ("start", "end")} if isinstance(body, dict) else body
    )


async def test_the_stream_of_changes_has_the_persons_own_values_only(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, _ = sides
    async with (
        person(company, db, "none", {a["line_id"]: "viewer"}) as viewer,
        viewer.http.stream("GET", "/api/v1/changes") as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                assert a["equipment_id"] in line
                assert "text-b" not in line
                assert set(re.findall(r'"equipment_id":"([\w-]+)"', line)) == {a["equipment_id"]}
                break


async def test_the_database_itself_gives_a_person_their_line_only(
    company: Company, db: Database, sides: tuple[Side, Side], owner_dsn: str
) -> None:
    a, b = sides
    with psycopg.connect(owner_dsn) as owner:
        tables = [
            (table, column)
            for table, column in owner.execute(
                """
                SELECT p.tablename, a.attname FROM pg_policies p JOIN pg_attribute a ON a.attrelid = p.tablename::regclass
                WHERE p.policyname = 'tenant_only' AND a.attname IN ('equipment_id', 'line_id', 'agent_id')
                """
            ).fetchall()
        ]
    channel = {"kind": "email", "name": "office", "recipients": [company.email]}
    channel_id = (await company.http.post("/api/v1/notify/channels", json=channel)).json()["id"]
    report = {"kind": "day", "node": {"kind": "line", "id": b["line_id"]}, "channel_id": channel_id}
    assert (await company.http.post("/api/v1/reports/schedules", json=report)).status_code == 201
    async with db.tenant(company.scope) as connection:  # a board that shows all of the plant
        board = "INSERT INTO board (id, tenant_id, name, language, turn_s, code_hash, created_by)"
        await connection.execute(f"{board} VALUES (%s, current_tenant(), 'all', 'en', 9, %s, 't')", [uuid4(), NO_ID])
    series, span = [int(b["series_id"])], (AT.replace(hour=0), AT.replace(hour=23))
    async with (
        person(company, db, "none", {a["line_id"]: "viewer"}) as viewer,
        db.tenant(viewer.principal.scope) as connection,
    ):
        for table, column in tables:
            found = await (await connection.execute(f"SELECT DISTINCT {column}::text FROM {table}")).fetchall()  # noqa: S608
            assert {row[0] for row in found} <= {a["line_id"], a["equipment_id"], a["agent_id"], None}, table
        for table in ("board", "report_schedule"):
            assert await (await connection.execute(f"SELECT FROM {table}")).fetchall() == [], table
        # Telemetry has no row-level security: it is reached through the person's series alone.
        assert await query.select_series(connection, series) == []
        assert await query.select_named_series(connection, series) == []
        assert await query.select_latest(connection, series=series) == []
        assert await query.select_readings(connection, series[0], *span, after=None, limit=9) == []
        assert await query.count_readings(connection, series, *span, 9) == 0
        assert await query.select_texts(connection, range(1000), *span, 9) == await query.select_texts(
            connection, await _series_of(connection), *span, 9
        )
        assert len(await arrays.select_numbers(connection, series, *span, 9)) == 0
        for resolution in rollups.TABLES:
            assert len((await arrays.select_states(connection, resolution, series[0], *span)).time) == 0
            assert await rollups.select_buckets(connection, resolution, series, *span, step_s=86_400) == []
        assert await rollups.count_rolled_up(connection, series, *span) == 0


async def _series_of(connection: psycopg.AsyncConnection) -> list[int]:
    return [row[0] for row in await (await connection.execute("SELECT id FROM series")).fetchall()]


async def test_a_change_is_made_where_the_role_is_high_enough_and_nowhere_else(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, b = sides
    judgement = {"judgement": "good"}
    async with person(company, db, "viewer", {a["equipment_id"]: "operator", b["line_id"]: "none"}) as mixed:
        listed = (await mixed.http.get("/api/v1/equipment")).json()
        assert [each["name"] for each in listed] == ["machine-a"], "the exception takes line B away"
        judged = await mixed.http.post(f"/api/v1/inspections/{a['inspection_id']}/judgement", json=judgement)
        assert judged.status_code == 200
        refused = await mixed.http.post(f"/api/v1/inspections/{b['inspection_id']}/judgement", json=judgement)
        assert refused.status_code == 404
    async with person(company, db, "viewer", {a["line_id"]: "operator"}) as operator:
        assert len((await operator.http.get("/api/v1/equipment")).json()) == 2, "the company's role holds elsewhere"
        seen = await operator.http.get(f"/api/v1/inspections/{b['inspection_id']}")
        refused = await operator.http.post(f"/api/v1/inspections/{b['inspection_id']}/judgement", json=judgement)
        assert (seen.status_code, refused.status_code) == (200, 404)
        described = await operator.http.patch(f"/api/v1/equipment/{a['equipment_id']}", json={"asset_number": "7"})
        assert described.status_code == 403, "that takes an engineer"
    async with person(company, db, "none", {a["line_id"]: "engineer"}) as engineer:
        code = await engineer.http.post("/api/v1/enrolment-codes", json={"site_id": a["site_id"]})
        assert code.status_code == 403, "a site's gateways are for who has the site"
        line = await engineer.http.post("/api/v1/lines", json={"site_id": a["site_id"], "name": "mine"})
        assert line.status_code == 403
        described = await engineer.http.patch(f"/api/v1/equipment/{a['equipment_id']}", json={"asset_number": "7"})
        assert described.json()["asset_number"] == "7"
        wanted = {"text": "[buffer]\nlimit_mb = 7\n"}
        url = "/api/v1/agents/{}/configuration"
        current = await engineer.http.get(url.format(a["agent_id"]))
        put = await engineer.http.put(
            url.format(a["agent_id"]), json=wanted, headers={"If-Match": current.headers["etag"]}
        )
        assert put.status_code == 202, put.text
        assert (await engineer.http.get(url.format(b["agent_id"]))).status_code == 404
    async with person(company, db, "none", {a["site_id"]: "engineer", b["line_id"]: "viewer"}) as engineer:
        code = await engineer.http.post("/api/v1/enrolment-codes", json={"site_id": a["site_id"]})
        assert code.status_code == 201
        assert (await engineer.http.get(f"/api/v1/agents/{b['agent_id']}/configuration")).status_code == 200
        revoked = await engineer.http.delete(f"/api/v1/agents/{b['agent_id']}")
        assert revoked.status_code == 404, "there is a machine on it that is not theirs to engineer"


async def test_a_page_that_forgets_what_its_act_demands_changes_nothing(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, _ = sides
    statement = "UPDATE inspection SET judgement = 'good', judged_by = 'x', judged_at = now()"
    async with person(company, db, "none", {a["line_id"]: "operator"}) as operator:
        async with db.tenant(operator.principal.scope) as connection:
            assert (await connection.execute(statement)).rowcount == 0
        async with db.tenant(operator.principal.demanding(Scope.OPERATE).scope) as connection:
            assert (await connection.execute(statement)).rowcount == 1
        with pytest.raises(Forbidden):
            async with db.tenant(operator.principal.demanding(Scope.OPERATE).scope) as connection:
                await connection.execute("INSERT INTO retention VALUES (current_tenant(), '', 7)")
        assert (await operator.http.put("/api/v1/me/language", json={"language": "zh"})).status_code == 204
        assert (await operator.http.post("/api/v1/tokens", json={"name": "mine"})).status_code == 201


async def test_why_somebody_may_or_may_not_names_the_grant_that_decides(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, b = sides
    async with person(company, db, "viewer", {a["site_id"]: "operator", b["line_id"]: "none"}) as member:

        async def asked(who: httpx.AsyncClient, action: str, **where: str) -> Any:
            params = {"user_id": str(member.id), "action": action, **where}
            return (await who.get("/api/v1/permissions:check", params=params)).json()

        at_a = await asked(company.http, "operate", place_id=a["equipment_id"])
        assert (at_a["allowed"], at_a["decided_by"], at_a["decided_at"]) == (True, "site", "main")
        assert at_a["at"] == "main / line-a / machine-a"
        at_b = await asked(company.http, "read", place_id=b["equipment_id"])
        assert (at_b["allowed"], at_b["role"], at_b["decided_at"]) == (False, "none", "main / line-b")
        assert "main / line-b" in at_b["why_en"]
        assert (await asked(company.http, "operate"))["allowed"] is False, "in the whole company"
        assert (await asked(member.http, "operate", place_id=a["equipment_id"]))["allowed"] is True
        assert (await asked(member.http, "read", place_id=b["equipment_id"]))["status"] == 404, "like a missing place"

        reach: list[Any] = []
        after: str | None = ""
        while after is not None:
            params = {"limit": 2, "after": after}
            page = (await company.http.get(f"/api/v1/users/{member.id}/reach", params=params)).json()
            reach, after = reach + page["items"], page["next"]
        assert [(each["path"], each["role"], each["decided_by"]) for each in reach] == [
            ("main", "operator", "site"),
            ("main / line-a", "operator", "site"),
            ("main / line-a / machine-a", "operator", "site"),
            ("main / line-b", "none", "line"),
            ("main / line-b / machine-b", "none", "line"),
        ]


async def test_grants_change_what_is_seen_at_once_and_are_for_those_who_do_not_administrate(
    company: Company, db: Database, sides: tuple[Side, Side]
) -> None:
    a, b = sides
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(person(company, db, "none", {a["line_id"]: "viewer"}))
        token = (await member.http.post("/api/v1/tokens", json={"name": "t"})).json()["token"]
        url = f"/api/v1/users/{member.id}/grants"
        moved = await company.http.put(url, json={"grants": [{"id": b["line_id"], "role": "viewer"}]})
        assert [(grant["kind"], grant["path"]) for grant in moved.json()] == [("line", "main / line-b")]
        entry = (await company.http.get("/api/v1/audit")).json()["items"][0]
        assert entry["detail"]["before"] == ["main / line-a: viewer"]
        assert entry["detail"]["after"] == ["main / line-b: viewer"]
        assert (await member.http.get("/api/v1/me")).status_code == 401, "the session has ended"
        headers = {"Authorization": f"Bearer {token}"}
        seen = (await member.http.get("/api/v1/equipment", headers=headers)).json()
        assert [each["name"] for each in seen] == ["machine-b"]
        twice = {"grants": [{"id": b["line_id"], "role": role} for role in ("viewer", "none")]}
        assert (await company.http.put(url, json=twice)).status_code == 422
        unknown = {"grants": [{"id": NO_ID, "role": "viewer"}]}
        assert (await company.http.put(url, json=unknown)).status_code == 422
        assert (await company.http.get(url)).json() == moved.json(), "a refused change changes nothing"
        manager = {"role": "manager"}
        assert (await company.http.put(f"/api/v1/users/{member.id}/role", json=manager)).status_code == 204
        assert (await company.http.get(url)).json() == []
        assert (await company.http.put(url, json={"grants": twice["grants"][:1]})).status_code == 409
