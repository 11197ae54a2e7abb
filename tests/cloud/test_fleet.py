"""Enrolment and log-in of agents: one code, one agent; a key that stays at the edge; revocation at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import msgspec
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from cloud.core.codes import canonical, new_code
from cloud.core.db import Database
from cloud.core.errors import Unauthenticated
from cloud.fleet.schemas import CodeRequest
from cloud.fleet.service import Fleet
from protocols.uplink.messages import (
    ChallengeReply,
    ChallengeRequest,
    DeviceReport,
    EnrolReply,
    Health,
    TokenReply,
)
from tests.cloud.conftest import SECRETS, Company
from tests.doubles.agent import AgentDouble

HEALTH = Health("0.1.0", 1, 1, [], 0, 0, 0, 0, 0, 0, 0, 0, 0)


async def test_of_fifty_racing_agents_exactly_one_is_let_in(company: Company, db: Database) -> None:
    fleet = Fleet(db, SECRETS)
    code = (await fleet.create_code(company.scope, CodeRequest(site_id=company.site_id), "t")).code
    async with AsyncExitStack() as stack:
        agents = [AgentDouble(str(company.http.base_url), f"racer-{i}") for i in range(50)]
        for agent in agents:
            await stack.enter_async_context(agent.http)
        # Each from an address of its own, so that the race is decided by the code and not by the rate limit.
        outcomes = await asyncio.gather(
            *(fleet.enrol(agent.enrol_request(code), f"10.0.0.{i}") for i, agent in enumerate(agents)),
            return_exceptions=True,
        )
    assert Counter(type(outcome) for outcome in outcomes) == {EnrolReply: 1, Unauthenticated: 49}
    assert len((await company.http.get("/api/v1/agents")).json()) == 1


async def test_a_lost_answer_may_be_asked_for_again_with_the_same_key(company: Company) -> None:
    code = await company.code()
    agent = AgentDouble(str(company.http.base_url))
    async with agent.http:
        assert await agent.enrol(code) == await agent.enrol(code.lower().replace("-", " "))


async def _refusal(agent: AgentDouble, code: str) -> str:
    answer = await agent.http.post(
        "/api/v1/agents/enrol",
        content=msgspec.msgpack.encode(agent.enrol_request(code)),
        headers={"Accept-Language": "zh-CN"},
    )
    assert answer.status_code == 401
    return str(answer.json()["detail"])


async def test_used_expired_and_unknown_codes_are_told_apart(company: Company, owner_dsn: str) -> None:
    used, expired = await company.code(), await company.code()
    async with AgentDouble(str(company.http.base_url)).http as http:
        first, second = AgentDouble(str(http.base_url)), AgentDouble(str(http.base_url))
    async with first.http, second.http:
        await first.enrol(used)
        with psycopg.connect(owner_dsn) as connection:
            connection.execute("UPDATE enrolment_code SET expires_at = now() - interval '1 s' WHERE used_at IS NULL")
        assert "已被使用" in await _refusal(second, used)
        assert "已过期" in await _refusal(second, expired)
        assert "不存在" in await _refusal(second, new_code())


async def test_a_code_is_stored_as_a_keyed_hash_only(company: Company, owner_dsn: str) -> None:
    code = await company.code()
    with psycopg.connect(owner_dsn) as connection:
        dump = str(connection.execute("SELECT c::text FROM enrolment_code c").fetchall())
    assert code not in dump
    assert canonical(code) not in dump
    assert canonical(code).encode().hex() not in dump


async def test_a_proof_by_another_key_is_refused(company: Company) -> None:
    code = await company.code()
    mine, other = AgentDouble(str(company.http.base_url)), AgentDouble(str(company.http.base_url))
    forged = msgspec.structs.replace(mine.enrol_request(code), proof=other.enrol_request(code).proof)
    async with mine.http, other.http:
        assert (await mine.post("/agents/enrol", forged)).status_code == 401
        await mine.enrol(code)


async def test_a_nonce_opens_once_and_only_for_the_key_that_was_pinned(company: Company) -> None:
    async with company.agent() as agent:
        answer = await agent.post("/agents/challenge", ChallengeRequest(agent.agent_id))
        nonce = msgspec.msgpack.decode(answer.content, type=ChallengeReply).nonce
        thief = AgentDouble(str(company.http.base_url))
        thief.agent_id = agent.agent_id
        async with thief.http:
            assert (await thief.post("/agents/token", thief.token_request(b"\0" * 32))).status_code == 401
        first = await agent.post("/agents/token", agent.token_request(nonce))
        again = await agent.post("/agents/token", agent.token_request(nonce))
    reply = msgspec.msgpack.decode(first.content, type=TokenReply)
    assert (first.status_code, again.status_code, reply.expires_in_s) == (200, 401, 900)


async def test_a_nonce_of_an_hour_ago_opens_nothing(company: Company, owner_dsn: str) -> None:
    async with company.agent() as agent:
        answer = await agent.post("/agents/challenge", ChallengeRequest(agent.agent_id))
        nonce = msgspec.msgpack.decode(answer.content, type=ChallengeReply).nonce
        with psycopg.connect(owner_dsn) as connection:
            connection.execute("UPDATE agent_challenge SET expires_at = now() - interval '1 s'")
        assert (await agent.post("/agents/token", agent.token_request(nonce))).status_code == 401


async def test_an_unknown_agent_gets_a_nonce_like_any_other(company: Company) -> None:
    agent = AgentDouble(str(company.http.base_url))
    async with agent.http:
        for agent_id in ("01999999-0000-7000-8000-000000000000", "nonsense"):
            answer = await agent.post("/agents/challenge", ChallengeRequest(agent_id))
            assert len(msgspec.msgpack.decode(answer.content, type=ChallengeReply).nonce) == 32


async def test_revocation_shuts_out_a_token_that_has_not_expired(company: Company) -> None:
    async with company.agent() as agent:
        assert (await agent.post("/uplink/health", HEALTH, token=True)).status_code == 200
        assert (await company.http.delete(f"/api/v1/agents/{agent.agent_id}")).status_code == 204
        assert (await agent.post("/uplink/health", HEALTH, token=True)).status_code == 401
        nonce = (await agent.post("/agents/challenge", ChallengeRequest(agent.agent_id))).content
        request = agent.token_request(msgspec.msgpack.decode(nonce, type=ChallengeReply).nonce)
        assert (await agent.post("/agents/token", request)).status_code == 401
        # A new code lets the same key in again, as the same agent.
        before = agent.agent_id
        await agent.enrol(await company.code())
        await agent.log_in()
        assert agent.agent_id == before
        assert (await agent.post("/uplink/health", HEALTH, token=True)).status_code == 200


@pytest.mark.parametrize("forge", ["none", "other key", "expired", "no expiry"])
async def test_forged_tokens_open_nothing(company: Company, forge: str) -> None:
    async with company.agent() as agent:
        key = OctKey.import_key("x" * 43 if forge == "other key" else SECRETS.signing_key)
        claims: dict[str, object] = {"sub": agent.agent_id, "exp": 1 if forge == "expired" else 9_999_999_999}
        if forge == "no expiry":
            del claims["exp"]
        token = jwt.encode({"alg": "HS256"}, claims, key)
        if forge == "none":
            token = "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "."
        agent.token = token
        assert (await agent.post("/uplink/health", HEALTH, token=True)).status_code == 401


async def test_a_copied_box_is_noticed_and_a_restarted_one_is_not(company: Company) -> None:
    async with company.agent() as agent:

        async def copied(*starts: int) -> bool:
            for start in starts:
                report = msgspec.structs.replace(HEALTH, started=start)
                assert (await agent.post("/uplink/health", report, token=True)).status_code == 200
            (listed,) = (await company.http.get("/api/v1/agents")).json()
            return listed["copied_at"] is not None

        assert not await copied(1, 1, 2, 2, 3, 2**63)
        assert await copied(2, 2**63)


async def test_a_health_report_becomes_equipment(company: Company) -> None:
    device = DeviceReport(
        "moulder-1", "opcua", "demo-injection-moulder", "injection_moulding", "down", 1_770_000_000_000_000, 9, 1,
        "no answer", "无应答",
    )  # fmt: skip
    async with company.agent() as agent:
        await agent.post("/uplink/health", msgspec.structs.replace(HEALTH, devices=[device]), token=True)
        (equipment,) = (await company.http.get("/api/v1/equipment")).json()
        assert (equipment["name"], equipment["state"], equipment["reason_zh"]) == ("moulder-1", "down", "无应答")
        assert (equipment["equipment_class"], equipment["agent"]) == ("injection_moulding", "workshop-1")
        (listed,) = (await company.http.get("/api/v1/agents")).json()
        assert listed["health"]["agent_version"] == "0.1.0"
        other = msgspec.structs.replace(device, name="moulder-2")
        await agent.post("/uplink/health", msgspec.structs.replace(HEALTH, devices=[other]), token=True)
        listed = (await company.http.get("/api/v1/equipment")).json()
        assert [(each["name"], each["state"]) for each in listed] == [("moulder-1", "removed"), ("moulder-2", "down")]
        await agent.post("/uplink/health", msgspec.structs.replace(HEALTH, devices=[device, other]), token=True)
        await company.http.delete(f"/api/v1/agents/{agent.agent_id}")
        assert (await company.http.get(f"/api/v1/equipment/{equipment['id']}")).json()["state"] == "silent"
