"""What holds for the whole API: nothing is done twice by a repeated request, and one company cannot take all there is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from cloud.core.db import Database
from cloud.core.limits import RateLimit
from tests.cloud.conftest import Cluster, Company, NewCompany


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """The rules of the API are tried here; their SQL is plain."""
    return embedded_cluster


async def test_a_repeated_post_is_answered_as_before_and_not_done_again(new_company: NewCompany, db: Database) -> None:
    company, stranger = await new_company(), await new_company()

    async def post(body: Any, key: str, who: Company = company) -> Any:
        return await who.http.post("/api/v1/tokens", json=body, headers={"Idempotency-Key": key})

    async def names(who: Company) -> list[str]:
        return sorted(each["name"] for each in (await who.http.get("/api/v1/tokens")).json())

    before = await names(company)
    first = await post({"name": "robot"}, "k-1")
    again = await post({"name": "robot"}, "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert "idempotency-replayed" not in first.headers
    assert await names(company) == sorted([*before, "robot"])
    other = await post({"name": "other"}, "k-1")
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")
    assert (await post({"name": "robot"}, "k-1", stranger)).json() != first.json(), "a key is its company's own"
    assert (await post({"nome": "robot"}, "k-2")).status_code == 422
    assert (await post({"nome": "robot"}, "k-2")).headers["idempotency-replayed"] == "true", (
        "a refusal is an answer, too"
    )
    assert (await post({"name": "x"}, "k" * 256)).status_code == 422

    together = await asyncio.gather(*(post({"name": "once"}, "k-3") for _ in range(8)))
    assert {answer.status_code for answer in together} <= {201, 409}
    assert len({answer.content for answer in together if answer.status_code == 201}) == 1
    assert (await names(company)).count("once") == 1
    async with db.tenant(company.scope) as connection:
        rows = await (await connection.execute("SELECT answer FROM idempotency")).fetchall()
        assert rows
        assert not any(first.json()["token"].encode() in row[0] for row in rows), "a secret shown once is not kept open"
        await connection.execute("UPDATE idempotency SET answer = NULL")  # as after a crash in the middle
    assert (await post({"name": "robot"}, "k-1")).status_code == 409


async def test_what_may_be_forgiven_later_is_not_kept(company: Company) -> None:
    made = await company.http.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]})
    narrow = {"Authorization": f"Bearer {made.json()['token']}", "Idempotency-Key": "k"}
    assert (await company.http.post("/api/v1/sites", json={"name": "s"}, headers=narrow)).status_code == 403
    allowed = await company.http.post("/api/v1/sites", json={"name": "s"}, headers={"Idempotency-Key": "k"})
    assert allowed.status_code == 201
    document = (await company.http.get("/api/v1/openapi.json")).json()
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    named = {
        path for path, post in posts.items() if any(p["name"] == "Idempotency-Key" for p in post.get("parameters", []))
    }
    assert named == {path for path, post in posts.items() if any("bearer" in way for way in post["security"])}


@pytest.fixture
def few(cloud_app: FastAPI, cloud_url: str) -> Iterator[int]:
    """The cloud takes so many requests of a company."""
    usual = cloud_app.state.api_rate
    cloud_app.state.api_rate = RateLimit(3, 60.0)
    yield 3
    cloud_app.state.api_rate = usual


async def test_a_company_that_asks_too_much_is_told_when_to_come_back(new_company: NewCompany, few: int) -> None:
    greedy, modest = await new_company(), await new_company()
    answers = [await greedy.http.get("/api/v1/me") for _ in range(few + 1)]
    assert [answer.status_code for answer in answers] == [200] * few + [429]
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
        '"company";r=2', '"company";r=1', '"company";r=0', '"company";r=0'
    ]  # fmt: skip
    assert answers[0].headers["ratelimit-policy"] == '"company";q=3;w=180'
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await modest.http.get("/api/v1/me")).status_code == 200
    async with greedy.agent() as agent:
        await agent.report()  # what the machines tell is not counted
