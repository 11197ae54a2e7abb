"""Signing in, staying signed in, and what is not let through."""

from __future__ import annotations

import asyncio
import time
from secrets import randbits
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from cloud.core.db import Database
from cloud.core.errors import TooMany
from cloud.core.limits import RateLimit
from cloud.identity.credit_code import check_character, verified
from cloud.identity.service import Identity
from protocols.errors import ConfigError
from tests.cloud.conftest import PASSWORD, SECRETS, Company, NewCompany


async def _log_in(company: Company, http: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await http.post("/api/v1/sessions", json={"email": company.email, "password": password})


async def test_a_browser_gets_a_cookie_that_scripts_cannot_read_and_it_opens_the_api(company: Company) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url) as browser:
        answer = await _log_in(company, browser)
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 201
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert (await browser.get("/api/v1/me")).json()["email"] == company.email
        assert (await browser.delete("/api/v1/sessions/current")).status_code == 204
        browser.cookies.set("sunmao_session", answer.json()["token"])
        assert (await browser.get("/api/v1/me")).status_code == 401


async def test_the_session_changes_at_log_in(company: Company) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url) as browser:
        first = (await _log_in(company, browser)).json()["token"]
        second = (await _log_in(company, browser)).json()["token"]
        old = await company.http.get("/api/v1/me", headers={"Authorization": f"Bearer {first}"})
        new = await company.http.get("/api/v1/me", headers={"Authorization": f"Bearer {second}"})
    assert (old.status_code, new.status_code) == (401, 200)


async def test_a_session_given_by_somebody_else_is_not_taken_over(company: Company) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url) as browser:
        browser.cookies.set("sunmao_session", "chosen-by-an-attacker")
        token = (await _log_in(company, browser)).json()["token"]
    assert token != "chosen-by-an-attacker"


async def test_a_change_by_cookie_from_anothers_page_is_refused(company: Company) -> None:
    cookies = {"sunmao_session": company.token}
    url = str(company.http.base_url).rstrip("/")
    async with httpx.AsyncClient(base_url=url, cookies=cookies) as browser:
        answers = [
            (await browser.post("/api/v1/sites", json={"name": name}, headers={"Origin": origin})).status_code
            for name, origin in (("a", "https://evil.example"), ("b", "null"), ("c", url))
        ]
    assert answers == [403, 403, 201]


async def test_a_wrong_password_and_an_unknown_email_look_the_same(company: Company) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url) as http:
        wrong = await _log_in(company, http, "wrong")
        unknown = await http.post("/api/v1/sessions", json={"email": "nobody@example.com", "password": "wrong"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.status_code == 401


async def test_guessing_is_slowed_down_per_account_and_the_right_password_waits_too(company: Company) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url) as http:
        answers = [(await _log_in(company, http, f"guess {i}")).status_code for i in range(6)]
        right = await _log_in(company, http)
    assert answers == [401] * 5 + [429]
    assert right.status_code == 429
    assert 0 < int(right.headers["retry-after"]) <= 30


def test_a_limit_refills_by_time_and_forgets() -> None:
    now = 0.0
    limit = RateLimit(burst=2, period_s=10, clock=lambda: now)
    for _ in range(2):
        limit.spend("a")
    with pytest.raises(TooMany):
        limit.spend("a")
    limit.spend("b")
    now = 10.5
    limit.spend("a")
    with pytest.raises(TooMany):
        limit.spend("b", "a")
    limit.forgive("a")
    limit.spend("b", "a")


async def test_passwords_and_tokens_are_stored_hashed(company: Company, owner_dsn: str) -> None:
    made = (await company.http.post("/api/v1/tokens", json={"name": "export"})).json()
    with psycopg.connect(owner_dsn) as connection:
        dump = str(connection.execute("SELECT u::text FROM user_account u").fetchall())
        dump += str(connection.execute("SELECT t::text FROM access_token t").fetchall())
    assert "$argon2id$" in dump
    for secret in (PASSWORD, company.token, made["token"]):
        assert secret not in dump


async def test_a_disabled_user_is_out_at_once(company: Company) -> None:
    made = await company.http.post("/api/v1/users", json={"email": "v@" + company.email, "password": PASSWORD})
    assert made.status_code == 422, "an address with two @ is none"
    email = f"v-{company.email}"
    made = await company.http.post("/api/v1/users", json={"email": email, "password": PASSWORD})
    async with httpx.AsyncClient(base_url=company.http.base_url) as viewer:
        await viewer.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})
        assert (await viewer.get("/api/v1/equipment")).status_code == 200
        assert (await viewer.get("/api/v1/users")).status_code == 403
        await company.http.delete(f"/api/v1/users/{made.json()['id']}")
        assert (await viewer.get("/api/v1/equipment")).status_code == 401
        assert (await viewer.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})).status_code == 401


