"""A programme through the API: a file of suppliers, an invitation in two halves, a company founded by it, and how far it is."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import httpx
import openpyxl
import pytest

from cloud.core.db import Database
from protocols.reading import now_us
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.sharing.pair import new_credit_code, registered
from tests.doubles.agent import POWER, AgentDouble, frame, readings

PASSWORD = "joined-without-a-nail"
POWER_RAW = {"entry": "active_power_total", "granularity": "raw"}


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def programme(leader: Company, **more: Any) -> str:
    body = {"name": "2026", "purpose": "delivery risk", "terms": {"items": [POWER_RAW], "days": 90, "history_days": 1}}
    body |= {"deadline": (date.today() + timedelta(days=30)).isoformat(), "age_minutes": 5} | more  # noqa: DTZ011
    answer = await leader.http.post("/api/v1/programmes", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def imported(leader: Company, identity: str, content: bytes) -> dict[str, Any]:
    answer = await leader.http.post(f"/api/v1/programmes/{identity}/suppliers", content=content)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def states(leader: Company, identity: str) -> dict[str, dict[str, Any]]:
    found = (await leader.http.get(f"/api/v1/programmes/{identity}/suppliers")).json()
    return {each["name"]: each for each in found}


async def test_a_file_is_taken_wholly_or_not_at_all(company: Company, db: Database) -> None:
    own = await registered(company, db)
    identity = await programme(company)
    first, second = new_credit_code(), new_credit_code()
    wrong = f"统一社会信用代码,企业名称,备注\n{first},甲公司,x\n".encode()
    report = await imported(company, identity, wrong)
    assert [(fault["row"], fault["column"]) for fault in report["faults"]] == [(1, "备注")]
    lines = f"credit_code,name\n{first},甲公司\n{first[:-1]}?,乙公司\n{first},丙公司\n{own},自己\n{second},\n"
    report = await imported(company, identity, lines.encode())
    assert [fault["row"] for fault in report["faults"]] == [3, 4, 6]
    assert ["重复" in fault["message_zh"] for fault in report["faults"]] == [False, True, False]
    assert await states(company, identity) == {}, "no half of it is taken"
    only_own = await imported(company, identity, f"credit_code,name\n{own},自己\n".encode())
    assert "own company" in only_own["faults"][0]["message_en"]
    good = f"信用代码;名称;联系方式\n{first};甲公司;0512-1\n\n".encode("gb18030")
    report = await imported(company, identity, good)
    assert (report["faults"], [one["name"] for one in report["invited"]]) == ([], ["甲公司"])
    again = await imported(company, identity, good)
    assert "already" in again["faults"][0]["message_en"]
    book = openpyxl.Workbook()
    book.active.append(["Credit code", "Company"])
    book.active.append([second, "乙公司"])
    content = io.BytesIO()
    book.save(content)
    assert (await imported(company, identity, content.getvalue()))["invited"][0]["credit_code"] == second
    assert {each["stage"] for each in (await states(company, identity)).values()} == {"invited"}
    for nothing in (b"", b"PK\x03\x04rubbish", b"\xff\xfe\x00", b"credit_code,name\n"):
        answer = await company.http.post(f"/api/v1/programmes/{identity}/suppliers", content=nothing)
        assert answer.status_code == 422, nothing


async def test_from_an_invitation_to_live(company: Company, new_company: NewCompany) -> None:
    leader = company
    identity = await programme(leader)
    code = new_credit_code()
    (invited,) = (await imported(leader, identity, f"credit_code,name\n{code},Press Works\n".encode()))["invited"]
    async with httpx.AsyncClient(base_url=leader.http.base_url, timeout=30) as nobody:
        key = {"token": invited["token"], "code": invited["code"].lower().replace("-", " ")}
        for wrong in ({"token": "x"}, {"code": "0000-0000-0000"}):
            answer = await nobody.post("/api/v1/supplier-invitations/open", json=key | wrong)
            assert answer.status_code == 401
        assert (await states(leader, identity))["Press Works"]["stage"] == "invited"
        asked = (await nobody.post("/api/v1/supplier-invitations/open", json=key)).json()
        assert (asked["purpose"], asked["credit_code"], asked["here"]) == ("delivery risk", code, False)
        assert asked["terms"]["items"][0]["entry"] == POWER.property
        assert (await states(leader, identity))["Press Works"]["stage"] == "opened"

        # Another link and code end the ones before.
        supplier = (await states(leader, identity))["Press Works"]["id"]
        fresh = (await leader.http.post(f"/api/v1/suppliers/{supplier}/reminder")).json()
        assert (await nobody.post("/api/v1/supplier-invitations/open", json=key)).status_code == 401
        key = {"token": fresh["token"], "code": fresh["code"]}
        joining = key | {"company": "Press Works", "site": "main", "email": f"{code}@example.com", "password": PASSWORD}
        taken = joining | {"email": leader.email, "acceptance": {}}
        assert (await nobody.post("/api/v1/supplier-invitations/register", json=taken)).status_code == 409
        more = joining | {"acceptance": {"days": 91}}
        mars = joining | {"time_zone": "Mars"}
        assert (await nobody.post("/api/v1/supplier-invitations/register", json=mars)).status_code == 422
        done = await nobody.post("/api/v1/supplier-invitations/register", json=joining | {"acceptance": {}})
        assert done.status_code == 201, done.text
        assert (await nobody.post("/api/v1/supplier-invitations/register", json=more)).status_code == 401, "used"
        grant = done.json()["grant_id"]
        signed = await nobody.post("/api/v1/sessions", json={"email": joining["email"], "password": PASSWORD})
        owner = {"Authorization": f"Bearer {signed.json()['token']}"}
        assert (await nobody.get("/api/v1/sharing/grants", headers=owner)).json()[0]["id"] == grant
        assert (await states(leader, identity))["Press Works"]["stage"] == "agreed"

        check = f"/api/v1/suppliers/{supplier}/check"
        assert (await leader.http.post(check)).json()["stage"] == "agreed"
        site = (await nobody.get("/api/v1/sites", headers=owner)).json()[0]["id"]
        made = await nobody.post("/api/v1/enrolment-codes", json={"site_id": site}, headers=owner)
        agent = AgentDouble(str(leader.http.base_url), "press")
        async with agent.http:
            await agent.enrol(made.json()["code"])
            await agent.log_in()
            await agent.deliver(frame(1, readings(POWER, [5.0] * 20, now_us() - 7_200_000_000)))
            stale = (await leader.http.post(check)).json()
            assert (stale["stage"], stale["items"][0]["values"]) == ("conformant", 20)
            await agent.deliver(frame(2, readings(POWER, [5.0, 6.0], now_us() - 2_000_000)))
        live = (await leader.http.post(check)).json()
        assert (live["stage"], live["items"][0]["completeness"], live["items"][0]["missing"]) == ("live", 1.0, [])
        (card,) = (await leader.http.get(f"/api/v1/programmes/{identity}/scorecards")).json()
        (score,) = card["scores"]
        assert (score["entry"], score["place"], score["week"], score["drifting"]) == (POWER.property, None, None, False)
        assert score["mean"] == pytest.approx((5 * 21 + 6) / 22)
        reads = (await nobody.get(f"/api/v1/sharing/grants/{grant}/receipts", headers=owner)).json()["items"]
        ways = [one["body"]["way"] for one in reads if one["kind"] == "read"]
        assert len(ways) >= 2
        assert set(ways) == {"check"}
        await nobody.post(f"/api/v1/sharing/grants/{grant}/end", json={}, headers=owner)
    assert (await states(leader, identity))["Press Works"]["stage"] == "ended"
    assert (await leader.http.post(check)).status_code == 409
    stranger = await new_company()
    for path in (f"programmes/{identity}/suppliers", f"suppliers/{supplier}/reminder", f"suppliers/{supplier}/check"):
        method = "GET" if path.startswith("programmes") else "POST"
        assert (await stranger.http.request(method, f"/api/v1/{path}")).status_code == 404


async def test_a_company_that_is_here_answers_where_it_is(
    company: Company, new_company: NewCompany, db: Database
) -> None:
    supplier = await new_company()
    code = await registered(supplier, db)
    identity = await programme(company)
    (invited,) = (await imported(company, identity, f"credit_code,name\n{code},There\n".encode()))["invited"]
    key = {"token": invited["token"], "code": invited["code"]}
    async with httpx.AsyncClient(base_url=company.http.base_url, timeout=30) as nobody:
        assert (await nobody.post("/api/v1/supplier-invitations/open", json=key)).json()["here"]
        joining = key | {"company": "There", "site": "main", "email": "x@example.com", "password": PASSWORD}
        twice = await nobody.post("/api/v1/supplier-invitations/register", json=joining)
        assert twice.status_code == 409
        for _ in range(5):
            await nobody.post("/api/v1/supplier-invitations/open", json=key | {"code": "0"})
        ended = await nobody.post("/api/v1/supplier-invitations/open", json=key)
        assert ended.status_code == 401, "five wrong codes end it"
    request = (await supplier.http.get("/api/v1/sharing/requests")).json()[0]["id"]
    await supplier.http.post(f"/api/v1/sharing/requests/{request}/refusal")
    assert (await states(company, identity))["There"]["stage"] == "declined"


async def test_a_drift_is_told_once_and_five_are_compared(
    company: Company, db: Database, new_company: NewCompany
) -> None:
    identity = await programme(company)
    channel = {"kind": "email", "name": "buyers", "recipients": ["buyers@example.com"]}
    channel_id = (await company.http.post("/api/v1/notify/channels", json=channel)).json()["id"]
    names = []
    for number in range(5):
        supplier = await new_company()
        code = await registered(supplier, db)
        names.append(f"S{number}")
        await imported(company, identity, f"credit_code,name\n{code},S{number}\n".encode())
        request = (await supplier.http.get("/api/v1/sharing/requests")).json()[0]["id"]
        await supplier.http.post(f"/api/v1/sharing/requests/{request}/acceptance", json={})
        async with supplier.agent() as agent:
            await agent.deliver(frame(1, readings(POWER, [10.0 + number] * 10, now_us() - 20_000_000)))
        one = (await states(company, identity))[f"S{number}"]["id"]
        async with db.tenant(company.scope) as connection:  # as the last two weeks were
            await connection.execute(
                """
                INSERT INTO supplier_score (tenant_id, supplier_id, day, entry, mean)
                SELECT current_tenant(), %s, current_date - n, 'active_power_total', %s + 0.1 * (n %% 2)
                FROM generate_series(1, 14) n
                """,
                [one, 20.0 if number == 4 else 10.0 + number],
            )
        for _ in range(2):
            await company.http.post(f"/api/v1/suppliers/{one}/check")
    cards = {
        each["name"]: each["scores"][0]
        for each in (await company.http.get(f"/api/v1/programmes/{identity}/scorecards")).json()
    }
    assert [cards[name]["place"] for name in names] == ["lowest", "middle", "middle", "middle", "highest"]
    assert [cards[name]["drifting"] for name in names] == [False, False, False, False, True]
    assert cards["S4"]["week"] == pytest.approx(20.05, abs=0.05)
    async with db.tenant(company.scope) as connection:
        cursor = await connection.execute(
            "SELECT notice->>'title_zh' FROM notify_outbox WHERE channel_id = %s AND key LIKE 'drift:%%'", [channel_id]
        )
        assert await cursor.fetchall() == [("S4：总有功功率出现漂移",)]


async def test_a_programme_asks_for_values_whatever_it_asks_of_events(company: Company) -> None:
    body = {"name": "events", "purpose": "recalls", "deadline": "2030-01-01", "terms": {"items": [], "trace": "full"}}
    answer = await company.http.post("/api/v1/programmes", json=body)
    assert (answer.status_code, "at least one entry" in answer.text) == (422, True)
