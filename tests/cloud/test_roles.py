"""Five roles, what each may do, and that a company never loses its last owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from cloud.core.db import Database
from cloud.core.errors import TooMany
from cloud.core.principal import Role, Scope
from cloud.identity.service import Identity, LogInRefused
from tests.cloud.conftest import PASSWORD, SECRETS, Company
from tests.cloud.test_isolation_api import _document, operations

NO_ID = "01999999-0000-7000-8000-00000000ffff"
Member = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def member(company: Company) -> AsyncIterator[Member]:
    """Signs in a new user of the company, of the given role."""
    async with AsyncExitStack() as stack:

        async def sign_in(role: str) -> httpx.AsyncClient:
            email = f"{role}-{company.email}"
            made = await company.http.post("/api/v1/users", json={"email": email, "password": PASSWORD, "role": role})
            assert made.status_code == 201, made.text
            http = await _signed_in(company, email)
            stack.push_async_callback(http.aclose)
            return http

        yield sign_in


async def _signed_in(company: Company, email: str, password: str = PASSWORD) -> httpx.AsyncClient:
    http = httpx.AsyncClient(base_url=company.http.base_url, timeout=30)
    answer = await http.post("/api/v1/sessions", json={"email": email, "password": password})
    http.cookies.clear()
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return http


async def _id(http: httpx.AsyncClient) -> str:
    return str((await http.get("/api/v1/me")).json()["user_id"])


@pytest.mark.parametrize("role", ["viewer", "operator", "engineer", "manager"])
async def test_a_role_may_do_what_its_scopes_say_and_nothing_else(company: Company, member: Member, role: str) -> None:
    person = await member(role)
    refused = 0
    for method, path, operation in operations(await _document(company)):
        demanded = {scope for way in operation["security"] for scopes in way.values() for scope in scopes}
        if not demanded or demanded <= {Scope.AGENT, Scope.WORKER} or method == "DELETE" or path.endswith("/changes"):
            continue
        answer = await person.request(method, path.replace("{code}", "KWH").replace("{", "").replace("}", ""))
        allowed = demanded <= Role(role).scopes
        assert (answer.status_code != 403) == allowed, (role, method, path, answer.text)
        refused += not allowed
    assert (refused > 0) == (role != "manager")


async def test_nobody_hands_out_more_than_they_have(company: Company, member: Member) -> None:
    manager = await member("manager")
    owner_id = await _id(company.http)
    viewer_id = await _id(await member("viewer"))
    tries = [
        await manager.post("/api/v1/users", json={"email": "o@example.com", "password": PASSWORD, "role": "owner"}),
        await manager.put(f"/api/v1/users/{viewer_id}/role", json={"role": "owner"}),
        await manager.put(f"/api/v1/users/{await _id(manager)}/role", json={"role": "owner"}),
        await manager.put(f"/api/v1/users/{owner_id}/role", json={"role": "viewer"}),
        await manager.delete(f"/api/v1/users/{owner_id}"),
    ]
    assert [answer.status_code for answer in tries] == [403] * 5
    assert (await manager.put(f"/api/v1/users/{viewer_id}/role", json={"role": "manager"})).status_code == 204
    assert (await manager.put(f"/api/v1/users/{NO_ID}/role", json={"role": "viewer"})).status_code == 404


async def test_the_last_owner_remains_even_when_two_unmake_each_other_at_once(company: Company, member: Member) -> None:
    first_id = await _id(company.http)
    alone = await company.http.put(f"/api/v1/users/{first_id}/role", json={"role": "manager"})
    assert alone.status_code == 409
    assert (
        "所有者"
        in (
            await company.http.put(
                f"/api/v1/users/{first_id}/role", json={"role": "viewer"}, headers={"Accept-Language": "zh"}
            )
        ).json()["detail"]
    )
    second = await member("owner")
    second_id = await _id(second)
    await asyncio.gather(
        company.http.put(f"/api/v1/users/{second_id}/role", json={"role": "viewer"}),
        second.delete(f"/api/v1/users/{first_id}"),
    )
    alive = [http for http in (company.http, second) if (await http.get("/api/v1/users")).status_code == 200]
    assert len(alive) == 1
    users = (await alive[0].get("/api/v1/users")).json()
    assert [user["role"] for user in users if user["role"] == "owner" and user["disabled_at"] is None] == ["owner"]


async def test_a_new_role_begins_with_a_new_session_and_caps_the_tokens_there_are(
    company: Company, member: Member
) -> None:
    engineer = await member("engineer")
    made = await engineer.post("/api/v1/tokens", json={"name": "t", "scopes": ["read", "engineer"]})
    token = {"Authorization": f"Bearer {made.json()['token']}"}
    assert (await engineer.get("/api/v1/enrolment-codes", headers=token)).status_code == 200
    answer = await company.http.put(f"/api/v1/users/{await _id(engineer)}/role", json={"role": "viewer"})
    assert answer.status_code == 204
    assert (await engineer.get("/api/v1/me")).status_code == 401
    assert (await engineer.get("/api/v1/me", headers=token)).json()["role"] == "viewer"
    assert (await engineer.get("/api/v1/enrolment-codes", headers=token)).status_code == 403
    entry = (await company.http.get("/api/v1/audit")).json()["items"][0]
    assert entry["act"] == "user.set_role"
    assert (entry["detail"]["before"], entry["detail"]["after"]) == ("engineer", "viewer")


async def test_a_new_password_ends_the_other_sessions(company: Company, member: Member) -> None:
    here = await member("viewer")
    elsewhere = await _signed_in(company, f"viewer-{company.email}")
    try:
        wrong = await here.put("/api/v1/me/password", json={"current": "guessed", "new": "x" * 12})
        assert (wrong.status_code, (await elsewhere.get("/api/v1/me")).status_code) == (422, 200)
        right = await here.put("/api/v1/me/password", json={"current": PASSWORD, "new": "another password"})
        assert right.status_code == 204
        assert (await elsewhere.get("/api/v1/me")).status_code == 401
    finally:
        await elsewhere.aclose()
    assert (await here.get("/api/v1/me")).status_code == 200
    for password, status in ((PASSWORD, 401), ("another password", 201)):
        body = {"email": f"viewer-{company.email}", "password": password}
        assert (await here.post("/api/v1/sessions", json=body)).status_code == status
    assert "another password" not in (await company.http.get("/api/v1/audit")).text


async def test_strangers_slow_down_each_other_and_never_who_signs_in_from_a_known_place(
    company: Company, db: Database
) -> None:
    identity = Identity(db, SECRETS)
    await identity.log_in(company.email, PASSWORD, "192.0.2.1")
    answers = []
    for n in range(60):
        try:
            await identity.log_in(company.email, "guess", f"198.51.100.{n // 5}")
        except LogInRefused:
            answers.append(401)
        except TooMany:
            answers.append(429)
    assert answers.count(429) >= 5, "guessing from many addresses is slowed down"
    with pytest.raises(TooMany):
        await identity.log_in(company.email, PASSWORD, "203.0.113.1")
    assert (await identity.log_in(company.email, PASSWORD, "192.0.2.1")).token


async def test_why_somebody_may_or_may_not_agrees_with_what_operations_do(company: Company, member: Member) -> None:
    operator = await member("operator")

    async def ask(http: httpx.AsyncClient, action: str, **of: str) -> httpx.Response:
        return await http.get("/api/v1/permissions:check", params={"action": action, **of})

    answers = {scope: (await ask(operator, scope)).json() for scope in Scope}
    assert [scope for scope in Scope if answers[scope]["allowed"]] == [Scope.PUBLIC, Scope.READ, Scope.OPERATE]
    assert [answers[scope]["least_role"] for scope in Scope] == [
        None,
        "viewer",
        "operator",
        "engineer",
        "manager",
        None,
        None,
    ]
    why = answers[Scope.ENGINEER]
    assert "is operator of the whole company; 'engineer' takes at least engineer" in why["why_en"]
    assert "至少需要 engineer" in why["why_zh"]
    owner_id, operator_id = await _id(company.http), await _id(operator)
    assert (await ask(operator, "read", user_id=owner_id)).status_code == 403
    assert (await ask(company.http, "engineer", user_id=operator_id)).json() == why
    assert (await ask(company.http, "read", user_id=NO_ID)).status_code == 404
    await company.http.delete(f"/api/v1/users/{operator_id}")
    gone = (await ask(company.http, "read", user_id=operator_id)).json()
    assert (gone["allowed"], "disabled" in gone["why_en"]) == (False, True)