async def test_an_email_is_taken_once_in_the_whole_cloud(company: Company) -> None:
    request = {"email": company.email.upper(), "password": PASSWORD}
    answers = await asyncio.gather(*(company.http.post("/api/v1/users", json=request) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [409, 409]


async def test_problems_speak_the_callers_language(company: Company) -> None:
    answer = await company.http.get("/api/v1/equipment/1", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    body = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "zh"
    assert body["errors"] == [{"where": "path.equipment_id", "message": "应为 UUID"}]


@pytest.mark.parametrize("code", ["91350100M000100Y43", " 91350100m000100y43 "])
def test_a_right_credit_code_is_taken(code: str) -> None:
    assert verified(code) == "91350100M000100Y43"


@pytest.mark.parametrize("code", ["91350100M000100Y44", "91350100M000100Y4", "91350100I000100Y43", ""])
def test_a_wrong_credit_code_is_refused(code: str) -> None:
    with pytest.raises(ConfigError, match="not a unified social credit code"):
        verified(code)


def test_the_check_character_finds_every_single_wrong_character() -> None:
    first = "91350100M000100Y4"
    for position, character in enumerate(first):
        for other in "0123456789ABCDEFGHJKLMNPQRTUWXY".replace(character, ""):
            wrong = first[:position] + other + first[position + 1 :]
            assert check_character(wrong) != "3"


async def test_a_browsers_session_is_replaced_daily_and_with_the_password(
    company: Company, db: Database, owner_dsn: str
) -> None:
    async with httpx.AsyncClient(base_url=company.http.base_url, timeout=30) as browser:
        await browser.post("/login", data={"email": company.email, "password": PASSWORD})
        first = browser.cookies["sunmao_session"]
        old = UUID(int=(int(time.time()) - 2 * 86_400) * 1000 << 80 | 0x7 << 76 | 0x8 << 60 | randbits(48))  # a UUIDv7
        with psycopg.connect(owner_dsn) as owner:
            owner.execute("ALTER TABLE access_token NO FORCE ROW LEVEL SECURITY")
            owner.execute(
                "UPDATE access_token SET id = %s WHERE id = (SELECT max(id::text)::uuid FROM access_token WHERE tenant_id = %s)",
                [old, company.scope.tenant_id],
            )
            owner.execute("ALTER TABLE access_token FORCE ROW LEVEL SECURITY")
        answer = await browser.get("/gateways")
        assert (answer.status_code, answer.headers["location"]) == (303, "/gateways")
        second = browser.cookies["sunmao_session"]
        assert second != first
        assert (await browser.get("/gateways")).status_code == 200
        identity = Identity(db, SECRETS)
        assert await identity.resolve(first) is not None, "what was under way with the old one goes on"
        with psycopg.connect(owner_dsn) as owner:
            left = owner.execute("SELECT expires_at - now() < '61 s' FROM access_token WHERE id = %s", [old]).fetchone()
        assert left == (True,)
        for current, new, again, said in (
            (PASSWORD, "short", "short", "short"),
            (PASSWORD, "another password", "yet another one", "unlike"),
            ("wrong", "another password", "another password", "wrong"),
            (PASSWORD, "another password", "another password", "changed"),
        ):
            form = {"current": current, "new": new, "again": again}
            answer = await browser.post("/account/password", data=form)
            assert answer.headers["location"] == f"/account?password={said}"
        assert browser.cookies["sunmao_session"] != second
        assert await identity.resolve(second) is None, "the old one ends at once"
        assert (await browser.get("/api/v1/me")).status_code == 200


async def test_a_company_is_on_trial_until_its_credit_code_is_registered_and_no_two_have_the_same(
    company: Company, new_company: NewCompany, db: Database
) -> None:
    identity = Identity(db, SECRETS)
    assert (await company.http.get("/api/v1/me")).json()["trial"] is True
    code = "9135010" + uuid4().hex[:10].upper().translate(str.maketrans("IOSVZ", "12345"))
    code += check_character(code)
    await identity.set_credit_code(company.scope, code.lower())
    assert (await company.http.get("/api/v1/me")).json()["trial"] is False
    other = await new_company()
    for again in (identity.set_credit_code(other.scope, code), identity.create_tenant("Another", code)):
        with pytest.raises(ConfigError, match="exists"):
            await again
    assert (await other.http.get("/api/v1/me")).json()["trial"] is True
