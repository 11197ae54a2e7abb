"""Invitations: two halves, once, and for no more than the inviter may give."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from tests.cloud.conftest import PASSWORD, Company

WRONG = "0000-0000-0000"


async def _invite(company: Company, **wanted: Any) -> dict[str, Any]:
    answer = await company.http.post("/api/v1/invitations", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _join(company: Company, made: dict[str, Any], name: str = "new", **other: str) -> httpx.Response:
    body = {"token": made["token"], "code": made["code"], "email": f"{name}-{company.email}", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=company.http.base_url, timeout=30) as nobody:
        return await nobody.post("/api/v1/invitations/join", json=body | other)


async def test_who_has_both_halves_joins_with_the_role_and_can_sign_in(company: Company) -> None:
    made = await _invite(company, role="engineer", note="王工")
    joined = await _join(company, made, code=made["code"].lower().replace("-", " "))
    assert (joined.status_code, joined.json()["role"]) == (201, "engineer")
    body = {"email": f"new-{company.email}", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=company.http.base_url) as person:
        assert (await person.post("/api/v1/sessions", json=body)).status_code == 201
        assert (await person.get("/api/v1/me")).json()["tenant_id"] == str(company.scope.tenant_id)
    (listed,) = (await company.http.get("/api/v1/invitations")).json()
    assert (listed["used_by"], listed["note"]) == (joined.json()["id"], "王工")
    assert not {"token", "code"} & set(listed)


async def test_of_many_who_use_it_at_once_one_gets_in(company: Company) -> None:
    made = await _invite(company)
    answers = await asyncio.gather(*(_join(company, made, f"p{n}") for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401, 401]
    assert len((await company.http.get("/api/v1/users")).json()) == 2


async def test_every_refusal_sounds_the_same(company: Company, owner_dsn: str) -> None:
    used, expired, withdrawn, guessed = [await _invite(company) for _ in range(4)]
    assert (await _join(company, used)).status_code == 201
    with psycopg.connect(owner_dsn) as owner:
        owner.execute("UPDATE invitation SET expires_at = now() WHERE id = %s", [expired["id"]])
    assert (await company.http.delete(f"/api/v1/invitations/{withdrawn['id']}")).status_code == 204
    for _ in range(5):
        await _join(company, guessed, code=WRONG)
    refusals = [await _join(company, made, f"other{n}") for n, made in enumerate((used, expired, withdrawn, guessed))]
    refusals.append(await _join(company, await _invite(company), "other", token="sunmao-invitation-forged"))
    refusals.append(await _join(company, await _invite(company), "other", code=WRONG))
    assert {answer.status_code for answer in refusals} == {401}
    assert len({answer.text for answer in refusals}) == 1
    acts = [entry["act"] for entry in (await company.http.get("/api/v1/audit")).json()["items"]]
    assert (acts.count("invitation.refuse"), acts.count("user.join"), acts.count("invitation.withdraw")) == (6, 1, 1)


async def test_a_taken_email_leaves_the_invitation_open(company: Company) -> None:
    made = await _invite(company)
    assert (await _join(company, made, email=company.email)).status_code == 409
    assert (await _join(company, made)).status_code == 201


@pytest.mark.parametrize("end", ["disabled", "demoted"])
async def test_nobody_invites_above_their_role_and_open_invitations_end_with_it(company: Company, end: str) -> None:
    email = f"m-{company.email}"
    user = (
        await company.http.post("/api/v1/users", json={"email": email, "password": PASSWORD, "role": "manager"})
    ).json()
    async with httpx.AsyncClient(base_url=company.http.base_url) as manager:
        await manager.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})
        assert (await manager.post("/api/v1/invitations", json={"role": "owner"})).status_code == 403
        made = (await manager.post("/api/v1/invitations", json={"role": "manager"})).json()
    if end == "disabled":
        await company.http.delete(f"/api/v1/users/{user['id']}")
    else:
        await company.http.put(f"/api/v1/users/{user['id']}/role", json={"role": "viewer"})
    assert (await _join(company, made)).status_code == 401


async def test_neither_half_is_stored(company: Company, owner_dsn: str) -> None:
    made = await _invite(company)
    with psycopg.connect(owner_dsn) as owner:
        dump = str(owner.execute("SELECT i::text FROM invitation i").fetchall())
        dump += str(owner.execute("SELECT a::text FROM audit a").fetchall())
    assert made["id"] in dump
    assert made["token"] not in dump
    assert made["code"] not in dump
