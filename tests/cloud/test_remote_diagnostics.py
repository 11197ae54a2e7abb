"""Real agent, real cloud, a real device: somebody asks, the box looks and answers; nothing can be written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from protocols.text import Text
from protocols.uplink import diagnostics as wire
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.doubles.agent import AgentDouble
from tests.edge_agent.test_agent import Serve, Start, done, serve, start

__all__ = ["serve", "start"]


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """The conversation is what is tried here, and its SQL is plain."""
    return embedded_cluster


async def polled(agent: AgentDouble, wait_s: float = 0.0) -> list[wire.Inquiry]:
    answer = await agent.post("/uplink/diagnostics", wire.InquiryPoll(wait_s), token=True)
    assert answer.status_code == 200, answer.text
    return msgspec.msgpack.decode(answer.content, type=wire.Inquiries).inquiries


async def ask(company: Company, agent_id: str, **question: Any) -> Any:
    return await company.http.post(f"/api/v1/agents/{agent_id}/diagnostics", json=question)


async def says(company: Company, diagnostics: str) -> None:
    """Wait until the company's agent has reported so."""
    async with asyncio.timeout(40):
        while True:
            (agent,) = (await company.http.get("/api/v1/agents")).json()
            if (agent["health"] or {}).get("diagnostics") == diagnostics:
                return
            await asyncio.sleep(0.1)


async def test_a_box_reads_tests_and_checks_what_somebody_asks(
    company: Company, serve: Serve, start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "agent.toml"
    head = f'[agent]\nname = "box"\nreport_s = 1.0\n[cloud]\nurl = "{company.http.base_url}"\n'
    device = '[[device]]\nname = "{name}"\ntemplate = "demo-energy-meter"\n[device.connection]\n{connection}\n'
    meter = device.format(name="meter", connection=await serve("demo-energy-meter"))
    path.write_text(head + meter + device.format(name="gone", connection='host = "127.0.0.1"\nport = 1'), "utf-8")
    code, out, err = await done(await start("enrol", await company.code(), "-c", path, "--json"))
    assert code == 0, err
    agent_id = json.loads(out)["agent_id"]
    await start("run", "-c", path)
    await says(company, "allowed")

    async def asked(**question: Any) -> dict[str, Any]:
        answer = await company.http.post(f"/api/v1/agents/{agent_id}/diagnostics", json=question, params={"wait_s": 25})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    read = await asked(kind="read", device="meter")
    values = {each["name"]: each for each in read["answer"]["values"]}
    assert (read["state"], read["answer"]["round_trip_ms"] > 0, len(values) > 5) == ("answered", True, True)
    assert all(each["quality"] == "Good" for each in values.values()), values
    name = next(iter(values))
    one = await asked(kind="read", device="meter", points=[name])
    assert [each["name"] for each in one["answer"]["values"]] == [name]

    tested = (await asked(kind="test", device="meter", points=[name]))["answer"]
    assert tested["registers"]
    assert [each["sent"] for each in tested["exchanges"]][:2] == [True, False]
    assert tested["exchanges"][0]["words"]["zh"]
    assert tested["alternatives"], "other types are offered with why they fit or do not"

    checked = await asked(kind="check", device="gone")
    assert checked["answer"]["findings"][0]["severity"] == "wrong"
    lost = await asked(kind="read", device="gone")
    assert (lost["state"], "127.0.0.1" in lost["answer"]["found"]["en"]) == ("failed", True)
    unknown = await asked(kind="read", device="meter", points=["no such point"])
    assert (unknown["state"], name in unknown["answer"]["found"]["zh"]) == ("failed", True), "it names those there are"
    report = await asked(kind="report")
    titles = {each["title"]["en"] for each in report["answer"]["findings"]}
    assert {"meter", "gone", "cloud: log-in", "clock", "security: files"} <= titles

    listed = (await company.http.get(f"/api/v1/agents/{agent_id}/diagnostics")).json()
    assert [each["id"] for each in listed["items"]] == sorted((each["id"] for each in listed["items"]), reverse=True)
    assert len(listed["items"]) == 7
    acts = [
        each for each in (await company.http.get("/api/v1/audit")).json()["items"] if each["act"] == "agent.diagnose"
    ]
    assert len(acts) == 7

    path.write_text(path.read_text("utf-8").replace("report_s", "allow_diagnostics = false\nreport_s"), "utf-8")
    await says(company, "refused")
    refused = await ask(company, agent_id, kind="report")
    assert refused.status_code == 409
    assert "allow_diagnostics" in refused.json()["detail"]


async def test_a_question_waits_for_the_box_is_given_once_and_ends(new_company: NewCompany) -> None:
    company, stranger = await new_company(), await new_company()
    async with company.agent() as agent, company.agent("other") as other, stranger.agent() as foreign:
        agent.diagnostics = ""
        await agent.report()
        assert "does not support" in (await ask(company, agent.agent_id, kind="report")).json()["detail"]
        agent.diagnostics = "allowed"
        for each in (agent, other, foreign):
            await each.report()
        waiting = asyncio.create_task(polled(agent, 20))
        await asyncio.sleep(0.2)
        first = (await ask(company, agent.agent_id, kind="read", device="m", points=["p"])).json()
        (inquiry,) = await asyncio.wait_for(waiting, 5)
        assert (inquiry.id, inquiry.kind, inquiry.device, inquiry.points) == (first["id"], "read", "m", ["p"])
        assert await polled(agent) == await polled(other) == [], "it is under way, and nobody else's"
        where = f"/api/v1/agents/{agent.agent_id}/diagnostics/{first['id']}"
        found = asyncio.create_task(company.http.get(where, params={"wait_s": 20}))
        answer = wire.Answer(
            first["id"], "answered", Text("one", "一"), values=[wire.PointValue("p", "", "", 1.5, "Good")]
        )
        for stray in (other, foreign):
            assert (await stray.post("/uplink/diagnostics/answer", answer, token=True)).status_code == 404
        for text in ("one", "two"):
            again = msgspec.structs.replace(answer, found=Text(text, "一"))
            assert (await agent.post("/uplink/diagnostics/answer", again, token=True)).status_code == 200
        told = (await asyncio.wait_for(found, 5)).json()
        assert (told["state"], told["answer"]["found"]["en"]) == ("answered", "one"), "what was said first stays"
        assert (await stranger.http.get(where)).status_code == 404
        assert (await ask(stranger, agent.agent_id, kind="report")).status_code == 404
        bad = msgspec.structs.replace(answer, round_trip_ms=float("nan"))
        assert (await agent.post("/uplink/diagnostics/answer", bad, token=True)).status_code == 400
        nobody = msgspec.structs.replace(answer, id=str(uuid4()))
        assert (await agent.post("/uplink/diagnostics/answer", nobody, token=True)).status_code == 404


WRONG: list[dict[str, Any]] = [
    {"kind": "write", "device": "m", "points": ["p"]},
    {"kind": "read", "device": "m", "value": 1},
    {"kind": "read"},
    {"kind": "report", "device": "m"},
    {"kind": "test", "device": "m", "points": ["p", "q"]},
    {"kind": "check", "device": "m", "points": ["p"]},
    {"kind": "read", "device": "a\0"},
]


async def test_what_cannot_be_asked_is_refused_so_many_may_wait_and_a_reader_only_looks(company: Company) -> None:
    async with company.agent() as agent:
        await agent.report()
        for question in WRONG:
            assert (await ask(company, agent.agent_id, **question)).status_code == 422, question
        assert await polled(agent) == []
        answers = [await ask(company, agent.agent_id, kind="report") for _ in range(21)]
        assert [answer.status_code for answer in answers] == [202] * 20 + [409]
        made = await company.http.post("/api/v1/tokens", json={"name": "n", "scopes": ["read"]})
        reader = {"Authorization": f"Bearer {made.json()['token']}"}
        where = f"/api/v1/agents/{agent.agent_id}/diagnostics"
        assert (await company.http.get(where, headers=reader)).status_code == 200
        assert (await company.http.post(where, json={"kind": "report"}, headers=reader)).status_code == 403


def test_nothing_on_the_wire_could_hold_a_value_to_write() -> None:
    assert set(wire.Inquiry.__struct_fields__) == {"id", "kind", "device", "points", "expires_in_s"}
    assert not [kind for kind in wire.KINDS if "write" in kind]
